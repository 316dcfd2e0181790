//! Which key goes when memory runs out.
//!
//! A policy has two halves.  [`Recency`] is what every access does to the 24 bits that an entry keeps for the policy;
//! it is computed once per batch and costs a compare and, seldom, a store.  [`make_room`] finds the keys that go, a
//! bounded number per call, locking one shard at a time.  Changing the policy at run time is harmless: bits that
//! another policy wrote mislead the new one until the key is next used.  The members of the adaptive policies write the
//! same bits, so that a change from one to another loses nothing.

mod adaptive;
mod contest;
mod duel;
mod lfu;
mod lru;
mod newcomers;
mod random;
mod shadow;
mod ttl;
mod turnover;
mod victim_search;

use crate::clock::Now;
use crate::random::Random;
use crate::settings::{EvictionPolicy, Settings};
use crate::store::{AccessContext, EntryRef, Shard, Store};
use victim_search::VictimSearch;

pub use adaptive::Member;
pub(super) use contest::{Contest, Trace};
pub(super) use duel::LEADER_STEP;
pub use duel::{Duel, Score, Standing};
pub(super) use newcomers::Newcomers;

/// Keys evicted before one command, or in one step of the background, when the store is a little over its limit.
/// Far under a millisecond, and far more keys than a command usually adds.
const EVICTIONS_PER_CALL: usize = 256;

/// The same when the store is over its limit by more than [`FAR_OVER_FRACTION`]: a few milliseconds, so that values
/// much larger than what they displace cannot outrun eviction.
const EVICTIONS_PER_CALL_FAR_OVER: usize = 4096;

/// A store that is over its limit by more than this fraction of it is far over.
const FAR_OVER_FRACTION: usize = 16;

/// How the policy in force keeps a key's 24 bits, at the time of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recency {
    keeper: Keeper,
    leaves_traces: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeper {
    Lru(lru::Clock),
    Lfu(lfu::Clock),
    Adaptive(Adaptive),
}

/// What adaptive eviction goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Adaptive {
    /// Only keys with a deadline are evicted.
    only_volatile: bool,
    log_factor: u32,
}

impl Recency {
    /// For use without settings: a clock that stands still.
    pub const UNTRACKED: Recency = Recency { keeper: Keeper::Lru(lru::Clock::START), leaves_traces: false };

    /// How the policy in force keeps recency.  Policies that need none keep the time of the last access, which
    /// OBJECT IDLETIME shows.
    pub fn of(settings: &Settings, now: Now) -> Recency {
        let keeper = match settings.maxmemory_policy {
            EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu => {
                Keeper::Lfu(lfu::Clock::at(now.millis(), settings.lfu_log_factor, settings.lfu_decay_time))
            }
            policy @ (EvictionPolicy::AllkeysAdaptive | EvictionPolicy::VolatileAdaptive) => {
                let only_volatile = policy == EvictionPolicy::VolatileAdaptive;
                Keeper::Adaptive(Adaptive { only_volatile, log_factor: settings.lfu_log_factor })
            }
            _ => Keeper::Lru(lru::Clock::at(now.millis())),
        };
        Recency { keeper, leaves_traces: true }
    }

    /// The same for a client whose accesses leave no trace (CLIENT NO-TOUCH).
    pub fn without_traces(self) -> Recency {
        Recency { leaves_traces: false, ..self }
    }

    /// The same for a command whose accesses count whatever the client has said (TOUCH).
    pub fn with_traces(self) -> Recency {
        Recency { leaves_traces: true, ..self }
    }

    /// The bits of a key that is accessed in a shard with this trace.
    #[inline]
    pub(super) fn accessed(self, bits: u32, trace: &mut Trace) -> u32 {
        if !self.leaves_traces {
            return bits;
        }
        match self.keeper {
            Keeper::Lru(clock) => clock.bits(),
            Keeper::Lfu(clock) => clock.accessed(bits, &mut trace.noise),
            Keeper::Adaptive(rules) => {
                adaptive::accessed(bits, trace.turnover, rules.log_factor, &mut trace.noise)
            }
        }
    }

    /// The bits of a new key.
    pub(super) fn inserted(self, trace: Trace) -> u32 {
        match self.keeper {
            Keeper::Lru(clock) => clock.bits(),
            Keeper::Lfu(clock) => clock.inserted(),
            Keeper::Adaptive(_) => adaptive::inserted(trace.turnover),
        }
    }

    /// The bits of a key that was moved right after an access: `old` where it was, `fresh` as if it were new where it is.
    pub(super) fn moved(self, old: u32, fresh: u32) -> u32 {
        match self.keeper {
            Keeper::Lru(_) | Keeper::Lfu(_) => old,
            Keeper::Adaptive(_) => adaptive::moved(old, fresh),
        }
    }

    /// What an adaptive policy goes by, if one is in force.
    #[inline]
    pub(super) fn adaptive(self) -> Option<Adaptive> {
        match self.keeper {
            Keeper::Adaptive(rules) => Some(rules),
            Keeper::Lru(_) | Keeper::Lfu(_) => None,
        }
    }

    /// The same for an access that leaves traces.
    #[inline]
    pub(super) fn contested(self) -> Option<Adaptive> {
        self.adaptive().filter(|_| self.leaves_traces)
    }

    /// How long a key with these bits was not accessed; none if the policy in force does not track it.
    pub fn idle_seconds(self, bits: u32) -> Option<u64> {
        match self.keeper {
            Keeper::Lru(clock) => Some(clock.idle_seconds(bits)),
            Keeper::Lfu(_) | Keeper::Adaptive(_) => None,
        }
    }

    /// How often a key with these bits was accessed, on the policy's scale, in a shard with this trace; none if the
    /// policy in force does not track it.
    fn frequency(self, bits: u32, trace: Trace) -> Option<u8> {
        match self.keeper {
            Keeper::Lru(_) => None,
            Keeper::Lfu(clock) => Some(clock.frequency(bits)),
            Keeper::Adaptive(_) => Some(adaptive::frequency(bits, trace.turnover)),
        }
    }

    /// How cold a key with these bits is in a shard with this trace, as `member` sees it if the policy is adaptive: of
    /// several the one with the highest rank goes first.
    fn rank(self, bits: u32, trace: Trace, member: Member) -> u32 {
        match self.keeper {
            Keeper::Lru(clock) => clock.idle_units(bits),
            Keeper::Lfu(clock) => clock.rank(bits),
            Keeper::Adaptive(_) => member.rank(bits, trace.turnover),
        }
    }
}

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
    /// How often a key of this shard with these bits was accessed, on the policy's scale; none if the policy in force does
    /// not track it.
    pub fn frequency(&self, bits: u32, access: &AccessContext) -> Option<u8> {
        access.recency.frequency(bits, self.trace)
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
