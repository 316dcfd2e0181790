//! The newest keys of a shard.  The member on probation evicts those first that were not used again.
//!
//! They are kept as hashes, whichever member is in force, so that probation finds them when it takes over.  A key that was
//! removed or written anew meanwhile is found out when its turn comes.

use std::collections::VecDeque;

/// The part of a shard's keys that are new: half a bit of memory per key.
const FRACTION: usize = 128;

/// The hashes of the newest keys, the oldest of them first.
#[derive(Default)]
pub(super) struct Newcomers {
    hashes: VecDeque<u64>,
}

impl Newcomers {
    /// A key came, and there are so many now.
    pub(super) fn insert(&mut self, hash: u64, keys: usize) {
        let room = (keys / FRACTION).max(1);
        while self.hashes.len() >= room {
            self.hashes.pop_front();
        }
        if self.hashes.capacity() < room {
            self.hashes.reserve_exact(room + room / 8 - self.hashes.len());
        }
        self.hashes.push_back(hash);
    }

    /// Takes the hash of the oldest.
    pub(super) fn take_oldest(&mut self) -> Option<u64> {
        self.hashes.pop_front()
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.hashes.capacity() * size_of::<u64>()
    }
}
