//! Commands that wait for keys to be written, and how they are served.
//!
//! A command that finds nothing under its keys leaves what serves it ([`Servable`]) here and an interest in each key at its
//! shard (`Shard::wait`).  When a command has written a value of the type that is waited for, the waiters of that key are
//! served before its shard is unlocked, so that no other thread's command comes in between: the one that has waited longest
//! first, and only as many as there is something for.
//!
//! A waiter may write to a further key, as BLMOVE does.  A command that writes to a key with such waiters locks the shards of
//! these keys too before it runs (`further`).
//!
//! Whoever takes a waiter out of the table, under the table's lock, ends its wait.  An interest whose waiter is not in the
//! table any more means nothing, and goes when it is met.

mod further;
mod left_watches;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;

use foldhash::fast::RandomState;

use super::Transaction;
use crate::lock_order::{Mutex, rank};
use crate::store::{Key, Keyspace, ReadyKey, Shard, ValueType, WaiterId};
use further::FurtherKeys;
pub use further::{FURTHER_KEYS_MAX, NotLocked, PlacedKey};
use left_watches::{EndedWatch, LeftWatches};

/// What serves a command that waits for keys to be written.
pub trait Servable: Send {
    /// A further key that it writes when it is served.
    fn writes_to(&self) -> Option<&[u8]>;

    /// Does the command's work on a key that holds a value of the type that it waits for.  The shards of the key and of
    /// [`Servable::writes_to`] are locked.
    fn serve(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>);

    /// Tells the client that its time is over.
    fn time_out(&mut self);

