//! The rate limiter: how much a client may do in a time, decided exactly.
//!
//! A *limit* is an algorithm with its parameters; a *policy* is one or several limits under a name; a *check* asks any
//! number of policies at once, and takes from all of them or from none.  Clients ask by [`operation`]s, and [`limiter`]
//! decides them.  Counters are entries of the store (TYPE says `ratelimit`), so that they are found, locked, counted and
//! expired like any other key; only eviction leaves them alone.
//!
//! The core knows neither the store nor a protocol: `service` runs it on the store, `commands` and `endpoints` are its
//! doors.

pub mod address;
pub mod admission;
pub mod algorithm;
pub mod budget;
pub mod calendar;
pub mod commands;
pub mod counters;
pub mod definition;
pub mod endpoints;
pub mod limiter;
pub mod lists;
pub mod operation;
pub mod pattern;
pub mod persistence;
pub mod plan;
pub mod policies;
pub mod policy;
pub mod queue;
pub mod reservations;
pub mod service;
pub mod slots;
pub mod statistics;
#[cfg(test)]
mod tests;
pub mod violations;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::clock::Now;
use crate::journal::keeper::JournalHandle;
use algorithm::Nanos;
use budget::CounterBudget;
use lists::Lists;
use persistence::{Persistence, Record};
use policies::Policies;
use queue::AdmissionQueue;
use reservations::Reservations;

pub use service::SERVICE;

/// The name that TYPE answers for a counter.
pub const COUNTER_TYPE: &str = "ratelimit";

/// The boot of the machine on the limiter's scale of time: some 73 years in, so that the scale covers earlier times too.
const BOOT: Nanos = 1 << 61;

/// A reading of the clock as a timestamp on the limiter's scale: nanoseconds, which no step of the wall clock changes.
pub fn nanos(now: Now) -> Nanos {
    BOOT + now.micros() * 1000
}

/// The first whole millisecond of the server's clock that is not before a timestamp.
pub fn millis_of(timestamp: Nanos) -> u64 {
    timestamp.saturating_sub(BOOT).div_ceil(algorithm::NANOS_PER_MILLI)
}

/// The timestamp of a millisecond of the server's clock.
pub fn timestamp_of_millis(millis: u64) -> Nanos {
    BOOT.saturating_add(millis.saturating_mul(algorithm::NANOS_PER_MILLI))
}

/// The state of the limiter that all threads share.
pub struct Limits {
    /// The policies.
    pub policies: Policies,
    /// The keys that are never limited, and those that are always refused.
    pub lists: Lists,
    /// Whether there is memory for more counters.
    pub budget: CounterBudget,
    /// The open reservations.
    pub reservations: Reservations,
    /// The checks that wait.
    pub queue: AdmissionQueue,
    /// The state that outlives the server.
    pub persistence: Arc<Persistence>,
    /// Wall time minus the time since the boot, in microseconds.
    wall_offset: AtomicI64,
}

impl Limits {
    /// A limiter with the default policy, for so many threads.  Nothing of it outlives the server.
    pub fn new(threads: usize) -> Limits {
        Limits::kept_in(&Arc::default(), threads)
    }

    /// The same with a persistence that appends to this journal.
    pub fn kept_in(journal: &Arc<JournalHandle>, threads: usize) -> Limits {
        let persistence = Arc::new(Persistence::new(journal));
        Limits {
            policies: Policies::new(threads, Arc::clone(&persistence)),
            lists: Lists::new(Arc::clone(&persistence)),
            budget: CounterBudget::default(),
            reservations: Reservations::new(Arc::clone(&persistence)),
            queue: AdmissionQueue::default(),
            persistence,
            wall_offset: AtomicI64::new(0),
        }
    }

    /// Notes the wall clock, which windows of the calendar follow.
    pub fn follow_wall_clock(&self, now: Now) {
        self.wall_offset.store(now.wall_micros() - now.micros() as i64, Relaxed);
    }

    /// When the limiter next has something to do by itself.
    pub fn next_due(&self) -> Option<Nanos> {
        self.reservations.next_end().into_iter().chain(self.queue.next_due()).min()
    }

    /// Gives `write` the policies and lists of operators, as records.
    pub fn each_setting(&self, mut write: impl FnMut(Record<'_>)) {
        self.policies.each_record(&mut write);
        self.lists.each_record(&mut write);
    }

    /// The same with another number of bits of an IPv6 address that tell hosts apart.
    #[must_use]
    pub fn with_ipv6_prefix(mut self, bits: u8) -> Limits {
        self.lists.ipv6_prefix = bits;
        self
    }
}
