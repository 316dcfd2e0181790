//! The small form of a value with parts: its items one behind the other, in the entry itself.
//!
//! The value field of such an entry:
//!
//! ```text
//! 0  u8   kind   which type, and for some types which form of it
//! 1  u8   spare  units of sixteen bytes that are unused at the end
//! 2  u16  count  number of items, the lower byte first
//! 4       items  see `item`
//! ..      unused
//! ```
//!
//! Finding an item takes a walk from the start, which for the few and short items that this form is for is quicker than a
//! table and takes a fraction of its memory.  `Entry::splice_packed` writes.

use super::item::{Encoded, Item, Items};
use crate::store::value::ValueType;

/// Bytes before the items.
pub(in crate::store) const HEAD: usize = 4;

/// The unit of unused bytes.
pub(in crate::store) const SPARE_UNIT: usize = 16;

/// The most bytes of all items: a value field has fewer than 65,536 bytes, and some may be unused.  A value with more is an
/// object, whatever the settings say.
pub(in crate::store) const PACKED_SIZE_MAX: usize = 60_000;

/// What a packed value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PackedKind {
    /// A hash: each field is followed by its value.
    Hash = 1,
    /// A list, whose elements are no items but of a form of their own: see `list/element`.
    List = 2,
    /// A set.
    Set = 3,
    /// A set of integers: see `set/integers`.
    Integers = 4,
    /// A sorted set: each member is followed by its score, in the order of scores and members.
    SortedSet = 5,
}

/// A packed value.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'p> {
    kind: PackedKind,
    count: usize,
    items: &'p [u8],
}

impl PackedKind {
    /// The type.
    pub fn value_type(self) -> ValueType {
        match self {
            PackedKind::Hash => ValueType::Hash,
            PackedKind::List => ValueType::List,
            PackedKind::Set | PackedKind::Integers => ValueType::Set,
            PackedKind::SortedSet => ValueType::SortedSet,
        }
    }

    /// Redis' name for this form.
    pub fn encoding(self) -> &'static str {
        match self {
            PackedKind::Integers => "intset",
            _ => "listpack",
        }
    }

    fn from_byte(byte: u8) -> PackedKind {
        match byte {
            1 => PackedKind::Hash,
            2 => PackedKind::List,
            3 => PackedKind::Set,
            4 => PackedKind::Integers,
            5 => PackedKind::SortedSet,
            _ => unreachable!("an entry was made with a kind"),
        }
    }
}

impl<'p> Packed<'p> {
    /// The packed value in a value field.
    pub(in crate::store) fn new(field: &'p [u8]) -> Packed<'p> {
        let [kind, spare, count @ ..] = *field.first_chunk::<HEAD>().expect("a packed value has a head");
        let items = &field[HEAD..field.len() - usize::from(spare) * SPARE_UNIT];
        Packed { kind: PackedKind::from_byte(kind), count: u16::from_le_bytes(count).into(), items }
    }

    /// The packed value of so many items, which lie elsewhere than in an entry.
    pub(in crate::store) fn of(kind: PackedKind, count: usize, items: &'p [u8]) -> Packed<'p> {
        Packed { kind, count, items }
    }

    /// The head of a value field.
    pub(in crate::store) fn head(kind: PackedKind, spare: usize, count: usize) -> [u8; HEAD] {
        let spare = u8::try_from(spare).expect("few bytes are unused");
        let [low, high] = u16::try_from(count).expect("an item has at least a byte").to_le_bytes();
        [kind as u8, spare, low, high]
    }

    /// What it is.
    pub fn kind(self) -> PackedKind {
        self.kind
    }

    /// Number of items.
    pub(in crate::store) fn count(self) -> usize {
        self.count
    }

    /// Bytes of all items.
    pub(in crate::store) fn size(self) -> usize {
        self.items.len()
    }

    /// The bytes of all items.
    pub(in crate::store) fn bytes(self) -> &'p [u8] {
        self.items
    }

    /// The items.
    pub(in crate::store) fn items(self) -> Items<'p> {
        Items::new(self.items)
    }

    /// The items in pairs.
    pub(in crate::store) fn pairs(self) -> impl Iterator<Item = (Item<'p>, Item<'p>)> {
        let mut items = self.items();
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    /// The pair whose first item has these bytes.
    pub(in crate::store) fn find_pair(self, first: &[u8]) -> Option<(Item<'p>, Item<'p>)> {
        if first.len() > PACKED_SIZE_MAX {
            return None;
        }
        let wanted = Encoded::new(first);
        self.pairs().find(|(first, _)| first.is(&wanted))
    }
}
