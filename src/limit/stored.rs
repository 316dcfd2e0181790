//! Counters as keys of the store, for whoever holds the locks of their shards.

use smallvec::SmallVec;

use super::algorithm::{NANOS_PER_MILLI, Nanos};
use super::check::{Counters, NotACounter};
use crate::clock::Now;
use crate::store::{Deadline, Keyspace, ShardId};

const NANOS_PER_MICRO: Nanos = 1_000;

/// How many shards a request locks before the list of them moves to the heap.
const INLINE_SHARDS: usize = 4;

/// The counters in the selected database.
pub struct StoredCounters<'k, 's>(pub &'k mut Keyspace<'s>);

impl<'k, 's> StoredCounters<'k, 's> {
    /// Locks the shards of these counters, in the order of their ids.
    pub fn lock<'n>(
        keyspace: &'k mut Keyspace<'s>,
        counters: impl Iterator<Item = &'n [u8]>,
    ) -> StoredCounters<'k, 's> {
        let (store, database) = (keyspace.store(), keyspace.database);
        let mut shards: SmallVec<[ShardId; INLINE_SHARDS]> =
            counters.map(|counter| store.shard_of(database, store.key(counter).hash)).collect();
        keyspace.lock_many(&mut shards);
        StoredCounters(keyspace)
    }
}

impl Counters for StoredCounters<'_, '_> {
    fn state(&mut self, counter: &[u8]) -> Result<&[u8], NotACounter> {
        let access = self.0.access;
        let key = self.0.store().key(counter);
        let state = self.0.shard(&key).pinned_state(&key, &access);
        state.map(Option::unwrap_or_default).map_err(|_| NotACounter)
    }

    fn keep(&mut self, counter: &[u8], state: &[u8], kept_for: Nanos) {
        let (now, access) = (self.0.now(), self.0.access);
        let key = self.0.store().key(counter);
        if kept_for == 0 {
            // Whoever writes here has looked, but a value of another kind is worth a second look.
            if self.state(counter).is_err() {
                return;
            }
            self.keep_less(counter);
            self.0.remove(&key);
            return;
        }
        let database = self.0.store().physical_database(self.0.database);
        self.0.store().dirty().mark(database, counter, kept_for);
        let deadline = deadline_after(now, kept_for);
        self.0.shard(&key).set_pinned_state(&key, state, Some(deadline), &access);
    }

    fn keep_less(&mut self, counter: &[u8]) {
        let database = self.0.store().physical_database(self.0.database);
        self.0.store().dirty().mark_always(database, counter);
    }
}

/// The first whole millisecond of the store's clock at which this time has passed.
fn deadline_after(now: Now, span: Nanos) -> Deadline {
    (now.micros() * NANOS_PER_MICRO + span).div_ceil(NANOS_PER_MILLI)
}
