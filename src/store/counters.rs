//! The counters of a shard: keys whose value is a few bytes of state that the rate limiter alone understands.
//!
//! A counter is a key like any other, but no policy evicts it: that would give back what was used up.  So counters are
//! not among what eviction samples, and their deadlines are in an index of their own.

use std::sync::Arc;

use super::changed::ChangedCounters;
use super::entry::{Deadline, Entry, EntryRef};
use super::expiry::ExpiryIndex;
use super::shard::{AccessContext, Key, Shard};
use super::value::WrongKind;

/// What a shard knows of its counters.
#[derive(Default)]
pub(super) struct Counters {
    /// Who is told of counters that clients change as the keys they are.
    pub(super) home: Option<Home>,
    /// How many there are.
    pub(super) length: usize,
    /// Bytes of their entries.
    pub(super) entry_memory: usize,
    /// Bytes of memory that were reported last.
    reported_memory: usize,
    /// Their deadlines.
    pub(super) expiry: ExpiryIndex,
}

/// Where a shard's counters are noted when they change.
pub(super) struct Home {
    /// The place of the shard's database in the store.
    pub(super) place: usize,
    pub(super) changed: Arc<ChangedCounters>,
}

impl Counters {
    /// Notes that a counter was changed, removed or put there as a key.
    pub(super) fn note(&self, name: &[u8]) {
        if let Some(home) = &self.home {
            home.changed.note_less(home.place, name);
        }
    }

    /// Forgets all counters.
    pub(super) fn clear(&mut self) {
        if let Some(home) = &self.home
            && self.length > 0
        {
            home.changed.note_all();
        }
        let reported_memory = self.reported_memory;
        *self = Counters { home: self.home.take(), reported_memory, ..Counters::default() };
    }
}

impl Shard {
    /// The state of a counter; none if there is no such key.  Looking leaves no trace, except that an expired key goes.
    ///
    /// # Errors
    /// If the key is no counter.
    pub fn counter(&mut self, key: &Key<'_>, access: &AccessContext) -> Result<Option<&[u8]>, WrongKind> {
        let Some(position) = self.live_position(key, access) else { return Ok(None) };
        self.table.get(position).counter().map(Some)
    }

    /// Writes the state of a counter, of at most `INLINE_VALUE_MAX` bytes, whatever the key held.  A state as long as the
    /// one before that is to be kept longer, which is nearly every one, costs a few stores.
    pub fn set_counter(
        &mut self,
        key: &Key<'_>,
        state: &[u8],
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) {
        let Some(position) = self.live_position(key, access) else {
            return self.insert(key, Entry::new_counter(key.bytes, state, deadline), access);
        };
        let refresh =
            |entry: &mut Entry| deadline.is_some_and(|deadline| entry.refresh_counter(state, deadline));
        if self.table.modify(position, refresh) {
            // The index keeps the earlier deadline, see `expiry`: neither it nor the accounts are even read.
            self.note_access(position, access);
            return self.touched(key);
        }
        drop(self.unlink(position, key.hash));
        self.insert(key, Entry::new_counter(key.bytes, state, deadline), access);
    }

    /// Bytes of memory of the counters: their entries, the index of their deadlines and their share of the buckets.
    pub(super) fn counter_memory(&self) -> usize {
        let Counters { length, entry_memory, ref expiry, .. } = self.counters;
        if length == 0 {
            return 0;
        }
        entry_memory + expiry.memory() + self.table.memory() * length / self.len()
    }

    /// By how many bytes the counters have grown since this was last asked.
    pub(super) fn take_counter_growth(&mut self) -> isize {
        if self.counters.length == 0 && self.counters.reported_memory == 0 {
            return 0;
        }
        let memory = self.counter_memory();
        memory as isize - std::mem::replace(&mut self.counters.reported_memory, memory) as isize
    }

    /// Visits the counters.
    pub fn for_each_counter(&self, visit: impl FnMut(EntryRef<'_>)) {
        self.counters.expiry.spread(usize::MAX, visit);
    }

    /// Number of counters, those included whose deadline has passed but that were not removed yet.
    pub fn counter_len(&self) -> usize {
        self.counters.length
    }
}
