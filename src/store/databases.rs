//! The store: numbered databases, each cut into shards behind locks of their own.
//!
//! A thread that runs commands enters the [`Gate`] for the length of a batch and locks single shards inside, in the order
//! of their ids if it needs several.  A thread that holds the gate alone may lock in any order.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use super::dirty::{DirtySet, DirtySink};
use super::entries::Deadline;
use super::gate::Gate;
use super::growth::Growth;
use super::hash::{KeyHasher, SHARD_BITS, SHARD_COUNT, prefetch};
use super::long_holds::{HeldForLong, Inquiry, LongHolds, Patience};
use super::looks::Looks;
use super::recency::{AccessContext, Duel, LEADER_STEP};
use super::released::{ReadyKey, Released};
use super::shard::{Counts, Key, MemoryParts, Shard};
use super::shard_cell::ShardCell;
use super::shard_id::ShardId;
use super::shard_lock::{self, Holder, MutexGuard, Wait};
use super::value::ValueType;
use crate::lock_order::{Held, rank};
use crate::stand_in;

/// Expired keys removed in one step, and under one lock: a step takes far less than a millisecond, so others do not wait long.
const EXPIRY_STEP: usize = 2048;
const EXPIRY_STEP_PER_LOCK: usize = 64;

type Shards = Box<[ShardCell]>;

/// All databases.
pub struct Store {
    /// By position; SWAPDB exchanges two entries of `order` while it holds the gate alone.
    databases: Box<[OnceLock<Shards>]>,
    order: Box<[AtomicUsize]>,
    hasher: KeyHasher,
    memory: CachePadded<AtomicI64>,
    pinned_memory: AtomicI64,
    /// Threads that share the shards out among them when they look for expired keys.
    sweepers: usize,
    gate: Gate,
    /// The name that TYPE answers for pinned entries.
    pinned_type: &'static str,
    dirty: Arc<DirtySet>,
    duel: Arc<Duel>,
    looks: Looks,
}

/// A locked shard.  Unlocking it settles the accounts.
pub struct ShardGuard<'s> {
    id: ShardId,
    cell: &'s ShardCell,
    shard: MutexGuard<'s, Shard>,
    _held: Held,
}

impl Store {
    /// A store of `databases` empty databases.  `slots` threads may work on it; the first `sweepers` of them look for
    /// expired keys.
    pub fn new(databases: usize, sweepers: usize, slots: usize, seed: u64) -> Store {
        debug_assert!((1..=slots).contains(&sweepers));
        Store {
            databases: (0..databases).map(|_| OnceLock::new()).collect(),
            order: (0..databases).map(AtomicUsize::new).collect(),
            hasher: KeyHasher::new(seed),
            memory: CachePadded::new(AtomicI64::new(0)),
            pinned_memory: AtomicI64::new(0),
            sweepers,
            gate: Gate::new(slots),
            pinned_type: "pinned",
            dirty: Arc::default(),
            duel: Arc::default(),
            looks: Looks::default(),
        }
    }

    /// The same store, with the name that TYPE answers for pinned entries: the service that writes them gives it.
    pub fn with_pinned_type(self, name: &'static str) -> Store {
        Store { pinned_type: name, ..self }
    }

