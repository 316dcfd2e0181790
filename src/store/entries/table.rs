//! A hash table of entries that grows one bucket at a time.
//!
//! Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980): a bucket is one
//! cache line of eight slots; when the table is fuller than [`LOAD_MAX`], the next bucket in order is split in two.
//! So no insertion ever stalls on a rehash, memory follows the number of keys instead of doubling, and a scan can
//! walk the hash space while the table grows and shrinks.  A full bucket continues in an overflow bucket, linked
//! from its last slot.
//!
//! A slot is one word: zero if empty, else the entry's address in the low 48 bits and fourteen bits of its hash
//! above, which spare nearly all comparisons with other keys.  The top bit marks a link to an overflow bucket.
//! The slots of a bucket are filled from the front, so the first empty one ends a search.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::entry::{Entry, EntryRef};
use crate::store::chunks::{Chunks, length_of_piece};
use crate::store::hash::{bucket_for, prefetch};

/// Slots in a bucket: eight words fill a cache line.
const SLOTS: usize = 8;
const LAST: usize = SLOTS - 1;

/// Entries per eight buckets above which a bucket is split, and below which the last split is undone.
const LOAD_MAX: usize = 54;
const LOAD_MIN: usize = 20;

/// Below this many buckets a table does not shrink, and so many unused overflow buckets it may keep.
const BUCKETS_MIN: usize = 4;

const EMPTY: u64 = 0;
const LINK: u64 = 1 << 63;
/// Fourteen bits of the hash and a one, so that no tag looks like an empty slot.
const TAG_BITS: u32 = 15;
const TAG_ALWAYS: u64 = 1 << ADDRESS_BITS;
const ADDRESS_BITS: u32 = 48;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    slots: [u64; SLOTS],
}

impl Bucket {
    const EMPTY: Bucket = Bucket { slots: [EMPTY; SLOTS] };

    /// The overflow bucket this one continues in.
    fn next(&self) -> Option<u32> {
        let last = self.slots[LAST];
        (last & LINK != 0).then_some(last as u32)
    }

    /// A bit for each slot whose tag is this one.  All slots are compared without a branch: where in a bucket an
    /// entry is cannot be predicted.
    fn matches(&self, tag: u64) -> u32 {
        let mut matches = 0;
        for (number, slot) in self.slots.iter().enumerate() {
            matches |= u32::from((slot ^ tag) >> ADDRESS_BITS == 0) << number;
        }
        matches
    }

    /// How many slots hold entries.
    fn entries(&self) -> usize {
        self.slots.iter().take_while(|&&slot| slot != EMPTY && slot & LINK == 0).count()
    }
}

/// The address of a bucket: in the main array, or with the top bit set among the overflow buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct BucketIndex(u32);

impl BucketIndex {
    const OVERFLOW: u32 = 1 << 31;

    fn overflow(index: u32) -> BucketIndex {
        BucketIndex(index | BucketIndex::OVERFLOW)
    }
}

/// Where an entry is, until the table changes.  One that is out of date leads to another entry or to a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) struct Position {
    bucket: BucketIndex,
    slot: u32,
}

type Buckets = Chunks<Bucket, { length_of_piece::<Bucket>() }>;

/// The table.  It owns its entries.
#[derive(Default)]
#[repr(C)]
pub(super) struct Table {
    buckets: Buckets,
    overflow: Buckets,
    /// Overflow buckets that are in no chain, linked through their first slot as index + 1.
    free: u64,
    length: usize,
    owned: PhantomData<Entry>,
}

// The hash is cut three ways: the shard takes the top bits (see `keyspace`), the tag the next, the bucket the low.
fn tag_of(hash: u64) -> u64 {
    (hash >> (ADDRESS_BITS - TAG_BITS)) << ADDRESS_BITS & !LINK | TAG_ALWAYS
}

fn pointer_of(slot: u64) -> NonNull<u8> {
    let address = (slot & ADDRESS_MASK) as usize;
    NonNull::new(std::ptr::with_exposed_provenance_mut(address)).expect("an occupied slot holds an address")
}

/// The same slot, which must hold an entry.
#[inline]
fn occupied(slot: u64) -> u64 {
    assert!(slot & (TAG_ALWAYS | LINK) == TAG_ALWAYS, "a position that was just found");
    slot
}

fn slot_for(entry: Entry, tag: u64) -> u64 {
    slot_of(entry.into_raw(), tag)
}

