//! What keys held before a command wrote to them, so that it can be undone.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::entries::Entry;
use super::keyspace::Keyspace;
use super::shard::Key;

/// Bytes of an object that is copied before it is written to.
const COPIED_MAX: usize = 64 * 1024;

/// Keys that are looked through one by one; a table finds more of them.
const FEW: usize = 8;

/// Bytes that are kept in all.
const KEPT_MAX: usize = 64 * 1024 * 1024;

/// Bytes that a key takes here besides itself and what it holds.
const KEPT_OVERHEAD: usize = 128;

/// The contents of keys before their first write.
#[derive(Default)]
pub struct Undo {
    kept: SmallVec<[Kept; 1]>,
    bytes: usize,
    /// The places in `kept` by database and hash, once they are many; a second key of the same hash cannot be kept.
    places: HashMap<(usize, u64), usize>,
}

struct Kept {
    database: usize,
    hash: u64,
    before: Before,
}

/// What a key held.
enum Before {
    /// This, and how recently it was used.
    Entry(Entry, u32),
    /// There was no such key.
    Nothing(Box<[u8]>),
}

impl Kept {
    fn key(&self) -> &[u8] {
        match &self.before {
            Before::Entry(entry, _) => entry.view().key(),
            Before::Nothing(key) => key,
        }
    }
}

/// A key's contents cannot be kept: they exceed the limit, alone or with earlier ones, or are the state of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotKept;

impl Undo {
    /// Whether nothing was kept, and so nothing written.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps what a key holds, unless that was done before.  Its shard is locked.
    ///
    /// # Errors
    /// If it cannot be kept; the key must not be written to then.
    pub fn keep(
        &mut self,
        keyspace: &mut Keyspace<'_>,
        database: usize,
        key: &Key<'_>,
    ) -> Result<(), NotKept> {
        if let Some(place) = self.place(database, key.hash) {
            return if self.kept[place].key() == key.bytes { Ok(()) } else { Err(NotKept) };
        }
        let access = keyspace.access;
        let found = keyspace.shard_in(database, key).peek(key, &access);
        if found.is_some_and(|entry| entry.is_pinned()) {
            return Err(NotKept);
        }
        let object = found.and_then(|entry| entry.object());
        if object.is_some_and(|object| object.memory() > COPIED_MAX) {
            return Err(NotKept);
        }
        let bytes = KEPT_OVERHEAD + key.bytes.len() + found.map_or(0, |entry| entry.memory());
        if self.bytes + bytes > KEPT_MAX {
            return Err(NotKept);
        }
        self.bytes += bytes;
        let before = match found {
            Some(entry) => Before::Entry(entry.copied_to(key.bytes), entry.recency()),
            None => Before::Nothing(key.bytes.into()),
        };
        self.kept.push(Kept { database, hash: key.hash, before });
        if self.kept.len() > FEW {
            // Those that came before are not in the table yet, or all of them are.
            let new = if self.places.is_empty() { 0 } else { self.kept.len() - 1 };
            let places = (new..).zip(&self.kept[new..]);
            self.places.extend(places.map(|(place, kept)| ((kept.database, kept.hash), place)));
        }
        Ok(())
    }

    fn place(&self, database: usize, hash: u64) -> Option<usize> {
        if self.kept.len() <= FEW {
            return self.kept.iter().position(|kept| kept.hash == hash && kept.database == database);
        }
        self.places.get(&(database, hash)).copied()
    }

    /// Gives all keys back what they held.  Their shards are locked still.
    pub fn roll_back(self, keyspace: &mut Keyspace<'_>) {
        let access = keyspace.access;
        for Kept { database, hash, before } in self.kept {
            match before {
                Before::Entry(entry, recency) => {
                    let bytes = Box::<[u8]>::from(entry.view().key());
                    let key = Key { bytes: &bytes, hash };
                    keyspace.shard_in(database, &key).insert_moved(&key, entry, recency, &access);
                }
                Before::Nothing(bytes) => {
                    let key = Key { bytes: &bytes, hash };
                    keyspace.shard_in(database, &key).remove(&key, &access);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keyspace::tests::{ACCESS, view};
    use crate::store::{HashLimits, Lifetime, Patience, Store};

    #[test]
    fn keys_get_back_what_they_held() {
        let store = Store::new(2, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        let (old, new, lasting) = (store.key(b"old"), store.key(b"new"), store.key(b"lasting"));
        keyspace.shard(&old).set(&old, b"before", Lifetime::Forever, &ACCESS);
        keyspace.shard(&lasting).set(&lasting, b"", Lifetime::Until(50), &ACCESS);
        let mut undo = Undo::default();
        for key in [&old, &new, &lasting, &old] {
            assert_eq!(undo.keep(&mut keyspace, 0, key), Ok(()));
            keyspace.shard(key).set(key, b"after", Lifetime::Forever, &ACCESS);
        }
        keyspace.remove(&old);
        assert_eq!(undo.keep(&mut keyspace, 0, &old), Ok(()), "it is kept as it was at first");
        undo.roll_back(&mut keyspace);
        let value = |keyspace: &mut Keyspace<'_>, key| {
            let entry = keyspace.peek(key)?;
            Some((entry.bytes().to_vec(), entry.deadline()))
        };
        assert_eq!(value(&mut keyspace, &old), Some((b"before".to_vec(), None)));
        assert_eq!(value(&mut keyspace, &new), None);
        assert_eq!(value(&mut keyspace, &lasting), Some((Vec::new(), Some(50))));
    }

    #[test]
    fn many_keys_are_kept_once_each() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        let names: Vec<String> = (0..5 * FEW).map(|number| format!("key {number}")).collect();
        let mut undo = Undo::default();
        for round in 0..3 {
            for (number, name) in names.iter().enumerate() {
                let key = store.key(name.as_bytes());
                assert_eq!(undo.keep(&mut keyspace, 0, &key), Ok(()));
                keyspace.shard(&key).set(&key, name.as_bytes(), Lifetime::Forever, &ACCESS);
                assert_eq!(undo.kept.len(), if round == 0 { number + 1 } else { names.len() });
            }
        }
        undo.roll_back(&mut keyspace);
        assert!(names.iter().all(|name| keyspace.peek(&store.key(name.as_bytes())).is_none()));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        let (mut undo, value) = (Undo::default(), vec![0; KEPT_MAX / 4]);
        let names = ["a", "b", "c", "d"];
        let results: Vec<_> = names
            .iter()
            .map(|name| {
                let key = store.key(name.as_bytes());
                keyspace.shard(&key).set(&key, &value, Lifetime::Forever, &ACCESS);
                undo.keep(&mut keyspace, 0, &key)
            })
            .collect();
        assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(NotKept)]);
        assert_eq!(undo.keep(&mut keyspace, 0, &store.key(b"a")), Ok(()), "it is kept already");
        assert_eq!(undo.keep(&mut keyspace, 0, &store.key(b"small")), Ok(()), "there is room for this one");
    }

    #[test]
    fn large_objects_are_not_kept() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(Patience::Commands).expect("nobody else is there");
        let mut keyspace = view(&store);
        let key = store.key(b"large");
        for fields in [10_u32, 10_000] {
            let limits = HashLimits { entries: 0, value: 0 };
            let written = keyspace.shard(&key).write_hash(&key, limits, &ACCESS, |hash| {
                (0..fields).for_each(|field| {
                    hash.set(&field.to_be_bytes(), b"");
                });
            });
            assert_eq!(written, Ok(()));
            let kept = Undo::default().keep(&mut keyspace, 0, &key);
            assert_eq!(kept.is_ok(), fields == 10);
        }
    }
}