    /// The name of a type of value, as TYPE answers it.
    pub fn type_name(&self, value_type: ValueType) -> &'static str {
        value_type.name(self.pinned_type)
    }

    /// Which member of an adaptive eviction policy is in force, and how all of them do.
    pub fn duel(&self) -> &Duel {
        &self.duel
    }

    /// The pinned entries that have changed and have to be written down.
    pub fn dirty(&self) -> &DirtySet {
        &self.dirty
    }

    /// Number of databases.
    pub fn database_count(&self) -> usize {
        self.databases.len()
    }

    /// The physical database behind a number that clients know, until SWAPDB exchanges it.
    pub fn physical_database(&self, database: usize) -> usize {
        self.order[database].load(Relaxed)
    }

    /// The number under which clients know a physical database.
    pub fn logical_database(&self, physical: usize) -> usize {
        let is_it = |order: &AtomicUsize| order.load(Relaxed) == physical;
        self.order.iter().position(is_it).expect("every physical database has a number")
    }

    /// A key with its hash.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.hasher.hash(bytes) }
    }

    /// The shard of `database` that a hash belongs to.
    pub fn shard_of(&self, database: usize, hash: u64) -> ShardId {
        let database = self.order[database].load(Relaxed);
        ShardId { database: database as u32, shard: (hash >> (64 - SHARD_BITS)) as u32 }
    }

    /// The shards of a database that was ever written to; none of one that was not.
    pub fn shards(&self, database: usize) -> impl Iterator<Item = ShardId> + use<> {
        let database = self.order[database].load(Relaxed);
        let count = if self.databases[database].get().is_some() { SHARD_COUNT } else { 0 };
        (0..count as u32).map(move |shard| ShardId { database: database as u32, shard })
    }

    /// The shard with this number in a database.
    pub fn shard_number(&self, database: usize, shard: usize) -> ShardId {
        ShardId { database: self.order[database].load(Relaxed) as u32, shard: shard as u32 }
    }

    /// How many keys that may be evicted a shard had when it was last unlocked, and how many of them in its expiry index.
    pub(super) fn evictable_population(&self, id: ShardId) -> (usize, usize) {
        let Some(shards) = self.databases[id.database as usize].get() else { return (0, 0) };
        shards[id.shard as usize].evictable_population()
    }

    /// How many keys a shard had when it was last unlocked, and how many of them with a deadline.
    pub fn population(&self, id: ShardId) -> (usize, usize) {
        let Some(shards) = self.databases[id.database as usize].get() else { return (0, 0) };
        shards[id.shard as usize].population()
    }

    /// A time before which no key of a shard expires that may be evicted, as of when it was last unlocked.
    pub(super) fn next_evictable_due(&self, id: ShardId) -> Deadline {
        let shards = self.databases[id.database as usize].get();
        shards.map_or(Deadline::MAX, |shards| shards[id.shard as usize].next_evictable_due())
    }

    /// Locks a shard, however long that takes.
    pub fn lock(&self, id: ShardId) -> ShardGuard<'_> {
        let (cell, held) = (self.cell(id), Held::new(rank::SHARD, id.number()));
        let wait = || {
            let is_held_up = || self.holds().has_shard(id.number());
            shard_lock::lock_unless(&cell.shard, Holder::UNNAMED, |_| is_held_up() && stand_in::call())
                .unwrap_or_else(|| cell.shard.lock())
        };
        let shard = cell.shard.try_lock().unwrap_or_else(wait);
        ShardGuard { id, cell, shard, _held: held }
    }

    /// Locks a shard, unless it is held for longer than `patience` lasts.
    ///
    /// # Errors
    /// If it is.
    pub fn lock_unless_held(&self, id: ShardId, patience: Patience) -> Result<ShardGuard<'_>, HeldForLong> {
        self.lock_unless_held_as(Holder::UNNAMED, id, patience)
    }

    /// The same for this holder.
    #[inline]
    pub(super) fn lock_unless_held_as(
        &self,
        holder: Holder,
        id: ShardId,
        patience: Patience,
    ) -> Result<ShardGuard<'_>, HeldForLong> {
        let (cell, held) = (self.cell(id), Held::new(rank::SHARD, id.number()));
        let shard = match shard_lock::try_lock(&cell.shard, holder) {
            Some(shard) => shard,
            None => self.wait_for(holder, id, cell, patience)?,
        };
        Ok(ShardGuard { id, cell, shard, _held: held })
    }

    #[cold]
    fn wait_for<'s>(
        &'s self,
        holder: Holder,
        id: ShardId,
        cell: &'s ShardCell,
        patience: Patience,
    ) -> Result<MutexGuard<'s, Shard>, HeldForLong> {
        let inquiry = Inquiry::new(self.holds(), patience);
        let by_script = |holds: &LongHolds| holds.has_shard(id.number());
        let is_hopeless =
            |wait| inquiry.is_hopeless(by_script, |_| self.is_in_long_turn(cell, holder.slot(), wait));
        let locked = shard_lock::lock_unless(&cell.shard, holder, is_hopeless);
        locked.ok_or_else(|| inquiry.reason())
    }

    /// Whether a turn that takes long has a shard for which somebody waits.
    fn is_in_long_turn(&self, cell: &ShardCell, asker: Option<usize>, wait: Wait) -> bool {
        let holder = shard_lock::holder(&cell.shard);
        match holder.and_then(Holder::slot) {
            Some(slot) if self.holds().is_in_long_turn(slot, asker) => true,
            Some(slot) => wait == Wait::Long && self.note_unwatched(slot, cell),
            // Only the wait shows whether it may be one of those who take long.
            None => holder.is_some() && wait == Wait::Long && self.holds().has_turns(),
        }
    }

    /// Notes that the thread of a slot is at something long if nobody watches over it, since somebody has waited for this shard for
    /// long; false if it has let go of that.
    fn note_unwatched(&self, slot: usize, cell: &ShardCell) -> bool {
        let still_holds = || shard_lock::holder(&cell.shard).and_then(Holder::slot) == Some(slot);
        self.holds().note_unwatched(slot, still_holds)
    }

    /// Locks a shard for this holder if that is possible at once.
    pub(super) fn lock_at_once(&self, holder: Holder, id: ShardId) -> Option<ShardGuard<'_>> {
        let (cell, held) = (self.cell(id), Held::new(rank::SHARD, id.number()));
        Some(ShardGuard { id, cell, shard: shard_lock::try_lock(&cell.shard, holder)?, _held: held })
    }

    /// What scripts that run for long hold.
    pub fn holds(&self) -> &Arc<LongHolds> {
        self.gate.holds()
    }

    /// Looks at shards that are held for long, left by those who wait.
    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Whether [`Keyspace::take_looks`](super::Keyspace::take_looks) may find one.
    #[inline]
    pub fn has_looks(&self) -> bool {
        self.looks.are_left()
    }

    /// Brings the lock and the bucket of a key closer.
    pub fn prefetch_shard(&self, id: ShardId) {
        if let Some(shards) = self.databases[id.database as usize].get() {
            prefetch((&raw const shards[id.shard as usize]).addr());
        }
    }

    /// Brings the bucket of a hash closer, once its shard's header is; not if another thread holds the shard.
    pub fn prefetch_bucket(&self, id: ShardId, hash: u64) {
        if let Some(shard) = self.try_lock(id) {
            shard.prefetch_bucket(hash);
        }
    }

    /// Brings the entry of a hash closer, once its bucket is; not if another thread holds the shard.
    pub fn prefetch_entry(&self, id: ShardId, hash: u64) {
        if let Some(shard) = self.try_lock(id) {
            shard.prefetch_entry(hash);
        }
    }

    /// Brings parts of a key's value closer, up to [`PARTS_MAX`](super::PARTS_MAX) of them, once its entry is; not if another thread holds the
    /// shard.
    pub fn prefetch_parts(&self, id: ShardId, key: &Key<'_>, parts: &[&[u8]]) {
        if let Some(shard) = self.try_lock(id) {
            shard.prefetch_parts(key, parts);
        }
    }

    fn try_lock(&self, id: ShardId) -> Option<MutexGuard<'_, Shard>> {
        self.databases[id.database as usize].get()?[id.shard as usize].shard.try_lock()
    }

    /// Bytes of memory of all databases, as of the last batches.
    pub fn memory(&self) -> usize {
        usize::try_from(self.memory.load(Relaxed)).unwrap_or(0)
    }

    /// Bytes of memory of the pinned entries, as of the last batches.
    pub fn pinned_memory(&self) -> usize {
        usize::try_from(self.pinned_memory.load(Relaxed)).unwrap_or(0)
    }

    /// Bytes of memory of all entries that may be evicted, which `maxmemory` bounds.
    pub fn evictable_memory(&self) -> usize {
        self.memory().saturating_sub(self.pinned_memory())
    }

    /// Adds the growth of a batch.  Kept apart from the locks so that a batch costs one shared write at most, and one
    /// more if it has made or removed pinned entries.
    pub fn add_memory(&self, growth: Growth) {
        if growth.all != 0 {
            self.memory.fetch_add(growth.all as i64, Relaxed);
        }
        if growth.pinned != 0 {
            self.pinned_memory.fetch_add(growth.pinned as i64, Relaxed);
        }
    }

    /// Exchanges two databases.  The caller holds the gate alone.
    pub(super) fn swap(&self, first: usize, second: usize, released: &mut Released) {
        if first == second {
            return;
        }
        for (a, b) in
            (0..SHARD_COUNT).map(|shard| (self.shard_number(first, shard), self.shard_number(second, shard)))
        {
            let (mut one, mut other) = (self.lock(a), self.lock(b));
            one.shard().swap_interests(other.shard());
            one.unlock_into(released);
            other.unlock_into(released);
        }
        let (a, b) = (self.order[first].load(Relaxed), self.order[second].load(Relaxed));
        self.order[first].store(b, Relaxed);
        self.order[second].store(a, Relaxed);
        self.dirty.mark_all();
    }

    /// The counts of all shards of all databases; those of a shard that is held for long as somebody asked for them before.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for id in self.ids() {
            let cell = self.cell(id);
            if let Ok(guard) = self.lock_unless_held(id, Patience::Nobody) {
                cell.show_counts(&guard.shard);
            }
            sum.add(&cell.counts());
        }
        sum
    }

    /// Bytes of memory of all databases by what they are for; each shard is locked only while it is read.
    pub fn memory_parts(&self) -> MemoryParts {
        let mut sum = MemoryParts::default();
        self.visit_each(|shard| sum.add(&shard.memory_parts()));
        sum
    }

    /// Sets all counts back to zero.
    pub fn reset_counts(&self) {
        for id in self.ids() {
            if let Ok(mut guard) = self.lock_unless_held(id, Patience::Nobody) {
                guard.shard.counts = Counts::default();
                self.cell(id).show_counts(&guard.shard);
            }
        }
        self.duel.reset();
    }

    /// Calls `visit` with every shard of every database in turn, each locked only for that time.  Those that are
    /// held for long are left out.
    pub fn visit_each(&self, mut visit: impl FnMut(&mut Shard)) {
        for id in self.ids() {
            if let Ok(mut guard) = self.lock_unless_held(id, Patience::Nobody) {
                visit(&mut guard.shard);
            }
        }
    }

    /// All shards of all databases that were ever written to.
    fn ids(&self) -> impl Iterator<Item = ShardId> {
        let written = (0..).zip(&self.databases).filter(|(_, shards)| shards.get().is_some());
        written
            .flat_map(|(database, _)| (0..SHARD_COUNT as u32).map(move |shard| ShardId { database, shard }))
    }

    /// Number of keys in a database, and how many of them have a deadline.  No lock is taken: a command that is at work on a shard does
    /// not show yet.
    pub fn key_counts(&self, database: usize) -> (usize, usize) {
        let counts = self.shards(database).map(|id| self.population(id));
        counts.fold((0, 0), |sum, (keys, volatile)| (sum.0 + keys, sum.1 + volatile))
    }

    /// The milliseconds that a key with a deadline in a database has left on the average, as far as a sample tells: shards that are held
    /// for long are not in it.
    pub fn average_time_left(&self, database: usize, now: Deadline) -> u64 {
        let (mut left, mut keys) = (0u64, 0);
        for guard in self.shards(database).filter_map(|id| self.lock_unless_held(id, Patience::Nobody).ok()) {
            let shard = &guard.shard;
            left = left.saturating_add(shard.time_left(now));
            keys += shard.volatile_len() as u64;
        }
        left.checked_div(keys).unwrap_or(0)
    }

    /// Removes keys whose deadline has passed from the shards that are thread `slot`'s to look after, starting at
    /// shard number `cursor`, which is moved on.  Removes at most about `EXPIRY_STEP` keys and fields, a few per lock, and returns
    /// how many it removed and by how many bytes the store has changed.  A shard that somebody holds is left for later.
    pub fn expire_due(&self, slot: usize, cursor: &mut usize, access: &AccessContext) -> (usize, Growth) {
        let (mut removed, mut memory) = (0, Growth::default());
        for (database, shards) in self.databases.iter().enumerate() {
            let Some(shards) = shards.get() else { continue };
            for step in 0..SHARD_COUNT {
                let number = (*cursor + step) % SHARD_COUNT;
                if number % self.sweepers != slot || shards[number].next_due() >= access.now {
                    continue;
                }
                let id = ShardId { database: database as u32, shard: number as u32 };
                let Some(mut guard) = self.lock_at_once(Holder::UNNAMED, id) else { continue };
                removed += guard.shard().expire_due(access, EXPIRY_STEP_PER_LOCK);
                // Large objects were put aside, and are freed here without a lock.
                memory += guard.unlock().growth;
                if removed >= EXPIRY_STEP {
                    *cursor = number;
                    return (removed, memory);
                }
            }
        }
        (removed, memory)
    }

    /// The gate that every thread that runs commands passes.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    fn cell(&self, id: ShardId) -> &ShardCell {
        let shards = self.databases[id.database as usize].get_or_init(|| {
            let shard = |number: usize| {
                let duel = number.is_multiple_of(LEADER_STEP).then(|| Arc::clone(&self.duel));
                let set = Arc::clone(&self.dirty);
                let dirty = DirtySink { physical_database: id.database as usize, set };
                Shard::new(self.hasher.clone(), duel, Some(dirty))
            };
            (0..SHARD_COUNT).map(|number| ShardCell::new(shard(number))).collect()
        });
        &shards[id.shard as usize]
    }
}

