//! A waiting request.

use smallvec::SmallVec;

use super::idempotency::Bound;
use super::load::Load;
use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;

/// The wish of a waiter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lock) enum WaitKind {
    /// Leases on resources.
    Acquire,
    /// That a shared lease becomes exclusive.
    Upgrade,
}

/// A waiting request.
pub(in crate::lock) struct Waiter {
    pub(in crate::lock) owner: usize,
    pub(in crate::lock) kind: WaitKind,
    pub(in crate::lock) resources: SmallVec<[usize; 1]>,
    pub(in crate::lock) mode: Mode,
    /// How long its leases will last, in milliseconds.
    pub(in crate::lock) ttl: Option<u64>,
    pub(in crate::lock) session: Option<SessionId>,
    pub(in crate::lock) meta: Box<[u8]>,
    pub(in crate::lock) request: Bound,
    /// When it began to wait, in microseconds.
    pub(in crate::lock) since: u64,
    /// When its time to wait ends, in microseconds.
    pub(in crate::lock) deadline: u64,
}

impl Waiter {
    /// Whether it fits beside this load of a resource.
    pub(in crate::lock) fn fits(&self, load: &Load) -> bool {
        match self.kind {
            WaitKind::Acquire => load.admits(self.mode),
            WaitKind::Upgrade => load.admits_upgrade(),
        }
    }
}
