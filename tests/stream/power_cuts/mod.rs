//! Streams on a machine that loses its power at any moment: nothing that anybody was told or has seen is lost or ever differs.
//!
//! The journal and the files of streams are on a simulated disk, which tears, drops and reorders what was not synced.  From one
//! seed come the requests of a client, the steps of the server and its writer, snapshots with requests between any two
//! operations of the disk, a disk without room, losses of power and orderly stops.  [`model`] says what each request comes to,
//! [`worlds`] which of it may be lost.  `QUARTET_TEST_STREAM_SEED=7` plays one seed.

pub(super) mod answers;
pub(super) mod changes;
pub(super) mod checks;
pub(super) mod machine;
pub(super) mod model;
mod run;
pub(super) mod server;
pub(super) mod worlds;

use std::collections::BTreeMap;
use std::env;

/// Seeds that are played, unless one is named.
const SEEDS: u64 = 200;
const LONG_SEEDS: u64 = 10_000;
const SEED: &str = "QUARTET_TEST_STREAM_SEED";

/// What happens in a run.
const TURNS: usize = 150;

/// What all runs together have to have met.
const MET: [&str; 9] = [
    "stored",
    "duplicates",
    "refused",
    "changes",
    "failed changes",
    "deliveries",
    "confirmed acknowledgements",
    "snapshots",
    "power losses",
];

#[test]
fn nothing_that_was_told_or_seen_is_lost_or_differs() {
    let seed = env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seeds = if env::var_os("QUARTET_LONG").is_some() { LONG_SEEDS } else { SEEDS };
    let seeds = seed.map_or(0..seeds, |seed: u64| seed..seed + 1);
    let is_one = seed.is_some();
    let mut counted = BTreeMap::<&str, u64>::new();
    for seed in seeds {
        for (what, count) in run::play(seed, TURNS) {
            *counted.entry(what).or_default() += count;
        }
    }
    let missing: Vec<_> = MET.iter().filter(|what| !counted.contains_key(*what)).collect();
    assert!(is_one || missing.is_empty(), "the runs have not met {missing:?}: {counted:?}");
}
