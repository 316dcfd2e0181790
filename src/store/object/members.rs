//! Where members are: a hash table of places that grows one bucket at a time (linear hashing, see `entries/table`).
//!
//! A slot is 32 bits of a member's hash and its place, eight bytes together; the member itself lies at that place alone.  In a row
//! that is its number, in a sorted set the number of its leaf.
//! A bucket is a line of the processor's cache with seven slots, and continues in an overflow bucket if it is full.

use crate::store::chunks::{Chunks, length_of_piece};
use crate::store::hash::{bucket_for, prefetch};

/// Slots in a bucket.
const SLOTS: usize = 7;

/// Slots in use per eight buckets above which a bucket is split, and below which the last split is undone.
const LOAD_MAX: usize = 51;
const LOAD_MIN: usize = 18;

/// Below this many buckets a table does not shrink.
const BUCKETS_MIN: usize = 4;

/// No overflow bucket.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    hashes: [u32; SLOTS],
    places: [u32; SLOTS],
    used: u32,
    /// The overflow bucket that it continues in, or of a free one the next free one.
    next: u32,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { hashes: [0; SLOTS], places: [0; SLOTS], used: 0, next: NONE };
}

type Buckets = Chunks<Bucket, { length_of_piece::<Bucket>() }>;

/// Where a bucket is.
#[derive(Clone, Copy)]
enum At {
    Home(usize),
    Overflow(usize),
}

/// See the head of the file.
#[derive(Clone)]
pub(in crate::store) struct MemberTable {
    homes: Buckets,
    overflow: Buckets,
    /// The first free overflow bucket.
    free: u32,
    length: usize,
}

impl Default for MemberTable {
    fn default() -> MemberTable {
        MemberTable { homes: Buckets::default(), overflow: Buckets::default(), free: NONE, length: 0 }
    }
}

