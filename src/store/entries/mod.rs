//! The entries of a shard: the table that owns them, the indexes of their deadlines, and the bytes that they take.
//!
//! This folder holds all the `unsafe` code of the store but two lines.  The indexes point to entries that the table owns,
//! so an entry may be freed or moved in memory only after the index of its deadline knows.  That is proven here: the table
//! and the indexes are private to this file, every function of it tells the index before it lets an entry go, and code
//! outside can change the value of an entry in the table ([`Entries::modify`]) but neither its deadline nor its place.

mod entry;
mod expiry;
#[cfg(test)]
mod model_tests;
mod table;

pub use entry::{Deadline, Entry, EntryRef, INLINE_VALUE_MAX};
pub(super) use table::Position;

use crate::store::hash::{KeyHasher, LINE, prefetch};
use entry::UNINDEXED;
use expiry::ExpiryIndex;
use std::ptr::NonNull;
use table::Table;

/// See the head of the file.  Dropping it frees the entries.
#[derive(Default)]
#[repr(C)]
pub(super) struct Entries {
    // A lookup reads its beginning, see `Entries::LOOKUP_SIZE`.
    table: Table,
    /// The deadlines of entries that may be evicted.
    expiry: ExpiryIndex,
    /// The soonest deadlines of the fields of entries that have none themselves: no policy takes these for volatile.
    field_expiry: ExpiryIndex,
    /// Bytes of all entries.
    memory: usize,
    pinned: Pinned,
}

/// Which of the indexes knows an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexed {
    Keys,
    Fields,
    Pinned,
}

impl Indexed {
    fn of(entry: EntryRef<'_>) -> Indexed {
        match entry.expiring_hash() {
            Some(hash) if hash.key_deadline.is_none() => Indexed::Fields,
            None if entry.is_pinned() => Indexed::Pinned,
            _ => Indexed::Keys,
        }
    }

    /// The index among those of keys, of fields and of pinned entries.
    fn among(self, [keys, fields, pinned]: [&mut ExpiryIndex; 3]) -> &mut ExpiryIndex {
        match self {
            Indexed::Keys => keys,
            Indexed::Fields => fields,
            Indexed::Pinned => pinned,
        }
    }
}

/// The part of the accounts that is about pinned entries.
#[derive(Default)]
struct Pinned {
    length: usize,
    memory: usize,
    expiry: ExpiryIndex,
}

impl Entries {
    /// Bytes at the beginning that a lookup reads, unless a bucket overflows.
    #[cfg(test)]
    pub(super) const LOOKUP_SIZE: usize = Table::LOOKUP_SIZE;

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Number of entries that are pinned.
    pub(super) fn pinned_len(&self) -> usize {
        self.pinned.length
    }

    /// Number of entries that may be evicted.
    pub(super) fn evictable_len(&self) -> usize {
        self.len() - self.pinned.length
    }

    /// Number of entries with a deadline in an index.
    pub(super) fn volatile_len(&self) -> usize {
        self.expiry.len() + self.pinned.expiry.len()
    }

    /// Number of entries that are in an index for their fields alone.
    #[cfg(test)]
    pub(super) fn volatile_by_fields_len(&self) -> usize {
        self.field_expiry.len()
    }

    /// The same of those that may be evicted.
    pub(super) fn evictable_volatile_len(&self) -> usize {
        self.expiry.len()
    }

    /// Bytes of the entries themselves.
    pub(super) fn entry_memory(&self) -> usize {
        self.memory
    }

    /// Bytes of the buckets.
    pub(super) fn bucket_memory(&self) -> usize {
        self.table.memory()
    }

    /// Bytes of the indexes of deadlines.
    pub(super) fn expiry_memory(&self) -> usize {
        self.expiry.memory() + self.field_expiry.memory() + self.pinned.expiry.memory()
    }

    /// Bytes of the pinned entries: the entries, the index of their deadlines and their share of the buckets.
    pub(super) fn pinned_memory(&self) -> usize {
        let Pinned { length, memory, ref expiry } = self.pinned;
        if length == 0 {
            return 0;
        }
        memory + expiry.memory() + self.table.memory() * length / self.len()
    }

    /// A time before which no entry and no field expires.
    pub(super) fn next_due(&self) -> Option<Deadline> {
        [&self.expiry, &self.field_expiry, &self.pinned.expiry]
            .into_iter()
            .filter_map(ExpiryIndex::next)
            .min()
    }

    /// A time before which no entry expires that may be evicted, and no field of it.
    pub(super) fn next_evictable_due(&self) -> Option<Deadline> {
        self.expiry.next()
    }

