//! How many steps the random tests of the store take.

use std::env;

/// The steps of a long run.
const LONG: usize = 1_000_000;

/// So many; a million with `QUARTET_LONG=1`, and a tenth with `QUARTET_SHORT=1`: under Valgrind each takes thirty times as long.
pub(in crate::store) fn steps(usual: usize) -> usize {
    let is_set = |name| env::var_os(name).is_some();
    match (is_set("QUARTET_LONG"), is_set("QUARTET_SHORT")) {
        (true, _) => LONG,
        (false, true) => usual / 10,
        (false, false) => usual,
    }
}
