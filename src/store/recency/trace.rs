//! What the bits of a shard's entries are written and read by.

use super::turnover::Turnover;

/// What a shard's keys are judged by besides their own bits.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::store) struct Trace {
    /// The shard's own randomness.
    pub(super) noise: u64,
    /// The shard's clock.
    pub(in crate::store) turnover: Turnover,
}