fn slot_of(pointer: NonNull<u8>, tag: u64) -> u64 {
    let address = pointer.expose_provenance().get() as u64;
    assert!(address & !ADDRESS_MASK == 0, "user addresses have 48 bits on the platforms this runs on");
    tag | address
}

impl Table {
    /// Bytes at the beginning that a lookup reads, unless a bucket overflows.
    #[cfg(test)]
    pub(super) const LOOKUP_SIZE: usize = size_of::<Buckets>();

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory the bucket arrays take.
    pub(super) fn memory(&self) -> usize {
        self.buckets.memory() + self.overflow.memory()
    }

    /// Brings the bucket of a hash closer.
    pub(super) fn prefetch(&self, hash: u64) {
        if !self.buckets.is_empty() {
            let home = &raw const self.buckets[bucket_for(hash, self.buckets.len())];
            prefetch(home as usize);
        }
    }

    /// The entry with this hash for which `is_it` holds, and where it is.
    #[inline]
    pub(super) fn find(
        &self,
        hash: u64,
        mut is_it: impl FnMut(EntryRef<'_>) -> bool,
    ) -> Option<(Position, EntryRef<'_>)> {
        if self.buckets.is_empty() {
            return None;
        }
        let tag = tag_of(hash);
        let home = bucket_for(hash, self.buckets.len());
        let mut index = BucketIndex(home as u32);
        let mut bucket = &self.buckets[home];
        loop {
            let mut matches = bucket.matches(tag);
            while matches != 0 {
                let number = matches.trailing_zeros();
                let entry = self.entry(bucket.slots[number as usize % SLOTS]);
                if is_it(entry) {
                    return Some((Position { bucket: index, slot: number }, entry));
                }
                matches &= matches - 1;
            }
            let next = bucket.next()?;
            index = BucketIndex::overflow(next);
            bucket = &self.overflow[next as usize];
        }
    }

    /// The entry at a position that [`Table::find`] has just given.
    #[inline]
    pub(super) fn get(&self, position: Position) -> EntryRef<'_> {
        self.entry(self.slot(position))
    }

    /// The slot at a position, which must hold an entry.
    #[inline]
    fn slot(&self, position: Position) -> u64 {
        occupied(self.bucket(position.bucket).slots[position.slot as usize])
    }

