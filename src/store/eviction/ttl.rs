//! Eviction by time to live: the key whose deadline is nearest.

use crate::store::shard::Shard;

/// Puts the key of a shard whose deadline is nearest into `key`; false if none has a deadline.
pub(super) fn choose(shard: &mut Shard, key: &mut Vec<u8>) -> bool {
    let Some(entry) = shard.entries.soonest() else { return false };
    key.clear();
    key.extend_from_slice(entry.key());
    true
}
