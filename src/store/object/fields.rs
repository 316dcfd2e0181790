//! The large form of a hash: a row of fields with their values.

use super::row::Row;
use crate::store::hash::KeyHasher;

/// The value's place in a record, behind its field.
const VALUE: usize = 1;

/// See the head of the file.
#[derive(Clone)]
pub struct FieldTable {
    row: Row<2>,
}

impl FieldTable {
    /// An empty table.
    pub(in crate::store) fn new(hasher: KeyHasher) -> FieldTable {
        FieldTable { row: Row::new(hasher) }
    }

    /// An empty table whose hashes are those of this one.
    pub(in crate::store) fn empty(&self) -> FieldTable {
        FieldTable { row: self.row.empty() }
    }

    /// Number of pairs.
    pub(in crate::store) fn len(&self) -> usize {
        self.row.len()
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.row.memory()
    }

    /// Brings these fields closer.
    pub(in crate::store) fn prefetch(&self, fields: &[&[u8]]) {
        self.row.prefetch(fields);
    }

    /// The value of a field.
    pub(in crate::store) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.row.find(field).map(|place| self.row.item(place, VALUE))
    }

    /// The pair at a place in the row.
    pub(in crate::store) fn pair_at(&self, place: usize) -> (&[u8], &[u8]) {
        self.row.record(place).into()
    }

    /// All pairs.
    pub(in crate::store) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.row.records().map(<(&[u8], &[u8])>::from)
    }

    /// Writes the value of a field; true if the field is new.
    pub(in crate::store) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        match self.row.add([field, value]) {
            Ok(()) => true,
            Err(place) => {
                self.row.overwrite(place, VALUE, value);
                false
            }
        }
    }

    /// Removes a field; false if there is none.
    pub(in crate::store) fn remove(&mut self, field: &[u8]) -> bool {
        self.row.remove(field)
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end; see `row` for the
    /// promise.
    pub(in crate::store) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> u64 {
        let (places, next) = self.row.scan(cursor, count);
        for place in places.rev() {
            let (field, value) = self.pair_at(place);
            visit(field, value);
        }
        next
    }
}

#[cfg(test)]
impl FieldTable {
    /// Checks that its parts and its accounts agree.
    pub(in crate::store) fn check(&self) {
        self.row.check();
    }
}
