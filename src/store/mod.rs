//! The store: keys with values and deadlines, exact for readers, punctual in giving memory back, bounded in size.

mod chunks;
mod databases;
mod dirty;
mod entries;
pub mod eviction;
mod growth;
mod hash;
mod interests;
mod keyspace;
mod lifetime;
mod object;
mod objects;
mod pinned;
pub mod recency;
mod released;
mod shard;
mod shard_lock;
#[cfg(test)]
mod shard_model;
mod strings;
mod value;

pub use databases::{Entered, Exclusive, Gate, ShardGuard, ShardId, Store};
pub use dirty::DirtySet;
pub use entries::{Deadline, Entry, EntryRef, INLINE_VALUE_MAX};
pub use growth::Growth;
pub use hash::SHARD_COUNT;
pub use interests::{WaiterId, WatchFlag};
pub use keyspace::{Keyspace, Reads};
pub use lifetime::{Lifetime, LifetimeBounds};
pub use object::{Hash, HashLimits, HashWriter, Object};
pub use recency::AccessContext;
pub use released::{ReadyKey, Released};
pub use shard::{Counts, Key, MemoryParts, Shard};
pub use value::{ContentType, Value, ValueType, WrongType};
