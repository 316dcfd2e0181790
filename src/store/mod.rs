//! The store: keys with values and deadlines, exact for readers, punctual in giving memory back, bounded in size.
//!
//! Each file names only files above it in this list, and those of a folder keep such an order too (`tests/tidy/order`):
//!
//! | file | contents |
//! |---|---|
//! | `value` | the types of values, without how they are kept |
//! | `random_steps` | how many steps random tests take |
//! | `hash`, `chunks`, `growth` | how keys are hashed; arrays in pieces; by how much the store has grown |
//! | `dirty`, `interests`, `shard_lock` | the names of changed entries; the interests in keys; the lock of a shard |
//! | `object/` | values with parts, a file per type |
//! | `entries/` | the table that owns all entries and the indexes of their deadlines: nearly all the `unsafe` code |
//! | `lifetime`, `recency/` | how long keys live; how keys are used, which eviction judges them by |
//! | `released` | the work that a shard leaves for the time after it is unlocked |
//! | `shard` | the keys behind one lock: every change of a key passes here |
//! | `strings`, `objects/`, `pinned` | the operations of a shard on each type of value |
//! | `long_holds`, `gate` | what is held for long; the way in for threads that run commands |
//! | `databases` | the shards of all databases |
//! | `undo` | what keys held before they were written to |
//! | `keyspace` | a command's view of the store |
//! | `eviction/` | which key goes when memory runs out |
//!
//! A new type of value is a file in `object/` that reads it, with a kind of packed value and a variant of `Object`, a file in
//! `objects/` that writes to it, and a file of commands in `cache/commands`.

mod chunks;
mod databases;
mod dirty;
mod due;
mod entries;
pub mod eviction;
mod gate;
mod growth;
mod hash;
mod interests;
mod keyspace;
mod lifetime;
mod long_holds;
mod looks;
mod object;
mod objects;
mod pinned;
#[cfg(test)]
mod random_steps;
pub mod recency;
mod released;
mod shard;
mod shard_cell;
mod shard_id;
mod shard_lock;
#[cfg(test)]
mod shard_model;
mod strings;
mod undo;
mod value;

pub use databases::{ShardGuard, Store};
pub use dirty::DirtySet;
pub use entries::{Deadline, Entry, EntryRef, INLINE_VALUE_MAX};
pub use gate::{Entered, Exclusive, Gate};
pub use growth::Growth;
pub use hash::{PARTS_MAX, SHARD_COUNT};
pub use interests::{WaiterId, WatchFlag};
pub use keyspace::{Keyspace, Reads};
pub use lifetime::{Lifetime, LifetimeBounds};
pub use long_holds::{HeldForLong, Hold, LongHolds, Patience, Place, Turn};
pub use looks::{Look, Looked};
pub use object::{
    Bound, Element, Hash, List, ListLimits, Object, Packed, PackedKind, Part, Parts, Set, Side, SortedSet,
};
pub use objects::{
    HashLimits, HashWriter, ListWriter, SetLimits, SetWriter, SortedSetLimits, SortedSetWriter, TakenMembers,
};
pub use recency::AccessContext;
pub use released::{ReadyKey, Released};
pub use shard::{Counts, Key, MemoryParts, Shard};
pub use shard_id::ShardId;
pub use undo::NotKept;
pub use value::{ContentType, Value, ValueType, WrongType};
