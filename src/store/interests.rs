//! Which clients want to hear of changes to which keys of a shard.  While there is none, a change costs one branch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hashbrown::HashMap;

use super::value::ValueType;

/// Raised when a watched key changes; EXEC looks at it.
pub type WatchFlag = Arc<AtomicBool>;

/// The number of a command that waits for keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaiterId(pub u64);

/// How a key changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// A value was written, which a command may wait for.
    Written,
    /// The key is gone.
    Removed,
}

/// The interests in one key.
#[derive(Default)]
struct KeyInterests {
    /// The flags of transactions, which are raised.
    watches: Vec<WatchFlag>,
    /// The commands that are served before the next one runs (see `Keyspace::next_ready`), by the type of value that they
    /// wait for and in the order in which they came.
    waiters: BTreeSet<(ValueType, WaiterId)>,
}

type Keys = HashMap<Box<[u8]>, KeyInterests>;

/// See the head of the file.
#[derive(Default)]
pub(super) struct Interests(Option<Box<Keys>>);

impl Interests {
    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Has the flag of a transaction raised when a key changes; false if it is already.
    pub(super) fn watch(&mut self, key: &[u8], flag: &WatchFlag) -> bool {
        let watches = &mut self.of_key(key).watches;
        // Those of clients that have gone while a script held the shard.
        watches.retain(|other| Arc::strong_count(other) > 1);
        let is_new = !watches.iter().any(|other| Arc::ptr_eq(other, flag));
        if is_new {
            watches.push(Arc::clone(flag));
        }
        is_new
    }

    /// Ends what [`Interests::watch`] began.
    pub(super) fn unwatch(&mut self, key: &[u8], flag: &WatchFlag) {
        self.end(key, |interests| interests.watches.retain(|other| !Arc::ptr_eq(other, flag)));
    }

    /// Has a command wait for a key, until it holds a value of this type.
    pub(super) fn wait(&mut self, key: &[u8], value_type: ValueType, waiter: WaiterId) {
        self.of_key(key).waiters.insert((value_type, waiter));
    }

    /// Ends what [`Interests::wait`] began.
    pub(super) fn end_wait(&mut self, key: &[u8], value_type: ValueType, waiter: WaiterId) {
        self.end(key, |interests| {
            interests.waiters.remove(&(value_type, waiter));
        });
    }

    /// Raises the flags of the transactions that watch a key, and tells whether a command waits for this change.
    pub(super) fn notify(&self, key: &[u8], change: Change) -> bool {
        let Some(interests) = self.0.as_ref().and_then(|keys| keys.get(key)) else { return false };
        interests.watches.iter().for_each(|flag| flag.store(true, Relaxed));
        change == Change::Written && !interests.waiters.is_empty()
    }

    /// Of the commands that wait for a key to hold a value of this type, the one that has waited longest.
    pub(super) fn first_waiter(&self, key: &[u8], value_type: ValueType) -> Option<WaiterId> {
        let interests = self.0.as_ref()?.get(key)?;
        let mut waiters = interests.waiters.range((value_type, WaiterId(0))..);
        waiters.next().filter(|(other, _)| *other == value_type).map(|(_, waiter)| *waiter)
    }

    /// The keys that have interests.
    pub(super) fn keys(&self) -> Vec<Box<[u8]>> {
        self.0.iter().flat_map(|keys| keys.keys().cloned()).collect()
    }

    fn of_key(&mut self, key: &[u8]) -> &mut KeyInterests {
        self.0.get_or_insert_default().entry(key.into()).or_default()
    }

    /// Ends an interest in a key.
    fn end(&mut self, key: &[u8], end: impl FnOnce(&mut KeyInterests)) {
        let Some(keys) = &mut self.0 else { return };
        if let Some(interests) = keys.get_mut(key) {
            end(interests);
            if interests.watches.is_empty() && interests.waiters.is_empty() {
                keys.remove(key);
            }
        }
        if keys.is_empty() {
            self.0 = None;
        }
    }
}
