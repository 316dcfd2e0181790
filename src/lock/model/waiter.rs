//! A request that waits.

use smallvec::SmallVec;

use super::idempotency::Bound;
use super::load::Load;
use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lock) enum Kind {
    /// To hold resources.
    Acquire,
    /// To hold a resource alone that it shares.
    Upgrade,
}

/// A request that waits.
pub(in crate::lock) struct Waiter {
    pub(in crate::lock) owner: usize,
    pub(in crate::lock) kind: Kind,
    pub(in crate::lock) resources: SmallVec<[usize; 1]>,
    pub(in crate::lock) mode: Mode,
    /// Milliseconds.
    pub(in crate::lock) ttl: Option<u64>,
    pub(in crate::lock) session: Option<SessionId>,
    pub(in crate::lock) meta: Box<[u8]>,
    pub(in crate::lock) request: Bound,
    /// When it began to wait, in microseconds.
    pub(in crate::lock) since: u64,
    /// When it stops, in microseconds.
    pub(in crate::lock) deadline: u64,
}

impl Waiter {
    /// Whether it may be granted beside that much of a resource.
    pub(in crate::lock) fn fits(&self, load: &Load) -> bool {
        match self.kind {
            Kind::Acquire => load.admits(self.mode),
            Kind::Upgrade => load.admits_upgrade(),
        }
    }
}
