//! The counters of a shard: keys whose value is a few bytes of state that the rate limiter alone understands.
//!
//! A counter is a key like any other, but no policy evicts it: that would give back what was used up.  So counters are
//! not in the eviction policy's queues, and their deadlines are in an index of their own.

use super::entry::{Deadline, Entry};
use super::expiry::ExpiryIndex;
use super::shard::{Key, Moment, Shard};
use super::value::WrongKind;

/// What a shard knows of its counters.
#[derive(Default)]
pub(super) struct Counters {
    /// How many there are.
    pub(super) length: usize,
    /// Their deadlines.
    pub(super) expiry: ExpiryIndex,
}

impl Shard {
    /// The state of a counter; none if there is no such key.  Looking leaves no trace, except that an expired key goes.
    ///
    /// # Errors
    /// If the key is no counter.
    pub fn counter(&mut self, key: &Key<'_>, moment: &Moment) -> Result<Option<&[u8]>, WrongKind> {
        let Some(position) = self.live_position(key, moment) else { return Ok(None) };
        self.table.get(position).counter().map(Some)
    }

    /// Writes the state of a counter, of at most `INLINE_VALUE_MAX` bytes, whatever the key held.  A state as long as the
    /// one before that is to be kept longer, which is nearly every one, costs a few stores.
    pub fn set_counter(&mut self, key: &Key<'_>, state: &[u8], deadline: Option<Deadline>, moment: &Moment) {
        let Some(position) = self.live_position(key, moment) else {
            return self.insert(key, Entry::new_counter(key.bytes, state, deadline), moment);
        };
        let refresh =
            |entry: &mut Entry| deadline.is_some_and(|deadline| entry.refresh_counter(state, deadline));
        if self.table.modify(position, refresh) {
            // The index keeps the earlier deadline, see `expiry`: neither it nor the accounts are even read.
            self.note_access(position, moment);
            return self.touched(key);
        }
        drop(self.take_out(position, key.hash));
        self.insert(key, Entry::new_counter(key.bytes, state, deadline), moment);
    }

    /// Number of counters, those included whose deadline has passed but that were not removed yet.
    pub fn counter_len(&self) -> usize {
        self.counters.length
    }
}
