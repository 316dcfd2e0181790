//! A set as it is read: members without an order.  `objects/set` writes.

mod integers;
mod table;

pub(in crate::store) use integers::Integers;
pub(in crate::store) use table::SetTable;

use quartet_protocol::resp::number::{integer_text, parse_integer};

use super::item::Encoded;
use super::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum Set<'s> {
    /// Few integers, in their order.
    Integers(Packed<'s>),
    /// Few and short members, in the order in which they were added.
    Packed(Packed<'s>),
    /// Too many or too long for that.
    Table(&'s SetTable),
}

impl Set<'_> {
    /// Number of members.
    pub fn len(self) -> usize {
        match self {
            Set::Integers(packed) | Set::Packed(packed) => packed.count(),
            Set::Table(table) => table.len(),
        }
    }

    /// Whether there are no members, which is so only while a set is made.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether it has a member.
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            Set::Integers(packed) => {
                parse_integer(member).is_some_and(|integer| Integers::new(packed).find(integer).is_ok())
            }
            Set::Packed(packed) => {
                let wanted = (member.len() <= packed.size()).then(|| Encoded::new(member));
                let wanted = wanted.or_else(|| parse_integer(member).map(Encoded::number));
                wanted.is_some_and(|wanted| packed.items().any(|item| item.is(&wanted)))
            }
            Set::Table(table) => table.contains(member),
        }
    }

    /// Calls `visit` with each member.
    pub fn for_each(self, mut visit: impl FnMut(&[u8])) {
        match self {
            Set::Integers(packed) => {
                Integers::new(packed).iter().for_each(|integer| visit(&integer_text(integer)));
            }
            Set::Packed(packed) => packed.items().for_each(|item| visit(&item.part())),
            Set::Table(table) => table.members().for_each(visit),
        }
    }

    /// Calls `visit` with the members at these places, each below [`Set::len`], in the order of `places`, which may name a
    /// place several times.  A place is one member until the set changes.
    pub fn visit_places(self, places: &[usize], mut visit: impl FnMut(&[u8])) {
        match self {
            Set::Integers(packed) => {
                let integers = Integers::new(packed);
                places.iter().for_each(|&place| visit(&integer_text(integers.at(place))));
            }
            Set::Packed(packed) => {
                let items: Vec<_> = packed.items().collect();
                places.iter().for_each(|&place| visit(&items[place].part()));
            }
            Set::Table(table) => places.iter().for_each(|&place| visit(table.member(place))),
        }
    }

    /// Visits about `count` members for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A member that is
    /// there from the first call to the last is visited at least once.  A packed set is visited whole.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut(&[u8])) -> u64 {
        match self {
            Set::Integers(_) | Set::Packed(_) => {
                self.for_each(visit);
                0
            }
            Set::Table(table) => table.scan(cursor, count, visit),
        }
    }
}