impl ShardGuard<'_> {
    /// Which shard this is.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The shard.
    pub fn shard(&mut self) -> &mut Shard {
        &mut self.shard
    }

    /// Whether clients are interested in any of its keys.
    #[inline]
    pub(super) fn has_interests(&self) -> bool {
        self.shard.has_interests()
    }

    /// Whether a key was written that commands wait for.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        self.shard.has_ready()
    }

    /// A key that was written and that commands wait for, the first one first.
    pub(super) fn take_ready(&mut self) -> Option<ReadyKey> {
        let key = self.shard.take_ready()?;
        Some(ReadyKey { physical_database: self.id.database as usize, key })
    }

    /// Unlocks, and returns the work that is left.
    pub fn unlock(self) -> Released {
        let mut released = Released::default();
        self.unlock_into(&mut released);
        released
    }

    /// Unlocks, and adds the work that is left to `released` if anything was changed.
    #[inline]
    pub fn unlock_into(mut self, released: &mut Released) {
        if self.shard.release(self.id.database as usize, released) {
            self.cell.show_change(&self.shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::Keyspace;
    use super::super::keyspace::tests::ACCESS;
    use super::super::shard_lock::Mutex;
    use super::*;
    use crate::clock::Now;

    #[test]
    fn what_is_held_for_long_is_given_up_before_other_threads_are_let_run() {
        let mutex = Mutex::new(());
        let _held = mutex.lock();
        for (is_known, asked_short) in [(true, 1), (false, 64)] {
            let asked = std::cell::RefCell::new(Vec::new());
            let is_hopeless = |wait| {
                asked.borrow_mut().push(wait);
                is_known || wait == Wait::Long
            };
            assert!(shard_lock::lock_unless(&mutex, Holder::UNNAMED, is_hopeless).is_none());
            let short = asked.take().into_iter().filter(|wait| *wait == Wait::Short);
            assert_eq!(short.count(), asked_short);
        }
    }

    #[test]
    fn a_walk_has_a_shard_as_the_thread_that_walks() {
        let store = Store::new(1, 1, 1, 7);
        let id = store.shard_number(0, 0);
        let holder = || shard_lock::holder(&store.cell(id).shard);
        let now = Now::at(std::time::Duration::ZERO, std::time::Duration::ZERO);
        let mut walk = Keyspace::new(&store, now, ACCESS).of_slot(3);
        let walker = walk.visit_shard(id, |_, _| holder()).ok().flatten();
        assert_eq!(walker.and_then(Holder::slot), Some(3));
        let held = store.lock_at_once(Holder::of_slot(5), id);
        assert_eq!(holder().and_then(Holder::slot), Some(5));
        drop(held);
        assert!(holder().is_none());
    }

    #[test]
    fn a_turn_that_takes_long_holds_up_only_those_who_need_what_it_holds() {
        let store = Store::new(1, 1, 4, 1);
        let [long, short, unnamed] = [1, 2, 3].map(|shard| store.shard_number(0, shard));
        let lock_as = |slot, id| {
            let locked = store.lock_unless_held_as(Holder::of_slot(slot), id, Patience::Nobody);
            locked.expect("nobody has it")
        };
        let (seen, held) = (store.holds().changes(), lock_as(0, long));
        let other = (lock_as(1, short), store.lock(unnamed));
        store.holds().note_turn(0);
        let is_in_long_turn = |id, wait| store.is_in_long_turn(store.cell(id), None, wait);
        for (wait, by_unnamed) in [(Wait::Short, false), (Wait::Long, true)] {
            assert!(is_in_long_turn(long, wait));
            assert!(!is_in_long_turn(short, wait), "an ordinary command has it");
            assert_eq!(is_in_long_turn(unnamed, wait), by_unnamed);
        }
        // On another thread, as this one has taken later ones.
        let lock = || store.lock_unless_held(long, Patience::Nobody).map(drop);
        let lock_elsewhere = || std::thread::scope(|scope| scope.spawn(lock).join().expect("it only locks"));
        assert_eq!(lock_elsewhere(), Err(HeldForLong::ByCommand { seen }));
        drop((held, other));
        assert_eq!(lock_elsewhere(), Ok(()), "the turn lasts, and has it no more");
        assert!(!is_in_long_turn(unnamed, Wait::Long), "nobody has it");
        // Nobody watches over this one, so whoever waits notes it.
        store.holds().add_unwatched(2);
        let held = lock_as(2, short);
        assert!(!is_in_long_turn(short, Wait::Short));
        assert!(is_in_long_turn(short, Wait::Long) && is_in_long_turn(short, Wait::Short));
        drop(held);
        store.holds().end_turn(2);
        assert!(!store.note_unwatched(2, store.cell(short)), "it has just let go");
        let _held = lock_as(2, long);
        assert!(!is_in_long_turn(long, Wait::Short), "it was forgotten");
    }

    #[test]
    fn increments_under_a_shard_lock_by_many_threads_are_all_counted() {
        const THREADS: usize = 8;
        const INCREMENTS: usize = 20_000;
        let count = Arc::new(Mutex::new(0_usize));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let count = Arc::clone(&count);
                std::thread::spawn(move || (0..INCREMENTS).for_each(|_| *count.lock() += 1))
            })
            .collect();
        for thread in threads {
            thread.join().expect("the thread only counts");
        }
        assert_eq!(*count.lock(), THREADS * INCREMENTS);
    }
}
