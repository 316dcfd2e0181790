//! A shard behind its lock, with figures that can be read without the lock: as of when the shard was last unlocked.
//!
//! So whoever counts keys, or looks for shards that have any, waits for no command.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crossbeam_utils::atomic::AtomicCell;

use super::entries::Deadline;
use super::shard::{Counts, Shard};
use super::shard_lock::Mutex;

/// See the module's text.
#[repr(C, align(64))]
pub(super) struct ShardCell {
    pub(super) shard: Mutex<Shard>,
    /// No key of the shard is gone at this time or before; `u64::MAX` if none ever does.
    next_due: AtomicU64,
    /// The same of the keys that may be evicted.
    next_evictable_due: AtomicU64,
    evictable_keys: AtomicU32,
    /// Those of them that have a deadline.
    evictable_volatile_keys: AtomicU32,
    /// All keys.
    keys: AtomicU32,
    /// Those of them that have a deadline.
    volatile_keys: AtomicU32,
    /// The counts when somebody last asked for them.
    counts: AtomicCell<Counts>,
}

impl ShardCell {
    /// A shard behind its lock.
    pub(super) fn new(shard: Shard) -> ShardCell {
        ShardCell {
            shard: Mutex::new(shard),
            next_due: AtomicU64::new(u64::MAX),
            next_evictable_due: AtomicU64::new(u64::MAX),
            evictable_keys: AtomicU32::new(0),
            evictable_volatile_keys: AtomicU32::new(0),
            keys: AtomicU32::new(0),
            volatile_keys: AtomicU32::new(0),
            counts: AtomicCell::default(),
        }
    }

    /// No key is gone at this time or before.
    pub(super) fn next_due(&self) -> Deadline {
        self.next_due.load(Relaxed)
    }

    /// No key that may be evicted is gone at this time or before.
    pub(super) fn next_evictable_due(&self) -> Deadline {
        self.next_evictable_due.load(Relaxed)
    }

    /// How many keys there are that may be evicted, and how many of them have a deadline.
    pub(super) fn evictable_population(&self) -> (usize, usize) {
        (self.evictable_keys.load(Relaxed) as usize, self.evictable_volatile_keys.load(Relaxed) as usize)
    }

    /// How many keys there are, and how many of them have a deadline.
    pub(super) fn population(&self) -> (usize, usize) {
        (self.keys.load(Relaxed) as usize, self.volatile_keys.load(Relaxed) as usize)
    }

    /// The counts when they were last shown.
    pub(super) fn counts(&self) -> Counts {
        self.counts.load()
    }

    /// Shows the counts of the locked shard: to be called by those who ask for them, since commands have more to do.
    pub(super) fn show_counts(&self, shard: &Shard) {
        self.counts.store(shard.counts);
    }

    /// Shows the figures of the locked shard after a change.
    pub(super) fn show_change(&self, shard: &Shard) {
        self.next_due.store(shard.next_due().unwrap_or(u64::MAX), Relaxed);
        self.next_evictable_due.store(shard.entries.next_evictable_due().unwrap_or(u64::MAX), Relaxed);
        self.evictable_keys.store(shard.evictable_len() as u32, Relaxed);
        self.evictable_volatile_keys.store(shard.entries.evictable_volatile_len() as u32, Relaxed);
        self.keys.store(shard.len() as u32, Relaxed);
        self.volatile_keys.store(shard.volatile_len() as u32, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::entries::Entries;
    use super::super::hash::KeyHasher;
    use super::*;

    #[test]
    fn a_read_touches_one_line_of_its_shard() {
        let cell = ShardCell::new(Shard::new(KeyHasher::new(1), None, None));
        let start = (&raw const cell).addr();
        assert_eq!((&raw const cell.shard).addr(), start);
        // The shard begins in the same line, behind the lock: with the mark of a change and the table.
        let guard = cell.shard.lock();
        let ends = [
            (&raw const guard.changed).addr() + size_of::<bool>(),
            (&raw const guard.entries).addr() + Entries::LOOKUP_SIZE,
        ];
        assert!(ends.iter().all(|end| end - start <= 64), "{start:x} {ends:x?}");
        let lock = (&raw const *guard).addr() - start;
        assert!((1..64).contains(&lock), "the lock lies before the shard: {lock}");
    }
}