impl MemberTable {
    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.homes.memory() + self.overflow.memory()
    }

    /// The places of members with this hash.
    pub(in crate::store) fn places(&self, hash: u32) -> impl Iterator<Item = u32> {
        let bucket = (self.length > 0).then(|| &self.homes[self.home(hash)]);
        std::iter::successors(bucket, |bucket| self.next(bucket)).flat_map(move |bucket| {
            let slots = bucket.hashes.iter().zip(&bucket.places).take(bucket.used as usize);
            slots.filter(move |(other, _)| **other == hash).map(|(_, place)| *place)
        })
    }

    /// Brings the bucket of a hash closer.
    pub(in crate::store) fn prefetch(&self, hash: u32) {
        if self.length > 0 {
            prefetch((&raw const self.homes[self.home(hash)]).addr());
        }
    }

    /// Adds a member.
    pub(in crate::store) fn insert(&mut self, hash: u32, place: u32) {
        if (self.length + 1) * 8 > self.homes.len() * LOAD_MAX {
            self.split_next();
        }
        self.length += 1;
        let home = self.home(hash);
        self.push(home, hash, place);
    }

    /// Removes a member from a place.
    pub(in crate::store) fn remove(&mut self, hash: u32, place: u32) {
        let home = self.home(hash);
        let (at, slot) = self.slot(hash, place);
        // The last slot of the chain takes its place.
        let mut before = None;
        let mut last = At::Home(home);
        while self.bucket(last).next != NONE {
            before = Some(last);
            last = At::Overflow(self.bucket(last).next as usize);
        }
        let bucket = self.bucket_mut(last);
        bucket.used -= 1;
        let end = bucket.used as usize;
        let (moved_hash, moved_place) = (bucket.hashes[end], bucket.places[end]);
        let is_empty = bucket.used == 0;
        // It may be the one that goes: then it is written behind the end.
        let target = self.bucket_mut(at);
        (target.hashes[slot], target.places[slot]) = (moved_hash, moved_place);
        if let (true, Some(before), At::Overflow(freed)) = (is_empty, before, last) {
            self.bucket_mut(before).next = NONE;
            self.overflow[freed].next = self.free;
            self.free = freed as u32;
        }
        self.length -= 1;
        if self.homes.len() > BUCKETS_MIN && self.length * 8 < self.homes.len() * LOAD_MIN {
            self.merge_last();
        }
    }

    /// Notes that a member has moved to another place.
    pub(in crate::store) fn replace(&mut self, hash: u32, from: u32, to: u32) {
        let (at, slot) = self.slot(hash, from);
        self.bucket_mut(at).places[slot] = to;
    }

    /// Visits the slots of one bucket for `cursor` (0 to start) and returns the next cursor, 0 at the end.  What is there from the
    /// first call to the last is visited.  The cursor counts through the hashes in reversed bit order, so that what a
    /// bucket is split into lies together.
    pub(in crate::store) fn scan(&self, cursor: u64, mut visit: impl FnMut(u32, u32)) -> u64 {
        if self.homes.is_empty() {
            return 0;
        }
        let bucket_count = self.homes.len();
        let wide = (bucket_count.next_power_of_two() - 1) as u64;
        let narrow = wide >> 1;
        let home = bucket_for(cursor, bucket_count);
        let is_narrow = home as u64 <= narrow && home + narrow as usize + 1 >= bucket_count;
        let mask = if is_narrow { narrow } else { wide };
        let mut bucket = &self.homes[home];
        loop {
            for slot in 0..bucket.used as usize {
                visit(bucket.hashes[slot], bucket.places[slot]);
            }
            let Some(next) = self.next(bucket) else { break };
            bucket = next;
        }
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }

    fn home(&self, hash: u32) -> usize {
        bucket_for(u64::from(hash), self.homes.len())
    }

    fn next(&self, bucket: &Bucket) -> Option<&Bucket> {
        (bucket.next != NONE).then(|| &self.overflow[bucket.next as usize])
    }

    fn bucket(&self, at: At) -> &Bucket {
        match at {
            At::Home(at) => &self.homes[at],
            At::Overflow(at) => &self.overflow[at],
        }
    }

    fn bucket_mut(&mut self, at: At) -> &mut Bucket {
        match at {
            At::Home(at) => &mut self.homes[at],
            At::Overflow(at) => &mut self.overflow[at],
        }
    }

    /// The bucket and the number of the slot of a member that is there.
    fn slot(&self, hash: u32, place: u32) -> (At, usize) {
        let mut at = At::Home(self.home(hash));
        loop {
            let bucket = self.bucket(at);
            let mut slots = 0..bucket.used as usize;
            let found = slots.find(|&slot| bucket.hashes[slot] == hash && bucket.places[slot] == place);
            if let Some(slot) = found {
                return (at, slot);
            }
            assert!(bucket.next != NONE, "the places and the table hold the same members");
            at = At::Overflow(bucket.next as usize);
        }
    }

    /// Puts a slot at the end of the chain of a bucket.
    fn push(&mut self, home: usize, hash: u32, place: u32) {
        let mut at = At::Home(home);
        loop {
            let Bucket { used, next, .. } = *self.bucket(at);
            if (used as usize) < SLOTS {
                let bucket = self.bucket_mut(at);
                bucket.hashes[used as usize] = hash;
                bucket.places[used as usize] = place;
                bucket.used += 1;
                return;
            }
            if next == NONE {
                let fresh = self.fresh_overflow();
                self.bucket_mut(at).next = fresh;
                at = At::Overflow(fresh as usize);
            } else {
                at = At::Overflow(next as usize);
            }
        }
    }

    fn fresh_overflow(&mut self) -> u32 {
        if self.free == NONE {
            self.overflow.push(Bucket::EMPTY);
            return (self.overflow.len() - 1) as u32;
        }
        let fresh = self.free;
        let bucket = &mut self.overflow[fresh as usize];
        self.free = std::mem::replace(bucket, Bucket::EMPTY).next;
        fresh
    }

    /// Adds a bucket and moves the slots into it that the next bit of the hash assigns to it.
    fn split_next(&mut self) {
        self.homes.push(Bucket::EMPTY);
        let new = self.homes.len() - 1;
        if new > 0 {
            let buddy = new - (new + 1).next_power_of_two() / 2;
            let chain = std::mem::replace(&mut self.homes[buddy], Bucket::EMPTY);
            self.distribute(chain);
        }
    }

    /// Removes the last bucket; its slots go back to the bucket that it was split from.
    fn merge_last(&mut self) {
        if let Some(chain) = self.homes.pop() {
            self.distribute(chain);
        }
        if self.overflow.len() > BUCKETS_MIN && self.length * 8 < self.overflow.len() * LOAD_MIN {
            self.rebuild_overflow();
        }
    }

    /// Puts the slots of a chain into the buckets that they belong to now.
    fn distribute(&mut self, mut bucket: Bucket) {
        loop {
            for slot in 0..bucket.used as usize {
                self.push(self.home(bucket.hashes[slot]), bucket.hashes[slot], bucket.places[slot]);
            }
            if bucket.next == NONE {
                return;
            }
            let freed = bucket.next;
            bucket = self.overflow[freed as usize];
            self.overflow[freed as usize] = Bucket { next: self.free, ..Bucket::EMPTY };
            self.free = freed;
        }
    }

    /// Gives the memory of overflow buckets back when nearly none is in use any more: there are few slots then.
    fn rebuild_overflow(&mut self) {
        let overflow = std::mem::take(&mut self.overflow);
        self.free = NONE;
        for home in 0..self.homes.len() {
            let mut next = std::mem::replace(&mut self.homes[home].next, NONE);
            while next != NONE {
                let bucket = &overflow[next as usize];
                for slot in 0..bucket.used as usize {
                    self.push(home, bucket.hashes[slot], bucket.places[slot]);
                }
                next = bucket.next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few hashes, so that chains grow long, and pages that each hash is in at most once.
        #[test]
        fn a_member_table_is_a_set(
            steps in proptest::collection::vec((0_u32..300, 0_u32..3, 0_u8..3), 1..3_000),
            spread in prop_oneof![Just(1_u32), Just(0x0100_0193), Just(1 << 20)],
        ) {
            let mut table = MemberTable::default();
            let mut model: BTreeSet<(u32, u32)> = BTreeSet::new();
            for (number, place, step) in steps {
                let hash = number.wrapping_mul(spread);
                let is_there = model.contains(&(hash, place));
                match (step, is_there) {
                    (0, true) => {
                        table.remove(hash, place);
                        model.remove(&(hash, place));
                    }
                    (1, true) => {
                        let to = place + 7;
                        if model.insert((hash, to)) {
                            table.replace(hash, place, to);
                            model.remove(&(hash, place));
                        }
                    }
                    (2, false) => {
                        table.insert(hash, place);
                        model.insert((hash, place));
                    }
                    _ => {}
                }
                let mut places: Vec<u32> = table.places(hash).collect();
                places.sort_unstable();
                let expected: Vec<u32> = model.range((hash, 0)..=(hash, u32::MAX)).map(|(_, place)| *place).collect();
                prop_assert_eq!(places, expected);
            }
            let mut seen = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = table.scan(cursor, |hash, place| seen.push((hash, place)));
                if cursor == 0 {
                    break;
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, model.iter().copied().collect::<Vec<_>>());
            for (hash, place) in model {
                table.remove(hash, place);
            }
            prop_assert_eq!(table.length, 0);
        }
    }
}