    /// The entry with this hash and key, and where it is.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(Position, EntryRef<'_>)> {
        self.table.find(hash, |entry| same(entry.key(), key))
    }

    /// An entry with this hash.
    pub(super) fn find_hash(&self, hash: u64, hasher: &KeyHasher) -> Option<Position> {
        self.table.find(hash, |entry| hasher.hash(entry.key()) == hash).map(|(position, _)| position)
    }

    /// The entry at a position that was just found: the entries have not changed since.
    #[inline]
    pub(super) fn get(&self, position: Position) -> EntryRef<'_> {
        self.table.get(position)
    }

    /// Adds an entry whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u64, mut entry: Entry, hasher: &KeyHasher) {
        let (is_pinned, memory) = (entry.view().is_pinned(), entry.view().memory());
        self.memory += memory;
        if is_pinned {
            self.pinned.length += 1;
            self.pinned.memory += memory;
        }
        self.index(Indexed::of(entry.view())).note(&mut entry);
        self.table.insert(hash, entry, |key| hasher.hash(key));
    }

    /// Takes the entry at a position out.
    pub(super) fn remove(&mut self, position: Position, hash: u64, hasher: &KeyHasher) -> Entry {
        let mut entry = self.table.remove(position, hash, |key| hasher.hash(key));
        let (is_pinned, memory) = (entry.view().is_pinned(), entry.view().memory());
        self.index(Indexed::of(entry.view())).forget(&mut entry);
        self.memory -= memory;
        if is_pinned {
            self.pinned.length -= 1;
            self.pinned.memory -= memory;
        }
        entry
    }

    /// Lets `change` change the value of an entry that is not pinned, which may move in memory.
    pub(super) fn modify<R>(&mut self, position: Position, change: impl FnOnce(&mut Entry) -> R) -> R {
        let Entries { table, expiry, field_expiry, memory, .. } = self;
        table.modify(position, |entry| {
            debug_assert!(!entry.view().is_pinned());
            let view = entry.view();
            let place = view.index_place();
            let before = Before {
                pointer: view.pointer(),
                memory: view.memory(),
                place: place.map(|place| (Indexed::of(view), place)),
            };
            let settling = Settling { before, entry, expiry, field_expiry, memory };
            change(settling.entry)
        })
    }

    /// Brings up to date when an entry falls due, after a change of the deadlines of its fields; false if that is as before.
    pub(super) fn settle_due(&mut self, position: Position) -> bool {
        let Some(hash) = self.get(position).expiring_hash() else { return false };
        let due = hash.due();
        let is_new = due != self.get(position).due();
        if is_new {
            self.change_due(position, due, Entry::settle_due);
        }
        is_new
    }

    /// Overwrites a pinned state by one as long and moves its deadline to one that is as near and not earlier.  False,
    /// with nothing done, if the entry does not allow that.
    pub(super) fn refresh_pinned_state(
        &mut self,
        position: Position,
        state: &[u8],
        deadline: Deadline,
    ) -> bool {
        // The index keeps the earlier deadline, see `expiry`: neither it nor the accounts are even read.
        self.table.modify(position, |entry| entry.refresh_pinned_state(state, deadline))
    }

    /// Changes or removes the deadline of an entry.
    pub(super) fn set_deadline(&mut self, position: Position, deadline: Option<Deadline>) {
        // The fields of a hash may fall due sooner, and the entry may be known to another index from here on.
        let due = if self.get(position).expiring_hash().is_some() { None } else { deadline };
        self.change_due(position, due, |entry| entry.set_deadline(deadline));
    }

    /// Lets `change` change when an entry falls due, to `due`; none if that is not known, or never.
    fn change_due(&mut self, position: Position, due: Option<Deadline>, change: impl FnOnce(&mut Entry)) {
        let Entries { table, expiry, field_expiry, memory, pinned } = self;
        table.modify(position, |entry| {
            let [keys, fields, of_pinned] = [expiry, field_expiry, &mut pinned.expiry];
            if !due.is_some_and(Entry::is_indexable) {
                Indexed::of(entry.view()).among([&mut *keys, &mut *fields, &mut *of_pinned]).forget(entry);
            }
            let before = entry.view().memory();
            change(entry);
            let after = entry.view().memory();
            let index = Indexed::of(entry.view()).among([keys, fields, of_pinned]);
            index.moved(entry);
            index.note(entry);
            *memory = *memory - before + after;
            if entry.view().is_pinned() {
                pinned.memory = pinned.memory - before + after;
            }
        });
    }

    /// Sets the 24 bits that the eviction policy keeps of an entry.
    pub(super) fn set_recency(&mut self, position: Position, recency: u32) {
        self.table.set_recency(position, recency);
    }

    /// An entry that is due at `now`, and its hash.
    pub(super) fn due(&mut self, now: Deadline, hasher: &KeyHasher) -> Option<(Position, u64)> {
        let due = self.expiry.due(now).or_else(|| self.field_expiry.due(now));
        let due = due.or_else(|| self.pinned.expiry.due(now))?;
        let (pointer, hash) = (due.pointer(), hasher.hash(due.key()));
        let position = self.table.find(hash, |candidate| candidate.pointer() == pointer);
        let (position, _) = position.expect("the index and the table hold the same entries");
        Some((position, hash))
    }

    /// Of the entries that may be evicted, the one whose key has the nearest deadline, and that.
    pub(super) fn soonest_key(&mut self) -> Option<(Deadline, EntryRef<'_>)> {
        self.expiry.soonest_key()
    }

    /// Visits entries from a random place on until about `limit` were of use, as `visit` tells.
    pub(super) fn sample(&self, random: u64, limit: usize, visit: impl FnMut(EntryRef<'_>) -> bool) {
        self.table.sample(random, limit, visit);
    }

    /// Visits up to `limit` entries with a deadline that may be evicted, from a random place on.
    pub(super) fn sample_volatile(&self, random: u64, limit: usize, visit: impl FnMut(EntryRef<'_>)) {
        self.expiry.sample(random, limit, visit);
    }

    /// The milliseconds that all entries with a deadline have left together, as far as a few of each kind tell.
    pub(super) fn time_left(&self, now: Deadline, looked_at: usize) -> u64 {
        let left = |index: &ExpiryIndex| {
            let (mut sum, mut count) = (0u64, 0);
            index.spread(looked_at, |entry| {
                sum += entry.deadline().map_or(0, |deadline| deadline.saturating_sub(now));
                count += 1;
            });
            sum.checked_div(count).unwrap_or(0) * index.len() as u64
        };
        left(&self.expiry) + left(&self.pinned.expiry)
    }

    /// Visits the pinned entries that have a deadline.
    pub(super) fn for_each_pinned(&self, visit: impl FnMut(EntryRef<'_>)) {
        self.pinned.expiry.spread(usize::MAX, visit);
    }

    /// Visits the entries of one step of a scan; see `Table::scan` for the promise.
    pub(super) fn scan(&self, cursor: u64, visit: impl FnMut(EntryRef<'_>)) -> u64 {
        self.table.scan(cursor, visit)
    }

    /// Visits every entry.
    pub(super) fn for_each(&self, visit: impl FnMut(EntryRef<'_>)) {
        self.table.for_each(visit);
    }

    /// Brings the bucket of a hash closer.
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch(hash);
    }

    /// Brings the memory of the candidate for `hash` closer, without looking at it.
    pub(super) fn prefetch_entry(&self, hash: u64) {
        self.table.find(hash, |entry| {
            // The second line holds the end of a short value or the rest of a key.
            let address = entry.pointer().as_ptr() as usize;
            prefetch(address);
            prefetch(address + LINE);
            true
        });
    }

    fn index(&mut self, indexed: Indexed) -> &mut ExpiryIndex {
        indexed.among([&mut self.expiry, &mut self.field_expiry, &mut self.pinned.expiry])
    }
}

/// An entry before its value was changed.
struct Before {
    pointer: NonNull<u8>,
    memory: usize,
    /// Its index, and the place in it.
    place: Option<(Indexed, u32)>,
}

/// Brings the accounts and the index up to date once an entry was changed, also if the change ends in a panic.
struct Settling<'e> {
    before: Before,
    entry: &'e mut Entry,
    expiry: &'e mut ExpiryIndex,
    field_expiry: &'e mut ExpiryIndex,
    memory: &'e mut usize,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let view = self.entry.view();
        let memory = view.memory();
        if memory != self.before.memory {
            *self.memory = *self.memory - self.before.memory + memory;
        }
        if view.pointer() == self.before.pointer {
            return;
        }
        let (place, after) = (view.index_place(), Indexed::of(view));
        let Settling { before, entry, expiry, field_expiry, .. } = self;
        if let Some((indexed, old)) = before.place
            && (place != Some(old) || indexed != after)
        {
            if place.is_some() {
                entry.set_index_place(UNINDEXED);
            }
            let index = if indexed == Indexed::Fields { &mut **field_expiry } else { &mut **expiry };
            index.forget_place(old);
        }
        let index = if after == Indexed::Fields { &mut **field_expiry } else { &mut **expiry };
        index.moved(entry);
        index.note(entry);
    }
}

/// Whether two keys are equal.  Keys are short: comparing them by words here is quicker than a call.
fn same(one: &[u8], other: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    const SHORT_MAX: usize = 4 * WORD;
    let length = one.len();
    if length != other.len() {
        return false;
    }
    if !(WORD..=SHORT_MAX).contains(&length) {
        return one == other;
    }
    let word =
        |bytes: &[u8], at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    let last = length - WORD;
    let whole = (0..last).step_by(WORD).all(|at| word(one, at) == word(other, at));
    whole && word(one, last) == word(other, last)
}
