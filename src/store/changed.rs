//! Which counters have changed and matter for long: for whoever writes them to the disk now and then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::lock_order::{Mutex, rank};

/// Nothing matters for so long.
const OFF: u64 = u64::MAX;

/// The most names that are remembered until somebody takes them; with more of them, all counters count as changed.
const NAMES_MAX: usize = 1 << 20;

/// See the head of the file.
pub struct ChangedCounters {
    /// From how many nanoseconds on what a counter says matters.
    long: AtomicU64,
    names: Mutex<Names, { rank::CHANGED_COUNTERS }>,
    /// Any counter may have changed, whatever the names say.
    all: AtomicBool,
}

/// Counters by the places of their databases in the store and their keys.
type Names = HashSet<(usize, Box<[u8]>), foldhash::fast::RandomState>;

impl Default for ChangedCounters {
    fn default() -> ChangedCounters {
        ChangedCounters { long: AtomicU64::new(OFF), names: Mutex::default(), all: AtomicBool::new(false) }
    }
}

impl ChangedCounters {
    /// From so many nanoseconds on counters are noted; none to note no more.
    pub fn follow(&self, long: Option<u64>) {
        self.long.store(long.unwrap_or(OFF), Relaxed);
    }

    /// Whether anything is noted.
    pub fn is_followed(&self) -> bool {
        self.long.load(Relaxed) != OFF
    }

    /// Notes a counter whose state matters for `kept_for` nanoseconds, if that is long.
    pub fn note(&self, place: usize, name: &[u8], kept_for: u64) {
        if kept_for >= self.long.load(Relaxed) && self.is_followed() {
            self.insert(place, name);
        }
    }

    /// Notes a counter that says less than before, which has to be known however long it matters.
    pub fn note_less(&self, place: usize, name: &[u8]) {
        if self.is_followed() {
            self.insert(place, name);
        }
    }

    /// Notes that any counter may have changed or gone.
    pub fn note_all(&self) {
        if self.is_followed() {
            self.all.store(true, Relaxed);
        }
    }

    /// Whether any counter may have changed since this was last asked.
    pub fn take_all(&self) -> bool {
        self.all.load(Relaxed) && self.all.swap(false, Relaxed)
    }

    /// Takes all names noted.
    pub fn take(&self) -> impl Iterator<Item = (usize, Box<[u8]>)> {
        std::mem::take(&mut *self.names.lock()).into_iter()
    }

    /// Whether nothing is noted.
    pub fn is_empty(&self) -> bool {
        !self.all.load(Relaxed) && self.names.lock().is_empty()
    }

    fn insert(&self, place: usize, name: &[u8]) {
        let mut names = self.names.lock();
        if names.len() < NAMES_MAX {
            names.insert((place, name.into()));
        } else {
            self.all.store(true, Relaxed);
        }
    }
}
