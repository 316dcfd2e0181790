//! S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
//!
//! Most keys are used once: they pass through a small queue and are gone, without displacing what is in use.  A key
//! that is used again while it is there, or comes back soon after (its ghost remembers it), moves to the main queue,
//! from which it goes when it comes to the front unused.  An access only raises a two-bit count in the entry.
//!
//! Each shard has queues of its own, made when a key is inserted while the policy is in force and dropped when
//! another is.  A queue holds no keys but hashes, which are looked up when they come to the front.  Of a hash's 64
//! bits the highest are the same for all keys of a shard: in their place the queue keeps a stamp, which the entry
//! has too, so that what became of a deleted, moved or overwritten key is told from what took its place.
//!
//! Counters of the rate limiter, which are never evicted, are in no queue.
//!
//! An entry's 24 bits: 2 frequency, 1 queue, 10 stamp, the rest unused.

use std::collections::VecDeque;

use crate::cache::hash::KeyHasher;
use crate::cache::shard::{Moment, Shard};
use crate::cache::store::SHARD_BITS;
use crate::cache::table::{Position, Table};
use crate::cache::value::Kind;

const FREQUENCY_MAX: u32 = 3;
const MAIN: u32 = 1 << 2;
const STAMP_SHIFT: u32 = 3;
const STAMP_MASK: u32 = (1 << SHARD_BITS) - 1;

/// More accesses than this while in the small queue lead to the main queue.
const FREQUENCY_TO_STAY: u32 = 1;

/// The small queue's part of the keys.
const SMALL_FRACTION: usize = 10;

/// Places of the queues looked at for one eviction.  After half of them the next key goes, used or not.
const STEPS_MAX: usize = 256;

/// Places of deleted keys that the queues may hold beside those of live ones before they are compacted.
const STALE_MIN: usize = 64;

/// The spare room a full queue asks for, as a fraction of its length.
const GROWTH_FRACTION: usize = 8;
const GROWTH_MIN: usize = 8;

/// The bits of a key that is accessed.
#[inline]
pub(super) fn accessed(bits: u32) -> u32 {
    bits + u32::from(bits & FREQUENCY_MAX < FREQUENCY_MAX)
}

/// How often a key with these bits was accessed since it last passed through a queue, up to 3.
pub(super) fn frequency(bits: u32) -> u8 {
    (bits & FREQUENCY_MAX) as u8
}

/// The queues and ghosts of one shard.
#[derive(Default)]
pub(in crate::cache) struct Queues {
    small: Fifo,
    main: Fifo,
    ghosts: Ghosts,
    stamp: u32,
    /// The bits that the hashes of all keys of the shard share.
    shard_bits: u64,
}

impl Queues {
    /// Queues for a shard that may have keys already: these have proven themselves elsewhere and start in the main
    /// queue, in no particular order.
    fn new(table: &mut Table, hasher: &KeyHasher) -> Queues {
        let mut queues = Queues::default();
        let mut hashes = Vec::with_capacity(table.len());
        table.for_each(|entry| {
            if entry.kind() != Kind::Counter {
                hashes.push(hasher.hash(entry.key()));
            }
        });
        for hash in hashes {
            let position = table.find(hash, |entry| hasher.hash(entry.key()) == hash);
            let bits = queues.enter(MAIN, hash);
            table.set_recency(position.expect("the table was not changed meanwhile"), bits);
        }
        queues
    }

    /// A new key enters; returns its bits.
    pub(in crate::cache) fn inserted(&mut self, hash: u64) -> u32 {
        let returns = self.ghosts.take(hash, self.main.live);
        self.enter(if returns { MAIN } else { 0 }, hash)
    }

    /// A key with these bits has left the table; its place in the queue is now stale.
    pub(in crate::cache) fn removed(&mut self, bits: u32) {
        let queue = self.queue(bits & MAIN);
        queue.live = queue.live.saturating_sub(1);
    }

    /// Bytes of memory.
    pub(in crate::cache) fn memory(&self) -> usize {
        size_of::<Queues>() + self.small.memory() + self.main.memory() + self.ghosts.memory()
    }

    fn queue(&mut self, queue: u32) -> &mut Fifo {
        if queue == MAIN { &mut self.main } else { &mut self.small }
    }

