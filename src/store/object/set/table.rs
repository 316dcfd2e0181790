//! The large form of a set: a row of members.

use crate::store::hash::KeyHasher;
use crate::store::object::row::Row;

/// See the head of the file.
#[derive(Clone)]
pub struct SetTable {
    row: Row<1>,
}

impl SetTable {
    /// An empty one.
    pub(in crate::store) fn new(hasher: KeyHasher) -> SetTable {
        SetTable { row: Row::new(hasher) }
    }

    /// Number of members.
    pub(in crate::store) fn len(&self) -> usize {
        self.row.len()
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.row.memory()
    }

    /// Brings these members closer.
    pub(in crate::store) fn prefetch(&self, members: &[&[u8]]) {
        self.row.prefetch(members);
    }

    /// Whether it has a member.
    pub(in crate::store) fn contains(&self, member: &[u8]) -> bool {
        self.row.find(member).is_some()
    }

    /// The member at a place in the row.
    pub(in crate::store) fn member(&self, place: usize) -> &[u8] {
        self.row.item(place, 0)
    }

    /// All members.
    pub(in crate::store) fn members(&self) -> impl Iterator<Item = &[u8]> {
        self.row.records().map(|[member]| member)
    }

    /// Adds a member; false if it is there already.
    pub(in crate::store) fn add(&mut self, member: &[u8]) -> bool {
        self.row.add([member]).is_ok()
    }

    /// Removes a member; false if there is none.
    pub(in crate::store) fn remove(&mut self, member: &[u8]) -> bool {
        self.row.remove(member)
    }

    /// Visits about `count` members for `cursor` (0 to start) and returns the next cursor, 0 at the end; see `row` for the
    /// promise.
    pub(in crate::store) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        let (places, next) = self.row.scan(cursor, count);
        places.rev().for_each(|place| visit(self.member(place)));
        next
    }
}

#[cfg(test)]
impl SetTable {
    /// Checks that its parts and its accounts agree.
    pub(in crate::store) fn check(&self) {
        self.row.check();
    }
}
