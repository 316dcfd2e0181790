//! The counters as keys of the store.

use smallvec::SmallVec;

use crate::clock::{Clock, Now};
use crate::limit::algorithm::{NANOS_PER_MILLI, Nanos};
use crate::limit::counters::{Changed, CounterStore, Counters, Held, NotACounter};
use crate::limit::nanos;
use crate::store::{Deadline, HeldForLong, Key, Keyspace, ShardId, Store};

const NANOS_PER_MICRO: Nanos = 1_000;

/// How many shards an operation locks before the list of them moves to the heap.
const INLINE_SHARDS: usize = 4;

/// The counters that an operation locks itself.
pub(super) struct StoredCounters<'k, 's> {
    keyspace: &'k mut Keyspace<'s>,
    clock: &'k Clock,
    database: usize,
    held_by: Option<HeldForLong>,
}

impl<'k, 's> StoredCounters<'k, 's> {
    /// The counters of a view of the store that has nothing locked.
    pub(super) fn new(keyspace: &'k mut Keyspace<'s>, clock: &'k Clock) -> StoredCounters<'k, 's> {
        let database = keyspace.database;
        StoredCounters { keyspace, clock, database, held_by: None }
    }

    /// Why the operation could not lock its counters, if it could not.
    pub(super) fn held_by(&self) -> Option<HeldForLong> {
        self.held_by
    }
}

impl CounterStore for StoredCounters<'_, '_> {
    fn lock<'n>(&mut self, database: usize, names: impl Iterator<Item = &'n [u8]>) -> Result<(), Held> {
        self.database = database;
        let store = self.keyspace.store();
        let mut shards: SmallVec<[ShardId; INLINE_SHARDS]> =
            names.map(|name| store.shard_of(database, store.key(name).hash)).collect();
        self.keyspace.lock_many_unless_held(&mut shards).map_err(|reason| {
            self.held_by = Some(reason);
            Held
        })
    }

    fn time(&self) -> Nanos {
        nanos(self.clock.now())
    }
}

impl Counters for StoredCounters<'_, '_> {
    fn state(&mut self, name: &[u8]) -> Result<&[u8], NotACounter> {
        let key = self.keyspace.store().key(name);
        state(self.keyspace, self.database, &key)
    }

    fn keep(&mut self, name: &[u8], state: &[u8], kept_for: Nanos) {
        let key = self.keyspace.store().key(name);
        keep(self.keyspace, self.database, &key, state, kept_for);
    }

    fn note_decrease(&mut self, name: &[u8]) {
        mark(self.keyspace.store(), self.database, name, Nanos::MAX);
    }
}

/// One counter of the selected database, whose shard is locked and whose hash is known.
pub struct LockedCounter<'k, 's> {
    /// The view of the store.
    pub keyspace: &'k mut Keyspace<'s>,
    /// The counter's key; the names that an operation gives are ignored.
    pub key: Key<'k>,
}

impl Counters for LockedCounter<'_, '_> {
    fn state(&mut self, _: &[u8]) -> Result<&[u8], NotACounter> {
        state(self.keyspace, self.keyspace.database, &self.key)
    }

    fn keep(&mut self, _: &[u8], state: &[u8], kept_for: Nanos) {
        keep(self.keyspace, self.keyspace.database, &self.key, state, kept_for);
    }

    #[inline]
    fn update<R>(
        &mut self,
        _: &[u8],
        decide: impl FnOnce(&[u8]) -> (R, Option<Changed>),
    ) -> Result<R, NotACounter> {
        let LockedCounter { keyspace, key } = self;
        let (now, access) = (keyspace.now(), keyspace.access);
        let (database, store) = (keyspace.database, keyspace.store());
        let mut is_removed = false;
        let updated = keyspace.shard(key).update_pinned_state(key, &access, |state| {
            let (result, changed) = decide(state);
            let Some(Changed { state, kept_for, is_decrease }) = changed else { return (result, None) };
            let matters_for = if is_decrease { Nanos::MAX } else { kept_for };
            mark(store, database, key.bytes, matters_for);
            if kept_for == 0 {
                is_removed = true;
                return (result, None);
            }
            (result, Some((state, deadline_after(now, kept_for))))
        });
        if is_removed {
            keyspace.remove(key);
        }
        updated.map_err(|_| NotACounter)
    }
}

#[inline]
fn state<'k>(
    keyspace: &'k mut Keyspace<'_>,
    database: usize,
    key: &Key<'_>,
) -> Result<&'k [u8], NotACounter> {
    let access = keyspace.access;
    let state = keyspace.shard_in(database, key).pinned_state(key, &access);
    state.map(Option::unwrap_or_default).map_err(|_| NotACounter)
}

fn keep(keyspace: &mut Keyspace<'_>, database: usize, key: &Key<'_>, bytes: &[u8], kept_for: Nanos) {
    let (now, access) = (keyspace.now(), keyspace.access);
    if kept_for > 0 {
        mark(keyspace.store(), database, key.bytes, kept_for);
        let deadline = Some(deadline_after(now, kept_for));
        keyspace.shard_in(database, key).set_pinned_state(key, bytes, deadline, &access);
    } else if state(keyspace, database, key).is_ok() {
        // The caller has looked, but a value of another kind is worth a second look.
        mark(keyspace.store(), database, key.bytes, Nanos::MAX);
        keyspace.shard_in(database, key).remove(key, &access);
    }
}

/// Notes that a counter has changed which matters for so long; one that counts less now matters always.
#[inline]
fn mark(store: &Store, database: usize, name: &[u8], matters_for: Nanos) {
    let dirty = store.dirty();
    if dirty.is_followed() {
        dirty.mark(store.physical_database(database), name, matters_for);
    }
}

/// The first whole millisecond of the store's clock at which this time has passed.
fn deadline_after(now: Now, span: Nanos) -> Deadline {
    (now.micros() * NANOS_PER_MICRO + span).div_ceil(NANOS_PER_MILLI)
}
