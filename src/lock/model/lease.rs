//! A lease: an owner holds a resource for a time.

use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;

/// An owner holds a resource for a time.
pub(in crate::lock) struct Lease {
    pub(in crate::lock) owner: usize,
    pub(in crate::lock) resource: usize,
    pub(in crate::lock) mode: Mode,
    pub(in crate::lock) fence: u64,
    /// How often the owner has acquired the resource without releasing it.
    pub(in crate::lock) holds: u32,
    /// How long the lease was promised to last, in milliseconds; 0 if as long as its session.
    pub(in crate::lock) ttl: u32,
    /// When the lease ends, in microseconds; 0 if with its session.
    pub(in crate::lock) deadline: u64,
    /// The session that keeps it; 0 if there is none.
    pub(in crate::lock) session: u64,
    pub(in crate::lock) granted_at: u64,
    pub(in crate::lock) meta: Box<[u8]>,
    /// How many retries of the request were told of it.  It is withdrawn once neither they nor the first try can hear
    /// of it.
    pub(in crate::lock) claims: u32,
    /// Its index among the holders of its resource.
    pub(in crate::lock) holder_index: u32,
    /// Its index among the leases of its owner.
    pub(in crate::lock) owner_index: u32,
}

impl Lease {
    /// How long the lease was promised to last, in milliseconds; none if as long as its session.
    pub(in crate::lock) fn ttl(&self) -> Option<u64> {
        Some(self.ttl.into()).filter(|&ttl| ttl != 0)
    }

    /// When the lease ends, in microseconds; none if with its session.
    pub(in crate::lock) fn deadline(&self) -> Option<u64> {
        Some(self.deadline).filter(|&deadline| deadline != 0)
    }

    /// The session that keeps it.
    pub(in crate::lock) fn session(&self) -> Option<SessionId> {
        Some(SessionId(self.session)).filter(|session| session.0 != 0)
    }
}

/// A time to live as a lease stores it.
pub(in crate::lock) fn stored_ttl(ttl: u64) -> u32 {
    u32::try_from(ttl).unwrap_or(u32::MAX)
}
