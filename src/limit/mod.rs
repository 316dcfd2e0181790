//! The rate limiter: who may do how much in what time, decided exactly.
//!
//! Counters are entries of the cache's shards (TYPE says `ratelimit`), so that a key of a limit is found, locked, counted and
//! expired like any other; only the eviction of the cache leaves them alone.

pub mod algorithm;

use crate::clock::Now;
use algorithm::Nanos;

/// Where the boot of the machine lies on the limiter's scale of time: some 73 years in, so that what began before it
/// can be said too.
const BOOT: Nanos = 1 << 61;

/// The moment of a reading of the clock, on the limiter's scale of time: nanoseconds, and no step of the wall clock
/// touches it.
pub fn nanos(now: Now) -> Nanos {
    BOOT + now.micros() * 1000
}
