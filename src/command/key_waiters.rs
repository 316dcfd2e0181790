//! Commands that wait for keys to be written, and how they are served.
//!
//! A command that finds nothing under its keys leaves a [`KeyWaiter`] here and an interest in each key at its shard
//! (`Shard::wait`).  When one of the keys is written, the executor serves the waiters of that key before it runs the next
//! command, the one that has waited longest first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::delivery::Effects;
use crate::lock_order::{Mutex, rank};
use crate::store::{Keyspace, ReadyKey, WaiterId};

/// A command that waits for keys to be written.
pub trait KeyWaiter: Send {
    /// Tries to do the command's work, now that a key that it waits for was written.  No shard is locked before and after.
    /// True if the work is done: the command has ended its interests, and is forgotten.  Its writes may serve others.
    fn serve(&mut self, key: &ReadyKey, keyspace: &mut Keyspace<'_>, effects: &mut Effects) -> bool;
}

/// All commands that wait for keys.
#[derive(Default)]
pub struct KeyWaiters {
    last: AtomicU64,
    waiting: Mutex<BTreeMap<WaiterId, Box<dyn KeyWaiter>>, { rank::KEY_WAITERS }>,
}

impl KeyWaiters {
    /// Adds a waiter, and returns the number for its interests.
    pub fn add(&self, waiter: Box<dyn KeyWaiter>) -> WaiterId {
        let id = WaiterId(self.last.fetch_add(1, Relaxed));
        self.waiting.lock().insert(id, waiter);
        id
    }

    /// Takes a waiter out whose wait is over.  None if it was served, or is being served just now.
    pub fn remove(&self, id: WaiterId) -> Option<Box<dyn KeyWaiter>> {
        self.waiting.lock().remove(&id)
    }

    /// Serves the waiters of all keys that are ready, including those that serving makes ready.  No shard may be locked.
    pub fn serve(&self, keyspace: &mut Keyspace<'_>, effects: &mut Effects) {
        while let Some(ready) = keyspace.next_ready() {
            let store = keyspace.store();
            let database = store.logical_database(ready.physical_database);
            let shard = store.shard_of(database, store.key(&ready.key).hash);
            for id in keyspace.with_shard(shard, |shard, _| shard.waiters(&ready.key)) {
                let Some(mut waiter) = self.remove(id) else { continue };
                if !waiter.serve(&ready, keyspace, effects) {
                    self.waiting.lock().insert(id, waiter);
                }
            }
        }
    }
}
