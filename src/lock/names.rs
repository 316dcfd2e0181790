//! Things with names, found by name and then known by a small number.

use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

/// Named things of one kind.  A number is given again once its thing is removed.
pub(super) struct Names<T> {
    entries: Slab<Named<T>>,
    index: HashTable<usize>,
    hasher: RandomState,
}

struct Named<T> {
    name: Box<[u8]>,
    hash: u64,
    thing: T,
}

impl<T> Default for Names<T> {
    fn default() -> Names<T> {
        Names { entries: Slab::new(), index: HashTable::new(), hasher: RandomState::default() }
    }
}

impl<T: Default> Names<T> {
    /// The number of the thing of this name, which is made if there is none.
    pub(super) fn intern(&mut self, name: &[u8]) -> usize {
        let hash = self.hasher.hash_one(name);
        let Names { entries, index, .. } = self;
        let found = index.entry(hash, |&id| *entries[id].name == *name, |&id| entries[id].hash);
        match found {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(place) => {
                let slot = self.entries.vacant_entry();
                let id = slot.key();
                slot.insert(Named { name: name.into(), hash, thing: T::default() });
                place.insert(id);
                id
            }
        }
    }
}

impl<T> Names<T> {
    /// The number of the thing of this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&id| *self.entries[id].name == *name).copied()
    }

    /// The thing with this number, if there is one.
    pub(super) fn get(&self, id: usize) -> Option<&T> {
        self.entries.get(id).map(|named| &named.thing)
    }

    /// Its name.
    pub(super) fn name(&self, id: usize) -> &[u8] {
        &self.entries[id].name
    }

    /// Removes a thing.
    pub(super) fn remove(&mut self, id: usize) {
        let removed = self.entries.remove(id);
        if let Ok(entry) = self.index.find_entry(removed.hash, |&other| other == id) {
            entry.remove();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The places there are, taken or not: all numbers lie below.
    pub(super) fn places(&self) -> usize {
        self.entries.iter().next_back().map_or(0, |(id, _)| id + 1)
    }

    /// All things in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], &T)> {
        self.entries.iter().map(|(id, named)| (id, &*named.name, &named.thing))
    }
}

impl<T> Index<usize> for Names<T> {
    type Output = T;

    fn index(&self, id: usize) -> &T {
        &self.entries[id].thing
    }
}

impl<T> IndexMut<usize> for Names<T> {
    fn index_mut(&mut self, id: usize) -> &mut T {
        &mut self.entries[id].thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_until_they_are_removed() {
        let mut names: Names<u32> = Names::default();
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
