//! The rate limiter: who may do how much in what time, decided exactly.
//!
//! A *limit* is an algorithm with its parameters; a *policy* is one or several limits under a name; a *check* asks any number of
//! policies at once, and takes from all of them or from none.  Counters are entries of the cache's shards (TYPE says
//! `ratelimit`), so that they are found, locked, counted and expired like any other key; only eviction leaves them
//! alone.

pub mod address;
pub mod algorithm;
pub mod calendar;
pub mod check;
pub mod commands;
pub mod definition;
pub mod endpoints;
pub mod keeping;
pub mod lists;
pub mod pattern;
pub mod policies;
pub mod policy;
pub mod records;
pub mod repeaters;
pub mod reservations;
pub mod room;
mod service;
pub mod slots;
pub mod statistics;
pub mod stored;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::clock::Now;
use algorithm::Nanos;
use keeping::Keeping;
use lists::Lists;
use policies::Policies;
use records::Record;
use reservations::Reservations;
use room::Room;
use waiting::Waiting;

pub use service::SERVICE;

/// The name that TYPE answers for a counter.
pub const COUNTER_TYPE: &str = "ratelimit";

/// Where the boot of the machine lies on the limiter's scale of time: some 73 years in, so that what began before it
/// can be said too.
const BOOT: Nanos = 1 << 61;

/// The moment of a reading of the clock, on the limiter's scale of time: nanoseconds, and no step of the wall clock
/// touches it.
pub fn nanos(now: Now) -> Nanos {
    BOOT + now.micros() * 1000
}

/// The first whole millisecond of the server's clock at which a moment has come.
pub fn millis_of(timestamp: Nanos) -> u64 {
    timestamp.saturating_sub(BOOT).div_ceil(algorithm::NANOS_PER_MILLI)
}

/// The moment of a millisecond of the server's clock.
pub fn moment_of_millis(millis: u64) -> Nanos {
    BOOT.saturating_add(millis.saturating_mul(algorithm::NANOS_PER_MILLI))
}

/// What all threads share of the limiter.
pub struct Limits {
    /// The policies.
    pub policies: Policies,
    /// Who is not limited, and who is always refused.
    pub lists: Lists,
    /// Whether there is room for more counters.
    pub room: Room,
    /// What was taken ahead.
    pub reservations: Reservations,
    /// Who waits to be admitted.
    pub waiting: Waiting,
    /// What of it outlives the server.
    pub keeping: Arc<Keeping>,
    /// What to add to the time since the boot for wall time, in microseconds.
    wall_offset: AtomicI64,
}

impl Limits {
    /// A limiter with the default policy, for so many threads.
    pub fn new(threads: usize) -> Limits {
        let keeping: Arc<Keeping> = Arc::default();
        Limits {
            policies: Policies::new(threads, Arc::clone(&keeping)),
            lists: Lists::new(Arc::clone(&keeping)),
            room: Room::default(),
            reservations: Reservations::new(Arc::clone(&keeping)),
            waiting: Waiting::default(),
            keeping,
            wall_offset: AtomicI64::new(0),
        }
    }

    /// Notes what the wall clock shows, which windows of the calendar follow.
    pub fn follow_wall_clock(&self, now: Now) {
        self.wall_offset.store(now.wall_micros() - now.micros() as i64, Relaxed);
    }

    /// Gives `write` all that operators have set, as records.
    pub fn each_setting(&self, mut write: impl FnMut(Record<'_>)) {
        self.policies.each_record(&mut write);
        self.lists.each_record(&mut write);
    }

    /// The same with so many bits of an IPv6 address that tell hosts apart.
    #[must_use]
    pub fn with_ipv6_prefix(mut self, bits: u8) -> Limits {
        self.lists.ipv6_prefix = bits;
        self
    }
}
