//! Things with names, found by name and known by a small number from then on.

use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::slots::Slots;

/// Bytes for finding a name, about: a number and a byte in a table that is half full, and padding between names.
const INDEX_BYTES: usize = 16;

/// Names up to which the index never shrinks.
const INDEX_KEPT: usize = 4096;

/// Named things of one kind.  The number of a removed thing is given again.
pub(in crate::lock) struct Interner<T> {
    entries: Slots<Named<T>>,
    index: HashTable<u32>,
    /// The bytes of all names.
    name_bytes: usize,
    hasher: RandomState,
}

struct Named<T> {
    name: Box<[u8]>,
    thing: T,
}

impl<T> Default for Interner<T> {
    fn default() -> Interner<T> {
        Interner {
            entries: Slots::default(),
            index: HashTable::new(),
            name_bytes: 0,
            hasher: RandomState::default(),
        }
    }
}

impl<T: Default> Interner<T> {
    /// The number of the thing with this name.  It is made if there is none.
    pub(in crate::lock) fn intern(&mut self, name: &[u8]) -> usize {
        let hash = self.hasher.hash_one(name);
        let Interner { entries, index, name_bytes, hasher } = self;
        let found = index.entry(
            hash,
            |&id| *entries[id as usize].name == *name,
            |&id| hasher.hash_one(&*entries[id as usize].name),
        );
        match found {
            Entry::Occupied(entry) => *entry.get() as usize,
            Entry::Vacant(entry) => {
                let id = entries.insert(Named { name: name.into(), thing: T::default() });
                entry.insert(u32::try_from(id).expect("the limit of memory comes before"));
                *name_bytes += name.len();
                id
            }
        }
    }
}

impl<T> Interner<T> {
    /// The number of the thing with this name.
    pub(in crate::lock) fn find(&self, name: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&id| *self.entries[id as usize].name == *name).map(|&id| id as usize)
    }

    /// The thing with this number, if there is one.
    pub(in crate::lock) fn get(&self, id: usize) -> Option<&T> {
        self.entries.get(id).map(|named| &named.thing)
    }

    /// Its name.
    pub(in crate::lock) fn name(&self, id: usize) -> &[u8] {
        &self.entries[id].name
    }

    /// Removes a thing.
    pub(in crate::lock) fn remove(&mut self, id: usize) {
        let Some(removed) = self.entries.remove(id) else { return };
        self.name_bytes -= removed.name.len();
        let hash = self.hasher.hash_one(&*removed.name);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other as usize == id) {
            entry.remove();
        }
        // An index for many names shrinks once they are few.
        if self.index.capacity() > INDEX_KEPT && self.index.len() < self.index.capacity() / 8 {
            let Interner { entries, index, hasher, .. } = self;
            index.shrink_to(index.len() * 2, |&id| hasher.hash_one(&*entries[id as usize].name));
        }
    }

    /// The bytes of things and names, about, without memory that the things own elsewhere.
    pub(in crate::lock) fn bytes(&self) -> usize {
        self.entries.bytes() + self.name_bytes + self.entries.len() * INDEX_BYTES
    }

    /// The number of things.
    pub(in crate::lock) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of slots, taken or free: all numbers lie below.
    pub(in crate::lock) fn slots(&self) -> usize {
        self.entries.capacity()
    }

    /// All things in the order of their numbers.
    pub(in crate::lock) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], &T)> {
        self.entries.iter().map(|(id, named)| (id, &*named.name, &named.thing))
    }
}

impl<T> Index<usize> for Interner<T> {
    type Output = T;

    fn index(&self, id: usize) -> &T {
        &self.entries[id].thing
    }
}

impl<T> IndexMut<usize> for Interner<T> {
    fn index_mut(&mut self, id: usize) -> &mut T {
        &mut self.entries[id].thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_until_they_are_removed() {
        let mut names: Interner<u32> = Interner::default();
        let ids: Vec<usize> = (0..100).map(|number| names.intern(format!("n{number}").as_bytes())).collect();
        assert_eq!(names.intern(b"n7"), ids[7]);
        names[ids[7]] = 70;
        assert_eq!(names.get(ids[7]), Some(&70));
        names.remove(ids[7]);
        assert_eq!(names.find(b"n7"), None);
        assert_eq!(names.find(b"n8"), Some(ids[8]));
        assert_eq!(names.intern(b"new"), ids[7]);
        assert_eq!(names[ids[7]], 0);
        assert_eq!(names.len(), 100);
    }
}
