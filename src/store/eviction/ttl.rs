//! Eviction by time to live: the key whose deadline is nearest.

use crate::store::entries::Deadline;
use crate::store::shard::Shard;

/// The nearest deadline of a key of a shard; none if no key has one.
pub(super) fn nearest(shard: &mut Shard) -> Option<Deadline> {
    // The search corrects when something falls due, which is to be shown when the shard is unlocked.
    shard.changed = true;
    shard.entries.soonest_key().map(|(deadline, _)| deadline)
}

/// Puts the key of a shard whose deadline is nearest into `key`; false if none has a deadline.
pub(super) fn choose(shard: &mut Shard, key: &mut Vec<u8>) -> bool {
    let Some((_, entry)) = shard.entries.soonest_key() else { return false };
    key.clear();
    key.extend_from_slice(entry.key());
    true
}
