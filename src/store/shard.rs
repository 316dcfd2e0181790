//! One shard of a database: the part of the keys that lies behind one lock.
//!
//! Everything that happens to a key happens here, so that memory, the expiry index and watching clients are kept
//! true in one place.  A shard reads no clock and takes no lock: the caller holds the lock and passes a [`AccessContext`].
//! What is particular to a type of value is done in `strings` and `pinned`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hashbrown::HashMap;

use super::entry::{Deadline, Entry, EntryRef};
use super::eviction::{Contest, Duel, Newcomers, Recency, Trace};
use super::expiry::ExpiryIndex;
use super::growth::Growth;
use super::hash::KeyHasher;
use super::lifetime::LifetimeBounds;
use super::pinned::Pinned;
use super::table::{Position, Table};
use crate::clock::Now;
use crate::settings::Settings;

/// A key with its hash, computed once per command.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key as the client sent it.
    pub bytes: &'a [u8],
    /// Its hash under the store's seed.
    pub hash: u64,
}

/// What the outside world contributes to a command: the time and how recency is kept.
#[derive(Clone, Copy, Debug)]
pub struct AccessContext {
    /// Milliseconds on the clock deadlines live on.
    pub now: Deadline,
    /// How the eviction policy in force keeps recency.
    pub recency: Recency,
    /// How long keys live at most.
    pub lifetimes: LifetimeBounds,
}

impl AccessContext {
    /// What the settings say at a time.
    pub fn of(settings: &Settings, now: Now) -> AccessContext {
        AccessContext {
            now: now.millis(),
            recency: Recency::of(settings, now),
            lifetimes: LifetimeBounds::of(settings),
        }
    }
}

/// Keys of a shard whose time left is looked at to know that of all: with a thousand shards the average is off by a few
/// percent at most, and exact while keys are few.
const LIFETIMES_LOOKED_AT: usize = 8;

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
    /// The index of who is due.
    pub expiry: usize,
    /// What the eviction policy keeps besides the entries' own bits.
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

/// Raised when a watched key changes; EXEC looks at it.
pub type WatchFlag = Arc<AtomicBool>;

/// Who watches which key.
type Watchers = Option<Box<HashMap<Box<[u8]>, Vec<WatchFlag>>>>;

/// See the module's text.
///
/// What every read touches comes first, in memory too, and a write that replaces a value by one of the same size touches no
/// more: with the lock before it, it takes one cache line.
#[repr(C)]
pub struct Shard {
    /// Something has changed that others are told of when the shard is unlocked.
    pub(super) changed: bool,
    watchers: Watchers,
    pub(super) table: Table,
    /// The deadlines of what may be evicted.
    pub(super) expiry: ExpiryIndex,
    entry_memory: usize,
    reported_memory: usize,
    /// What the eviction policy judges keys by besides their own bits.
    pub(super) trace: Trace,
    /// Exist only while the eviction policy is adaptive.
    pub(super) newcomers: Option<Newcomers>,
    /// Exists only in shards that lead, while the eviction policy is adaptive.
    pub(super) contest: Option<Box<Contest>>,
    /// What the shard leads in, if it is one that does.
    pub(super) duel: Option<Arc<Duel>>,
    /// The entries that are never evicted.
    pub(super) pinned: Pinned,
    pub(super) hasher: KeyHasher,
    /// Since the start or the last reset.
    pub counts: Counts,
}

impl Shard {
    /// An empty shard.
    pub(super) fn new(hasher: KeyHasher) -> Shard {
        Shard {
            table: Table::default(),
            expiry: ExpiryIndex::default(),
            pinned: Pinned::default(),
            hasher,
            entry_memory: 0,
            trace: Trace::default(),
            newcomers: None,
            contest: None,
            duel: None,
            watchers: None,
            counts: Counts::default(),
            changed: false,
            reported_memory: 0,
        }
    }

