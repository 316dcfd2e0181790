//! A command's view of the store: the selected database, and the shards that the executor has locked.

mod looking;

use smallvec::SmallVec;

use super::databases::{ShardGuard, Store};
use super::entries::{Deadline, EntryRef};
use super::growth::Growth;
use super::long_holds::{HeldForLong, Hold, Patience};
use super::looks::Take;
use super::recency::AccessContext;
use super::released::{ReadyKey, Released};
use super::shard::{Key, Shard, is_freed_later};
use super::shard_id::ShardId;
use super::shard_lock::Holder;
use super::undo::{Before, NotKept, Undo};
use crate::clock::Now;

/// How many locks a command holds before the list of them moves to the heap.
const INLINE_LOCKS: usize = 4;

/// A client's view of the store while one command (or transaction) runs.
pub struct Keyspace<'s> {
    store: &'s Store,
    /// The selected database.
    pub database: usize,
    /// The time, and how recency is kept.
    pub access: AccessContext,
    /// For whom it waits that holds what it needs.
    pub patience: Patience,
    /// As whom it holds the keys of a command.
    holder: Holder,
    now: Now,
    held: SmallVec<[ShardGuard<'s>; INLINE_LOCKS]>,
    /// No other thread runs commands, so shards may be locked as they are met.
    exclusive: bool,
    released: Released,
    reads: Reads,
    /// What written keys held before, while writes can be undone.
    undo: Option<Undo>,
}

/// Reads on behalf of clients.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reads {
    /// Those that found their key.
    pub hits: u64,
    /// Those that did not.
    pub misses: u64,
}

impl<'s> Keyspace<'s> {
    /// A view that has nothing locked yet.
    pub fn new(store: &'s Store, now: Now, access: AccessContext) -> Keyspace<'s> {
        Keyspace {
            store,
            database: 0,
            access,
            patience: Patience::Commands,
            holder: Holder::UNNAMED,
            now,
            held: SmallVec::new(),
            exclusive: false,
            released: Released::default(),
            reads: Reads::default(),
            undo: None,
        }
    }

    /// The same, as the one of the thread of a slot: others know from whom they wait.
    pub fn of_slot(self, slot: usize) -> Keyspace<'s> {
        Keyspace { holder: Holder::of_slot(slot), ..self }
    }

