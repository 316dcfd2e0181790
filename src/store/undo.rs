//! What keys held before a command wrote to them, so that it can be undone.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::entries::{Entry, EntryRef};
use super::recency::AccessContext;
use super::shard::{Key, Shard};

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
pub(super) struct Undo {
    kept: SmallVec<[Kept; 1]>,
    bytes: usize,
    /// The places in `kept` by database and hash, once they are many; a second key of the same hash cannot be kept.
    places: HashMap<(usize, u64), usize>,
    /// A key was not removed, since it could not be kept.
    is_short: bool,
}

/// A key, and what it held.
pub(super) struct Kept {
    pub(super) database: usize,
    pub(super) hash: u64,
    pub(super) before: Before,
}

/// What a key held.
pub(super) enum Before {
    /// This, and how recently it was used.
    Entry(Entry, u32),
    /// There was no such key.
    Nothing(Box<[u8]>),
}

impl Kept {
    /// The key.
    pub(super) fn key(&self) -> Key<'_> {
        let bytes = match &self.before {
            Before::Entry(entry, _) => entry.view().key(),
            Before::Nothing(key) => key,
        };
        Key { bytes, hash: self.hash }
    }
}

/// A key's contents cannot be kept: they exceed the limit, alone or with earlier ones, or are the state of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotKept;

impl Undo {
    /// Whether nothing was kept, and so nothing written.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many keys are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether a key that was to be removed is still there, since it could not be kept.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Keeps a copy of what a key holds, unless that was done before.
    ///
    /// # Errors
    /// If it cannot be kept; the key must not be written to then.
    pub(super) fn keep(
        &mut self,
        shard: &mut Shard,
        database: usize,
        key: &Key<'_>,
        access: &AccessContext,
    ) -> Result<(), NotKept> {
        if self.has(database, key)? {
            return Ok(());
        }
        let found = shard.peek(key, access);
        let object = found.and_then(|entry| entry.object());
        if object.is_some_and(|object| object.memory() > COPIED_MAX) {
            return Err(NotKept);
        }
        self.take_room(key, found)?;
        let before = match found {
            Some(entry) => Before::Entry(entry.copied_to(key.bytes), entry.recency()),
            None => Before::Nothing(key.bytes.into()),
        };
        self.add(Kept { database, hash: key.hash, before });
        Ok(())
    }

    /// Removes a key, and keeps what it held unless that was done before.  False if there was none, or it could not be kept, which
    /// is [noted](Undo::is_short).
    pub(super) fn remove(
        &mut self,
        shard: &mut Shard,
        database: usize,
        key: &Key<'_>,
        access: &AccessContext,
    ) -> bool {
        let taken = match self.has(database, key) {
            Ok(true) => return shard.remove(key, access),
            Ok(false) => shard.take_if(key, access, |found| self.take_room(key, Some(found))),
            Err(reason) => Err(reason),
        };
        self.is_short |= taken.is_err();
        let Ok(Some(entry)) = taken else { return false };
        let recency = entry.view().recency();
        self.add(Kept { database, hash: key.hash, before: Before::Entry(entry, recency) });
        true
    }

    /// What all keys held.
    pub(super) fn into_kept(self) -> impl Iterator<Item = Kept> {
        self.kept.into_iter()
    }

    /// Whether a key is kept.
    fn has(&self, database: usize, key: &Key<'_>) -> Result<bool, NotKept> {
        match self.place(database, key.hash) {
            Some(place) if self.kept[place].key().bytes == key.bytes => Ok(true),
            Some(_) => Err(NotKept),
            None => Ok(false),
        }
    }

    /// Takes the room for a key and what was found there.
    fn take_room(&mut self, key: &Key<'_>, found: Option<EntryRef<'_>>) -> Result<(), NotKept> {
        let bytes = KEPT_OVERHEAD + key.bytes.len() + found.map_or(0, |entry| entry.memory());
        if found.is_some_and(|entry| entry.is_pinned()) || self.bytes + bytes > KEPT_MAX {
            return Err(NotKept);
        }
        self.bytes += bytes;
        Ok(())
    }

    fn add(&mut self, kept: Kept) {
        self.kept.push(kept);
        if self.kept.len() > FEW {
            // Those that came before are not in the table yet, or all of them are.
            let new = if self.places.is_empty() { 0 } else { self.kept.len() - 1 };
            let places = (new..).zip(&self.kept[new..]);
            self.places.extend(places.map(|(place, kept)| ((kept.database, kept.hash), place)));
        }
    }

