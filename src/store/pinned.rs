//! The pinned entries of a shard: keys whose value is a few bytes of state that only the service which wrote them
//! understands, such as the counters of the rate limiter.
//!
//! A pinned entry is a key like any other, except that no policy evicts it: eviction does not sample these entries, and
//! their deadlines have an index of their own.

use super::dirty::DirtySink;
use super::entry::{Deadline, Entry, EntryRef};
use super::expiry::ExpiryIndex;
use super::shard::{AccessContext, Key, Shard};
use super::table::Position;
use super::value::WrongType;

/// What a shard knows of its pinned entries.
#[derive(Default)]
pub(super) struct Pinned {
    /// Where changes that clients make to them as keys are noted.
    pub(super) sink: Option<DirtySink>,
    /// How many there are.
    pub(super) length: usize,
    /// Bytes of their entries.
    pub(super) entry_memory: usize,
    /// Bytes of memory that were reported last.
    reported_memory: usize,
    /// Their deadlines.
    pub(super) expiry: ExpiryIndex,
}

impl Pinned {
    /// Notes that an entry was changed, removed or put there as a key.
    pub(super) fn mark_dirty(&self, key: &[u8]) {
        if let Some(sink) = &self.sink {
            sink.mark(key);
        }
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        if let Some(sink) = &self.sink
            && self.length > 0
        {
            sink.set.mark_all();
        }
        let reported_memory = self.reported_memory;
        *self = Pinned { sink: self.sink.take(), reported_memory, ..Pinned::default() };
    }
}

impl Shard {
    /// The state of a pinned entry; none if there is no such key.  Looking leaves no trace, except that an expired key
    /// is removed.
    ///
    /// # Errors
    /// If the key is there but not pinned.
    pub fn pinned_state(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
    ) -> Result<Option<&[u8]>, WrongType> {
        let Some(position) = self.live_position(key, access) else { return Ok(None) };
        self.table.get(position).pinned_state().map(Some)
    }

    /// Writes the state of a pinned entry, of at most `INLINE_VALUE_MAX` bytes, whatever the key held.  A state as long
    /// as the one before that is to be kept longer, which is nearly every one, costs a few stores.
    pub fn set_pinned_state(
        &mut self,
        key: &Key<'_>,
        state: &[u8],
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) {
        let position = self.live_position(key, access);
        self.write_pinned_state(position, key, state, deadline, access);
    }

    /// Lets `change` make another state of the one of a pinned entry, which is empty if there is no such key.  The entry is
    /// looked up once.
    ///
    /// # Errors
    /// If the key is there but not pinned.
    #[inline]
    pub fn update_pinned_state<R, S: AsRef<[u8]>>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        change: impl FnOnce(&[u8]) -> (R, Option<(S, Deadline)>),
    ) -> Result<R, WrongType> {
        let position = self.live_position(key, access);
        let state = match position {
            Some(position) => self.table.get(position).pinned_state()?,
            None => &[],
        };
        let (result, changed) = change(state);
        if let Some((state, deadline)) = changed {
            self.write_pinned_state(position, key, state.as_ref(), Some(deadline), access);
        }
        Ok(result)
    }

    /// Writes a state at the position that its key was just found at.
    fn write_pinned_state(
        &mut self,
        position: Option<Position>,
        key: &Key<'_>,
        state: &[u8],
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) {
        let Some(position) = position else {
            return self.insert(key, Entry::new_pinned(key.bytes, state, deadline), access);
        };
        let refresh =
            |entry: &mut Entry| deadline.is_some_and(|deadline| entry.refresh_pinned_state(state, deadline));
        if self.table.modify(position, refresh) {
            // The index keeps the earlier deadline, see `expiry`: neither it nor the accounts are even read.
            self.note_access(position, access);
            return self.touched(key);
        }
        drop(self.unlink(position, key.hash));
        self.insert(key, Entry::new_pinned(key.bytes, state, deadline), access);
    }

    /// Bytes of memory of the pinned entries: the entries, the index of their deadlines and their share of the buckets.
    pub(super) fn pinned_memory(&self) -> usize {
        let Pinned { length, entry_memory, ref expiry, .. } = self.pinned;
        if length == 0 {
            return 0;
        }
        entry_memory + expiry.memory() + self.table.memory() * length / self.len()
    }

    /// By how many bytes the pinned entries have grown since this was last asked.
    pub(super) fn take_pinned_growth(&mut self) -> isize {
        if self.pinned.length == 0 && self.pinned.reported_memory == 0 {
            return 0;
        }
        let memory = self.pinned_memory();
        memory as isize - std::mem::replace(&mut self.pinned.reported_memory, memory) as isize
    }

    /// Visits the pinned entries.
    pub fn for_each_pinned(&self, visit: impl FnMut(EntryRef<'_>)) {
        self.pinned.expiry.spread(usize::MAX, visit);
    }

    /// Number of pinned entries, including those whose deadline has passed but that were not removed yet.
    pub fn pinned_len(&self) -> usize {
        self.pinned.length
    }
}
