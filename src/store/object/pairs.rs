//! The fields of a hash with their values as they are read, in either form.

use super::fields::FieldTable;
use super::item::{Item, Part};
use super::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum Pairs<'p> {
    /// Each field is followed by its value, in the order in which the fields were added.
    Packed(Packed<'p>),
    /// Too many or too long for that.
    Table(&'p FieldTable),
}

impl<'p> Pairs<'p> {
    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            Pairs::Packed(packed) => packed.count() / 2,
            Pairs::Table(table) => table.len(),
        }
    }

    /// Whether there are no fields, which is so only while a hash is made.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    pub fn get(self, field: &[u8]) -> Option<Part<'p>> {
        match self {
            Pairs::Packed(packed) => packed.find_pair(field).map(|(_, value)| value.part()),
            Pairs::Table(table) => table.get(field).map(Part::Bytes),
        }
    }

    /// Calls `visit` with each field and its value: packed ones in the order in which they were added.
    pub fn for_each(self, mut visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Pairs::Packed(packed) => packed.pairs().for_each(|pair| visit_pair(&pair, &mut visit)),
            Pairs::Table(table) => table.pairs().for_each(|(field, value)| visit(field, value)),
        }
    }

    /// Calls `visit` with the pairs at these places, each below [`Pairs::len`], in the order of `places`, which may name
    /// a place several times.  A place is one pair until the hash changes.
    pub fn visit_places(self, places: &[usize], mut visit: impl FnMut(&[u8], &[u8])) {
        match self {
            Pairs::Packed(packed) => {
                let pairs: Vec<_> = packed.pairs().collect();
                places.iter().for_each(|&place| visit_pair(&pairs[place], &mut visit));
            }
            Pairs::Table(table) => places.iter().for_each(|&place| {
                let (field, value) = table.pair_at(place);
                visit(field, value);
            }),
        }
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A pair that is
    /// there from the first call to the last is visited at least once.  A packed hash is visited whole.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut(&[u8], &[u8])) -> u64 {
        match self {
            Pairs::Packed(_) => {
                self.for_each(visit);
                0
            }
            Pairs::Table(table) => table.scan(cursor, count, visit),
        }
    }
}

fn visit_pair((field, value): &(Item<'_>, Item<'_>), visit: &mut impl FnMut(&[u8], &[u8])) {
    visit(&field.part(), &value.part());
}
