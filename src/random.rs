//! Randomness.  Like time it is passed on as an argument: a seed makes every run the same.  Only secrets come from the system.

/// A small fast generator for sampling and jitter, but not for secrets.
#[derive(Clone, Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// A generator whose numbers follow from the seed.
    pub fn with_seed(seed: u64) -> Random {
        Random(fastrand::Rng::with_seed(seed))
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }
}

/// Bytes from the system's random source, which nobody can guess: for secrets.
///
/// # Errors
/// If the system has none.
pub fn secret<const LENGTH: usize>() -> std::io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// A seed that is different at every start and cannot be guessed.
pub fn machine_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hasher is keyed from the system's random source.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
