//! One shard of a database: the part of the keys that lies behind one lock.
//!
//! Everything that happens to a key happens here, so that the accounts of memory and the clients that are interested in
//! a key are kept true in one place.  A shard reads no clock and takes no lock: the caller holds the lock and passes a [`AccessContext`].
//! The operations on each type of value are in `strings`, `objects` and `pinned`.

use std::convert::Infallible;
use std::sync::Arc;

use super::dirty::DirtySink;
use super::entries::{Deadline, Entries, Entry, EntryRef, Position};
use super::growth::Growth;
use super::hash::KeyHasher;
use super::interests::{Change, Interests, WaiterId, WatchFlag};
use super::recency::{AccessContext, Duel, FormerUse, Usage};
use super::released::{Leftovers, Released};
use super::value::ValueType;

/// A key with its hash, computed once per command.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key as the client sent it.
    pub bytes: &'a [u8],
    /// Its hash under the store's seed.
    pub hash: u64,
}

/// Keys of a shard whose time left is read to estimate that of all: with a thousand shards the average is off by a few
/// percent at most, and exact while keys are few.
const LIFETIMES_LOOKED_AT: usize = 8;

/// Objects of so many bytes are freed once their shard is unlocked: to free a smaller one takes little longer than to put
/// it off.
const FREED_LATER_MIN: usize = 16 << 10;

/// Whether an entry that was taken out holds so large an object.
pub(super) fn is_freed_later(entry: &Entry) -> bool {
    entry.view().object().is_some_and(|object| object.memory() >= FREED_LATER_MIN)
}

/// Counts since the start (or CONFIG RESETSTAT).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Keys removed because their deadline had passed.
    pub expired: u64,
    /// Keys removed to make room.
    pub evicted: u64,
    /// The longest time in milliseconds between a deadline and the removal by active expiry.
    pub expiry_lag_max: u64,
}

/// Bytes of memory by what they are for.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct MemoryParts {
    /// Keys with their values.
    pub entries: usize,
    /// The buckets that entries are found by.
    pub buckets: usize,
    /// The indexes of deadlines.
    pub expiry: usize,
    /// The state of the eviction policy besides the bits of entries.
    pub eviction: usize,
}

impl MemoryParts {
    /// Adds the bytes of another shard.
    pub fn add(&mut self, other: &MemoryParts) {
        self.entries += other.entries;
        self.buckets += other.buckets;
        self.expiry += other.expiry;
        self.eviction += other.eviction;
    }
}

impl Counts {
    /// Adds the counts of another shard.
    pub fn add(&mut self, other: &Counts) {
        self.expired += other.expired;
        self.evicted += other.evicted;
        self.expiry_lag_max = self.expiry_lag_max.max(other.expiry_lag_max);
    }
}

/// See the module's text.
///
/// The fields that every read touches come first, also in memory, and a write that replaces a value by one of the same size
/// touches no more: with the lock before it, it takes one cache line.
#[repr(C)]
pub struct Shard {
    /// Something has changed that others are told of when the shard is unlocked.
    pub(super) changed: bool,
    interests: Interests,
    pub(super) entries: Entries,
    reported_memory: usize,
    /// Bytes of pinned entries that were reported last.
    pub(super) reported_pinned_memory: usize,
    /// The work that the next unlock hands on.
    leftovers: Leftovers,
    /// The use of keys, besides the bits of their entries.
    pub(super) usage: Usage,
    /// Where changes that clients make to pinned entries as keys are noted.
    pub(super) dirty: Option<DirtySink>,
    pub(super) hasher: KeyHasher,
    /// Since the start or the last reset.
    pub counts: Counts,
}

impl Shard {
    /// An empty shard, which leads in a duel if one is given, and notes changes of pinned entries in `dirty`.
    pub(super) fn new(hasher: KeyHasher, duel: Option<Arc<Duel>>, dirty: Option<DirtySink>) -> Shard {
        Shard {
            entries: Entries::default(),
            dirty,
            hasher,
            usage: Usage::new(duel),
            interests: Interests::default(),
            leftovers: Leftovers::default(),
            counts: Counts::default(),
            changed: false,
            reported_memory: 0,
            reported_pinned_memory: 0,
        }
    }