    /// The store itself, for commands that walk it shard by shard.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The time of this command.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Goes on at a later time.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
        self.access.now = now.millis();
    }

    /// Locks one shard: the common case, a command with one key.
    ///
    /// # Errors
    /// If it is held for long.
    #[inline]
    pub fn lock_one_unless_held(&mut self, id: ShardId) -> Result<(), HeldForLong> {
        debug_assert!(self.held.is_empty());
        self.held.push(self.store.lock_unless_held_as(self.holder, id, self.patience_now())?);
        Ok(())
    }

    /// Locks several shards in the order of their ids.
    ///
    /// # Errors
    /// If one of them is held for long; nothing is locked then.
    pub fn lock_many_unless_held(&mut self, ids: &mut [ShardId]) -> Result<(), HeldForLong> {
        debug_assert!(self.held.is_empty());
        ids.sort_unstable();
        for &id in ids.iter() {
            if self.held.last().is_some_and(|last| last.id() == id) {
                continue;
            }
            match self.store.lock_unless_held_as(self.holder, id, self.patience_now()) {
                Ok(guard) => self.held.push(guard),
                Err(reason) => {
                    self.unlock();
                    return Err(reason);
                }
            }
        }
        Ok(())
    }

    /// For whom it waits now.  While no command runs but this one, only somebody who counts for a moment may have a shard: a transaction is
    /// not to be given up for that.
    fn patience_now(&self) -> Patience {
        if self.exclusive { Patience::Commands } else { self.patience }
    }

    /// What is locked, in the terms of [`LongHolds`](super::LongHolds).
    pub fn hold(&self) -> Hold {
        if self.exclusive {
            return Hold::All;
        }
        Hold::Shards(self.held.iter().map(|guard| guard.id().number()).collect())
    }

    /// Whether the shard of a key in the selected database is locked.
    pub fn has_locked(&self, key: &Key<'_>) -> bool {
        let id = self.store.shard_of(self.database, key.hash);
        self.held.iter().any(|guard| guard.id() == id)
    }

    /// Whether a shard is locked.
    pub fn has_locked_shard(&self, id: ShardId) -> bool {
        self.held.iter().any(|guard| guard.id() == id)
    }

    /// Whether clients are interested in keys of a shard that is locked.
    #[inline]
    pub fn has_interests(&self) -> bool {
        self.held.iter().any(ShardGuard::has_interests)
    }

    /// Locks shards as they are met from now on.  The caller holds the gate alone.
    pub fn set_exclusive(&mut self, exclusive: bool) {
        self.exclusive = exclusive;
    }

    /// Whether the gate is held alone.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Unlocks everything.
    pub fn unlock(&mut self) {
        for guard in self.held.drain(..) {
            guard.unlock_into(&mut self.released);
        }
    }

    /// By how many bytes the store has grown through this view since this was last asked.
    pub fn take_memory_delta(&mut self) -> Growth {
        std::mem::take(&mut self.released.growth)
    }

    /// Frees large objects that were removed through this view, or has them freed.  No lock may be held.
    pub fn free_discarded(&mut self) {
        drop(std::mem::take(&mut self.released.discarded));
    }

    /// Whether [`Keyspace::next_ready_locked`] has a key.
    #[inline]
    pub fn has_ready_locked(&self) -> bool {
        self.held.iter().any(ShardGuard::has_ready)
    }

    /// A key that was written, that commands wait for, and whose shard is locked still.  The executor serves those commands
    /// before it unlocks; their writes may make further keys ready.
    pub fn next_ready_locked(&mut self) -> Option<ReadyKey> {
        self.held.iter_mut().find_map(ShardGuard::take_ready)
    }

    /// Leaves keys whose waiters could not be served under the locks that are held to [`Keyspace::next_ready`].
    pub fn postpone(&mut self, ready: Vec<ReadyKey>) {
        self.released.ready.extend(ready);
    }

    /// A key that was written through this view, that commands wait for, and whose shard was unlocked without serving them,
    /// the first one first.
    pub fn next_ready(&mut self) -> Option<ReadyKey> {
        self.released.ready.pop_front()
    }

    /// Whether [`Keyspace::next_ready`] has a key.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.released.ready.is_empty()
    }

    /// Exchanges two databases; only while the gate is held alone.
    pub fn swap_databases(&mut self, first: usize, second: usize) {
        debug_assert!(self.exclusive);
        self.unlock();
        // They are about the databases as they were.
        self.take_looks();
        self.store.swap(first, second, &mut self.released);
    }

    /// The reads through this view since this was last asked.
    pub fn take_reads(&mut self) -> Reads {
        std::mem::take(&mut self.reads)
    }

    /// The shard of a key in the selected database.
    ///
    /// # Panics
    /// If the executor has not locked it, which means that the command's key specification is wrong.
    pub fn shard(&mut self, key: &Key<'_>) -> &mut Shard {
        self.shard_in(self.database, key)
    }

    /// The shard of a key in any database; as [`Keyspace::shard`].
    pub fn shard_in(&mut self, database: usize, key: &Key<'_>) -> &mut Shard {
        self.shard_by_id(self.store.shard_of(database, key.hash))
    }

    /// A locked shard by its id; as [`Keyspace::shard`].
    pub fn shard_by_id(&mut self, id: ShardId) -> &mut Shard {
        let index = self.guard_of_shard(id);
        self.held[index].shard()
    }

    fn guard_of(&mut self, key: &Key<'_>) -> usize {
        self.guard_of_shard(self.store.shard_of(self.database, key.hash))
    }

    fn guard_of_shard(&mut self, id: ShardId) -> usize {
        match self.held.len() {
            1 if self.held[0].id() == id => 0,
            _ => self.find_or_lock(id),
        }
    }

    fn find_or_lock(&mut self, id: ShardId) -> usize {
        if self.exclusive {
            if let Some(index) = self.held.iter().position(|guard| guard.id() == id) {
                return index;
            }
            self.held.push(self.store.lock(id));
            return self.held.len() - 1;
        }
        self.held
            .binary_search_by_key(&id, ShardGuard::id)
            .expect("the executor locks the shards of all declared keys")
    }

    /// Runs `visit` with each shard of a database in turn, each locked only for that time.
    pub fn for_each_shard(&mut self, database: usize, mut visit: impl FnMut(&mut Shard, &AccessContext)) {
        debug_assert!(
            self.held.is_empty() || self.exclusive,
            "walking all shards while holding some would deadlock"
        );
        self.unlock();
        for id in self.store.shards(database) {
            self.with_shard(id, &mut visit);
        }
    }

    /// The same as [`Keyspace::with_shard`], unless the shard is held for longer than this view's patience lasts.
    ///
    /// # Errors
    /// If it is.
    pub fn visit_shard<R>(
        &mut self,
        id: ShardId,
        visit: impl FnOnce(&mut Shard, &AccessContext) -> R,
    ) -> Result<R, HeldForLong> {
        debug_assert!(self.held.is_empty());
        if self.exclusive {
            // No command may have it, only somebody who counts for a moment: a transaction is not to be given up for that.
            return Ok(self.with_shard(id, visit));
        }
        let mut guard = self.store.lock_unless_held_as(self.holder, id, self.patience)?;
        let result = visit(guard.shard(), &self.access);
        guard.unlock_into(&mut self.released);
        Ok(result)
    }

    /// Takes the looks that others have left at shards that are free by now.  No shard may be held.
    pub fn take_looks(&mut self) {
        debug_assert!(self.held.is_empty());
        let (store, holder, released) = (self.store, self.holder, &mut self.released);
        let take = |id, take: Take| match store.lock_at_once(holder, id) {
            Some(mut guard) => {
                take(guard.shard());
                guard.unlock_into(released);
                Ok(())
            }
            None => Err(take),
        };
        if store.looks().are_left() && store.looks().take(take) {
            store.holds().note_change();
        }
    }

    /// The same as [`Keyspace::with_shard`], unless the shard is held for long.
    ///
    /// # Errors
    /// If it is.
    pub fn with_shard_unless_held<R>(
        &mut self,
        id: ShardId,
        visit: impl FnOnce(&mut Shard) -> R,
    ) -> Result<R, HeldForLong> {
        debug_assert!(self.held.is_empty());
        let mut guard = self.store.lock_unless_held(id, Patience::Nobody)?;
        let result = visit(guard.shard());
        guard.unlock_into(&mut self.released);
        Ok(result)
    }

    /// Runs `visit` with one shard, locked for that time; nothing else may be held.
    pub fn with_shard<R>(&mut self, id: ShardId, visit: impl FnOnce(&mut Shard, &AccessContext) -> R) -> R {
        debug_assert!(self.held.is_empty());
        let mut guard = self.store.lock(id);
        let result = visit(guard.shard(), &self.access);
        guard.unlock_into(&mut self.released);
        result
    }

    /// Reads a key of the selected database, which is counted as a hit or a miss; see [`Shard::read`].
    pub fn read(&mut self, key: &Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.access;
        let index = self.guard_of(key);
        let found = self.held[index].shard().read(key, &access);
        self.reads.count(found.is_some());
        found
    }

    /// Looks at a key on behalf of a client that asks about it: counted as a read, but no access for eviction.
    pub fn inspect(&mut self, key: &Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.access;
        let index = self.guard_of(key);
        let found = self.held[index].shard().peek(key, &access);
        self.reads.count(found.is_some());
        found
    }

    /// Looks a key up on behalf of a client that may change it: an access for eviction, whatever comes of it, but not
    /// counted as a read.  A write that follows is the same access: see [`Keyspace::untraced_access`].
    pub fn find(&mut self, key: &Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.access;
        self.shard(key).read(key, &access)
    }

    /// The context for a write to a key that this command has read or found before, so that it leaves no second trace.
    pub fn untraced_access(&self) -> AccessContext {
        AccessContext { recency: self.access.recency.without_traces(), ..self.access }
    }

    /// Looks at a key of the selected database without a trace; see [`Shard::peek`].
    pub fn peek(&mut self, key: &Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.access;
        self.shard(key).peek(key, &access)
    }

    /// Whether a key exists, as a client asks that writes only if it does or does not; as [`Keyspace::find`].
    pub fn contains(&mut self, key: &Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// Removes a key; false if there was none.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let (access, index) = (self.access, self.guard_of(key));
        let shard = self.held[index].shard();
        match &mut self.undo {
            None => shard.remove(key, &access),
            Some(undo) => undo.remove(shard, self.database, key, &access),
        }
    }

    /// From here on keys that are [removed](Keyspace::remove) are kept for undoing, and others if [`Keyspace::keep`] is called before
    /// they are written to.
    pub fn begin_undo(&mut self) {
        self.undo = Some(Undo::default());
    }

    /// Keeps a copy of what a key holds for undoing, if that is to be.
    ///
    /// # Errors
    /// If it cannot be kept; the key must not be written to then.
    pub fn keep(&mut self, database: usize, key: &Key<'_>) -> Result<(), NotKept> {
        let (access, index) = (self.access, self.guard_of_shard(self.store.shard_of(database, key.hash)));
        let shard = self.held[index].shard();
        self.undo.as_mut().map_or(Ok(()), |undo| undo.keep(shard, database, key, &access))
    }

    /// Whether anything is kept for undoing, and so was written.
    pub fn has_kept(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| !undo.is_empty())
    }

    /// Whether a removal failed because its key could not be kept: the caller has to undo its writes.
    pub fn lacks_undo(&self) -> bool {
        self.undo.as_ref().is_some_and(Undo::is_short)
    }

    /// Gives all keys back what they held.  Their shards are locked still.
    pub fn undo(&mut self) {
        let access = self.access;
        for kept in self.undo.take().into_iter().flat_map(Undo::into_kept) {
            let (database, bytes) = (kept.database, Box::<[u8]>::from(kept.key().bytes));
            let key = Key { bytes: &bytes, hash: kept.hash };
            let shard = self.shard_in(database, &key);
            match kept.before {
                Before::Entry(entry, recency) => shard.insert_moved(&key, entry, recency, &access),
                Before::Nothing(_) => {
                    shard.remove(&key, &access);
                }
            }
        }
    }

    /// Ends undoing: the writes stay.
    pub fn end_undo(&mut self) {
        for kept in self.undo.take().into_iter().flat_map(Undo::into_kept) {
            if let Before::Entry(entry, _) = kept.before
                && is_freed_later(&entry)
            {
                self.released.discarded.add(entry);
            }
        }
    }

    /// Changes when a key expires that this command has found, read or written; false if there is no such key.
    pub fn set_deadline(&mut self, key: &Key<'_>, deadline: Option<Deadline>) -> bool {
        let access = self.access;
        self.shard(key).set_deadline(key, deadline, &access)
    }
}

