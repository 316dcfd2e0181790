//! How many subscriptions there are, and how often they are looked up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// The counts as all threads share them.  Threads add what they have counted by themselves from time to time.
#[derive(Default)]
pub(super) struct Counts {
    /// The counts of receivers.  Every publisher reads them, so they have a cache line of their own.
    pub(super) receivers: CachePadded<Receivers>,
    /// Subscriptions that were added since the start.
    pub(super) started: AtomicU64,
    /// Sinks that were removed since the start.
    pub(super) sinks_ended: AtomicU64,
    /// Lookups since the start.
    pub(super) lookups: AtomicU64,
    /// Those that a thread remembered.
    pub(super) hits: AtomicU64,
    /// Subjects whose lookups are remembered, by all threads.
    pub(super) remembered: AtomicUsize,
    /// The subscriptions that they match.
    pub(super) remembered_subscriptions: AtomicUsize,
    /// The most subscriptions that a lookup has found.
    pub(super) largest: AtomicUsize,
}

/// The counts of possible receivers.
#[derive(Default)]
pub(super) struct Receivers {
    /// Subscriptions of any kind.
    pub(super) subscriptions: AtomicUsize,
    /// Sinks whose subject or wildcard is not hidden.
    pub(super) sinks: AtomicUsize,
    /// Sinks of hidden subjects.
    pub(super) hidden_sinks: AtomicUsize,
}

/// Counts for reports, which threads bring up to date with some delay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InterestReport {
    /// The number of subscriptions of any kind.
    pub subscriptions: usize,
    /// Subscriptions that were added since the start.
    pub started: u64,
    /// Subscriptions that have ended since the start.
    pub ended: u64,
    /// Lookups of subjects since the start.
    pub lookups: u64,
    /// The part of them that a thread remembered, from 0 to 1.
    pub hit_rate: f64,
    /// Subjects whose lookups are remembered, by all threads.
    pub remembered: usize,
    /// The most subscriptions that matched a subject since the start.
    pub largest_fan_out: usize,
    /// The subscriptions that match a remembered subject, on average.
    pub average_fan_out: f64,
}

impl Counts {
    /// Subscriptions that have ended since the start.
    pub(super) fn ended(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.receivers.subscriptions.load(Relaxed) as u64)
    }

    /// Subscriptions and sinks that have ended since the start.
    pub(super) fn receivers_ended(&self) -> u64 {
        self.ended() + self.sinks_ended.load(Relaxed)
    }

    /// Adds lookups and the part of them that was remembered.
    pub(super) fn add_lookups(&self, lookups: u64, hits: u64) {
        if lookups > 0 {
            self.lookups.fetch_add(lookups, Relaxed);
            self.hits.fetch_add(hits, Relaxed);
        }
    }

    /// A thread that has told of so many remembered subjects and subscriptions has other ones now.
    pub(super) fn change_remembered(&self, told: (usize, usize), now: (usize, usize)) {
        if told != now {
            self.remembered.fetch_add(now.0.wrapping_sub(told.0), Relaxed);
            self.remembered_subscriptions.fetch_add(now.1.wrapping_sub(told.1), Relaxed);
        }
    }

    /// Notes how many subscriptions a lookup has found.
    pub(super) fn note_found(&self, count: usize) {
        if count > self.largest.load(Relaxed) {
            self.largest.fetch_max(count, Relaxed);
        }
    }

    /// The counts as they are now.
    pub(super) fn report(&self) -> InterestReport {
        let (lookups, hits) = (self.lookups.load(Relaxed), self.hits.load(Relaxed));
        let remembered = self.remembered.load(Relaxed);
        InterestReport {
            subscriptions: self.receivers.subscriptions.load(Relaxed),
            started: self.started.load(Relaxed),
            ended: self.ended(),
            lookups,
            hit_rate: ratio(hits, lookups),
            remembered,
            largest_fan_out: self.largest.load(Relaxed),
            average_fan_out: ratio(self.remembered_subscriptions.load(Relaxed) as u64, remembered as u64),
        }
    }
}

/// 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
