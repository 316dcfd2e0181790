//! Who wants exact subjects: a hash table in parts, each with a lock of its own.

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::Name;
use super::members::{Members, Wanting};
use super::shrink;
use crate::lock_order::{Mutex, rank};

/// Enough that threads which look up different subjects seldom meet.
const PART_COUNT: usize = 64;

/// One subject with its subscriptions and sinks, of which there is at least one.
struct Subject<W> {
    hash: u64,
    name: Name,
    wanting: W,
}

type Part<W> = Mutex<HashTable<Subject<W>>, { rank::SUBJECTS }>;

/// See the module's text.  All hashes are those of the subjects by one hasher.
pub(super) struct ExactSubjects<W = Members> {
    parts: Box<[CachePadded<Part<W>>]>,
}

impl<W> Default for ExactSubjects<W> {
    fn default() -> ExactSubjects<W> {
        ExactSubjects { parts: (0..PART_COUNT).map(|_| CachePadded::default()).collect() }
    }
}

impl<W: Wanting> ExactSubjects<W> {
    /// Adds one who wants the subject `name`.
    pub(super) fn add(&self, hash: u64, name: &Name, receiver: W::Receiver) {
        let mut part = self.part(hash).lock();
        let found = part.entry(hash, |subject| subject.is(hash, name), |subject| subject.hash);
        let new = || Subject { hash, name: Arc::clone(name), wanting: W::default() };
        found.or_insert_with(new).into_mut().wanting.add(receiver);
    }

    /// Removes one; false if it is not here.
    pub(super) fn remove(&self, hash: u64, name: &Name, receiver: &W::Receiver) -> bool {
        let mut part = self.part(hash).lock();
        let found = part.entry(hash, |subject| subject.is(hash, name), |subject| subject.hash);
        let Entry::Occupied(mut subject) = found else { return false };
        let is_removed = subject.get_mut().wanting.remove(receiver);
        if subject.get().wanting.is_empty() {
            subject.remove();
            shrink(&mut part, |subject| subject.hash);
        }
        is_removed
    }

    /// Shows the subscriptions and sinks of a subject.
    pub(super) fn look_up<R>(&self, hash: u64, name: &[u8], see: impl FnOnce(&W) -> R) -> Option<R> {
        let part = self.part(hash).lock();
        part.find(hash, |subject| subject.is(hash, name)).map(|subject| see(&subject.wanting))
    }

    /// Shows all subjects with their subscriptions and sinks, in no order.
    pub(super) fn visit(&self, mut see: impl FnMut(&Name, &W)) {
        for part in &self.parts {
            part.lock().iter().for_each(|subject| see(&subject.name, &subject.wanting));
        }
    }

    /// The number of subjects.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    fn part(&self, hash: u64) -> &Part<W> {
        // The table of a part uses the lowest bits and the highest ones.
        &self.parts[(hash >> 32) as usize % PART_COUNT]
    }
}

impl<W> Subject<W> {
    fn is(&self, hash: u64, name: &[u8]) -> bool {
        self.hash == hash && *self.name == *name
    }
}
