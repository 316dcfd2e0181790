//! Watches of transactions that have ended, of keys whose shards are held for long.
//!
//! They do no harm where they are, but each takes memory, and a change of its shard's keys costs more.  So they are ended later,
//! in steps of bounded length.  A watch whose shard was held
//! is tried again only after a long hold has begun or ended.

use std::collections::VecDeque;

use crate::command::Transaction;
use crate::store::{Keyspace, WatchFlag};

/// How many are tried in a step at most.
const STEP_MAX: usize = 1024;

/// How many may be found held in a step, which costs more than to end one.
const HELD_MAX: usize = 16;

/// How many are kept.  Those beyond stay at their shards until the keys are watched again.
const LEFT_MAX: usize = 100_000;

/// A watch of a transaction that has ended.
pub(super) struct EndedWatch {
    database: usize,
    key: Box<[u8]>,
    changed: WatchFlag,
}

/// The watches of a transaction that has ended.
pub(super) fn of(transaction: Transaction) -> VecDeque<EndedWatch> {
    let Transaction { watched, changed, .. } = transaction;
    let watch = |(database, key)| EndedWatch { database, key, changed: changed.clone() };
    watched.into_iter().map(watch).collect()
}

/// Ends watches until none is left, or [`HELD_MAX`] of them have shards that are held.  Returns these; the rest was not tried.
pub(super) fn end_each(watches: &mut VecDeque<EndedWatch>, keyspace: &mut Keyspace<'_>) -> Vec<EndedWatch> {
    let mut held = Vec::new();
    while held.len() < HELD_MAX
        && let Some(watch) = watches.pop_front()
    {
        if !watch.end(keyspace) {
            held.push(watch);
        }
    }
    held
}

/// See the head of the file.
#[derive(Default)]
pub(super) struct LeftWatches {
    /// Those to try first.
    watches: VecDeque<EndedWatch>,
    /// How many of them were not tried since the last change.
    untried: usize,
    /// How often long holds had changed at the last step.
    seen: u64,
}

impl LeftWatches {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// The watches to try in this step.  `changes` is how often long holds had changed before it.
    pub(super) fn take(&mut self, changes: u64) -> VecDeque<EndedWatch> {
        if std::mem::replace(&mut self.seen, changes) != changes {
            self.untried = self.watches.len();
        }
        let step = self.untried.min(STEP_MAX);
        self.untried -= step;
        self.watches.drain(..step).collect()
    }

    /// Keeps watches to try at the next step.
    pub(super) fn add_untried(&mut self, watches: impl DoubleEndedIterator<Item = EndedWatch>) {
        for watch in watches.rev().take(LEFT_MAX - self.watches.len()) {
            self.watches.push_front(watch);
            self.untried += 1;
        }
    }

    /// Keeps watches to try after the next change.
    pub(super) fn add_held(&mut self, watches: impl Iterator<Item = EndedWatch>) {
        self.watches.extend(watches.take(LEFT_MAX - self.watches.len()));
    }
}

impl EndedWatch {
    /// Ends it; false if its shard is held for long.
    fn end(&self, keyspace: &mut Keyspace<'_>) -> bool {
        let store = keyspace.store();
        let shard = store.shard_of(self.database, store.key(&self.key).hash);
        keyspace.with_shard_unless_held(shard, |shard| shard.unwatch(&self.key, &self.changed)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watches(count: usize) -> VecDeque<EndedWatch> {
        let watched = vec![(0, Box::default()); count];
        of(Transaction { watched, ..Transaction::default() })
    }

    #[test]
    fn what_was_found_held_is_tried_again_after_a_change() {
        let mut left = LeftWatches::default();
        left.add_untried(watches(2).into_iter());
        let mut tried = left.take(5);
        assert_eq!((tried.len(), left.is_empty()), (2, true));
        left.add_held(tried.drain(..));
        assert!(left.take(5).is_empty() && !left.is_empty(), "nothing was let go of");
        left.add_untried(watches(1).into_iter());
        assert_eq!(left.take(5).len(), 1, "this one was not tried yet");
        assert_eq!(left.take(6).len(), 2);
        assert!(left.is_empty());
    }

    #[test]
    fn a_step_and_what_is_left_are_bounded() {
        let mut left = LeftWatches::default();
        left.add_untried(watches(LEFT_MAX - 1).into_iter());
        left.add_held(watches(2).into_iter());
        left.add_untried(watches(1).into_iter());
        assert_eq!(left.watches.len(), LEFT_MAX);
        let steps = std::iter::from_fn(|| Some(left.take(0).len()).filter(|step| *step > 0));
        let steps: Vec<_> = steps.collect();
        assert_eq!(steps.iter().max(), Some(&STEP_MAX));
        assert_eq!(steps.iter().sum::<usize>(), LEFT_MAX - 1, "the other was found held");
    }
}
