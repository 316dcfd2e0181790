//! The further keys that commands write to which wait for keys: their shards are locked together with those of the keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering::Relaxed;

use foldhash::fast::RandomState;

use super::{KeyWaiters, Registered, Table};
use crate::store::{HeldForLong, Keyspace, ShardId, Store};

/// Most further keys whose shards are locked for a command; for more it runs alone.
pub const FURTHER_KEYS_MAX: usize = 16;

/// Times that shards are locked anew because commands began to wait meanwhile.
const ROUNDS_MAX: usize = 4;

/// A key with its database.
pub type PlacedKey = (usize, Box<[u8]>);

/// For each key that is waited for, the keys that its waiters write to, with how many of them do.
pub(super) type FurtherKeys = HashMap<PlacedKey, BTreeMap<Box<[u8]>, usize>, RandomState>;

/// Why further keys are not locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotLocked {
    /// There are too many of them.  What was locked before is.
    TooMany,
    /// One of them, or of what was locked before, is held for long.  Nothing is locked.
    Held(HeldForLong),
}

impl KeyWaiters {
    /// Whether any waiter writes to a further key.  One that waits for a key is seen by whoever has locked the key's shard.
    #[inline]
    pub fn have_further_keys(&self) -> bool {
        self.with_further_key.load(Relaxed) > 0
    }

    /// Has the shards of `keys` and of all keys that their waiters write to locked, and of those that the waiters of these write
    /// to in turn.  `shards`, those of the keys among them, are locked already, and stay so.
    ///
    /// # Errors
    /// If there are too many of them, or one is held for long.
    pub fn lock_further(
        &self,
        keyspace: &mut Keyspace<'_>,
        shards: &[ShardId],
        keys: &[PlacedKey],
    ) -> Result<(), NotLocked> {
        let store = keyspace.store();
        for _ in 0..ROUNDS_MAX {
            let further = self.further_shards(store, keys)?;
            if further.iter().all(|&shard| keyspace.has_locked_shard(shard)) {
                return Ok(());
            }
            keyspace.unlock();
            let all = &mut [shards, &further].concat();
            keyspace.lock_many_unless_held(all).map_err(NotLocked::Held)?;
        }
        keyspace.unlock();
        keyspace.lock_many_unless_held(&mut shards.to_vec()).map_err(NotLocked::Held)?;
        Err(NotLocked::TooMany)
    }

    fn further_shards(&self, store: &Store, keys: &[PlacedKey]) -> Result<Vec<ShardId>, NotLocked> {
        let table = self.table.lock();
        let mut found = BTreeSet::new();
        let mut unseen = keys.to_vec();
        while let Some(key) = unseen.pop() {
            let Some(further) = table.further.get(&key) else { continue };
            for name in further.keys() {
                if found.insert((key.0, name.clone())) {
                    unseen.push((key.0, name.clone()));
                }
                if found.len() > FURTHER_KEYS_MAX {
                    return Err(NotLocked::TooMany);
                }
            }
        }
        Ok(found.iter().map(|(database, key)| store.shard_of(*database, store.key(key).hash)).collect())
    }

    pub(super) fn note_further_key(&self, table: &mut Table, registered: &Registered) {
        let Some(further) = registered.servable.writes_to() else { return };
        self.with_further_key.fetch_add(1, Relaxed);
        for key in &registered.wait.keys {
            let waiters = table.further.entry((registered.database, key.clone())).or_default();
            *waiters.entry(further.into()).or_default() += 1;
        }
    }

    pub(super) fn forget_further_key(&self, table: &mut Table, registered: &Registered) {
        let Some(further) = registered.servable.writes_to() else { return };
        self.with_further_key.fetch_sub(1, Relaxed);
        for key in &registered.wait.keys {
            let place = (registered.database, key.clone());
            let Some(waiters) = table.further.get_mut(&place) else { continue };
            if let Some(count) = waiters.get_mut(further) {
                *count -= 1;
                if *count == 0 {
                    waiters.remove(further);
                }
            }
            if waiters.is_empty() {
                table.further.remove(&place);
            }
        }
    }
}
