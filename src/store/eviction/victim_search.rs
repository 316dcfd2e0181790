//! The search for keys to evict: in which shard, one at a time, and which key there.
//!
//! The search goes by the populations that shards publish when they are unlocked, so that empty shards cost no lock.  A database is chosen in proportion to its keys, of two of its shards the fuller one: shards would otherwise
//! drift apart, since one gains by insertions while another loses by evictions.

use super::method::{Choice, Pool};
use super::{random, ttl};
use crate::random::Random;
use crate::store::databases::{ShardId, Store};
use crate::store::hash::SHARD_COUNT;
use crate::store::recency::{AccessContext, Member, UNTRIED_ODDS, merit};
use crate::store::shard::Shard;

/// The most expired keys that are removed when a shard is visited.  They go before any other key.
const EXPIRED_PER_VISIT: usize = 16;

/// Shards whose nearest deadline is compared, per key that another policy would sample: to know it takes no lock.
const SHARDS_PER_SAMPLE: usize = 8;

/// The coldest key of a sample.
#[derive(Clone, Copy)]
struct Coldest {
    rank: u32,
    /// The merit that a newcomer is compared with.
    merit: u32,
    id: ShardId,
}

/// See the module's text.
pub(super) struct VictimSearch<'h> {
    store: &'h Store,
    random: &'h mut Random,
    access: &'h AccessContext,
    samples: usize,
    pool: Pool,
    /// The member that chooses, if the policy is adaptive.
    member: Member,
    /// The key that goes next.
    key: Vec<u8>,
}

