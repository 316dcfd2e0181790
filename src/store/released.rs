//! The work that a shard leaves for the time after it is unlocked.

use std::collections::VecDeque;
use std::mem;

use super::entries::Entry;
use super::growth::Growth;
use crate::freeing;

/// The work that locked shards leave for the time after they are unlocked.
#[derive(Default)]
pub struct Released {
    /// By how much the store has grown.
    pub growth: Growth,
    /// Large objects that were removed.
    pub discarded: Discarded,
    /// Keys that were written and that commands wait for.
    pub(super) ready: VecDeque<ReadyKey>,
}

/// Large objects that were removed.  They are freed when this is dropped, by a thread of their own; no lock may be held then.
#[derive(Default)]
pub struct Discarded(Vec<Entry>);

/// A key that was written and that commands wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadyKey {
    /// Its physical database.
    pub physical_database: usize,
    /// The key.
    pub key: Box<[u8]>,
}

/// The same while a shard gathers it.
#[derive(Default)]
pub(super) struct Leftovers {
    pub(super) discarded: Vec<Entry>,
    /// Without repetition, in the order in which they were written.
    pub(super) ready: Vec<Box<[u8]>>,
}

impl Released {
    /// Takes over the work that a shard of a database has gathered.
    pub(super) fn take(&mut self, physical_database: usize, leftovers: &mut Leftovers) {
        self.discarded.0.append(&mut leftovers.discarded);
        let ready = mem::take(&mut leftovers.ready);
        self.ready.extend(ready.into_iter().map(|key| ReadyKey { physical_database, key }));
    }
}

impl Discarded {
    /// Adds an entry with a large object.
    pub(super) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// The entries that they were in.
    #[cfg(test)]
    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            let bytes = self.0.iter().map(|entry| entry.view().memory()).sum();
            freeing::free(Box::new(mem::take(&mut self.0)), bytes);
        }
    }
}

impl Leftovers {
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.discarded.is_empty() && self.ready.is_empty()
    }

    /// Whether a key was written that commands wait for.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Such a key, the first one first.
    pub(super) fn take_ready(&mut self) -> Option<Box<[u8]>> {
        self.has_ready().then(|| self.ready.remove(0))
    }

    /// Notes that commands wait for this key.
    pub(super) fn note_ready(&mut self, key: &[u8]) {
        if !self.ready.iter().any(|other| **other == *key) {
            self.ready.push(key.into());
        }
    }
}
