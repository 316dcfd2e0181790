//! The newest keys of a shard, of which the member on probation lets those go first that were not used again.
//!
//! They are kept as hashes, whoever is in force, so that the member finds them when it takes over.  A key that has gone or
//! was written anew meanwhile is found out when its turn comes.

use std::collections::VecDeque;

use super::adaptive::merit;
use super::{AccessContext, Pool, Shard};
use crate::store::entries::Position;

/// The part of a shard's keys that are new: half a bit of memory per key.
const FRACTION: usize = 128;

/// Newcomers looked at for one eviction: beyond that, a resident goes.
const STEPS_MAX: usize = 4;

/// The hashes of the newest keys, the oldest of them first.
#[derive(Default)]
pub(in crate::store) struct Newcomers {
    hashes: VecDeque<u64>,
}

impl Newcomers {
    /// A key came, and there are so many now.
    pub(in crate::store) fn insert(&mut self, hash: u64, keys: usize) {
        let room = (keys / FRACTION).max(1);
        while self.hashes.len() >= room {
            self.hashes.pop_front();
        }
        if self.hashes.capacity() < room {
            self.hashes.reserve_exact(room + room / 8 - self.hashes.len());
        }
        self.hashes.push_back(hash);
    }

    /// Bytes of memory.
    pub(in crate::store) fn memory(&self) -> usize {
        self.hashes.capacity() * size_of::<u64>()
    }
}

impl Shard {
    /// Evicts the oldest newcomer of no more merit than the coldest resident that a sample has found; false if there is
    /// none.
    pub(super) fn evict_newcomer(&mut self, pool: Pool, resident: u32, access: &AccessContext) -> bool {
        self.adapt(access);
        for _ in 0..STEPS_MAX {
            let Some(hash) = self.newcomers.as_mut().and_then(|newcomers| newcomers.hashes.pop_front())
            else {
                return false;
            };
            let Some(position) = self.position_of(hash) else { continue };
            let entry = self.entries.get(position);
            let evictable = match pool {
                Pool::AllKeys => !entry.is_pinned(),
                Pool::Volatile => !entry.is_pinned() && entry.is_indexed(),
            };
            if evictable && merit(entry.recency(), self.trace.turnover) <= resident {
                self.evict_at(position, hash);
                return true;
            }
        }
        false
    }

    fn position_of(&self, hash: u64) -> Option<Position> {
        self.entries.find_hash(hash, &self.hasher)
    }
}