impl<'h> VictimSearch<'h> {
    /// A search that looks at `samples` keys of `pool` for each that it takes, where a choice needs to.
    pub(super) fn new(
        store: &'h Store,
        random: &'h mut Random,
        access: &'h AccessContext,
        samples: usize,
        pool: Pool,
    ) -> VictimSearch<'h> {
        VictimSearch { store, random, access, samples, pool, member: store.duel().winner(), key: Vec::new() }
    }

    /// Evicts a key (or finds that others have just removed it).  False if there is none to choose from.
    pub(super) fn evict_one(&mut self, choice: Choice) -> bool {
        let Some((database, shard)) = self.populated_shard() else { return false };
        match choice {
            Choice::Coldest => self.evict_coldest(database, shard),
            Choice::Soonest => self.evict_soonest(database, shard),
            Choice::Random => self.evict_any(database, shard),
        }
        true
    }

    /// Samples shards from this one on until enough keys were seen, and evicts the coldest.
    fn evict_coldest(&mut self, database: usize, first: usize) {
        let (samples, pool, member, recency) = (self.samples, self.pool, self.member, self.access.recency);
        let mut coldest: Option<Coldest> = None;
        let mut seen = 0;
        for id in self.populated_shards_from(database, first) {
            let place = self.random.draw();
            let expired = self.visit(id, |shard, key| {
                let trace = shard.usage.trace;
                shard.sample(pool, place, samples - seen, |entry| {
                    seen += 1;
                    let rank = recency.rank(entry.recency(), trace, member);
                    if coldest.is_none_or(|coldest| rank > coldest.rank) {
                        let merit = merit(entry.recency(), trace.turnover);
                        coldest = Some(Coldest { rank, merit, id });
                        key.clear();
                        key.extend_from_slice(entry.key());
                    }
                });
            });
            if expired {
                return;
            }
            if seen >= samples {
                break;
            }
        }
        let Some(Coldest { merit, id, .. }) = coldest else { return };
        if !self.evict_newcomer(self.store.shard_number(database, first), merit) {
            let hash = self.store.key(&self.key).hash;
            self.visit(id, |shard, key| {
                shard.evict(hash, key);
            });
        }
    }

    /// Where newcomers are on probation, evicts one of a shard instead of a resident of this merit; false if a resident
    /// must go.
    fn evict_newcomer(&mut self, id: ShardId, resident: u32) -> bool {
        let on_probation = self.access.recency.adaptive().is_some() && self.member == Member::Probation;
        if !on_probation || self.random.below(UNTRIED_ODDS) == 0 {
            return false;
        }
        let (pool, access) = (self.pool, self.access);
        let mut evicted = false;
        let expired = self.visit(id, |shard, _| evicted = shard.evict_newcomer(pool, resident, access));
        expired || evicted
    }

    /// Of several shards from this one on, evicts the key that is due soonest in the one where something is due soonest.
    fn evict_soonest(&mut self, database: usize, first: usize) {
        let shards = self.populated_shards_from(database, first).take(self.samples * SHARDS_PER_SAMPLE);
        let Some(id) = shards.min_by_key(|&id| self.store.next_evictable_due(id)) else { return };
        self.evict_chosen(id, |shard, _, key| ttl::choose(shard, key));
    }

    fn evict_any(&mut self, database: usize, shard: usize) {
        let pool = self.pool;
        let id = self.store.shard_number(database, shard);
        self.evict_chosen(id, |shard, random, key| random::choose(shard, pool, random, key));
    }

    fn evict_chosen(
        &mut self,
        id: ShardId,
        choose: impl FnOnce(&mut Shard, &mut Random, &mut Vec<u8>) -> bool,
    ) {
        let store = self.store;
        let mut random = self.random.clone();
        self.visit(id, |shard, key| {
            if choose(shard, &mut random, key) {
                shard.evict(store.key(key).hash, key);
            }
        });
        *self.random = random;
    }

    /// Locks a shard for `act`.  If keys had expired there, these go instead, and true is returned.  Nothing happens if a
    /// script that runs for long holds it.
    fn visit(&mut self, id: ShardId, act: impl FnOnce(&mut Shard, &mut Vec<u8>)) -> bool {
        let Some(mut guard) = self.store.lock_unless_held(id) else { return false };
        let expired = guard.shard().expire_due(self.access, EXPIRED_PER_VISIT) > 0;
        if !expired {
            act(guard.shard(), &mut self.key);
        }
        // Large objects were put aside, and are freed here without a lock.
        self.store.add_memory(guard.unlock().growth);
        expired
    }

    /// A database and the number of a shard of it that has keys to choose from.
    fn populated_shard(&mut self) -> Option<(usize, usize)> {
        let (first, second) = (self.random.below(SHARD_COUNT), self.random.below(SHARD_COUNT));
        // Keys are spread evenly over the shards of a database, so one shard of each tells the proportions.
        let total: usize = self.databases().map(|database| self.population(database, first)).sum();
        if total == 0 {
            return self.next_populated_shard(first);
        }
        let mut ticket = self.random.below(total);
        let database = self.databases().find(|&database| {
            let population = self.population(database, first);
            let drawn = ticket < population;
            ticket = ticket.saturating_sub(population);
            drawn
        });
        // Another thread may have emptied the shards since they were counted.
        let Some(database) = database else { return self.next_populated_shard(first) };
        let fuller = self.population(database, second) > self.population(database, first);
        Some((database, if fuller { second } else { first }))
    }

    /// The first such shard from a number on, for stores with fewer keys than shards.
    fn next_populated_shard(&mut self, first: usize) -> Option<(usize, usize)> {
        let offset = self.random.below(self.store.database_count());
        let count = self.store.database_count();
        (0..count).map(|step| (offset + step) % count).find_map(|database| {
            let mut numbers = (0..SHARD_COUNT).map(|step| (first + step) % SHARD_COUNT);
            numbers.find(|&number| self.population(database, number) > 0).map(|number| (database, number))
        })
    }

    fn populated_shards_from(
        &self,
        database: usize,
        first: usize,
    ) -> impl Iterator<Item = ShardId> + use<'h> {
        let (store, pool) = (self.store, self.pool);
        (0..SHARD_COUNT)
            .map(move |step| store.shard_number(database, (first + step) % SHARD_COUNT))
            .filter(move |&id| population_in(store, id, pool) > 0)
    }

    fn databases(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.store.database_count()
    }

    fn population(&self, database: usize, shard: usize) -> usize {
        population_in(self.store, self.store.shard_number(database, shard), self.pool)
    }
}

fn population_in(store: &Store, id: ShardId, pool: Pool) -> usize {
    let (keys, volatile_keys) = store.population(id);
    match pool {
        Pool::AllKeys => keys,
        Pool::Volatile => volatile_keys,
    }
}
