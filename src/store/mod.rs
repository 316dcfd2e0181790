//! The store: keys with values and deadlines, exact for readers, punctual in giving memory back, bounded in size.

mod chunks;
mod databases;
mod dirty;
mod entry;
pub mod eviction;
mod expiry;
mod growth;
mod hash;
mod keyspace;
mod lifetime;
#[cfg(test)]
mod model_tests;
mod object;
mod objects;
mod pinned;
mod shard;
mod shard_lock;
#[cfg(test)]
mod shard_model;
mod strings;
mod table;
mod value;

pub use databases::{Entered, Exclusive, Gate, SHARD_COUNT, ShardGuard, ShardId, Store};
pub use dirty::DirtySet;
pub use entry::{Deadline, Entry, EntryRef, INLINE_VALUE_MAX};
pub use growth::Growth;
pub use keyspace::{Keyspace, Reads};
pub use lifetime::{Lifetime, LifetimeBounds};
pub use object::{Hash, HashLimits, HashWriter, Object};
pub use shard::{AccessContext, Counts, Key, MemoryParts, Shard, WatchFlag};
pub use value::{ContentType, Value, ValueType, WrongType};
