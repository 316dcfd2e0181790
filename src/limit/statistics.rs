//! Counts of a policy's decisions, and the keys that it refuses most.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use super::violations::Violations;
use crate::lock_order::{Mutex, rank};
use crate::metrics::Counter;

/// The most keys that are followed.  A key with more than a 128th of all refusals is certainly among them.
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

/// The number of keys with counters when they were last counted.
#[derive(Debug, Default)]
struct Keys {
    counted: AtomicU64,
    /// How many keys had got a counter until then.
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

/// The decision of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It allowed the request.
    Allowed,
    /// It refused the request.
    Refused,
    /// It would have refused the request, but is in shadow mode.
    ShadowRefused,
}

/// The counts of a policy's decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Allowed requests.
    pub allowed: u64,
    /// Refused requests.
    pub refused: u64,
    /// Requests that shadow mode allowed.
    pub shadow_refused: u64,
    /// Answers of limits to keys for whose counters there was no room.
    pub without_room: u64,
}

impl Statistics {
    /// Zero counts, for so many threads.
    pub fn new(threads: usize) -> Statistics {
        Statistics {
            threads: (0..threads).map(|_| CachePadded::default()).collect(),
            offenders: Mutex::new(Offenders::default()),
            keys: Keys::default(),
            violations: Violations::default(),
        }
    }

    /// Counts a decision of the thread with this number about a key.
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
        // When many threads refuse at the same time, a few refusals go uncounted here, so that threads need not wait.
        if let Some(mut offenders) = self.offenders.try_lock() {
            offenders.count(key);
        }
    }

    /// Counts a key that got a counter.
    pub fn count_key(&self, thread: usize) {
        self.threads[thread].keys_made.add(1);
    }

    /// Counts the answer of a limit to a key for whose counter there was no room.
    pub fn count_without_room(&self, thread: usize) {
        self.threads[thread].without_room.add(1);
    }

    /// How many keys have counters at most: those of the last count, and those that got one since.
    pub fn keys(&self) -> u64 {
        let made = self.keys_made().saturating_sub(self.keys.made_before.load(Relaxed));
        self.keys.counted.load(Relaxed).saturating_add(made)
    }

    /// How many keys have got a counter so far: to be given to [`Statistics::note_keys`] after a count.
    pub fn keys_made(&self) -> u64 {
        self.threads.iter().map(|counts| counts.keys_made.get()).sum()
    }

    /// Notes how many keys have counters; `made_before` is [`Statistics::keys_made`] when the count began.
    pub fn note_keys(&self, counted: u64, made_before: u64) {
        self.keys.counted.store(counted, Relaxed);
        self.keys.made_before.store(made_before, Relaxed);
    }

    /// The counts.
    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&Counts) -> &Counter| self.threads.iter().map(|counts| of(counts).get()).sum();
        Totals {
            allowed: sum(|counts| &counts.allowed),
            refused: sum(|counts| &counts.refused),
            shadow_refused: sum(|counts| &counts.shadow_refused),
            without_room: sum(|counts| &counts.without_room),
        }
    }

    /// The keys that are refused most, the worst first, each with an upper bound of its refusals.
    pub fn top(&self, most: usize) -> Vec<(Box<[u8]>, u64)> {
        let offenders = self.offenders.lock();
        let mut top: Vec<_> = offenders.0.iter().collect();
        top.sort_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
        // Keys may be long, so only those that were asked for are copied.
        top.into_iter().take(most).cloned().collect()
    }
}

/// The keys that are refused most: the space-saving sketch.  A key that is not followed takes the place of the one with the
/// lowest count and inherits that count.  So counts may be too high, and never too low.
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
    fn the_keys_refused_most_are_found_among_very_many() {
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