    fn place(&self, database: usize, hash: u64) -> Option<usize> {
        if self.kept.len() <= FEW {
            return self.kept.iter().position(|kept| kept.hash == hash && kept.database == database);
        }
        self.places.get(&(database, hash)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keyspace::Keyspace;
    use crate::store::keyspace::tests::{ACCESS, view};
    use crate::store::{HashLimits, Lifetime, Patience, Store};

    /// A view of the store in which what is written can be undone.
    fn undoing(store: &Store) -> Keyspace<'_> {
        let mut keyspace = view(store);
        keyspace.begin_undo();
        keyspace
    }

    #[test]
    fn keys_get_back_what_they_held() {
        let store = Store::new(2, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = undoing(&store);
        let (old, new, lasting) = (store.key(b"old"), store.key(b"new"), store.key(b"lasting"));
        keyspace.shard(&old).set(&old, b"before", Lifetime::Forever, &ACCESS);
        keyspace.shard(&lasting).set(&lasting, b"", Lifetime::Until(50), &ACCESS);
        for key in [&old, &new, &lasting, &old] {
            assert_eq!(keyspace.keep(0, key), Ok(()));
            keyspace.shard(key).set(key, b"after", Lifetime::Forever, &ACCESS);
        }
        keyspace.remove(&old);
        assert_eq!(keyspace.keep(0, &old), Ok(()), "it is kept as it was at first");
        keyspace.undo();
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
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = undoing(&store);
        let names: Vec<String> = (0..5 * FEW).map(|number| format!("key {number}")).collect();
        for round in 0..3 {
            for (number, name) in names.iter().enumerate() {
                let key = store.key(name.as_bytes());
                assert_eq!(keyspace.keep(0, &key), Ok(()));
                keyspace.shard(&key).set(&key, name.as_bytes(), Lifetime::Forever, &ACCESS);
                let kept = keyspace.kept_count();
                assert_eq!(kept, if round == 0 { number + 1 } else { names.len() });
            }
        }
        keyspace.undo();
        assert!(names.iter().all(|name| keyspace.peek(&store.key(name.as_bytes())).is_none()));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = undoing(&store);
        let value = vec![0; KEPT_MAX / 4];
        let names = ["a", "b", "c", "d"];
        let results: Vec<_> = names
            .iter()
            .map(|name| {
                let key = store.key(name.as_bytes());
                keyspace.shard(&key).set(&key, &value, Lifetime::Forever, &ACCESS);
                keyspace.keep(0, &key)
            })
            .collect();
        assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(NotKept)]);
        assert_eq!(keyspace.keep(0, &store.key(b"a")), Ok(()), "it is kept already");
        assert_eq!(keyspace.keep(0, &store.key(b"small")), Ok(()), "there is room for this one");
    }

    #[test]
    fn large_objects_are_not_kept() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = undoing(&store);
        let key = store.key(b"large");
        for fields in [10_u32, 10_000] {
            let limits = HashLimits { entries: 0, value: 0 };
            let written = keyspace.shard(&key).write_hash(&key, limits, &ACCESS, |hash| {
                (0..fields).for_each(|field| {
                    hash.set(&field.to_be_bytes(), b"");
                });
            });
            assert_eq!(written, Ok(()));
            keyspace.begin_undo();
            assert_eq!(keyspace.keep(0, &key).is_ok(), fields == 10);
        }
    }

    #[test]
    fn keys_that_are_removed_are_kept_whatever_they_hold() {
        let store = Store::new(1, 1, 1, 1);
        let _gate = store.gate().enter_exclusive(0, Patience::Commands).expect("nobody else is there");
        let mut keyspace = undoing(&store);
        let [text, hash, new, pinned] =
            ["text", "hash", "new", "pinned"].map(|name| store.key(name.as_bytes()));
        keyspace.shard(&text).set(&text, b"before", Lifetime::Until(50), &ACCESS);
        keyspace.shard(&pinned).set_pinned_state(&pinned, b"state", Some(50), &ACCESS);
        let limits = HashLimits { entries: 0, value: 0 };
        let written = keyspace.shard(&hash).write_hash(&hash, limits, &ACCESS, |hash| {
            (0..10_000_u32).for_each(|field| {
                hash.set(&field.to_be_bytes(), b"");
            });
        });
        assert_eq!(written, Ok(()));
        assert!(!keyspace.remove(&new) && !keyspace.has_kept(), "there is nothing to keep");
        for _ in 0..2 {
            assert!(keyspace.remove(&text) && keyspace.remove(&hash));
            assert_eq!(keyspace.keep(0, &text), Ok(()), "it is kept as it was at first");
            keyspace.shard(&text).set(&text, b"after", Lifetime::Forever, &ACCESS);
            assert!(keyspace.remove(&text) && !keyspace.remove(&text));
            assert_eq!(keyspace.kept_count(), 2);
            keyspace.undo();
            let entry = keyspace.peek(&text).expect("it is there again");
            assert_eq!((entry.bytes(), entry.deadline()), (&b"before"[..], Some(50)));
            assert!(keyspace.peek(&hash).is_some_and(|entry| entry.object().is_some()));
            keyspace.begin_undo();
        }
        assert!(!keyspace.lacks_undo());
        assert!(!keyspace.remove(&pinned) && keyspace.peek(&pinned).is_some());
        assert!(keyspace.lacks_undo() && !keyspace.has_kept());
    }
}
