//! Subscriptions to exact subjects: a hash table in parts, each with a lock of its own.

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::{Name, Subscription};
use super::members::Members;
use super::shrink;
use crate::lock_order::{Mutex, rank};

/// Enough that threads which look up different subjects seldom meet.
const PART_COUNT: usize = 64;

/// One subject with its subscriptions, of which there is at least one.
struct Subject {
    hash: u64,
    name: Name,
    members: Members,
}

type Part = Mutex<HashTable<Subject>, { rank::SUBJECTS }>;

/// See the module's text.  All hashes are those of the subjects by one hasher.
pub(super) struct ExactSubjects {
    parts: Box<[CachePadded<Part>]>,
}

impl Default for ExactSubjects {
    fn default() -> ExactSubjects {
        ExactSubjects { parts: (0..PART_COUNT).map(|_| CachePadded::default()).collect() }
    }
}

impl ExactSubjects {
    /// Adds a subscription to the subject `name`.
    pub(super) fn add(&self, hash: u64, name: &Name, subscription: Arc<Subscription>) {
        let mut part = self.part(hash).lock();
        let found = part.entry(hash, |subject| subject.is(hash, name), |subject| subject.hash);
        let new = || Subject { hash, name: Arc::clone(name), members: Members::default() };
        found.or_insert_with(new).into_mut().members.add(subscription);
    }

    /// Removes a subscription; false if it is not here.
    pub(super) fn remove(&self, hash: u64, name: &Name, subscription: &Arc<Subscription>) -> bool {
        let mut part = self.part(hash).lock();
        let found = part.entry(hash, |subject| subject.is(hash, name), |subject| subject.hash);
        let Entry::Occupied(mut subject) = found else { return false };
        let is_removed = subject.get_mut().members.remove(subscription);
        if subject.get().members.is_empty() {
            subject.remove();
            shrink(&mut part, |subject| subject.hash);
        }
        is_removed
    }

    /// Shows the subscriptions to a subject.
    pub(super) fn look_up<R>(&self, hash: u64, name: &[u8], see: impl FnOnce(&Members) -> R) -> Option<R> {
        let part = self.part(hash).lock();
        part.find(hash, |subject| subject.is(hash, name)).map(|subject| see(&subject.members))
    }

    /// Shows all subjects with their subscriptions, in no order.
    pub(super) fn visit(&self, mut see: impl FnMut(&Name, &Members)) {
        for part in &self.parts {
            part.lock().iter().for_each(|subject| see(&subject.name, &subject.members));
        }
    }

    /// The number of subjects.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    fn part(&self, hash: u64) -> &Part {
        // The table of a part uses the lowest bits and the highest ones.
        &self.parts[(hash >> 32) as usize % PART_COUNT]
    }
}

impl Subject {
    fn is(&self, hash: u64, name: &[u8]) -> bool {
        self.hash == hash && *self.name == *name
    }
}
