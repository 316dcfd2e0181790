//! A hash as it is read: fields with values.  `objects/hash` writes.

use std::collections::HashMap;

use super::expiring_hash::ExpiringHash;
use super::fields::FieldTable;
use super::item::{Item, Part};
use super::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum Hash<'h> {
    /// Each field is followed by its value, in the order in which the fields were added.
    Packed(Packed<'h>),
    /// Too many or too long for that.
    Table(&'h FieldTable),
    /// Either, with fields that have expired and are to be removed.
    Expiring(&'h ExpiringHash),
}

impl<'h> Hash<'h> {
    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            Hash::Packed(packed) => packed.count() / 2,
            Hash::Table(table) => table.len(),
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
            Hash::Packed(packed) => packed.find_pair(field).map(|(_, value)| value.part()),
            Hash::Table(table) => table.get(field).map(Part::Bytes),
            Hash::Expiring(hash) => hash.get(field),
        }
    }

    /// Calls `visit` with each field and its value: packed ones in the order in which they were added.
    pub fn for_each(self, mut visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Hash::Packed(packed) => packed.pairs().for_each(|pair| visit_pair(&pair, &mut visit)),
            Hash::Table(table) => table.pairs().for_each(|(field, value)| visit(field, value)),
            Hash::Expiring(hash) => hash.for_each(&mut visit),
        }
    }

    /// Calls `visit` with the pairs at these places, each below [`Hash::len`], in the order of `places`, which may name
    /// a place several times.  A place is one pair until the hash changes.
    pub fn visit_places(self, places: &[usize], mut visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Hash::Packed(packed) => {
                let pairs: Vec<_> = packed.pairs().collect();
                places.iter().for_each(|&place| visit_pair(&pairs[place], &mut visit));
            }
            Hash::Table(table) => places.iter().for_each(|&place| {
                let (field, value) = table.pair_at(place);
                visit(field, value);
            }),
            Hash::Expiring(hash) => {
                // The places of those that are not hidden are known by counting alone.
                let mut wanted: HashMap<usize, Option<(Vec<u8>, Vec<u8>)>> =
                    places.iter().map(|&place| (place, None)).collect();
                let mut place = 0;
                hash.for_each(&mut |field, value| {
                    if let Some(pair) = wanted.get_mut(&place) {
                        *pair = Some((field.to_vec(), value.to_vec()));
                    }
                    place += 1;
                });
                for place in places {
                    if let Some(Some((field, value))) = wanted.get(place) {
                        visit(field, value);
                    }
                }
            }
        }
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A pair that is
    /// there from the first call to the last is visited at least once.  A packed hash is visited whole.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match self {
            Hash::Packed(_) => {
                self.for_each(visit);
                0
            }
            Hash::Table(table) => table.scan(cursor, count, visit),
            Hash::Expiring(hash) => hash.scan(cursor, count, &mut visit),
        }
    }
}

fn visit_pair((field, value): &(Item<'_>, Item<'_>), visit: &mut impl FnMut(&[u8], &[u8])) {
    visit(&field.part(), &value.part());
}
