//! What is held for long, so that others need not wait for it.
//!
//! A script notes what it holds once it is over `busy-reply-threshold`.  Of any other turn that takes long is only known that
//! it holds something: whoever watches over the thread notes that, and clients that find a lock taken meanwhile wait here
//! ([`LongHolds::park`]) instead of in their thread.  Only threads that find a lock taken look here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};

use smallvec::SmallVec;

use crate::lock_order::{Mutex, MutexGuard, rank};

/// Shards that a script holds before the list of them moves to the heap.
const INLINE_SHARDS: usize = 4;

/// What a script holds.
#[derive(Clone, Debug)]
pub enum Hold {
    /// Its slot at the gate, and the shards of these numbers.
    Shards(SmallVec<[u64; INLINE_SHARDS]>),
    /// The gate alone, and with it everything.
    All,
}

/// What is held for long that a command needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldForLong {
    /// A script over its threshold, which may have no end.
    ByScript,
    /// Another command, which ends by itself.
    ByCommand,
}

/// What becomes of the turn in which a script has run for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It has this thread to itself, and does more; [`LongHolds::forget_turn`] follows.
    Lasts,
    /// It ends, or keeps nobody waiting.
    Ends,
}

/// For whom a thread waits that needs a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// For all but scripts over their threshold.
    Commands,
    /// For nobody who takes long.
    Nobody,
}

/// See the head of the file.
#[derive(Default)]
pub struct LongHolds {
    /// How many scripts and turns there are.
    scripts: AtomicUsize,
    turns: AtomicUsize,
    /// How often something has been let go of, or became better known.
    changes: AtomicU64,
    holders: Mutex<Holders, { rank::LONG_HOLDS }>,
}

#[derive(Default)]
struct Holders {
    /// By the slots of their threads.
    scripts: Vec<(usize, Hold)>,
    turns: Vec<usize>,
    /// Those who wait for a change.
    parked: Vec<Waker>,
}

impl Holders {
    fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.turns.is_empty()
    }
}

impl LongHolds {
    /// Notes what the script on the thread of a slot holds.
    pub fn note(&self, slot: usize, hold: Hold) {
        let mut holders = self.holders.lock();
        holders.scripts.push((slot, hold));
        // From here on more is known than of its turn.
        holders.turns.retain(|holder| *holder != slot);
        self.count_and_wake(holders);
    }

    /// The script has ended.  If its turn lasts, it is only known again that this holds something.
    pub fn forget(&self, slot: usize, turn: Turn) {
        let mut holders = self.holders.lock();
        holders.scripts.retain(|(holder, _)| *holder != slot);
        if turn == Turn::Lasts {
            holders.turns.push(slot);
        }
        self.count_and_wake(holders);
    }

    /// Notes that the thread of a slot is at a turn that takes long, unless it runs a script that has noted what it holds.
    pub fn note_turn(&self, slot: usize) {
        let mut holders = self.holders.lock();
        if holders.scripts.iter().all(|(holder, _)| *holder != slot) {
            holders.turns.push(slot);
        }
        self.count(&holders);
    }

    /// The turn has ended, if there was one: those who have waited for it try again.
    pub fn forget_turn(&self, slot: usize) {
        let mut holders = self.holders.lock();
        holders.turns.retain(|holder| *holder != slot);
        self.count_and_wake(holders);
    }

    /// The changes so far, for [`LongHolds::park`].
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Ready if there was a change since there were `seen` of them, or nothing is held for long; else `waker` is woken then.  Whoever
    /// counts the changes before it tries to get what it needs misses none.
    pub fn park(&self, seen: u64, waker: &Waker) -> Poll<()> {
        let mut holders = self.holders.lock();
        if holders.is_empty() || self.changes() != seen {
            return Poll::Ready(());
        }
        if !holders.parked.iter().any(|parked| parked.will_wake(waker)) {
            holders.parked.push(waker.clone());
        }
        Poll::Pending
    }

    /// Whether no script holds anything for long.
    pub fn is_empty(&self) -> bool {
        self.scripts.load(Relaxed) == 0
    }

    /// Whether threads are at turns that take long.
    pub fn has_turns(&self) -> bool {
        self.turns.load(Relaxed) > 0
    }

    /// Whether a script holds everything.
    pub fn has_all(&self) -> bool {
        self.has(|_, hold| matches!(hold, Hold::All))
    }

    /// Whether a script holds the shard of a number.
    pub fn has_shard(&self, number: u64) -> bool {
        self.has(|_, hold| match hold {
            Hold::Shards(shards) => shards.contains(&number),
            Hold::All => true,
        })
    }