    /// Wakes the client, or gives back what it was to get if it has gone meanwhile.  No shard is locked.
    fn finish(&mut self, waiters: &KeyWaiters, keyspace: &mut Keyspace<'_>);
}

/// What a command waits for.
pub struct KeyWait {
    /// The keys, of one database.
    pub keys: Vec<Box<[u8]>>,
    /// The type of their values.
    pub value_type: ValueType,
    /// When its time is over, in milliseconds of the server's clock.
    pub deadline: Option<u64>,
}

/// A command that waits, as the table has it.
struct Registered {
    id: WaiterId,
    servable: Box<dyn Servable>,
    database: usize,
    wait: KeyWait,
}

#[derive(Default)]
struct Table {
    last: u64,
    registered: HashMap<WaiterId, Registered, RandomState>,
    deadlines: BTreeSet<(u64, WaiterId)>,
    further: FurtherKeys,
}

/// All commands that wait for keys.
#[derive(Default)]
pub struct KeyWaiters {
    table: Mutex<Table, { rank::KEY_WAITERS }>,
    /// How many of them write to a further key.
    with_further_key: AtomicUsize,
    /// What is to be done once shards are held no longer for long.
    postponed: Mutex<Postponed, { rank::POSTPONED_WORK }>,
}

/// Work on keys of which one lies in a shard that is held for long.
type Work = Box<dyn FnOnce(&KeyWaiters, &mut Keyspace<'_>) + Send>;

#[derive(Default)]
struct Postponed {
    works: Vec<Work>,
    watches: LeftWatches,
}

/// Commands that were served and do not know it yet: [`KeyWaiters::finish`] tells them once no shard is locked.
#[derive(Default)]
#[must_use]
pub struct Served(Vec<Registered>);

/// What became of the first waiter of a key.
enum Step {
    /// There is none, or nothing for it.
    Done,
    /// The shard of this key has to be locked too.
    Needs(Box<[u8]>),
    Served(Registered),
}

impl KeyWaiters {
    /// Adds a command that waits for keys of the keyspace's database, whose shards are locked.  Those that are added first are
    /// served first.
    pub fn add(&self, servable: Box<dyn Servable>, wait: KeyWait, keyspace: &mut Keyspace<'_>) -> WaiterId {
        let database = keyspace.database;
        let mut table = self.table.lock();
        table.last += 1;
        let id = WaiterId(table.last);
        let (keys, value_type) = (wait.keys.clone(), wait.value_type);
        table.deadlines.extend(wait.deadline.map(|deadline| (deadline, id)));
        let registered = Registered { id, servable, database, wait };
        self.note_further_key(&mut table, &registered);
        table.registered.insert(id, registered);
        drop(table);
        for key in &keys {
            let hashed = keyspace.store().key(key);
            keyspace.shard(&hashed).wait(key, value_type, id);
        }
        id
    }

    /// Ends a wait; false if the command was served or its time was over.  No shard may be locked.
    pub fn remove(&self, id: WaiterId, keyspace: &mut Keyspace<'_>) -> bool {
        let removed = self.take(&mut self.table.lock(), id);
        if let Some(registered) = &removed {
            registered.end(keyspace);
        }
        removed.is_some()
    }

    /// When the time of a wait is over next, in milliseconds of the server's clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.table.lock().deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends the waits whose time is over.  No shard may be locked.
    pub fn time_out(&self, now: u64, keyspace: &mut Keyspace<'_>) {
        loop {
            let Some(mut registered) = self.take_due(now) else { return };
            registered.end(keyspace);
            registered.servable.time_out();
            registered.servable.finish(self, keyspace);
        }
    }

    /// Serves the waiters of the keys that were written whose shards are locked still, including those that serving makes
    /// ready.  A waiter whose further key is not locked is left to [`KeyWaiters::serve`].
    pub fn serve_locked(&self, keyspace: &mut Keyspace<'_>) -> Served {
        let (store, database) = (keyspace.store(), keyspace.database);
        let mut served = Served::default();
        let mut postponed = Vec::new();
        while let Some(ready) = keyspace.next_ready_locked() {
            keyspace.database = store.logical_database(ready.physical_database);
            let key = store.key(&ready.key);
            let step = loop {
                match self.serve_first(&key, keyspace) {
                    Step::Served(registered) => served.0.push(registered),
                    step => break step,
                }
            };
            if let Step::Needs(_) = step {
                postponed.push(ready);
            }
        }
        keyspace.postpone(postponed);
        keyspace.database = database;
        served
    }

    /// Tells the commands that were served.  No shard may be locked.
    pub fn finish(&self, Served(served): Served, keyspace: &mut Keyspace<'_>) {
        for mut registered in served {
            registered.end(keyspace);
            registered.servable.finish(self, keyspace);
        }
    }

    /// Serves the waiters of keys that are ready and whose shards were unlocked since, including those that serving makes
    /// ready.  No shard may be locked.
    pub fn serve(&self, keyspace: &mut Keyspace<'_>) {
        let database = keyspace.database;
        while let Some(ready) = keyspace.next_ready() {
            self.serve_key(&ready, keyspace);
        }
        keyspace.database = database;
    }

    fn serve_key(&self, ready: &ReadyKey, keyspace: &mut Keyspace<'_>) {
        let store = keyspace.store();
        keyspace.database = store.logical_database(ready.physical_database);
        let key = store.key(&ready.key);
        let mut shards = vec![store.shard_of(keyspace.database, key.hash)];
        let mut served = Served::default();
        loop {
            if keyspace.lock_many_unless_held(&mut shards.clone()).is_err() {
                let ready = ready.clone();
                self.postpone(Box::new(move |waiters, keyspace| waiters.serve_key(&ready, keyspace)));
                break;
            }
            let step = loop {
                match self.serve_first(&key, keyspace) {
                    Step::Served(registered) => served.0.push(registered),
                    step => break step,
                }
            };
            served.0.append(&mut self.serve_locked(keyspace).0);
            keyspace.unlock();
            let Step::Needs(further) = step else { break };
            shards.truncate(1);
            shards.push(store.shard_of(keyspace.database, store.key(&further).hash));
        }
        self.finish(served, keyspace);
    }

    /// Leaves work to [`KeyWaiters::do_postponed`], which is called some times a second.
    pub(super) fn postpone(&self, work: Work) {
        self.postponed.lock().works.push(work);
    }

    /// Ends a transaction and its watches, of keys whose shards are held for long later.
    pub(super) fn end_watches(&self, transaction: Transaction, keyspace: &mut Keyspace<'_>) {
        let changes = keyspace.store().holds().changes();
        self.try_to_end(left_watches::of(transaction), changes, keyspace);
    }

    /// Ends a transaction, and leaves all its watches to [`KeyWaiters::do_postponed`].
    pub(super) fn postpone_watches(&self, transaction: Transaction) {
        let watches = left_watches::of(transaction);
        self.postponed.lock().watches.add_untried(watches.into_iter());
    }

    /// Ends watches as far as that is possible now.  `changes` is how often long holds had changed before.
    fn try_to_end(&self, mut watches: VecDeque<EndedWatch>, changes: u64, keyspace: &mut Keyspace<'_>) {
        let held = left_watches::end_each(&mut watches, keyspace);
        if held.is_empty() {
            return;
        }
        let mut postponed = self.postponed.lock();
        postponed.watches.add_untried(watches.into_iter());
        // Asked under the lock: a change from here on is seen by the next step.
        if keyspace.store().holds().changes() == changes {
            postponed.watches.add_held(held.into_iter());
        } else {
            postponed.watches.add_untried(held.into_iter());
        }
    }

    /// Whether [`KeyWaiters::do_postponed`] has something to try.
    pub fn has_postponed(&self) -> bool {
        let postponed = self.postponed.lock();
        !postponed.works.is_empty() || !postponed.watches.is_empty()
    }

    /// Does what had to be put off, as far as that is possible now.  No shard may be locked.
    pub fn do_postponed(&self, keyspace: &mut Keyspace<'_>) {
        let changes = keyspace.store().holds().changes();
        let mut postponed = self.postponed.lock();
        let (works, watches) = (std::mem::take(&mut postponed.works), postponed.watches.take(changes));
        drop(postponed);
        works.into_iter().for_each(|work| work(self, keyspace));
        self.try_to_end(watches, changes, keyspace);
    }

    /// Serves the command that has waited longest for a key whose shard is locked.
    fn serve_first(&self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Step {
        loop {
            let Some(value_type) = keyspace.peek(key).map(|entry| entry.value_type()) else {
                return Step::Done;
            };
            let Some(id) = keyspace.shard(key).first_waiter(key.bytes, value_type) else { return Step::Done };
            let mut table = self.table.lock();
            let further = table.registered.get(&id).and_then(|registered| registered.servable.writes_to());
            if let Some(further) = further
                && !keyspace.has_locked(&keyspace.store().key(further))
            {
                return Step::Needs(further.into());
            }
            let registered = self.take(&mut table, id);
            drop(table);
            keyspace.shard(key).end_wait(key.bytes, value_type, id);
            if let Some(mut registered) = registered {
                registered.servable.serve(key, keyspace);
                return Step::Served(registered);
            }
        }
    }

    /// Takes a waiter out; none if another thread has.
    fn take(&self, table: &mut Table, id: WaiterId) -> Option<Registered> {
        let registered = table.registered.remove(&id)?;
        if let Some(deadline) = registered.wait.deadline {
            table.deadlines.remove(&(deadline, id));
        }
        self.forget_further_key(table, &registered);
        Some(registered)
    }

    fn take_due(&self, now: u64) -> Option<Registered> {
        let mut table = self.table.lock();
        let &(deadline, id) = table.deadlines.first()?;
        if deadline > now { None } else { self.take(&mut table, id) }
    }
}

impl Served {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Registered {
    /// Ends its interests.
    fn end(&self, keyspace: &mut Keyspace<'_>) {
        let (store, database) = (keyspace.store(), self.database);
        for key in &self.wait.keys {
            let shard = store.shard_of(database, store.key(key).hash);
            let end = |shard: &mut Shard| shard.end_wait(key, self.wait.value_type, self.id);
            // An interest that stays goes when it is met.
            let _ = keyspace.with_shard_unless_held(shard, end);
        }
    }
}