    fn entry(&self, slot: u64) -> EntryRef<'_> {
        debug_assert!(slot != EMPTY && slot & LINK == 0);
        // SAFETY: occupied slots hold live entries, which are freed or changed only through `&mut self`.
        unsafe { EntryRef::from_raw(pointer_of(slot)) }
    }

    /// Lets `change` change an entry, which may move it.
    pub(super) fn modify<R>(&mut self, position: Position, change: impl FnOnce(&mut Entry) -> R) -> R {
        let slot = &mut self.bucket_mut(position.bucket).slots[position.slot as usize];
        let pointer = pointer_of(occupied(*slot));
        // SAFETY: the slot owns the entry; the temporary owner is not dropped, and the slot is rewritten with where the
        // entry is when `lent` goes, also if `change` panics.
        let mut lent = Lent { entry: ManuallyDrop::new(unsafe { Entry::from_raw(pointer) }), slot };
        change(&mut lent.entry)
    }

    /// Sets an entry's recency, which never moves it.
    pub(super) fn set_recency(&mut self, position: Position, recency: u32) {
        let slot = self.slot(position);
        // SAFETY: the slot owns the entry, which is not dropped here.
        ManuallyDrop::new(unsafe { Entry::from_raw(pointer_of(slot)) }).set_recency(recency);
    }

    /// Adds an entry whose key is not in the table.  `hash_of` is needed to split a bucket.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry, hash_of: impl Fn(&[u8]) -> u64) {
        if (self.length + 1) * 8 > self.buckets.len() * LOAD_MAX {
            self.split_next(hash_of);
        }
        self.length += 1;
        let home = bucket_for(hash, self.buckets.len());
        self.push(BucketIndex(home as u32), slot_for(entry, tag_of(hash)));
    }

    /// Takes the entry at `position` out.
    pub(super) fn remove(&mut self, position: Position, hash: u64, hash_of: impl Fn(&[u8]) -> u64) -> Entry {
        let slot = self.slot(position);
        // SAFETY: the slot owned the entry and is overwritten or emptied by `fill_hole`.
        let entry = unsafe { Entry::from_raw(pointer_of(slot)) };
        let home = bucket_for(hash, self.buckets.len());
        self.fill_hole(BucketIndex(home as u32), position);
        self.length -= 1;
        if self.buckets.len() > BUCKETS_MIN && self.length * 8 < self.buckets.len() * LOAD_MIN {
            self.merge_last(hash_of);
        }
        entry
    }

    /// Walks one bucket of the hash space for `cursor` (0 to start) and returns the next cursor, 0 at the end.
    /// An entry that is in the table from the first call to the last is visited at least once, however the table
    /// grows and shrinks between calls: the cursor counts with its bits reversed, so splitting or merging buckets
    /// never moves an entry from the part still to come into the part already walked.
    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(EntryRef<'_>)) -> u64 {
        if self.buckets.is_empty() {
            return 0;
        }
        let bucket_count = self.buckets.len();
        let wide = (bucket_count.next_power_of_two() - 1) as u64;
        let narrow = wide >> 1;
        let home = bucket_for(cursor, bucket_count);
        let is_narrow = home as u64 <= narrow && home + narrow as usize + 1 >= bucket_count;
        let mask = if is_narrow { narrow } else { wide };
        self.visit_chain(home, &mut visit);
        let reversed = (cursor | !mask).reverse_bits().wrapping_add(1);
        reversed.reverse_bits()
    }

    /// Visits entries from a random place on, which is how eviction samples, until about `limit` were of use, as `visit`
    /// tells.
    pub(super) fn sample(&self, random: u64, limit: usize, mut visit: impl FnMut(EntryRef<'_>) -> bool) {
        let bucket_count = self.buckets.len();
        let mut seen = 0;
        for step in 0..bucket_count {
            let home = (random as usize).wrapping_add(step) % bucket_count;
            self.visit_chain(home, &mut |entry| {
                seen += usize::from(visit(entry));
            });
            if seen >= limit {
                return;
            }
        }
    }

    /// Visits every entry.
    pub(super) fn for_each(&self, mut visit: impl FnMut(EntryRef<'_>)) {
        for home in 0..self.buckets.len() {
            self.visit_chain(home, &mut visit);
        }
    }

    fn visit_chain(&self, home: usize, visit: &mut impl FnMut(EntryRef<'_>)) {
        let mut bucket = &self.buckets[home];
        loop {
            for &slot in &bucket.slots[..bucket.entries()] {
                visit(self.entry(slot));
            }
            let Some(next) = bucket.next() else { return };
            bucket = &self.overflow[next as usize];
        }
    }

    #[inline]
    fn bucket(&self, index: BucketIndex) -> &Bucket {
        match index.0 & BucketIndex::OVERFLOW {
            0 => &self.buckets[index.0 as usize],
            _ => &self.overflow[(index.0 & !BucketIndex::OVERFLOW) as usize],
        }
    }

    #[inline]
    fn bucket_mut(&mut self, index: BucketIndex) -> &mut Bucket {
        match index.0 & BucketIndex::OVERFLOW {
            0 => &mut self.buckets[index.0 as usize],
            _ => &mut self.overflow[(index.0 & !BucketIndex::OVERFLOW) as usize],
        }
    }

    /// The last bucket of the chain that starts at `index`, and the one before it.
    fn tail(&self, mut index: BucketIndex) -> (Option<BucketIndex>, BucketIndex) {
        let mut previous = None;
        while let Some(next) = self.bucket(index).next() {
            previous = Some(index);
            index = BucketIndex::overflow(next);
        }
        (previous, index)
    }

    fn push(&mut self, home: BucketIndex, slot: u64) {
        let (_, tail) = self.tail(home);
        let used = self.bucket(tail).entries();
        if used < SLOTS {
            self.bucket_mut(tail).slots[used] = slot;
            return;
        }
        let fresh = self.take_overflow();
        let moved = std::mem::replace(&mut self.bucket_mut(tail).slots[LAST], LINK | u64::from(fresh));
        let bucket = &mut self.overflow[fresh as usize];
        bucket.slots[0] = moved;
        bucket.slots[1] = slot;
    }

    /// Moves the chain's last entry into the place of a removed one, and drops an overflow bucket left with one.
    fn fill_hole(&mut self, home: BucketIndex, hole: Position) {
        let (previous, tail) = self.tail(home);
        let last = self.bucket(tail).entries() - 1;
        let moved = std::mem::replace(&mut self.bucket_mut(tail).slots[last], EMPTY);
        if (Position { bucket: tail, slot: last as u32 }) != hole {
            self.bucket_mut(hole.bucket).slots[hole.slot as usize] = moved;
        }
        if let Some(previous) = previous
            && last == 1
        {
            let only = self.bucket(tail).slots[0];
            self.bucket_mut(previous).slots[LAST] = only;
            self.give_overflow(tail.0 & !BucketIndex::OVERFLOW);
        }
    }

    fn take_overflow(&mut self) -> u32 {
        if self.free != 0 {
            let index = self.free as u32 - 1;
            self.free = std::mem::replace(&mut self.overflow[index as usize], Bucket::EMPTY).slots[0];
            return index;
        }
        self.overflow.push(Bucket::EMPTY);
        u32::try_from(self.overflow.len() - 1).expect("a shard has fewer than 2^31 buckets")
    }

    fn give_overflow(&mut self, index: u32) {
        let bucket = &mut self.overflow[index as usize];
        *bucket = Bucket::EMPTY;
        bucket.slots[0] = self.free;
        self.free = u64::from(index) + 1;
    }

    /// Adds a bucket and moves the entries into it that the next hash bit assigns to it.
    fn split_next(&mut self, hash_of: impl Fn(&[u8]) -> u64) {
        self.buckets.push(Bucket::EMPTY);
        let new = self.buckets.len() - 1;
        if new == 0 {
            return;
        }
        let buddy = new - (new + 1).next_power_of_two() / 2;
        self.redistribute(buddy, hash_of);
    }

    /// Removes the last bucket; its entries go back to the bucket it was split from.
    fn merge_last(&mut self, hash_of: impl Fn(&[u8]) -> u64) {
        let last = self.buckets.len() - 1;
        let slots = self.drain_chain(last);
        self.buckets.pop();
        let buddy = bucket_for(last as u64, last);
        for slot in slots {
            self.push(BucketIndex(buddy as u32), slot);
        }
        if self.overflow.len() > self.buckets.len() + BUCKETS_MIN {
            self.rebuild_overflow(hash_of);
        }
    }

    /// Puts the entries of one chain where they now belong.
    fn redistribute(&mut self, home: usize, hash_of: impl Fn(&[u8]) -> u64) {
        for slot in self.drain_chain(home) {
            let hash = hash_of(self.entry(slot).key());
            let target = bucket_for(hash, self.buckets.len());
            self.push(BucketIndex(target as u32), slot);
        }
    }

    fn drain_chain(&mut self, home: usize) -> impl Iterator<Item = u64> + use<> {
        let mut slots = smallvec::SmallVec::<[u64; 3 * SLOTS]>::new();
        let mut bucket = std::mem::replace(&mut self.buckets[home], Bucket::EMPTY);
        loop {
            slots.extend_from_slice(&bucket.slots[..bucket.entries()]);
            let Some(next) = bucket.next() else { return slots.into_iter() };
            bucket = self.overflow[next as usize];
            self.give_overflow(next);
        }
    }

    /// Gives overflow buckets back after a table has shrunk far below the size they were made for.
    fn rebuild_overflow(&mut self, hash_of: impl Fn(&[u8]) -> u64) {
        let chained: Vec<u64> = (0..self.buckets.len()).flat_map(|home| self.drain_chain(home)).collect();
        self.overflow = Buckets::default();
        self.free = 0;
        for slot in chained {
            let hash = hash_of(self.entry(slot).key());
            let home = bucket_for(hash, self.buckets.len());
            self.push(BucketIndex(home as u32), slot);
        }
    }
}

/// An entry that is changed, and the slot that it came from.
struct Lent<'t> {
    entry: ManuallyDrop<Entry>,
    slot: &'t mut u64,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let changed = slot_of(self.entry.view().pointer(), *self.slot & !ADDRESS_MASK);
        // Most changes leave the entry where it is; then the bucket's line stays clean.
        if changed != *self.slot {
            *self.slot = changed;
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for home in 0..self.buckets.len() {
            for slot in self.drain_chain(home) {
                // SAFETY: the drained slot owned its entry, and no slot refers to it any more.
                drop(unsafe { Entry::from_raw(pointer_of(slot)) });
            }
        }
    }
}