    fn enter(&mut self, queue: u32, hash: u64) -> u32 {
        self.shard_bits = hash & !(u64::MAX >> SHARD_BITS);
        self.stamp = (self.stamp + 1) & STAMP_MASK;
        let stamp = self.stamp;
        self.queue(queue).push(hash << SHARD_BITS | u64::from(stamp));
        queue | stamp << STAMP_SHIFT
    }

    /// Which of the `keys` in the table that may be evicted is, remembered as a ghost if it leaves from the small queue.
    fn next(&mut self, keys: usize, table: &mut Table, hasher: &KeyHasher) -> Option<(u64, Position)> {
        let small_max = (keys / SMALL_FRACTION).max(1);
        for step in 0..STEPS_MAX {
            let from_small = self.small.live > small_max || self.main.places.is_empty();
            let queue = if from_small { 0 } else { MAIN };
            let Some(place) = self.queue(queue).places.pop_front() else {
                // The count of live places is a guess after a change of policy.
                self.queue(queue).live = 0;
                if self.main.places.is_empty() { return None } else { continue }
            };
            let Some((hash, position)) = self.resolve(place, queue, table, hasher) else { continue };
            let frequency = table.get(position).recency() & FREQUENCY_MAX;
            let forced = step >= STEPS_MAX / 2;
            let bits = match queue {
                MAIN if frequency > 0 && !forced => {
                    self.removed(MAIN);
                    self.enter(MAIN, hash) | (frequency - 1)
                }
                MAIN => return Some((hash, position)),
                _ if frequency > FREQUENCY_TO_STAY && !forced => {
                    self.removed(0);
                    self.enter(MAIN, hash)
                }
                _ => {
                    self.ghosts.insert(hash, self.main.live);
                    return Some((hash, position));
                }
            };
            table.set_recency(position, bits);
        }
        None
    }

    /// The live key that holds this place of a queue.
    fn resolve(&self, place: u64, queue: u32, table: &Table, hasher: &KeyHasher) -> Option<(u64, Position)> {
        let hash = place >> SHARD_BITS | self.shard_bits;
        let expected = queue | (place as u32 & STAMP_MASK) << STAMP_SHIFT;
        let position = table.find(hash, |entry| {
            entry.recency() & !FREQUENCY_MAX == expected
                && entry.kind() != Kind::Counter
                && hasher.hash(entry.key()) == hash
        })?;
        Some((hash, position))
    }

    /// Drops the places of deleted keys once they are more than those of live ones.
    fn compact(&mut self, keys: usize, table: &Table, hasher: &KeyHasher) {
        if self.small.places.len() + self.main.places.len() <= 2 * keys + STALE_MIN {
            return;
        }
        for queue in [0, MAIN] {
            let mut places = std::mem::take(&mut self.queue(queue).places);
            places.retain(|&place| self.resolve(place, queue, table, hasher).is_some());
            places.shrink_to(places.len() + places.len() / GROWTH_FRACTION);
            let fifo = self.queue(queue);
            fifo.live = places.len();
            fifo.places = places;
        }
    }
}

/// What the queues do in their shard.
impl Shard {
    /// Makes or drops the queues if the policy has changed.
    pub(in crate::cache) fn adapt_queues(&mut self, moment: &Moment) {
        if moment.recency.has_queues() == self.queues.is_some() {
            return;
        }
        self.changed = true;
        self.queues = match self.queues {
            Some(_) => None,
            None => Some(Box::new(Queues::new(&mut self.table, &self.hasher))),
        };
    }

    /// Whether the shard keeps queues, which only one policy needs.
    pub fn has_queues(&self) -> bool {
        self.queues.is_some()
    }

    /// Drops what deleted keys have left in the queues, now and then.
    pub(in crate::cache) fn compact_queues(&mut self) {
        let keys = self.evictable_len();
        if let Some(queues) = &mut self.queues {
            queues.compact(keys, &self.table, &self.hasher);
        }
    }

