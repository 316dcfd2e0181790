//! The cache: keys with values and deadlines, exact for readers, punctual in giving memory back, bounded in size.

mod changed;
mod chunks;
pub mod commands;
mod counters;
pub mod endpoints;
mod entry;
pub mod eviction;
mod expiry;
mod growth;
mod hash;
mod keyspace;
mod lifetime;
mod shard;
mod shard_lock;
#[cfg(test)]
mod shard_twin;
mod store;
mod strings;
mod table;
#[cfg(test)]
mod twins;
mod value;

pub use changed::ChangedCounters;
pub use entry::{Deadline, Entry, EntryRef, INLINE_VALUE_MAX};
pub use growth::Growth;
pub use keyspace::{Keyspace, Reads};
pub use lifetime::{Lifetime, LifetimeBounds};
pub use shard::{AccessContext, Counts, Key, MemoryParts, Shard, WatchFlag};
pub use store::{Entered, Exclusive, Gate, SHARD_COUNT, ShardGuard, ShardId, Store};
pub use value::{ContentType, Kind, Value, WrongKind};
