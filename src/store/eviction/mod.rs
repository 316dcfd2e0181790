//! Which key goes when memory runs out.
//!
//! [`make_room`] finds the keys that go, a bounded number per call, locking one shard at a time.  The use of keys, by
//! which they are judged, is kept in `recency`.

mod method;
mod random;
mod ttl;
mod victim_search;

use crate::random::Random;
use crate::settings::Settings;
use crate::store::databases::Store;
use crate::store::long_holds::Patience;
use crate::store::recency::AccessContext;
use method::method;
use victim_search::VictimSearch;

/// Keys evicted before one command, or in one step of the background, when the store is a little over its limit.
/// Far under a millisecond, and far more keys than a command usually adds.
const EVICTIONS_PER_CALL: usize = 256;

/// The same when the store is over its limit by more than [`FAR_OVER_FRACTION`]: a few milliseconds, so that values
/// much larger than what they displace cannot outrun eviction.
const EVICTIONS_PER_CALL_FAR_OVER: usize = 4096;

/// A store that is over its limit by more than this fraction of it is far over.
const FAR_OVER_FRACTION: usize = 16;

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

/// The part of one thread in eviction in the background.
#[derive(Debug, Default)]
pub struct Housekeeping {
    /// Databases in which the state of adaptive eviction is still to be dropped.
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

    /// Drops the state that only adaptive eviction needs after a change of policy.
    fn tidy(&mut self, store: &Store, access: &AccessContext) {
        let is_adaptive = access.recency.adaptive().is_some();
        if std::mem::replace(&mut self.was_adaptive, is_adaptive) && !is_adaptive {
            self.databases_to_tidy = store.database_count();
        }
        let Some(database) = self.databases_to_tidy.checked_sub(1) else { return };
        self.databases_to_tidy = database;
        for id in store.shards(database) {
            // One that is left out adapts when it evicts.
            let Ok(mut guard) = store.lock_unless_held(id, Patience::Nobody) else { continue };
            guard.shard().adapt(access);
            store.add_memory(guard.unlock().growth);
        }
    }
}
