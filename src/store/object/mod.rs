//! Values with parts, as they are read: one variant per type, each in a file of its own.
//!
//! A value of few and short parts lies packed in its entry (`packed`), a larger one is a boxed [`Object`] that the entry
//! points to.  An object says at any time, in one step, how much memory it takes.  Values are written to through
//! the shard alone (see `objects`), which keeps its accounts by that.

mod deadlines;
mod expiring_hash;
mod fields;
mod hash;
mod item;
mod list;
mod members;
mod packed;
mod packed_pairs;
mod page;
mod pairs;
mod room;
mod row;
mod set;
mod sorted_set;

#[cfg(test)]
pub(super) use deadlines::FIELD_DEADLINE_MAX;
pub(super) use expiring_hash::{ExpiredFields, ExpiringHash};
pub(super) use fields::FieldTable;
pub use hash::Hash;
pub(super) use item::Encoded;
pub use item::Part;
pub(super) use list::{Block, Chain, EncodedElement, end, find_equal, place};
pub use list::{Element, List, ListLimits, Side};
pub(super) use packed::{HEAD, PACKED_SIZE_MAX, SPARE_UNIT};
pub use packed::{Packed, PackedKind};
pub(super) use pairs::Pairs;
pub(super) use row::LENGTH_MAX as ROW_LENGTH_MAX;
pub use set::Set;
pub(super) use set::{Integers, SetTable};
pub use sorted_set::{Bound, SortedSet};
pub(super) use sorted_set::{LENGTH_MAX as SORTED_SET_LENGTH_MAX, ScoreTree};

use crate::store::value::{Deadline, ValueType, WrongType};

/// A value with parts in either form.
#[derive(Clone, Copy)]
pub enum Parts<'p> {
    /// It lies in the entry.
    Packed(Packed<'p>),
    /// The entry points to it.
    Object(&'p Object),
}

/// A large value.
#[derive(Clone)]
pub enum Object {
    /// Fields with values.
    Hash(Box<FieldTable>),
    /// Fields with values, some of which expire.
    ExpiringHash(Box<ExpiringHash>),
    /// Elements in an order.
    List(Chain),
    /// Members.
    Set(Box<SetTable>),
    /// Members with scores.
    SortedSet(Box<ScoreTree>),
}

impl<'p> Parts<'p> {
    /// Its type.
    pub fn value_type(self) -> ValueType {
        match self {
            Parts::Packed(packed) => packed.kind().value_type(),
            Parts::Object(object) => object.value_type(),
        }
    }

    /// Redis' name for the form it has.
    pub fn encoding(self) -> &'static str {
        match self {
            Parts::Packed(packed) => packed.kind().encoding(),
            Parts::Object(object) => object.encoding(),
        }
    }

    /// Whether there are none; a key whose value is left without any is removed.
    pub fn is_empty(self) -> bool {
        match self {
            Parts::Packed(packed) => packed.count() == 0,
            Parts::Object(object) => object.is_empty(),
        }
    }

    /// The hash that they are.
    ///
    /// # Errors
    /// If they are something else.
    pub fn hash(self) -> Result<Hash<'p>, WrongType> {
        match self {
            Parts::Packed(packed) if packed.kind() == PackedKind::Hash => {
                Ok(Hash::Plain(Pairs::Packed(packed)))
            }
            Parts::Object(Object::Hash(table)) => Ok(Hash::Plain(Pairs::Table(table))),
            Parts::Object(Object::ExpiringHash(hash)) => {
                Ok(hash.pairs().map_or(Hash::Expiring(hash), Hash::Plain))
            }
            _ => Err(WrongType),
        }
    }

    /// When a field of a hash is gone; none if it has no deadline.
    pub fn field_deadline(self, field: &[u8]) -> Option<Deadline> {
        match self {
            Parts::Object(Object::ExpiringHash(hash)) => hash.deadline(field),
            _ => None,
        }
    }

    /// The list that they are.
    ///
    /// # Errors
    /// If they are something else.
    pub fn list(self) -> Result<List<'p>, WrongType> {
        match self {
            Parts::Packed(packed) if packed.kind() == PackedKind::List => Ok(List::Packed(packed)),
            Parts::Object(Object::List(chain)) => Ok(List::Chain(chain)),
            _ => Err(WrongType),
        }
    }

    /// The set that they are.
    ///
    /// # Errors
    /// If they are something else.
    pub fn set(self) -> Result<Set<'p>, WrongType> {
        match self {
            Parts::Packed(packed) if packed.kind() == PackedKind::Integers => Ok(Set::Integers(packed)),
            Parts::Packed(packed) if packed.kind() == PackedKind::Set => Ok(Set::Packed(packed)),
            Parts::Object(Object::Set(table)) => Ok(Set::Table(table)),
            _ => Err(WrongType),
        }
    }

    /// The sorted set that they are.
    ///
    /// # Errors
    /// If they are something else.
    pub fn sorted_set(self) -> Result<SortedSet<'p>, WrongType> {
        match self {
            Parts::Packed(packed) if packed.kind() == PackedKind::SortedSet => Ok(SortedSet::Packed(packed)),
            Parts::Object(Object::SortedSet(tree)) => Ok(SortedSet::Tree(tree)),
            _ => Err(WrongType),
        }
    }
}

impl Object {
    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Object::Hash(_) | Object::ExpiringHash(_) => ValueType::Hash,
            Object::List(_) => ValueType::List,
            Object::Set(_) => ValueType::Set,
            Object::SortedSet(_) => ValueType::SortedSet,
        }
    }

    /// Redis' name for the form it has.
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::Hash(_) | Object::ExpiringHash(_) | Object::Set(_) => "hashtable",
            Object::List(_) => "quicklist",
            Object::SortedSet(_) => "skiplist",
        }
    }

    /// Bytes of memory, those of this value itself included.
    pub fn memory(&self) -> usize {
        let parts = match self {
            Object::Hash(table) => size_of::<FieldTable>() + table.memory(),
            Object::ExpiringHash(hash) => size_of::<ExpiringHash>() + hash.memory(),
            Object::List(chain) => chain.memory(),
            Object::Set(table) => size_of::<SetTable>() + table.memory(),
            Object::SortedSet(tree) => size_of::<ScoreTree>() + tree.memory(),
        };
        size_of::<Object>() + parts
    }

    /// Brings the memory closer that these fields or members are found by, up to [`PARTS_MAX`](crate::store::PARTS_MAX) of them.
    pub(super) fn prefetch(&self, parts: &[&[u8]]) {
        match self {
            Object::Hash(table) => table.prefetch(parts),
            Object::ExpiringHash(hash) => hash.prefetch(parts),
            Object::List(_) => {}
            Object::Set(table) => table.prefetch(parts),
            Object::SortedSet(tree) => tree.prefetch(parts),
        }
    }

    /// Whether it has no parts.
    pub fn is_empty(&self) -> bool {
        match self {
            Object::Hash(table) => table.len() == 0,
            Object::ExpiringHash(hash) => hash.len() == 0,
            Object::List(chain) => chain.len() == 0,
            Object::Set(table) => table.len() == 0,
            Object::SortedSet(tree) => tree.len() == 0,
        }
    }
}
