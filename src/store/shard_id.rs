//! Which shard of which database.

use super::hash::SHARD_BITS;

/// Which shard of which database.  Locks of several shards are taken in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ShardId {
    pub(super) database: u32,
    pub(super) shard: u32,
}

impl ShardId {
    /// Its place in the order in which shards are locked.
    pub fn number(self) -> u64 {
        u64::from(self.database) << SHARD_BITS | u64::from(self.shard)
    }
}