    /// If anything has changed since this was last asked: by how many bytes the shard has grown.
    pub(super) fn take_change(&mut self) -> Option<Growth> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let all = self.memory();
        let all = all as isize - std::mem::replace(&mut self.reported_memory, all) as isize;
        Some(Growth { all, pinned: self.take_pinned_growth() })
    }

    /// Number of keys, those included whose deadline has passed but that were not removed yet.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys with a deadline in an expiry index.
    pub fn volatile_len(&self) -> usize {
        self.expiry.len() + self.pinned.expiry.len()
    }

    /// The milliseconds that all keys with a deadline have left together, as far as a few of them tell.
    pub(super) fn time_left(&self, now: Deadline) -> u64 {
        let left = |index: &ExpiryIndex| {
            let (mut sum, mut looked_at) = (0u64, 0);
            index.spread(LIFETIMES_LOOKED_AT, |entry| {
                sum += entry.deadline().map_or(0, |deadline| deadline.saturating_sub(now));
                looked_at += 1;
            });
            sum.checked_div(looked_at).unwrap_or(0) * index.len() as u64
        };
        left(&self.expiry) + left(&self.pinned.expiry)
    }

    /// Number of keys that a policy may evict.
    pub(super) fn evictable_len(&self) -> usize {
        self.len() - self.pinned.length
    }

    /// A time before which no key expires.
    pub(super) fn next_due(&self) -> Option<Deadline> {
        self.expiry.next().into_iter().chain(self.pinned.expiry.next()).min()
    }

    /// Bytes of memory: entries, buckets, expiry indexes, what the eviction policy keeps.
    pub fn memory(&self) -> usize {
        let MemoryParts { entries, buckets, expiry, eviction } = self.memory_parts();
        entries + buckets + expiry + eviction
    }

    /// Bytes of memory by what they are for.
    pub fn memory_parts(&self) -> MemoryParts {
        MemoryParts {
            entries: self.entry_memory,
            buckets: self.table.memory(),
            expiry: self.expiry.memory() + self.pinned.expiry.memory(),
            eviction: self.eviction_memory(),
        }
    }

    /// Reads a key on behalf of a client, which is noted for eviction.
    pub fn read(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<EntryRef<'_>> {
        let Some(position) = self.live_position(key, access) else {
            self.note_miss(key.hash, access);
            return None;
        };
        self.note_access(position, access);
        self.note_hit(position, key.hash, access);
        Some(self.table.get(position))
    }

    /// Looks at a key without leaving a trace, except that an expired one goes.
    pub fn peek(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<EntryRef<'_>> {
        let position = self.live_position(key, access)?;
        Some(self.table.get(position))
    }

    /// Most accesses change nothing, since recency is coarse; then the entry's memory is not written to.
    pub(super) fn note_access(&mut self, position: Position, access: &AccessContext) {
        let old = self.table.get(position).recency();
        let new = access.recency.accessed(old, &mut self.trace);
        if new != old {
            self.table.set_recency(position, new);
        }
    }

    /// Removes a key.  False if there was none (or an expired one).
    pub fn remove(&mut self, key: &Key<'_>, access: &AccessContext) -> bool {
        let Some(position) = self.live_position(key, access) else { return false };
        drop(self.take_out(position, key.hash));
        self.touched(key);
        true
    }

    /// Takes a key's entry out, to be put elsewhere with [`Shard::insert_entry`].
    pub fn take(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<Entry> {
        let position = self.live_position(key, access)?;
        let entry = self.take_out(position, key.hash);
        self.touched(key);
        Some(entry)
    }

    /// Puts an entry made for `key` there that was taken from elsewhere with `recency`: to have another name or another
    /// database is no reason to be evicted sooner or later.
    pub fn insert_moved(&mut self, key: &Key<'_>, entry: Entry, recency: u32, access: &AccessContext) {
        self.insert_entry(key, entry, access);
        if let Some(position) = self.live_position(key, access) {
            let fresh = self.table.get(position).recency();
            self.table.set_recency(position, access.recency.moved(recency, fresh));
        }
    }

    /// Puts an entry made for `key` (see [`EntryRef::copied_to`]) there, which replaces what was there.
    pub fn insert_entry(&mut self, key: &Key<'_>, entry: Entry, access: &AccessContext) {
        debug_assert_eq!(entry.view().key(), key.bytes);
        if let Some(position) = self.live_position(key, access) {
            drop(self.take_out(position, key.hash));
        }
        if entry.view().is_pinned() {
            self.pinned.mark_dirty(key.bytes);
        }
        self.insert(key, entry, access);
    }

    /// Changes when a key expires, which is no access: the caller has looked the key up for its client.  False if there
    /// is no such key.  To take the deadline of a key that has none is no change, and nobody who watches the key is notified.
    pub fn set_deadline(
        &mut self,
        key: &Key<'_>,
        deadline: Option<Deadline>,
        access: &AccessContext,
    ) -> bool {
        let Some(position) = self.live_position(key, access) else { return false };
        let entry = self.table.get(position);
        let deadline =
            if entry.is_pinned() { deadline } else { access.lifetimes.bounded(deadline, access.now) };
        if deadline.is_none() && entry.deadline().is_none() {
            return true;
        }
        self.change_deadline(position, deadline);
        self.touched(key);
        true
    }

    /// Removes up to `limit` keys whose deadline has passed and returns how many there were.
    pub fn expire_due(&mut self, access: &AccessContext, limit: usize) -> usize {
        for removed in 0..limit {
            let due = self.expiry.due(access.now).or_else(|| self.pinned.expiry.due(access.now));
            let Some(entry) = due else { return removed };
            let lag = access.now - entry.deadline().unwrap_or(access.now);
            self.counts.expiry_lag_max = self.counts.expiry_lag_max.max(lag);
            let (pointer, hash) = (entry.pointer(), self.hasher.hash(entry.key()));
            let position = self.table.find(hash, |candidate| candidate.pointer() == pointer);
            self.expire(position.expect("the index and the table hold the same entries"), hash);
        }
        limit
    }

    /// Removes the key of an entry the eviction policy chose.
    pub(super) fn evict(&mut self, hash: u64, key: &[u8]) -> bool {
        let Some(position) = self.table.find(hash, |entry| entry.key() == key) else { return false };
        self.evict_at(position, hash);
        true
    }

    /// Removes the key at a position for the eviction policy.
    pub(super) fn evict_at(&mut self, position: Position, hash: u64) {
        self.note_eviction();
        let entry = self.unlink(position, hash);
        self.counts.evicted += 1;
        self.touched(&Key { bytes: entry.view().key(), hash });
    }

    /// Removes every key and returns the old contents, to be dropped after the lock.
    pub fn clear(&mut self) -> impl Send + use<> {
        for bytes in self.watched_keys() {
            let key = Key { hash: self.hasher.hash(&bytes), bytes: &bytes };
            if self.holds(&key) {
                self.touched(&key);
            }
        }
        self.changed = true;
        self.entry_memory = 0;
        self.newcomers = None;
        self.contest = None;
        self.trace.turnover.cleared();
        self.expiry = ExpiryIndex::default();
        self.pinned.clear();
        std::mem::take(&mut self.table)
    }

    /// Raises `flag` when `key` changes; false if it does already.  [`Shard::unwatch`] ends it.
    pub fn watch(&mut self, key: &[u8], flag: &WatchFlag) -> bool {
        let flags = self.watchers.get_or_insert_default().entry(key.into()).or_default();
        let is_new = !flags.iter().any(|other| Arc::ptr_eq(other, flag));
        if is_new {
            flags.push(Arc::clone(flag));
        }
        is_new
    }

    /// Ends what [`Shard::watch`] began.
    pub fn unwatch(&mut self, key: &[u8], flag: &WatchFlag) {
        let Some(watchers) = &mut self.watchers else { return };
        if let Some(flags) = watchers.get_mut(key) {
            flags.retain(|other| !Arc::ptr_eq(other, flag));
            if flags.is_empty() {
                watchers.remove(key);
            }
        }
        if watchers.is_empty() {
            self.watchers = None;
        }
    }

    /// Exchanges the watches of two shards whose databases are exchanged (SWAPDB), and raises the flags of those
    /// whose key is in either.
    pub(super) fn swap_watchers(&mut self, other: &mut Shard) {
        for bytes in self.watched_keys().into_iter().chain(other.watched_keys()) {
            let key = Key { hash: self.hasher.hash(&bytes), bytes: &bytes };
            if self.holds(&key) || other.holds(&key) {
                self.touched(&key);
                other.touched(&key);
            }
        }
        std::mem::swap(&mut self.watchers, &mut other.watchers);
    }

    /// Visits the keys of one step of a scan; see `Table::scan` for the promise.
    pub fn scan(&self, cursor: u64, access: &AccessContext, mut visit: impl FnMut(EntryRef<'_>)) -> u64 {
        self.table.scan(cursor, |entry| {
            if !entry.is_expired(access.now) {
                visit(entry);
            }
        })
    }

    /// Visits every key whose deadline has not passed.
    pub fn for_each(&self, access: &AccessContext, mut visit: impl FnMut(EntryRef<'_>)) {
        self.table.for_each(|entry| {
            if !entry.is_expired(access.now) {
                visit(entry);
            }
        });
    }

    /// A key from a random place.
    pub fn random_key(&self, random: u64, access: &AccessContext) -> Option<Vec<u8>> {
        let mut keys = Vec::new();
        self.table.sample(random, 1, |entry| {
            if !entry.is_expired(access.now) {
                keys.push(entry.key().to_vec());
            }
            true
        });
        let count = keys.len();
        (count > 0).then(|| keys.swap_remove((random >> 32) as usize % count))
    }

    /// Brings the bucket of a hash closer.
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch(hash);
    }

    /// Brings the memory of the candidate for `hash` closer, without looking at it.
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.find(hash, |entry| {
            // The second line holds the end of a short value or the rest of a key.
            let address = entry.pointer().as_ptr() as usize;
            super::hash::prefetch(address);
            super::hash::prefetch(address + 64);
            true
        });
    }

    fn watched_keys(&self) -> Vec<Box<[u8]>> {
        self.watchers.iter().flat_map(|keys| keys.keys().cloned()).collect()
    }

    fn holds(&self, key: &Key<'_>) -> bool {
        self.table.find(key.hash, |entry| entry.key() == key.bytes).is_some()
    }

    pub(super) fn live_position(&mut self, key: &Key<'_>, access: &AccessContext) -> Option<Position> {
        let position = self.table.find(key.hash, |entry| same(entry.key(), key.bytes))?;
        if self.table.get(position).is_expired(access.now) {
            self.expire(position, key.hash);
            return None;
        }
        Some(position)
    }

    fn expire(&mut self, position: Position, hash: u64) {
        // An expired entry is not dirty: its record has the deadline.
        let entry = self.unlink(position, hash);
        self.note_removal(hash);
        self.counts.expired += 1;
        self.touched(&Key { bytes: entry.view().key(), hash });
    }

    pub(super) fn insert(&mut self, key: &Key<'_>, mut entry: Entry, access: &AccessContext) {
        self.changed = true;
        self.adapt(access);
        entry.set_recency(access.recency.inserted(self.trace));
        let (is_pinned, deadline) = (entry.view().is_pinned(), entry.view().deadline());
        let memory = entry.view().memory();
        self.entry_memory += memory;
        self.index_for(is_pinned).note(&mut entry);
        self.table.insert(key.hash, entry, |bytes| self.hasher.hash(bytes));
        if is_pinned {
            self.pinned.length += 1;
            self.pinned.entry_memory += memory;
        } else {
            self.note_insert(key.hash, deadline, access);
        }
        self.touched(key);
    }

    /// Takes an entry out on behalf of a client.
    pub(super) fn take_out(&mut self, position: Position, hash: u64) -> Entry {
        let entry = self.unlink(position, hash);
        self.note_removal(hash);
        if entry.view().is_pinned() {
            self.pinned.mark_dirty(entry.view().key());
        }
        entry
    }

    pub(super) fn unlink(&mut self, position: Position, hash: u64) -> Entry {
        self.changed = true;
        let mut entry = self.table.remove(position, hash, |bytes| self.hasher.hash(bytes));
        let is_pinned = entry.view().is_pinned();
        self.index_for(is_pinned).forget(&mut entry);
        self.entry_memory -= entry.view().memory();
        if is_pinned {
            self.pinned.length -= 1;
            self.pinned.entry_memory -= entry.view().memory();
        }
        entry
    }

    /// The expiry index of pinned entries or of all others.  A key that becomes one or the other is taken out and inserted
    /// anew.
    fn index_for(&mut self, is_pinned: bool) -> &mut ExpiryIndex {
        if is_pinned { &mut self.pinned.expiry } else { &mut self.expiry }
    }

    /// Changes a string in place, keeping the accounts and following it if it moves.
    pub(super) fn change<R>(&mut self, position: Position, change: impl FnOnce(&mut Entry) -> R) -> R {
        debug_assert!(!self.table.get(position).is_pinned());
        let (expiry, entry_memory, changed) = (&mut self.expiry, &mut self.entry_memory, &mut self.changed);
        self.table.modify(position, |entry| {
            let (pointer, memory) = (entry.view().pointer(), entry.view().memory());
            let result = change(entry);
            let view = entry.view();
            if view.memory() != memory {
                *entry_memory -= memory;
                *entry_memory += view.memory();
                *changed = true;
            }
            if view.pointer() != pointer {
                expiry.moved(entry);
            }
            result
        })
    }

    pub(super) fn change_deadline(&mut self, position: Position, deadline: Option<Deadline>) {
        self.changed = true;
        let is_pinned = self.table.get(position).is_pinned();
        if is_pinned {
            self.pinned.mark_dirty(self.table.get(position).key());
        }
        let (expiry, pinned_memory) = match is_pinned {
            true => (&mut self.pinned.expiry, Some(&mut self.pinned.entry_memory)),
            false => (&mut self.expiry, None),
        };
        let entry_memory = &mut self.entry_memory;
        self.table.modify(position, |entry| {
            if !deadline.is_some_and(Entry::is_indexable) {
                expiry.forget(entry);
            }
            let before = entry.view().memory();
            entry.set_deadline(deadline);
            let after = entry.view().memory();
            for memory in [Some(entry_memory), pinned_memory].into_iter().flatten() {
                *memory = *memory - before + after;
            }
            expiry.moved(entry);
            expiry.note(entry);
        });
    }

    pub(super) fn touched(&mut self, key: &Key<'_>) {
        if let Some(watchers) = &self.watchers
            && let Some(flags) = watchers.get(key.bytes)
        {
            for flag in flags {
                flag.store(true, Relaxed);
            }
        }
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