    /// Evicts the key that the queues let go of; none if only stale places came to the front.
    pub(super) fn evict_from_queues(&mut self, moment: &Moment) {
        self.adapt_queues(moment);
        let keys = self.evictable_len();
        let Some(queues) = &mut self.queues else { return };
        self.changed = true;
        match queues.next(keys, &mut self.table, &self.hasher) {
            Some((hash, position)) => self.evict_at(position, hash),
            // Bits of another policy have hidden keys from the queues: these start anew.
            None if queues.small.places.is_empty() && queues.main.places.is_empty() => {
                self.queues = None;
                self.adapt_queues(moment);
            }
            None => {}
        }
    }
}

/// A queue of hashes, with a count of those that are live.
#[derive(Default)]
struct Fifo {
    places: VecDeque<u64>,
    live: usize,
}

impl Fifo {
    fn push(&mut self, place: u64) {
        if self.places.len() == self.places.capacity() {
            self.places.reserve_exact((self.places.len() / GROWTH_FRACTION).max(GROWTH_MIN));
        }
        self.places.push_back(place);
        self.live += 1;
    }

    fn memory(&self) -> usize {
        self.places.capacity() * size_of::<u64>()
    }
}

/// Ghosts in a bucket: they fill a cache line.
const GHOSTS_PER_BUCKET: usize = 8;

/// The hashes of keys that left the small queue: as many of the last ones as the main queue holds keys, less those
/// that their bucket has no room for.
#[derive(Default)]
struct Ghosts {
    buckets: Vec<[Ghost; GHOSTS_PER_BUCKET]>,
    /// Ghosts inserted so far; the age of a ghost is how many came after it.
    clock: u32,
}

#[derive(Clone, Copy, Default)]
struct Ghost {
    fingerprint: u32,
    /// The clock when it was inserted; zero for an empty place.
    born: u32,
}

impl Ghosts {
    /// Whether a hash is remembered among the last `limit`; it is not any more afterwards.
    fn take(&mut self, hash: u64, limit: usize) -> bool {
        let clock = self.clock;
        let fingerprint = hash as u32;
        let Some(bucket) = self.bucket(fingerprint) else { return false };
        let found = bucket.iter_mut().find(|ghost| ghost.born != 0 && ghost.fingerprint == fingerprint);
        let Some(ghost) = found else { return false };
        let age = clock.wrapping_sub(std::mem::take(ghost).born);
        age as usize <= limit
    }

    /// Remembers a hash, in the place of the oldest of its bucket.
    fn insert(&mut self, hash: u64, limit: usize) {
        self.fit(limit);
        self.clock = self.clock.wrapping_add(1).max(1);
        let born = self.clock;
        self.put(Ghost { fingerprint: hash as u32, born });
    }

    fn put(&mut self, ghost: Ghost) {
        let clock = self.clock;
        let Some(bucket) = self.bucket(ghost.fingerprint) else { return };
        let age = |place: &Ghost| if place.born == 0 { u32::MAX } else { clock.wrapping_sub(place.born) };
        if let Some(oldest) = bucket.iter_mut().max_by_key(|place| age(place)) {
            *oldest = ghost;
        }
    }

    fn bucket(&mut self, fingerprint: u32) -> Option<&mut [Ghost; GHOSTS_PER_BUCKET]> {
        let place = (u64::from(fingerprint) * self.buckets.len() as u64) >> u32::BITS;
        self.buckets.get_mut(place as usize)
    }

    /// Makes room for `limit` ghosts if that has changed by much.
    fn fit(&mut self, limit: usize) {
        let room = self.buckets.len() * GHOSTS_PER_BUCKET;
        if limit <= room && room <= limit + limit / 2 + GHOSTS_PER_BUCKET {
            return;
        }
        let count = (limit + limit / GROWTH_FRACTION).div_ceil(GHOSTS_PER_BUCKET);
        let fresh = vec![[Ghost::default(); GHOSTS_PER_BUCKET]; count];
        let mut old: Vec<Ghost> = std::mem::replace(&mut self.buckets, fresh).into_iter().flatten().collect();
        old.retain(|ghost| ghost.born != 0);
        old.sort_unstable_by_key(|ghost| std::cmp::Reverse(self.clock.wrapping_sub(ghost.born)));
        for ghost in old {
            self.put(ghost);
        }
    }

    fn memory(&self) -> usize {
        self.buckets.capacity() * size_of::<[Ghost; GHOSTS_PER_BUCKET]>()
    }
}