    /// If anything has changed since this was last called: adds to `released` by how much the shard has grown and the
    /// work that is left, and returns true.
    #[inline]
    pub(super) fn release(&mut self, physical_database: usize, released: &mut Released) -> bool {
        if !std::mem::take(&mut self.changed) {
            return false;
        }
        let all = self.memory();
        let all = all as isize - std::mem::replace(&mut self.reported_memory, all) as isize;
        released.growth += Growth { all, pinned: self.take_pinned_growth() };
        if !self.leftovers.is_empty() {
            released.take(physical_database, &mut self.leftovers);
        }
        true
    }

    /// Whether clients are interested in any key.
    #[inline]
    pub(super) fn has_interests(&self) -> bool {
        !self.interests.is_empty()
    }

    /// Whether a key was written that commands wait for.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        self.has_interests() && self.leftovers.has_ready()
    }

    /// Such a key, the first one first.
    pub(super) fn take_ready(&mut self) -> Option<Box<[u8]>> {
        self.leftovers.take_ready()
    }

    /// Number of keys, including expired ones that were not removed yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys with a deadline in an expiry index.
    pub fn volatile_len(&self) -> usize {
        self.entries.volatile_len()
    }

    /// The milliseconds that all keys with a deadline have left together, as far as a few of them tell.
    pub(super) fn time_left(&self, now: Deadline) -> u64 {
        self.entries.time_left(now, LIFETIMES_LOOKED_AT)
    }

    /// Number of keys that a policy may evict.
    pub(super) fn evictable_len(&self) -> usize {
        self.entries.evictable_len()
    }

    /// A time before which no key expires.
    pub(super) fn next_due(&self) -> Option<Deadline> {
        self.entries.next_due()
    }

    /// Bytes of memory: entries, buckets, indexes of deadlines, state of the eviction policy.
    pub fn memory(&self) -> usize {
        let MemoryParts { entries, buckets, expiry, eviction } = self.memory_parts();
        entries + buckets + expiry + eviction
    }

    /// Bytes of memory by what they are for.
    pub fn memory_parts(&self) -> MemoryParts {
        MemoryParts {
            entries: self.entries.entry_memory(),
            buckets: self.entries.bucket_memory(),
            expiry: self.entries.expiry_memory(),
            eviction: self.usage.memory(),
        }
    }

    /// Reads a key on behalf of a client, which is noted for eviction.
    pub fn read(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<EntryRef<'_>> {
        let Some((position, recency)) = self.live(key, access, |entry| entry.recency()) else {
            self.usage.note_miss(key.hash, access);
            return None;
        };
        self.note_access_after(position, recency, access);
        self.usage.note_hit(&self.entries, position, key.hash, access);
        Some(self.entries.get(position))
    }

    /// Looks at a key without leaving a trace, except that an expired one goes.
    pub fn peek(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<EntryRef<'_>> {
        let position = self.live_position(key, access)?;
        Some(self.entries.get(position))
    }

    /// Notes an access for eviction.
    pub(super) fn note_access(&mut self, position: Position, access: &AccessContext) {
        let old = self.entries.get(position).recency();
        self.note_access_after(position, old, access);
    }

    /// The same where the recency of the entry is known.  Most accesses change nothing, since recency is coarse; then
    /// the entry's memory is not written to.
    #[inline]
    pub(super) fn note_access_after(&mut self, position: Position, old: u32, access: &AccessContext) {
        let new = access.recency.accessed(old, &mut self.usage.trace);
        if new != old {
            self.entries.set_recency(position, new);
        }
    }

    /// Removes a key.  False if there was none (or an expired one).
    pub fn remove(&mut self, key: &Key<'_>, access: &AccessContext) -> bool {
        let Some(position) = self.live_position(key, access) else { return false };
        let entry = self.take_out(position, key.hash);
        self.discard(entry);
        self.notify(key, Change::Removed);
        true
    }

    /// The same of a key of this shard by its name.
    pub fn remove_named(&mut self, name: &[u8], access: &AccessContext) -> bool {
        let hash = self.hasher.hash(name);
        self.remove(&Key { bytes: name, hash }, access)
    }

    /// Takes a key's entry out, to be put elsewhere with [`Shard::insert_entry`].
    pub fn take(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<Entry> {
        let Ok(taken) = self.take_if(key, access, |_| Ok::<(), Infallible>(()));
        taken
    }

    /// The same, unless `check` is against it.
    ///
    /// # Errors
    /// Those of `check`.
    pub(super) fn take_if<E>(
        &mut self,
        key: &Key<'_>,
        access: &AccessContext,
        check: impl FnOnce(EntryRef<'_>) -> Result<(), E>,
    ) -> Result<Option<Entry>, E> {
        let Some((position, checked)) = self.live(key, access, check) else { return Ok(None) };
        checked?;
        let entry = self.take_out(position, key.hash);
        self.notify(key, Change::Removed);
        Ok(Some(entry))
    }

    /// Puts an entry made for `key` there that was taken from elsewhere with `recency`: to have another name or another
    /// database is no reason to be evicted sooner or later.
    pub fn insert_moved(&mut self, key: &Key<'_>, entry: Entry, recency: u32, access: &AccessContext) {
        self.insert_entry(key, entry, access);
        if let Some(position) = self.live_position(key, access) {
            let fresh = self.entries.get(position).recency();
            self.entries.set_recency(position, access.recency.moved(recency, fresh));
        }
    }

    /// Puts an entry made for `key` there, which replaces any other, as if its key had been used before.
    pub fn insert_used(
        &mut self,
        key: &Key<'_>,
        entry: Entry,
        use_before: Option<FormerUse>,
        access: &AccessContext,
    ) {
        self.insert_entry(key, entry, access);
        let position = self.live_position(key, access);
        if let (Some(position), Some(use_before)) = (position, use_before) {
            let fresh = self.entries.get(position).recency();
            self.entries.set_recency(position, access.recency.after(use_before, fresh));
        }
    }

    /// Puts an entry made for `key` (see [`EntryRef::copied_to`]) there, which replaces any other.
    pub fn insert_entry(&mut self, key: &Key<'_>, entry: Entry, access: &AccessContext) {
        debug_assert_eq!(entry.view().key(), key.bytes);
        if let Some(position) = self.live_position(key, access) {
            let replaced = self.take_out(position, key.hash);
            self.discard(replaced);
        }
        if entry.view().is_pinned() {
            self.mark_dirty(key.bytes);
        }
        self.insert(key, entry, access);
    }

    /// Changes when a key expires, which is no access: the caller has looked the key up for its client.  False if there
    /// is no such key.  To take the deadline of a key that has none is no change, and watchers are not notified.
    pub fn set_deadline(
        &mut self,
        key: &Key<'_>,
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) -> bool {
        let Some(position) = self.live_position(key, access) else { return false };
        let entry = self.entries.get(position);
        let deadline =
            if entry.is_pinned() { deadline } else { access.lifetimes.bounded(deadline, access.now) };
        if deadline.is_none() && entry.deadline().is_none() {
            return true;
        }
        self.change_deadline(position, deadline);
        self.touched(key);
        true
    }

    /// Removes the key of an entry the eviction policy chose.
    pub(super) fn evict(&mut self, hash: u64, key: &[u8]) -> bool {
        let Some((position, _)) = self.entries.find(hash, key) else { return false };
        self.evict_at(position, hash);
        true
    }

    /// Removes the key at a position for the eviction policy.
    pub(super) fn evict_at(&mut self, position: Position, hash: u64) {
        self.usage.note_eviction(&self.entries);
        let entry = self.unlink(position, hash);
        self.counts.evicted += 1;
        self.notify(&Key { bytes: entry.view().key(), hash }, Change::Removed);
        self.discard(entry);
    }

    /// Removes every key and returns the old contents, to be dropped after the lock.
    pub fn clear(&mut self) -> impl Send + use<> {
        for bytes in self.interests.keys() {
            let key = Key { hash: self.hasher.hash(&bytes), bytes: &bytes };
            if self.holds(&key) {
                self.notify(&key, Change::Removed);
            }
        }
        self.changed = true;
        self.usage.clear();
        if let Some(sink) = &self.dirty
            && self.entries.pinned_len() > 0
        {
            sink.mark_all();
        }
        std::mem::take(&mut self.entries)
    }

    /// Raises `flag` when `key` changes; false if it does already.  [`Shard::unwatch`] ends it.
    pub fn watch(&mut self, key: &[u8], flag: &WatchFlag) -> bool {
        self.interests.watch(key, flag)
    }

    /// Ends the interest that [`Shard::watch`] began.
    pub fn unwatch(&mut self, key: &[u8], flag: &WatchFlag) {
        self.interests.unwatch(key, flag);
    }

    /// Has the command `waiter` served when `key` holds a value of this type (see `Keyspace::next_ready`), behind those that
    /// wait for that already.  [`Shard::end_wait`] ends it.
    pub fn wait(&mut self, key: &[u8], value_type: ValueType, waiter: WaiterId) {
        self.interests.wait(key, value_type, waiter);
    }

    /// Ends the interest that [`Shard::wait`] began.
    pub fn end_wait(&mut self, key: &[u8], value_type: ValueType, waiter: WaiterId) {
        self.interests.end_wait(key, value_type, waiter);
    }

    /// Of the commands that wait for a key to hold a value of this type, the one that has waited longest.
    pub fn first_waiter(&self, key: &[u8], value_type: ValueType) -> Option<WaiterId> {
        self.interests.first_waiter(key, value_type)
    }

    /// Exchanges the interests of two shards whose databases are exchanged (SWAPDB), and notifies the clients whose key is
    /// in either.
    pub(super) fn swap_interests(&mut self, other: &mut Shard) {
        std::mem::swap(&mut self.interests, &mut other.interests);
        for bytes in self.interests.keys().into_iter().chain(other.interests.keys()) {
            let key = Key { hash: self.hasher.hash(&bytes), bytes: &bytes };
            if self.holds(&key) || other.holds(&key) {
                self.notify(&key, Change::Written);
                other.notify(&key, Change::Written);
            }
        }
    }

    /// Visits the keys of one step of a scan; see `Table::scan` for the promise.
    pub fn scan(&self, cursor: u64, access: &AccessContext, mut visit: impl FnMut(EntryRef<'_>)) -> u64 {
        self.entries.scan(cursor, |entry| {
            if !entry.is_expired(access.now) {
                visit(entry);
            }
        })
    }

    /// Visits every key whose deadline has not passed.
    pub fn for_each(&self, access: &AccessContext, mut visit: impl FnMut(EntryRef<'_>)) {
        self.entries.for_each(|entry| {
            if !entry.is_expired(access.now) {
                visit(entry);
            }
        });
    }

    /// A key from a random place.
    pub fn random_key(&self, random: u64, access: &AccessContext) -> Option<Vec<u8>> {
        let mut keys = Vec::new();
        self.entries.sample(random, 1, |entry| {
            if !entry.is_expired(access.now) {
                keys.push(entry.key().to_vec());
            }
            true
        });
        let count = keys.len();
        (count > 0).then(|| keys.swap_remove((random >> 32) as usize % count))
    }

    /// How often a key of this shard with these bits was accessed, on the policy's scale; none if the policy in force does
    /// not track it.
    pub fn frequency(&self, bits: u32, access: &AccessContext) -> Option<u8> {
        access.recency.frequency(bits, self.usage.trace)
    }

    /// Makes or drops the state that adaptive eviction needs, if the policy has changed.
    pub(super) fn adapt(&mut self, access: &AccessContext) {
        self.changed |= self.usage.adapt(&self.entries, access);
    }

    /// Whether the state that only adaptive eviction needs is there.
    pub fn is_adapted(&self) -> bool {
        self.usage.is_adapted()
    }

    /// Brings the bucket of a hash closer.
    pub fn prefetch_bucket(&self, hash: u64) {
        self.entries.prefetch_bucket(hash);
    }

    /// Brings the memory of the candidate for `hash` closer, without looking at it.
    pub fn prefetch_entry(&self, hash: u64) {
        self.entries.prefetch_entry(hash);
    }

    /// Brings parts of a key's value closer.
    pub fn prefetch_parts(&self, key: &Key<'_>, parts: &[&[u8]]) {
        let found = self.entries.find(key.hash, key.bytes);
        if let Some(object) = found.and_then(|(_, entry)| entry.object()) {
            object.prefetch(parts);
        }
    }

    fn holds(&self, key: &Key<'_>) -> bool {
        self.entries.find(key.hash, key.bytes).is_some()
    }

    pub(super) fn insert(&mut self, key: &Key<'_>, mut entry: Entry, access: &AccessContext) {
        self.changed = true;
        self.adapt(access);
        entry.set_recency(access.recency.inserted(self.usage.trace));
        let (is_pinned, deadline) = (entry.view().is_pinned(), entry.view().deadline());
        self.entries.insert(key.hash, entry, &self.hasher);
        if !is_pinned {
            self.usage.note_insert(&self.entries, key.hash, deadline, access);
        }
        self.touched(key);
    }

    /// Takes an entry out on behalf of a client.
    pub(super) fn take_out(&mut self, position: Position, hash: u64) -> Entry {
        let entry = self.unlink(position, hash);
        self.usage.note_removal(hash);
        if entry.view().is_pinned() {
            self.mark_dirty(entry.view().key());
        }
        entry
    }

    pub(super) fn unlink(&mut self, position: Position, hash: u64) -> Entry {
        self.changed = true;
        self.entries.remove(position, hash, &self.hasher)
    }

    /// Drops an entry that was taken out, a large one once the shard is unlocked.
    pub(super) fn discard(&mut self, entry: Entry) {
        if is_freed_later(&entry) {
            self.leftovers.discarded.push(entry);
        }
    }

    /// Changes the value of an entry that is not pinned in place.
    pub(super) fn change<R>(
        &mut self,
        position: Position,
        change: impl FnOnce(&mut Entry, &KeyHasher) -> R,
    ) -> R {
        let memory = self.entries.entry_memory();
        let result = self.entries.modify(position, |entry| change(entry, &self.hasher));
        self.changed |= self.entries.entry_memory() != memory;
        result
    }

    pub(super) fn change_deadline(&mut self, position: Position, deadline: Option<Deadline>) {
        self.changed = true;
        let entry = self.entries.get(position);
        if entry.is_pinned() {
            self.mark_dirty(entry.key());
        }
        self.entries.set_deadline(position, deadline);
    }

    /// Notes that a client was the one to change, remove or put there a pinned entry.
    fn mark_dirty(&self, key: &[u8]) {
        if let Some(sink) = &self.dirty {
            sink.mark(key);
        }
    }

    /// Notifies the clients that are interested in a key that it was written.
    #[inline]
    pub(super) fn touched(&mut self, key: &Key<'_>) {
        self.notify(key, Change::Written);
    }

    /// Notifies the clients that are interested in a key of a change of it.
    #[inline]
    pub(super) fn notify(&mut self, key: &Key<'_>, change: Change) {
        if !self.interests.is_empty() {
            self.notify_interested(key, change);
        }
    }

    #[cold]
    fn notify_interested(&mut self, key: &Key<'_>, change: Change) {
        if self.interests.notify(key.bytes, change) {
            self.leftovers.note_ready(key.bytes);
            self.changed = true;
        }
    }
}
