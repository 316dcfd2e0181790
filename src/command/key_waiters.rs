//! Commands that wait for keys to be written, and how they are served.
//!
//! A command that finds nothing under its keys leaves a [`KeyWaiter`] here and an interest in each key at its shard
//! (`Shard::wait`).  When a key has a value of the type that a command waits for, the executor serves the waiters of that key
//! before it runs the next command: the one that has waited longest first, and only as many as there is something for.
//!
//! Whoever takes a waiter out of the table, under the table's lock, ends its wait.  An interest whose waiter is not in the
//! table any more means nothing, and goes when it is met.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::lock_order::{Mutex, rank};
use crate::store::{Key, Keyspace, ReadyKey, ValueType, WaiterId};

/// A command that waits for keys to be written.
pub trait KeyWaiter: Send {
    /// A further key that it writes when it is served.
    fn writes_to(&self) -> Option<&[u8]>;

    /// Does the command's work on a key that holds a value of the type that it waits for.  The shards of the key and of
    /// [`KeyWaiter::writes_to`] are locked.
    fn serve(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>);

    /// Tells the client that its time is over.
    fn time_out(&mut self);

    /// Wakes the client, or gives back what it was to get if it has gone meanwhile.  No shard is locked.
    fn finish(&mut self, keyspace: &mut Keyspace<'_>);
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

/// A command that waits.
struct Waiting {
    id: WaiterId,
    waiter: Box<dyn KeyWaiter>,
    database: usize,
    wait: KeyWait,
}

#[derive(Default)]
struct Table {
    last: u64,
    waiting: HashMap<WaiterId, Waiting, RandomState>,
    deadlines: BTreeSet<(u64, WaiterId)>,
}

/// All commands that wait for keys.
#[derive(Default)]
pub struct KeyWaiters {
    table: Mutex<Table, { rank::KEY_WAITERS }>,
}

/// What became of the first waiter of a key.
enum Step {
    /// There is none, or nothing for it.
    Done,
    /// The shard of this key has to be locked too.
    Needs(Box<[u8]>),
    Served(Waiting),
}

impl KeyWaiters {
    /// Adds a command that waits for keys of the keyspace's database, whose shards are locked.  Those that are added first are
    /// served first.
    pub fn add(&self, waiter: Box<dyn KeyWaiter>, wait: KeyWait, keyspace: &mut Keyspace<'_>) -> WaiterId {
        let database = keyspace.database;
        let mut table = self.table.lock();
        table.last += 1;
        let id = WaiterId(table.last);
        let (keys, value_type) = (wait.keys.clone(), wait.value_type);
        table.deadlines.extend(wait.deadline.map(|deadline| (deadline, id)));
        table.waiting.insert(id, Waiting { id, waiter, database, wait });
        drop(table);
        for key in &keys {
            let hashed = keyspace.store().key(key);
            keyspace.shard(&hashed).wait(key, value_type, id);
        }
        id
    }

    /// Ends a wait; false if the command was served or its time was over.  No shard may be locked.
    pub fn remove(&self, id: WaiterId, keyspace: &mut Keyspace<'_>) -> bool {
        let removed = self.table.lock().take(id);
        if let Some(waiting) = &removed {
            waiting.end(keyspace);
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
            let due = self.table.lock().take_due(now);
            let Some(mut waiting) = due else { return };
            waiting.end(keyspace);
            waiting.waiter.time_out();
            waiting.waiter.finish(keyspace);
        }
    }

    /// Serves the waiters of all keys that are ready, including those that serving makes ready.  No shard may be locked.
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
        let mut served = Vec::new();
        loop {
            keyspace.lock_many(&mut shards.clone());
            let step = loop {
                match self.serve_first(&key, keyspace) {
                    Step::Served(waiting) => served.push(waiting),
                    step => break step,
                }
            };
            keyspace.unlock();
            let Step::Needs(further) = step else { break };
            shards.truncate(1);
            shards.push(store.shard_of(keyspace.database, store.key(&further).hash));
        }
        for mut waiting in served {
            waiting.end(keyspace);
            waiting.waiter.finish(keyspace);
        }
    }

    /// Serves the command that has waited longest for a key whose shard is locked.
    fn serve_first(&self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Step {
        loop {
            let Some(value_type) = keyspace.peek(key).map(|entry| entry.value_type()) else {
                return Step::Done;
            };
            let Some(id) = keyspace.shard(key).first_waiter(key.bytes, value_type) else { return Step::Done };
            let mut table = self.table.lock();
            let further = table.waiting.get(&id).and_then(|waiting| waiting.waiter.writes_to());
            if let Some(further) = further
                && !keyspace.has_locked(&keyspace.store().key(further))
            {
                return Step::Needs(further.into());
            }
            let waiting = table.take(id);
            drop(table);
            keyspace.shard(key).end_wait(key.bytes, value_type, id);
            if let Some(mut waiting) = waiting {
                waiting.waiter.serve(key, keyspace);
                return Step::Served(waiting);
            }
        }
    }
}

impl Table {
    /// Takes a waiter out; none if another thread has.
    fn take(&mut self, id: WaiterId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(deadline) = waiting.wait.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(waiting)
    }

    fn take_due(&mut self, now: u64) -> Option<Waiting> {
        let &(deadline, id) = self.deadlines.first()?;
        if deadline > now { None } else { self.take(id) }
    }
}

impl Waiting {
    /// Ends its interests.
    fn end(&self, keyspace: &mut Keyspace<'_>) {
        let (store, database) = (keyspace.store(), self.database);
        for key in &self.wait.keys {
            let shard = store.shard_of(database, store.key(key).hash);
            keyspace.with_shard(shard, |shard, _| shard.end_wait(key, self.wait.value_type, self.id));
        }
    }
}
