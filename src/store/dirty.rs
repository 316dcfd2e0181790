//! The names of entries that have changed and have to be written down: a service fills the set, its persistence empties it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::lock_order::{Mutex, rank};

/// The threshold while nothing is followed.
const OFF: u64 = u64::MAX;

/// The most names that are remembered until they are taken; with more of them, all entries count as changed.
const NAMES_MAX: usize = 1 << 20;

/// See the head of the file.
pub struct DirtySet {
    /// Entries that matter for fewer nanoseconds than this are not noted.
    threshold: AtomicU64,
    names: Mutex<Names, { rank::DIRTY_KEYS }>,
    /// Any entry may have changed, whatever the names say.
    all: AtomicBool,
}

/// Entries by their physical databases and their keys.
type Names = HashSet<(usize, Box<[u8]>), foldhash::fast::RandomState>;

impl Default for DirtySet {
    fn default() -> DirtySet {
        DirtySet { threshold: AtomicU64::new(OFF), names: Mutex::default(), all: AtomicBool::new(false) }
    }
}

impl DirtySet {
    /// From now on notes entries that matter for at least so many nanoseconds; none stops it.
    pub fn follow(&self, threshold: Option<u64>) {
        self.threshold.store(threshold.unwrap_or(OFF), Relaxed);
    }

    /// Whether anything is noted.
    pub fn is_followed(&self) -> bool {
        self.threshold.load(Relaxed) != OFF
    }

    /// Notes an entry whose value matters for `matters_for` nanoseconds, if that is long enough.
    pub fn mark(&self, physical_database: usize, key: &[u8], matters_for: u64) {
        if matters_for >= self.threshold.load(Relaxed) && self.is_followed() {
            self.insert(physical_database, key);
        }
    }

    /// Notes an entry however long it matters: it was removed, or says less than before.
    pub fn mark_always(&self, physical_database: usize, key: &[u8]) {
        if self.is_followed() {
            self.insert(physical_database, key);
        }
    }

    /// Notes that any entry may have changed or gone.
    pub fn mark_all(&self) {
        if self.is_followed() {
            self.all.store(true, Relaxed);
        }
    }

    /// Whether any entry may have changed since [`DirtySet::take_all`].
    pub fn is_all(&self) -> bool {
        self.all.load(Relaxed)
    }

    /// Whether any entry may have changed since this was last asked.
    pub fn take_all(&self) -> bool {
        self.all.load(Relaxed) && self.all.swap(false, Relaxed)
    }

    /// Takes all names, as physical databases and keys.
    pub fn take(&self) -> impl Iterator<Item = (usize, Box<[u8]>)> {
        std::mem::take(&mut *self.names.lock()).into_iter()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        !self.all.load(Relaxed) && self.names.lock().is_empty()
    }

    fn insert(&self, physical_database: usize, key: &[u8]) {
        let mut names = self.names.lock();
        if names.len() < NAMES_MAX {
            names.insert((physical_database, key.into()));
        } else {
            self.all.store(true, Relaxed);
        }
    }
}

/// Where the shards of one database note their pinned entries.
#[derive(Clone)]
pub(super) struct DirtySink {
    pub(super) physical_database: usize,
    pub(super) set: Arc<DirtySet>,
}

impl DirtySink {
    /// Notes that a client has changed, removed or put an entry there as the key it is.
    pub(super) fn mark(&self, key: &[u8]) {
        self.set.mark_always(self.physical_database, key);
    }

    /// Notes that any entry may have changed or gone.
    pub(super) fn mark_all(&self) {
        self.set.mark_all();
    }
}
