//! Values with parts: one variant per type, each in a file of its own.
//!
//! An entry points to a boxed [`Object`] (see `entry`).  An object says at any time, in one step, how much memory it
//! takes, and is written to through the shard alone (see `objects`), which keeps its accounts by that.

mod fields;
mod hash;
mod packed;

pub use hash::{Hash, HashLimits, HashWriter};

use crate::store::value::{ValueType, WrongType};

/// See the head of the file.
#[derive(Clone)]
pub enum Object {
    /// Fields with values.
    Hash(Hash),
}

impl Object {
    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Object::Hash(_) => ValueType::Hash,
        }
    }

    /// Redis' name for the form it has.
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::Hash(hash) => hash.encoding(),
        }
    }

    /// Bytes of memory, those of this value itself included.
    pub fn memory(&self) -> usize {
        let parts = match self {
            Object::Hash(hash) => hash.memory(),
        };
        size_of::<Object>() + parts
    }

    /// Whether it has no parts; a key whose object is left without any is removed.
    pub fn is_empty(&self) -> bool {
        match self {
            Object::Hash(hash) => hash.is_empty(),
        }
    }

    /// The hash it is.
    ///
    /// # Errors
    /// If it is something else.
    pub fn hash(&self) -> Result<&Hash, WrongType> {
        match self {
            Object::Hash(hash) => Ok(hash),
        }
    }

    /// The same, to be written to.
    pub(super) fn hash_mut(&mut self) -> Result<&mut Hash, WrongType> {
        match self {
            Object::Hash(hash) => Ok(hash),
        }
    }
}
