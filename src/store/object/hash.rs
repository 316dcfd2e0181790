//! A hash as it is read: fields with values.  `objects/hash` writes.

use std::collections::{HashMap, HashSet};

use super::expiring_hash::ExpiringHash;
use super::item::Part;
use super::pairs::Pairs;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum Hash<'h> {
    /// All of its fields are there.
    Plain(Pairs<'h>),
    /// Some have expired and are to be removed.
    Expiring(&'h ExpiringHash),
}

impl<'h> Hash<'h> {
    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            Hash::Plain(pairs) => pairs.len(),
            Hash::Expiring(hash) => hash.len(),
        }
    }

    /// Whether there are no fields, which is so only while a hash is made.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    pub fn get(self, field: &[u8]) -> Option<Part<'h>> {
        match self {
            Hash::Plain(pairs) => pairs.get(field),
            Hash::Expiring(hash) => hash.get(field),
        }
    }

    /// Calls `visit` with each field and its value: packed ones in the order in which they were added.
    pub fn for_each(self, visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Hash::Plain(pairs) => pairs.for_each(visit),
            Hash::Expiring(hash) => hash.for_each(visit),
        }
    }

    /// Calls `visit` with the pairs at these places, each below [`Hash::len`], in the order of `places`, which may name
    /// a place several times.  A place is one pair until the hash changes.
    pub fn visit_places(self, places: &[usize], visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Hash::Plain(pairs) => pairs.visit_places(places, visit),
            Hash::Expiring(hash) => visit_counted(hash, places, visit),
        }
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A pair that is
    /// there from the first call to the last is visited at least once.  A packed hash is visited whole.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match self {
            Hash::Plain(pairs) => pairs.scan(cursor, count, visit),
            Hash::Expiring(hash) => hash.scan(cursor, count, visit),
        }
    }
}

/// Visits places among the fields that are not hidden, which are known by counting alone.
fn visit_counted(hash: &ExpiringHash, places: &[usize], mut visit: impl FnMut(&[u8], &[u8])) {
    let wanted: HashSet<usize> = places.iter().copied().collect();
    let (mut pairs, mut place) = (HashMap::with_capacity(wanted.len()), 0);
    hash.for_each(|field, value| {
        if wanted.contains(&place) {
            pairs.insert(place, (field.to_vec(), value.to_vec()));
        }
        place += 1;
    });
    for place in places {
        let (field, value) = &pairs[place];
        visit(field, value);
    }
}
