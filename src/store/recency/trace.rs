//! The clock and the randomness by which the bits of a shard's entries are written and read.

use super::turnover::Turnover;

/// See the head of the file.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::store) struct Trace {
    /// The shard's own randomness.
    pub(super) noise: u64,
    /// The shard's clock.
    pub(in crate::store) turnover: Turnover,
}
