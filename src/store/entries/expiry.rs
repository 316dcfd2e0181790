//! The keys of one shard that have a deadline, or fields with one, soonest first.
//!
//! A four-ary heap of deadline and entry.  Every entry remembers its place, so that a deleted key leaves at once
//! and there is never more than one place per key.  A deadline that moves later is not sifted right away: the
//! heap's copy is a lower bound, corrected when it comes to the top, so refreshing a TTL costs one store.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::entry::{Deadline, Entry, EntryRef, UNINDEXED};
use crate::store::chunks::{Chunks, length_of_piece};

const ARITY: usize = 4;

/// Places from the top on whose entries are compared to find the key that is gone soonest: those of the first four levels.
const KEYS_COMPARED: usize = 1 + ARITY + ARITY * ARITY + ARITY * ARITY * ARITY;

#[derive(Clone, Copy)]
struct Due {
    /// Never later than the entry's own deadline.
    deadline: Deadline,
    entry: NonNull<u8>,
}

/// See the module's text.  It refers to entries that the table beside it owns, see the folder's text.
#[derive(Default)]
pub(super) struct ExpiryIndex {
    heap: Chunks<Due, { length_of_piece::<Due>() }>,
}

// SAFETY: the pointers lead to entries of the same shard, which are `Send` and move together with the index.
unsafe impl Send for ExpiryIndex {}

impl ExpiryIndex {
    /// Number of keys with a (near) deadline.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Bytes of memory the index takes.
    pub(super) fn memory(&self) -> usize {
        self.heap.memory()
    }

    /// A time before which nothing falls due.
    pub(super) fn next(&self) -> Option<Deadline> {
        self.heap.first().map(|due| due.deadline)
    }

    /// Notes the deadline of an entry, which may already be in the index.  A shard whose index is full keeps the
    /// key's deadline without a place; such a key goes when it is next looked at.
    pub(super) fn note(&mut self, entry: &mut Entry) {
        let Some(deadline) = entry.view().due() else { return };
        if let Some(place) = entry.view().index_place() {
            let due = &mut self.heap[place as usize];
            if deadline < due.deadline {
                due.deadline = deadline;
                self.sift_up(place as usize);
            }
            return;
        }
        if !Entry::is_indexable(deadline) || self.heap.len() >= UNINDEXED as usize {
            return;
        }
        self.heap.push(Due { deadline, entry: entry.view().pointer() });
        self.sift_up(self.heap.len() - 1);
    }

    /// Follows an entry that has moved in memory.
    pub(super) fn moved(&mut self, entry: &Entry) {
        if let Some(place) = entry.view().index_place() {
            self.heap[place as usize].entry = entry.view().pointer();
        }
    }

    /// Forgets an entry, if it is here.
    pub(super) fn forget(&mut self, entry: &mut Entry) {
        let Some(place) = entry.view().index_place() else { return };
        entry.set_index_place(UNINDEXED);
        self.forget_place(place);
    }

    /// Forgets a place, without a look at the entry there, which may be freed.
    pub(super) fn forget_place(&mut self, place: u32) {
        let place = place as usize;
        let last = self.heap.pop().expect("an indexed entry has a place in the heap");
        if place < self.heap.len() {
            self.heap[place] = last;
            self.settle(place);
        }
    }

    /// The entry that is due at `now`, if one is.  It stays in the index until [`ExpiryIndex::forget`].
    pub(super) fn due(&mut self, now: Deadline) -> Option<EntryRef<'_>> {
        loop {
            let first = self.heap.first()?;
            if first.deadline >= now {
                return None;
            }
            // SAFETY: the index holds only live entries, see the type's text.
            let entry: EntryRef<'_> = unsafe { EntryRef::from_raw(first.entry) };
            let deadline = entry.due().expect("indexed entries have a deadline");
            if deadline < now {
                return Some(entry);
            }
            self.heap[0].deadline = deadline;
            self.sift_down(0);
        }
    }

    /// The entry whose key has the nearest deadline, and that.  Keys are here by the deadlines of their fields too, so it need
    /// not be the first; it is looked for among the first [`KEYS_COMPARED`].
    pub(super) fn soonest_key(&mut self) -> Option<(Deadline, EntryRef<'_>)> {
        // The deadline of the first one is its entry's from here on.
        self.due(Deadline::MAX)?;
        let mut soonest: Option<(Deadline, EntryRef<'_>)> = None;
        for place in 0..self.heap.len().min(KEYS_COMPARED) {
            let due = self.heap[place];
            let is_sooner = |deadline| soonest.is_none_or(|(soonest, _)| deadline < soonest);
            // Neither it nor what is below it can be sooner than that.
            if !is_sooner(due.deadline) {
                continue;
            }
            // SAFETY: as in `due`.
            let entry: EntryRef<'_> = unsafe { EntryRef::from_raw(due.entry) };
            if let Some(deadline) = entry.deadline().filter(|deadline| is_sooner(*deadline)) {
                soonest = Some((deadline, entry));
            }
        }
        soonest
    }

    /// Visits up to `limit` entries from a random place on, which is how eviction samples volatile keys.
    pub(super) fn sample(&self, random: u64, limit: usize, mut visit: impl FnMut(EntryRef<'_>)) {
        let count = self.heap.len();
        for step in 0..limit.min(count) {
            let due = &self.heap[(random as usize).wrapping_add(step) % count];
            // SAFETY: as in `due`.
            visit(unsafe { EntryRef::from_raw(due.entry) });
        }
    }

    /// Visits up to `limit` entries whose places lie evenly apart.
    pub(super) fn spread(&self, limit: usize, mut visit: impl FnMut(EntryRef<'_>)) {
        let (count, visited) = (self.heap.len(), limit.min(self.heap.len()));
        for step in 0..visited {
            let due = &self.heap[step * count / visited];
            // SAFETY: as in `due`.
            visit(unsafe { EntryRef::from_raw(due.entry) });
        }
    }

    fn settle(&mut self, place: usize) {
        if place > 0 && self.heap[place].deadline < self.heap[(place - 1) / ARITY].deadline {
            self.sift_up(place);
        } else {
            self.sift_down(place);
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        let due = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].deadline <= due.deadline {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, due);
    }

    fn sift_down(&mut self, mut place: usize) {
        let due = self.heap[place];
        loop {
            let first = place * ARITY + 1;
            let children = first..(first + ARITY).min(self.heap.len());
            let Some(soonest) = children.min_by_key(|&child| self.heap[child].deadline) else { break };
            if self.heap[soonest].deadline >= due.deadline {
                break;
            }
            self.put(place, self.heap[soonest]);
            place = soonest;
        }
        self.put(place, due);
    }

    fn put(&mut self, place: usize, due: Due) {
        self.heap[place] = due;
        // SAFETY: the index holds only live entries; the temporary owner is never dropped.
        let mut entry = ManuallyDrop::new(unsafe { Entry::from_raw(due.entry) });
        entry.set_index_place(place as u32);
    }
}
