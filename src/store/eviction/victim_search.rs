//! The search for keys to evict: in which shard, one at a time, and which key there.
//!
//! The search goes by the populations that shards publish when they are unlocked, so that empty shards cost no lock.  A database is chosen in proportion to its keys, of two of its shards the fuller one: shards would otherwise
//! drift apart, since one gains by insertions while another loses by evictions.

use super::method::{Choice, Pool};
use super::{random, ttl};
use crate::random::Random;
use crate::store::databases::Store;
use crate::store::entries::Deadline;
use crate::store::hash::SHARD_COUNT;
use crate::store::long_holds::Patience;
use crate::store::recency::{AccessContext, Member, UNTRIED_ODDS, merit};
use crate::store::shard::Shard;
use crate::store::shard_id::ShardId;

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

    /// Of several shards from this one on, evicts the key with the nearest deadline.
    fn evict_soonest(&mut self, database: usize, first: usize) {
        let store = self.store;
        let shards = self.populated_shards_from(database, first).take(self.samples * SHARDS_PER_SAMPLE);
        let mut shards: Vec<(Deadline, ShardId)> =
            shards.map(|id| (store.next_evictable_due(id), id)).collect();
        let mut soonest: Option<(Deadline, ShardId)> = None;
        // What is due first in a shard may be a field whose key is due much later.  Nearly always it is a key, and the first
        // shard is the only one that is looked into.
        while let Some(at) = (0..shards.len()).min_by_key(|&at| shards[at].0) {
            let (due, id) = shards.swap_remove(at);
            if soonest.is_some_and(|(deadline, _)| deadline <= due) {
                break;
            }
            let mut nearest = None;
            if self.visit(id, |shard, _| nearest = ttl::nearest(shard)) {
                return;
            }
            let found = nearest.map(|deadline| (deadline, id));
            soonest = soonest.into_iter().chain(found).min_by_key(|(deadline, _)| *deadline);
        }
        let Some((_, id)) = soonest else { return };
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
        let Ok(mut guard) = self.store.lock_unless_held(id, Patience::Nobody) else { return false };
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
    let (keys, volatile_keys) = store.evictable_population(id);
    match pool {
        Pool::AllKeys => keys,
        Pool::Volatile => volatile_keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::recency::Recency;
    use crate::store::{HashLimits, Lifetime, LifetimeBounds};

    const FIELD_DEADLINE: Deadline = 60_000;
    const NEAR: Deadline = 300_000;
    const FAR: Deadline = 31_536_000_000;

    /// A hash that goes late, with a field that goes soon.
    fn put_hash(shard: &mut Shard, store: &Store, name: &[u8], access: &AccessContext) {
        let key = store.key(name);
        let written = shard.write_hash(&key, HashLimits { entries: 0, value: 0 }, access, |hash| {
            hash.set(b"a", b"1");
            assert!(hash.set_deadline(b"a", Some(FIELD_DEADLINE)));
        });
        assert_eq!(written, Ok(()));
        assert!(shard.set_deadline(&key, Some(FAR), access));
    }

    fn untracked() -> AccessContext {
        AccessContext { now: 0, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED }
    }

    #[test]
    fn a_key_goes_by_its_own_deadline_and_not_by_that_of_a_field() {
        const HASHES: u32 = 20;
        let (store, access, mut random) = (Store::new(1, 1, 1, 7), untracked(), Random::with_seed(3));
        for number in 0..HASHES {
            let name = format!("hash:{number}");
            let mut guard = store.lock(store.shard_of(0, store.key(name.as_bytes()).hash));
            put_hash(guard.shard(), &store, name.as_bytes(), &access);
            guard.unlock();
        }
        let key = store.key(b"key");
        let mut guard = store.lock(store.shard_of(0, key.hash));
        guard.shard().set(&key, b"value", Lifetime::Until(NEAR), &access);
        guard.unlock();
        let holds = |name: &[u8]| {
            let key = store.key(name);
            let mut guard = store.lock(store.shard_of(0, key.hash));
            let holds = guard.shard().peek(&key, &access).is_some();
            guard.unlock();
            holds
        };
        assert!(
            VictimSearch::new(&store, &mut random, &access, 5, Pool::Volatile).evict_one(Choice::Soonest)
        );
        assert!(!holds(b"key"));
        assert!((0..HASHES).all(|number| holds(format!("hash:{number}").as_bytes())));
        // They go too, once there is nothing else.
        assert!(
            VictimSearch::new(&store, &mut random, &access, 5, Pool::Volatile).evict_one(Choice::Soonest)
        );
        assert_eq!(store.counts().evicted, 2);
    }

    #[test]
    fn in_one_shard_too_a_field_makes_no_key_near() {
        let (store, access) = (Store::new(1, 1, 1, 7), untracked());
        let key = store.key(b"key");
        let mut guard = store.lock(store.shard_of(0, key.hash));
        let shard = guard.shard();
        (0..20).for_each(|number| put_hash(shard, &store, format!("hash:{number}").as_bytes(), &access));
        shard.set(&key, b"value", Lifetime::Until(NEAR), &access);
        let mut chosen = Vec::new();
        assert_eq!((ttl::nearest(shard), ttl::choose(shard, &mut chosen)), (Some(NEAR), true));
        assert_eq!(chosen, b"key");
        assert!(shard.remove(&key, &access));
        for number in 0..20 {
            let name = format!("hash:{number}");
            assert!(shard.set_deadline(&store.key(name.as_bytes()), None, &access));
        }
        assert_eq!(ttl::nearest(shard), None, "no key has a deadline any more");
        guard.unlock();
    }
}
