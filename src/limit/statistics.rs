//! What a policy has decided: how often, and whom it refuses most.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use super::violations::Violations;
use crate::lock_order::{Mutex, rank};
use crate::metrics::Counter;

/// So many keys are followed; who is refused more often than a 128th of all refusals is certainly among them.
pub const OFFENDERS_MAX: usize = 128;

/// See the head of the file.
#[derive(Debug)]
pub struct Statistics {
    threads: Box<[CachePadded<Counts>]>,
    offenders: Mutex<Offenders, { rank::OFFENDERS }>,
    keys: Keys,
    /// Recent refusals by key, where they can lead to a block.
    pub violations: Violations,
}

/// How many keys had counters when they were last counted.
#[derive(Debug, Default)]
struct Keys {
    counted: AtomicU64,
    /// How many had got one until then.
    made_before: AtomicU64,
}

/// One thread's counts; only that thread writes them.
#[derive(Debug, Default)]
struct Counts {
    allowed: Counter,
    refused: Counter,
    shadow_refused: Counter,
    keys_made: Counter,
    without_room: Counter,
}

/// How a policy decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It let the request through.
    Allowed,
    /// It refused the request.
    Refused,
    /// It would have refused the request, but only counts.
    ShadowRefused,
}

/// How often a policy decided so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Requests let through.
    pub allowed: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that would have been refused.
    pub shadow_refused: u64,
    /// Limits that counted a key as their policy says of keys for whose counters there is no room.
    pub without_room: u64,
}

impl Statistics {
    /// Nothing yet, for so many threads.
    pub fn new(threads: usize) -> Statistics {
        Statistics {
            threads: (0..threads).map(|_| CachePadded::default()).collect(),
            offenders: Mutex::new(Offenders::default()),
            keys: Keys::default(),
            violations: Violations::default(),
        }
    }

    /// Counts a decision that the thread with this number made about a key.
    pub fn count(&self, thread: usize, verdict: Verdict, key: &[u8]) {
        let counts = &self.threads[thread];
        match verdict {
            Verdict::Allowed => counts.allowed.add(1),
            Verdict::Refused => counts.refused.add(1),
            Verdict::ShadowRefused => counts.shadow_refused.add(1),
        }
        if verdict == Verdict::Allowed {
            return;
        }
        // When many threads refuse at the same moment a few go uncounted here, rather than wait for each other.
        if let Some(mut offenders) = self.offenders.try_lock() {
            offenders.count(key);
        }
    }

    /// Counts a key that got a counter.
    pub fn count_key(&self, thread: usize) {
        self.threads[thread].keys_made.add(1);
    }

    /// Counts a limit that counted a key otherwise, since there was no room for a counter.
    pub fn count_without_room(&self, thread: usize) {
        self.threads[thread].without_room.add(1);
    }

    /// How many keys have counters at most: as many as there were when they were counted, and those that got one since.
    pub fn keys(&self) -> u64 {
        let made = self.keys_made().saturating_sub(self.keys.made_before.load(Relaxed));
        self.keys.counted.load(Relaxed).saturating_add(made)
    }

    /// How many keys have got a counter so far, to be said to [`Statistics::note_keys`] after they were counted.
    pub fn keys_made(&self) -> u64 {
        self.threads.iter().map(|counts| counts.keys_made.get()).sum()
    }

    /// Notes how many keys have counters; `made_before` of them all had got one when the counting began.
    pub fn note_keys(&self, counted: u64, made_before: u64) {
        self.keys.counted.store(counted, Relaxed);
        self.keys.made_before.store(made_before, Relaxed);
    }

    /// How often the policy decided so.
    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&Counts) -> &Counter| self.threads.iter().map(|counts| of(counts).get()).sum();
        Totals {
            allowed: sum(|counts| &counts.allowed),
            refused: sum(|counts| &counts.refused),
            shadow_refused: sum(|counts| &counts.shadow_refused),
            without_room: sum(|counts| &counts.without_room),
        }
    }

    /// The keys refused most, the worst first, with how often at most.
    pub fn top(&self, most: usize) -> Vec<(Box<[u8]>, u64)> {
        let mut top = self.offenders.lock().0.clone();
        top.sort_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
        top.truncate(most);
        top
    }
}

/// The keys refused most: the space-saving sketch.  A key that is not followed takes the place of the one with the
/// lowest count and inherits it, so counts may be too high by that, and never too low.
#[derive(Debug, Default)]
struct Offenders(Vec<(Box<[u8]>, u64)>);

impl Offenders {
    fn count(&mut self, key: &[u8]) {
        if let Some(offender) = self.0.iter_mut().find(|(other, _)| **other == *key) {
            offender.1 += 1;
            return;
        }
        if self.0.len() < OFFENDERS_MAX {
            self.0.push((key.into(), 1));
            return;
        }
        let lowest = self.0.iter_mut().min_by_key(|(_, count)| *count).expect("there are many");
        *lowest = (key.into(), lowest.1 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn who_is_refused_most_is_found_among_very_many() {
        let statistics = Statistics::new(1);
        let mut random = Random::with_seed(3);
        for round in 0..20_000 {
            let key = match round % 4 {
                0 => "worst".to_owned(),
                1 if round % 8 == 1 => "second".to_owned(),
                _ => random.draw().to_string(),
            };
            statistics.count(0, Verdict::Refused, key.as_bytes());
        }
        let top = statistics.top(2);
        let names: Vec<&[u8]> = top.iter().map(|(key, _)| &**key).collect();
        assert_eq!(names, [b"worst".as_slice(), b"second"]);
        assert!((5_000..5_200).contains(&top[0].1), "never too low, and not much too high: {}", top[0].1);
        assert_eq!(statistics.top(usize::MAX).len(), OFFENDERS_MAX);
        assert_eq!(statistics.totals(), Totals { allowed: 0, refused: 20_000, ..Totals::default() });
    }
}
