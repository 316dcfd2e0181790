//! Which clients want to hear of changes to which keys of a shard.  While there is none, a change costs one branch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hashbrown::HashMap;

/// Raised when a watched key changes; EXEC looks at it.
pub type WatchFlag = Arc<AtomicBool>;

/// The number of a command that waits for keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WaiterId(pub u64);

/// The consequence of a change of a key.
#[derive(Clone, Debug)]
pub(super) enum Interest {
    /// The flag of a transaction is raised.
    Watch(WatchFlag),
    /// The command is served before the next one runs; see `Keyspace::next_ready`.
    Waiter(WaiterId),
}

/// How a key changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// A value was written, which a command may wait for.
    Written,
    /// The key is gone.
    Removed,
}

/// The interests by keys, each key's in the order in which they were added.
type Keys = HashMap<Box<[u8]>, Vec<Interest>>;

/// See the head of the file.
#[derive(Default)]
pub(super) struct Interests(Option<Box<Keys>>);

impl PartialEq for Interest {
    fn eq(&self, other: &Interest) -> bool {
        match (self, other) {
            (Interest::Watch(one), Interest::Watch(other)) => Arc::ptr_eq(one, other),
            (Interest::Waiter(one), Interest::Waiter(other)) => one == other,
            _ => false,
        }
    }
}

impl Interests {
    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds an interest in a key behind those that are there; false if it is there already.
    pub(super) fn add(&mut self, key: &[u8], interest: Interest) -> bool {
        let interests = self.0.get_or_insert_default().entry(key.into()).or_default();
        let is_new = !interests.contains(&interest);
        if is_new {
            interests.push(interest);
        }
        is_new
    }

    /// Ends an interest.
    pub(super) fn remove(&mut self, key: &[u8], interest: &Interest) {
        let Some(keys) = &mut self.0 else { return };
        if let Some(interests) = keys.get_mut(key) {
            interests.retain(|other| other != interest);
            if interests.is_empty() {
                keys.remove(key);
            }
        }
        if keys.is_empty() {
            self.0 = None;
        }
    }

    /// Raises the flags of the transactions that watch a key, and tells whether a command waits for this change.
    pub(super) fn notify(&self, key: &[u8], change: Change) -> bool {
        let Some(interests) = self.0.as_ref().and_then(|keys| keys.get(key)) else { return false };
        let mut is_awaited = false;
        for interest in interests {
            match interest {
                Interest::Watch(flag) => flag.store(true, Relaxed),
                Interest::Waiter(_) => is_awaited = change == Change::Written,
            }
        }
        is_awaited
    }

    /// The commands that wait for a key, the one that has waited longest first.
    pub(super) fn waiters(&self, key: &[u8]) -> Vec<WaiterId> {
        let interests = self.0.as_ref().and_then(|keys| keys.get(key));
        let waiter = |interest: &Interest| match interest {
            Interest::Waiter(id) => Some(*id),
            Interest::Watch(_) => None,
        };
        interests.into_iter().flatten().filter_map(waiter).collect()
    }

    /// The keys that have interests.
    pub(super) fn keys(&self) -> Vec<Box<[u8]>> {
        self.0.iter().flat_map(|keys| keys.keys().cloned()).collect()
    }
}