    /// Whether a script holds a slot at the gate.
    pub fn has_slot(&self, slot: usize) -> bool {
        self.has(|holder, hold| holder == slot || matches!(hold, Hold::All))
    }

    /// Whether a thread of this patience waits no longer for what a script may hold, and for other commands.
    pub(super) fn are_too_long(&self, patience: Patience, by_script: impl Fn(&LongHolds) -> bool) -> bool {
        by_script(self) || (patience == Patience::Nobody && self.has_turns())
    }

    /// Why a thread has waited no longer.
    pub(super) fn reason(&self, by_script: impl Fn(&LongHolds) -> bool) -> HeldForLong {
        if by_script(self) { HeldForLong::ByScript } else { HeldForLong::ByCommand }
    }

    fn has(&self, is_it: impl Fn(usize, &Hold) -> bool) -> bool {
        !self.is_empty() && self.holders.lock().scripts.iter().any(|(slot, hold)| is_it(*slot, hold))
    }

    fn count(&self, holders: &Holders) {
        self.scripts.store(holders.scripts.len(), Relaxed);
        self.turns.store(holders.turns.len(), Relaxed);
    }

    fn count_and_wake(&self, mut holders: MutexGuard<'_, Holders>) {
        self.count(&holders);
        self.changes.fetch_add(1, Relaxed);
        let parked = std::mem::take(&mut holders.parked);
        drop(holders);
        parked.iter().for_each(Waker::wake_by_ref);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::smallvec;

    use super::*;

    #[test]
    fn what_is_noted_is_held_until_it_is_forgotten() {
        let holds = LongHolds::default();
        assert!(holds.is_empty() && !holds.has_shard(7));
        holds.note(1, Hold::Shards(smallvec![7]));
        assert!(holds.has_shard(7) && !holds.has_shard(8) && !holds.has_all());
        assert!(holds.has_slot(1) && !holds.has_slot(0));
        holds.note(0, Hold::All);
        assert!(holds.has_shard(8) && holds.has_all() && holds.has_slot(0) && holds.has_slot(5));
        holds.forget(0, Turn::Ends);
        assert!(holds.has_shard(7) && !holds.has_all());
        holds.forget(1, Turn::Ends);
        assert!(holds.is_empty());
    }

    #[test]
    fn who_waits_for_a_turn_is_woken_when_it_ends_or_when_it_is_known_what_it_holds() {
        let holds = LongHolds::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let is_parked = || holds.park(holds.changes(), &waker).is_pending();
        assert!(!is_parked(), "there is nothing to wait for");
        holds.note_turn(3);
        assert!(holds.has_turns() && is_parked() && is_parked());
        assert!(holds.are_too_long(Patience::Nobody, |_| false));
        assert!(!holds.are_too_long(Patience::Commands, |_| false));
        holds.note_turn(4);
        let seen = holds.changes();
        holds.forget_turn(3);
        assert!(holds.park(seen, &waker).is_ready(), "what it waits for may be free");
        assert_eq!(woken.0.load(Relaxed), 1, "one that waits is woken once");
        assert!(is_parked(), "another turn takes long still");
        holds.note(4, Hold::Shards(smallvec![7]));
        assert_eq!(woken.0.load(Relaxed), 2);
        holds.note_turn(4);
        assert!(!holds.has_turns(), "it is known what the script holds");
        assert!(is_parked(), "the script lasts");
        assert_eq!(holds.reason(|holds| holds.has_shard(7)), HeldForLong::ByScript);
        assert_eq!(holds.reason(|holds| holds.has_shard(8)), HeldForLong::ByCommand);
        holds.forget(4, Turn::Ends);
        assert_eq!(woken.0.load(Relaxed), 3);
        assert!(!is_parked(), "nothing is held any more");
    }

    /// What follows in the turn, such as the rest of a pipeline, may hold the same, and nobody watches over it any more.
    #[test]
    fn a_turn_that_outlasts_its_script_is_held_for_long_until_it_ends() {
        let holds = LongHolds::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        holds.note_turn(3);
        holds.note(3, Hold::Shards(smallvec![7]));
        holds.forget(3, Turn::Lasts);
        assert!(holds.is_empty() && holds.has_turns());
        assert_eq!(holds.reason(|holds| holds.has_shard(7)), HeldForLong::ByCommand);
        assert!(holds.park(holds.changes(), &waker).is_pending());
        // The next script of the turn.
        holds.note(3, Hold::All);
        assert!(holds.has_all() && !holds.has_turns());
        holds.forget(3, Turn::Lasts);
        assert_eq!(woken.0.load(Relaxed), 1);
        assert!(holds.park(holds.changes(), &waker).is_pending());
        holds.forget_turn(3);
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(holds.is_empty() && !holds.has_turns());
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Woken>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
}
