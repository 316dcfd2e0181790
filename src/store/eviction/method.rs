//! The method of each policy: among which keys it chooses, and how.

use crate::settings::EvictionPolicy;
use crate::store::entries::EntryRef;
use crate::store::recency::{AccessContext, merit};
use crate::store::shard::Shard;

/// Newcomers looked at for one eviction: beyond that, a resident goes.
const NEWCOMERS_LOOKED_AT: usize = 4;

/// The keys among which a policy chooses; pinned entries are never among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pool {
    /// All keys.
    AllKeys,
    /// The keys with a deadline that the expiry index holds (one in centuries is none).
    Volatile,
}

/// How a policy chooses among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// The one of a sample with the highest `Recency::rank`.
    Coldest,
    /// Any.
    Random,
    /// The one whose deadline is nearest.
    Soonest,
}

/// The method of a policy; none for the one that evicts nothing.
pub(super) fn method(policy: EvictionPolicy) -> Option<(Pool, Choice)> {
    match policy {
        EvictionPolicy::Noeviction => None,
        EvictionPolicy::AllkeysLru | EvictionPolicy::AllkeysLfu | EvictionPolicy::AllkeysAdaptive => {
            Some((Pool::AllKeys, Choice::Coldest))
        }
        EvictionPolicy::AllkeysRandom => Some((Pool::AllKeys, Choice::Random)),
        EvictionPolicy::VolatileLru | EvictionPolicy::VolatileLfu | EvictionPolicy::VolatileAdaptive => {
            Some((Pool::Volatile, Choice::Coldest))
        }
        EvictionPolicy::VolatileRandom => Some((Pool::Volatile, Choice::Random)),
        EvictionPolicy::VolatileTtl => Some((Pool::Volatile, Choice::Soonest)),
    }
}

/// A shard as the policies see it.
impl Shard {
    /// Evicts the oldest newcomer of no more merit than the coldest resident that a sample has found; false if there is
    /// none.
    pub(super) fn evict_newcomer(&mut self, pool: Pool, resident: u32, access: &AccessContext) -> bool {
        self.adapt(access);
        for _ in 0..NEWCOMERS_LOOKED_AT {
            let Some(hash) = self.usage.next_newcomer() else { return false };
            let Some(position) = self.entries.find_hash(hash, &self.hasher) else { continue };
            let entry = self.entries.get(position);
            let evictable = !entry.is_pinned() && (pool == Pool::AllKeys || entry.is_indexed());
            if evictable && merit(entry.recency(), self.usage.trace.turnover) <= resident {
                self.evict_at(position, hash);
                return true;
            }
        }
        false
    }

    /// Visits up to about `limit` of the keys the policy chooses among, from a random place on.
    pub(super) fn sample(&self, pool: Pool, random: u64, limit: usize, mut visit: impl FnMut(EntryRef<'_>)) {
        match pool {
            Pool::AllKeys => self.entries.sample(random, limit, |entry| {
                let is_evictable = !entry.is_pinned();
                if is_evictable {
                    visit(entry);
                }
                is_evictable
            }),
            Pool::Volatile => self.entries.sample_volatile(random, limit, visit),
        }
    }
}
