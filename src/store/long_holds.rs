//! What scripts that run for long hold, so that others need not wait for it.
//!
//! A script notes this once it is over `busy-reply-threshold`.  Only threads that find a lock taken look here.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use smallvec::SmallVec;

use crate::lock_order::{Mutex, rank};

/// Shards that a script holds before the list of them moves to the heap.
const INLINE_SHARDS: usize = 4;

/// What one thread holds.
#[derive(Clone, Debug)]
pub enum Hold {
    /// Its slot at the gate, and the shards of these numbers.
    Shards(SmallVec<[u64; INLINE_SHARDS]>),
    /// The gate alone, and with it everything.
    All,
}

/// See the head of the file.
#[derive(Default)]
pub struct LongHolds {
    /// How many there are.
    count: AtomicUsize,
    /// By the holder's slot.
    holds: Mutex<Vec<(usize, Hold)>, { rank::LONG_HOLDS }>,
}

impl LongHolds {
    /// Notes what the thread of a slot holds.
    pub fn note(&self, slot: usize, hold: Hold) {
        let mut holds = self.holds.lock();
        holds.push((slot, hold));
        self.count.store(holds.len(), Relaxed);
    }

    /// The thread is about to let go of it.
    pub fn forget(&self, slot: usize) {
        let mut holds = self.holds.lock();
        holds.retain(|(holder, _)| *holder != slot);
        self.count.store(holds.len(), Relaxed);
    }

    /// Whether nothing is held for long.
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Whether everything is.
    pub fn has_all(&self) -> bool {
        self.has(|_, hold| matches!(hold, Hold::All))
    }

    /// Whether the shard of a number is.
    pub fn has_shard(&self, number: u64) -> bool {
        self.has(|_, hold| match hold {
            Hold::Shards(shards) => shards.contains(&number),
            Hold::All => true,
        })
    }

    /// Whether a slot at the gate is.
    pub fn has_slot(&self, slot: usize) -> bool {
        self.has(|holder, hold| holder == slot || matches!(hold, Hold::All))
    }

    fn has(&self, is_it: impl Fn(usize, &Hold) -> bool) -> bool {
        !self.is_empty() && self.holds.lock().iter().any(|(slot, hold)| is_it(*slot, hold))
    }
}

#[cfg(test)]
mod tests {
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
        holds.forget(0);
        assert!(holds.has_shard(7) && !holds.has_all());
        holds.forget(1);
        assert!(holds.is_empty());
    }
}