impl Reads {
    fn count(&mut self, found: bool) {
        self.hits += u64::from(found);
        self.misses += u64::from(!found);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::store::recency::Recency;
    use crate::store::{Lifetime, LifetimeBounds, ValueType, WaiterId};

    pub(in crate::store) const ACCESS: AccessContext =
        AccessContext { now: 0, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED };

    /// A keyspace for a test that is alone at the gate.
    pub(in crate::store) fn view(store: &Store) -> Keyspace<'_> {
        let mut keyspace = Keyspace::new(store, Now::at(Duration::ZERO, Duration::ZERO), ACCESS);
        keyspace.set_exclusive(true);
        keyspace
    }

    impl Keyspace<'_> {
        /// How many keys are kept for undoing.
        pub(in crate::store) fn kept_count(&self) -> usize {
            self.undo.as_ref().map_or(0, Undo::len)
        }
    }

    fn set(keyspace: &mut Keyspace<'_>, key: &[u8]) {
        let (key, access) = (keyspace.store().key(key), keyspace.access);
        keyspace.shard(&key).set(&key, b"value", Lifetime::Forever, &access);
    }

    /// Serves a ready key as a command would that moves it to another: the one that waits longest takes it.
    fn serve(keyspace: &mut Keyspace<'_>, ready: &ReadyKey) -> Option<WaiterId> {
        let key = keyspace.store().key(&ready.key);
        let waiter = keyspace.shard(&key).first_waiter(&ready.key, ValueType::String)?;
        let is_there = keyspace.remove(&key);
        is_there.then(|| keyspace.shard(&key).end_wait(&ready.key, ValueType::String, waiter))?;
        set(keyspace, b"moved");
        keyspace.unlock();
        Some(waiter)
    }

    #[test]
    fn a_written_key_is_ready_for_the_commands_that_wait_for_it() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        for (key, waiter) in [(b"awaited", 3), (b"awaited", 2), (b"another", 9)] {
            let hashed = keyspace.store().key(key);
            keyspace.shard(&hashed).wait(key, ValueType::String, WaiterId(waiter));
        }
        let moved = keyspace.store().key(b"moved");
        keyspace.shard(&moved).wait(b"moved", ValueType::String, WaiterId(5));
        keyspace.unlock();
        assert_eq!(keyspace.next_ready(), None, "nothing was written yet");

        set(&mut keyspace, b"unknown");
        set(&mut keyspace, b"awaited");
        set(&mut keyspace, b"awaited");
        assert_eq!(keyspace.next_ready(), None, "the shard is still locked");
        keyspace.unlock();
        let ready = keyspace.next_ready().expect("a key is ready");
        assert_eq!((ready.physical_database, &*ready.key), (0, &b"awaited"[..]));
        assert_eq!(serve(&mut keyspace, &ready), Some(WaiterId(2)));

        // To serve it has written a key that is awaited too.
        let ready = keyspace.next_ready().expect("a further key is ready");
        assert_eq!(&*ready.key, b"moved");
        assert_eq!(serve(&mut keyspace, &ready), Some(WaiterId(5)));
        assert_eq!(keyspace.next_ready(), None, "a key that is ready is named once");

        let awaited = keyspace.store().key(b"awaited");
        let shard = keyspace.shard(&awaited);
        assert_eq!(shard.first_waiter(b"awaited", ValueType::String), Some(WaiterId(3)));
        assert_eq!(shard.first_waiter(b"awaited", ValueType::Hash), None, "none waits for such a value");
        set(&mut keyspace, b"awaited");
        keyspace.remove(&awaited);
        keyspace.unlock();
        assert!(keyspace.next_ready().is_some());
        keyspace.remove(&awaited);
        keyspace.unlock();
        assert_eq!(keyspace.next_ready(), None, "a key that goes is nothing to wait for");
    }

    /// Somebody who walks the shards beside commands may have one for a moment, although a turn takes long.
    #[test]
    fn who_is_alone_is_not_held_up() {
        let store = Store::new(1, 1, 1, 1);
        let ((taken, is_taken), (done, is_done), store) = (channel(), channel::<()>(), &store);
        store.holds().note_turn(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _shard = store.lock(store.shard_number(0, 7));
                taken.send(()).expect("the test waits for it");
                // Longer than anybody is patient who may be held up.
                is_done.recv_timeout(Duration::from_millis(100)).expect_err("nobody gives up");
            });
            is_taken.recv().expect("it locks");
            let mut keyspace = Keyspace { patience: Patience::Nobody, ..view(store) };
            if keyspace.lock_many_unless_held(&mut [store.shard_number(0, 7)]).is_err() {
                done.send(()).expect("it waits");
            }
        });
    }

    #[test]
    fn a_large_object_is_freed_once_its_shard_is_unlocked() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        let (key, access) = (store.key(b"large"), keyspace.access);
        let limits = crate::store::HashLimits { entries: 0, value: 0 };
        let fill = |keyspace: &mut Keyspace<'_>, fields: u32| {
            let written = keyspace.shard(&key).write_hash(&key, limits, &access, |hash| {
                (0..fields).for_each(|field| {
                    hash.set(&field.to_be_bytes(), b"");
                });
            });
            assert_eq!(written, Ok(()));
        };
        fill(&mut keyspace, 10);
        assert!(keyspace.remove(&key));
        keyspace.unlock();
        assert!(keyspace.released.discarded.entries().is_empty(), "a small one is freed at once");
        fill(&mut keyspace, 10_000);
        set(&mut keyspace, b"large");
        keyspace.unlock();
        let discarded = keyspace.released.discarded.entries();
        assert_eq!(discarded.len(), 1);
        assert_eq!(discarded[0].view().object().map(|object| object.is_empty()), Some(false));
        keyspace.free_discarded();
        assert!(keyspace.released.discarded.entries().is_empty());
        store.add_memory(keyspace.take_memory_delta());
        let mut recounted = 0;
        store.visit_each(|shard| recounted += shard.memory());
        assert_eq!(store.memory(), recounted);
    }
}
