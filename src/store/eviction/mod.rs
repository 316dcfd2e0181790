//! Which key goes when memory runs out.
//!
//! [`make_room`] finds the keys that go, a bounded number per call, locking one shard at a time.  What keys are judged by
//! is kept in `recency`.

mod random;
mod ttl;
mod victim_search;

use crate::random::Random;
use crate::settings::{EvictionPolicy, Settings};
use crate::store::databases::Store;
use crate::store::entries::EntryRef;
use crate::store::recency::{AccessContext, merit};
use crate::store::shard::Shard;
use victim_search::VictimSearch;

/// Keys evicted before one command, or in one step of the background, when the store is a little over its limit.
/// Far under a millisecond, and far more keys than a command usually adds.
const EVICTIONS_PER_CALL: usize = 256;

/// The same when the store is over its limit by more than [`FAR_OVER_FRACTION`]: a few milliseconds, so that values
/// much larger than what they displace cannot outrun eviction.
const EVICTIONS_PER_CALL_FAR_OVER: usize = 4096;

/// Newcomers looked at for one eviction: beyond that, a resident goes.
const NEWCOMERS_LOOKED_AT: usize = 4;

/// A store that is over its limit by more than this fraction of it is far over.
const FAR_OVER_FRACTION: usize = 16;

/// The keys among which a policy chooses; pinned entries are never among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pool {
    /// All keys.
    AllKeys,
    /// The keys with a deadline that the expiry index holds (one in centuries is none).
    Volatile,
}

/// How a policy chooses among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    /// The one of a sample with the highest [`Recency::rank`].
    Coldest,
    /// Any.
    Random,
    /// The one whose deadline is nearest.
    Soonest,
}

/// What a policy does; none for the one that evicts nothing.
fn method(policy: EvictionPolicy) -> Option<(Pool, Choice)> {
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

/// Evicts while the store is over its limit, a bounded number of keys; the caller holds no lock.  False if the store
/// is over its limit and nothing is left to evict.  True also if a full call was not enough: eviction goes on with
/// the next command and in the background.
pub fn make_room(store: &Store, settings: &Settings, random: &mut Random, access: &AccessContext) -> bool {
    let limit = settings.maxmemory;
    let excess = store.evictable_memory().saturating_sub(limit);
    let allowed =
        if excess > limit / FAR_OVER_FRACTION { EVICTIONS_PER_CALL_FAR_OVER } else { EVICTIONS_PER_CALL };
    if limit == 0 || excess == 0 {
        return true;
    }
    let Some((pool, choice)) = method(settings.maxmemory_policy) else { return false };
    let mut search = VictimSearch::new(store, random, access, settings.maxmemory_samples, pool);
    for _ in 0..allowed {
        if !search.evict_one(choice) {
            return store.evictable_memory() <= limit;
        }
        if store.evictable_memory() <= limit {
            return true;
        }
    }
    true
}

/// What one thread does for eviction in the background.
#[derive(Debug, Default)]
pub struct Housekeeping {
    /// Databases still to be looked at for what adaptive eviction has kept there.
    databases_to_tidy: usize,
    was_adaptive: bool,
}

impl Housekeeping {
    /// One bounded step towards a limit that was lowered or is exceeded.  True if there is more to do at once.
    pub fn step(
        &mut self,
        store: &Store,
        settings: &Settings,
        random: &mut Random,
        access: &AccessContext,
    ) -> bool {
        self.tidy(store, access);
        let limit = settings.maxmemory;
        let over = || limit != 0 && store.evictable_memory() > limit;
        over() && make_room(store, settings, random, access) && over()
    }

    /// After a change of policy: drops what only adaptive eviction needs.
    fn tidy(&mut self, store: &Store, access: &AccessContext) {
        let is_adaptive = access.recency.adaptive().is_some();
        if std::mem::replace(&mut self.was_adaptive, is_adaptive) && !is_adaptive {
            self.databases_to_tidy = store.database_count();
        }
        let Some(database) = self.databases_to_tidy.checked_sub(1) else { return };
        self.databases_to_tidy = database;
        for id in store.shards(database) {
            let mut guard = store.lock(id);
            guard.shard().adapt(access);
            store.add_memory(guard.unlock().growth);
        }
    }
}

/// A shard as the policies see it.
impl Shard {
    /// Evicts the oldest newcomer of no more merit than the coldest resident that a sample has found; false if there is
    /// none.
    fn evict_newcomer(&mut self, pool: Pool, resident: u32, access: &AccessContext) -> bool {
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
    fn sample(&self, pool: Pool, random: u64, limit: usize, mut visit: impl FnMut(EntryRef<'_>)) {
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
