//! How keys are hashed, and the prefetch that goes with it.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// Hashes keys with a seed of the process, so that a client cannot choose keys that collide.
#[derive(Clone, Debug)]
pub(super) struct KeyHasher(FixedState);

impl KeyHasher {
    /// A hasher with this seed.
    pub(super) fn new(seed: u64) -> KeyHasher {
        KeyHasher(FixedState::with_seed(seed))
    }

    /// The hash of a key.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

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
