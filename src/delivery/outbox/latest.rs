//! Where the last message of each subject waits, for a receiver that misses all others.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

use super::queue::Entry;
use crate::delivery::{SharedMessage, Subscription};

/// Room for so many places is kept while there are fewer.
const PLACES_KEPT: usize = 64;

/// See the module's text.  Places count from the first entry that the queue ever had.
#[derive(Default)]
pub(super) struct Latest {
    hasher: foldhash::fast::RandomState,
    /// Hashes and places.
    places: HashTable<(u64, u64)>,
}

impl Latest {
    /// The place of the message of the same subscription and subject.  `first` is the place of the first entry.
    pub(super) fn find(
        &self,
        message: &SharedMessage,
        subscription: &Arc<Subscription>,
        (entries, first): (&VecDeque<Entry>, u64),
    ) -> Option<u64> {
        let hash = self.hash(message, subscription);
        let is_same = |(_, place): &(u64, u64)| {
            let entry = place.checked_sub(first).and_then(|index| entries.get(index as usize));
            matches!(entry, Some(Entry::Message(other, of))
                if Arc::ptr_eq(of, subscription) && other.subject() == message.subject())
        };
        self.places.find(hash, is_same).map(|(_, place)| *place)
    }

    /// Notes the place of a message whose subject has none.
    pub(super) fn insert(&mut self, message: &SharedMessage, subscription: &Arc<Subscription>, place: u64) {
        let hash = self.hash(message, subscription);
        self.places.insert_unique(hash, (hash, place), |(hash, _)| *hash);
    }

    /// Forgets the place of a message.
    pub(super) fn remove(&mut self, message: &SharedMessage, subscription: &Arc<Subscription>, place: u64) {
        let hash = self.hash(message, subscription);
        if let Ok(found) = self.places.find_entry(hash, |(_, other)| *other == place) {
            found.remove();
        }
        let capacity = self.places.capacity();
        if capacity > 4 * self.places.len().max(PLACES_KEPT) {
            self.places.shrink_to(capacity / 2, |(hash, _)| *hash);
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.places.allocation_size()
    }

    fn hash(&self, message: &SharedMessage, subscription: &Arc<Subscription>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        Arc::as_ptr(subscription).hash(&mut hasher);
        message.subject().hash(&mut hasher);
        hasher.finish()
    }
}
