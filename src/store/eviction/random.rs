//! Random eviction: any key of a shard.

use super::method::Pool;
use crate::random::Random;
use crate::store::shard::Shard;

/// Puts a random key of a shard into `key`; false if it has none.  A bucket is chosen at random, then one of its keys.
pub(super) fn choose(shard: &Shard, pool: Pool, random: &mut Random, key: &mut Vec<u8>) -> bool {
    let mut seen = 0;
    shard.sample(pool, random.draw(), 1, |entry| {
        seen += 1;
        if random.below(seen) == 0 {
            key.clear();
            key.extend_from_slice(entry.key());
        }
    });
    seen > 0
}
