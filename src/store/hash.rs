//! How keys are hashed, and the prefetch that goes with it.

use std::hash::Hasher;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// Shards per database: the highest bits of a key's hash name its shard.
pub const SHARD_COUNT: usize = 1 << SHARD_BITS;
pub(super) const SHARD_BITS: u32 = 10;

/// Hashes keys with a seed of the process, so that a client cannot choose keys that collide.  All words that keys are
/// mixed with follow from the seed: with the library's well-known ones a client could cancel the seed out.
#[derive(Clone, Debug)]
pub(super) struct KeyHasher {
    seed: u64,
    words: Arc<SharedSeed>,
}

impl KeyHasher {
    /// A hasher with this seed.
    pub(super) fn new(seed: u64) -> KeyHasher {
        KeyHasher { seed, words: Arc::new(SharedSeed::from_u64(!seed)) }
    }

    /// The hash of a key.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.words);
        hasher.write(key);
        hasher.finish()
    }
}

/// The bucket of a hash in linear hashing: buckets are addressed by the low bits of the hash, as many as cover them all,
/// or one fewer where the higher half does not reach yet.
pub(super) fn bucket_for(hash: u64, bucket_count: usize) -> usize {
    let mask = bucket_count.next_power_of_two() - 1;
    let index = hash as usize & mask;
    if index < bucket_count { index } else { index & (mask >> 1) }
}

/// The most parts of a value whose memory is asked for at once.  More would push out what was asked for first.
pub const PARTS_MAX: usize = 32;

/// Bytes that the processor fetches together.
pub(super) const LINE: usize = 64;

/// Asks the processor to bring the line at `address` closer.  Any address will do: a wrong one costs nothing.
pub(super) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address, and changes no memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hasher};

    use foldhash::quality::FixedState;

    use super::KeyHasher;

    /// The word of the library's own that the second half of a key of sixteen bytes is mixed with.  A second half equal
    /// to it makes a factor zero, whatever the seed and the first half are.
    const CANCELLING: u64 = 0x3f84_d5b5_b547_0917;

    fn keys() -> impl Iterator<Item = [u8; 16]> {
        (0..1000_u64).map(|number| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&number.to_ne_bytes());
            key[8..].copy_from_slice(&CANCELLING.to_ne_bytes());
            key
        })
    }

    #[test]
    fn no_key_cancels_the_seed_out() {
        let fixed = |key: [u8; 16]| {
            let mut hasher = FixedState::with_seed(7).build_hasher();
            hasher.write(&key);
            hasher.finish()
        };
        assert_eq!(keys().map(fixed).collect::<HashSet<_>>().len(), 1, "the test knows the library's word");
        let hasher = KeyHasher::new(7);
        assert_eq!(keys().map(|key| hasher.hash(&key)).collect::<HashSet<_>>().len(), 1000);
    }
}
