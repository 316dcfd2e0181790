//! The pinned entries of a shard: a few bytes of state under a key, which only the service that wrote them understands.
//! The counters of the rate limiter are pinned.
//!
//! A pinned entry is a key like any other, except that no policy evicts it: eviction does not sample these entries, and
//! their deadlines have an index of their own.

use super::entries::{Deadline, Entry, EntryRef, Position};
use super::recency::AccessContext;
use super::shard::{Key, Shard};
use super::value::WrongType;

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
        self.entries.get(position).pinned_state().map(Some)
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
            Some(position) => self.entries.get(position).pinned_state()?,
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
        if deadline.is_some_and(|deadline| self.entries.refresh_pinned_state(position, state, deadline)) {
            self.note_access(position, access);
            return self.touched(key);
        }
        let replaced = self.unlink(position, key.hash);
        self.discard(replaced);
        self.insert(key, Entry::new_pinned(key.bytes, state, deadline), access);
    }

    /// By how many bytes the pinned entries have grown since this was last asked.
    pub(super) fn take_pinned_growth(&mut self) -> isize {
        if self.entries.pinned_len() == 0 && self.reported_pinned_memory == 0 {
            return 0;
        }
        let memory = self.entries.pinned_memory();
        memory as isize - std::mem::replace(&mut self.reported_pinned_memory, memory) as isize
    }

    /// Visits the pinned entries that have a deadline.
    pub fn for_each_pinned(&self, visit: impl FnMut(EntryRef<'_>)) {
        self.entries.for_each_pinned(visit);
    }

    /// Number of pinned entries, including those whose deadline has passed but that were not removed yet.
    pub fn pinned_len(&self) -> usize {
        self.entries.pinned_len()
    }
}
