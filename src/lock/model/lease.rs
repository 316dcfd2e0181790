//! A lease: one owner's hold on one resource.

use crate::lock::identifiers::SessionId;
use crate::lock::mode::Mode;

/// One owner's hold on one resource.
pub(in crate::lock) struct Lease {
    pub(in crate::lock) owner: usize,
    pub(in crate::lock) resource: usize,
    pub(in crate::lock) mode: Mode,
    pub(in crate::lock) fence: u64,
    /// How often the owner has acquired it without giving it back.
    pub(in crate::lock) holds: u32,
    /// How long it was promised to last, in milliseconds; 0 if it lasts as long as its session.
    pub(in crate::lock) ttl: u32,
    /// When it ends, in microseconds; 0 if it lasts as long as its session.
    pub(in crate::lock) deadline: u64,
    /// 0 if there is none.
    pub(in crate::lock) session: u64,
    pub(in crate::lock) granted_at: u64,
    pub(in crate::lock) meta: Box<[u8]>,
    /// How many retries of the request were told of it.  It is withdrawn once all of these and the first have gone
    /// unheard.
    pub(in crate::lock) claims: u32,
    /// Where it stands among the holders of its resource.
    pub(in crate::lock) place: u32,
    /// Where it stands among the leases of its owner.
    pub(in crate::lock) owner_place: u32,
}

impl Lease {
    /// How long it was promised to last, in milliseconds; none if it lasts as long as its session.
    pub(in crate::lock) fn ttl(&self) -> Option<u64> {
        Some(self.ttl.into()).filter(|&ttl| ttl != 0)
    }

    /// When it ends, in microseconds.
    pub(in crate::lock) fn deadline(&self) -> Option<u64> {
        Some(self.deadline).filter(|&deadline| deadline != 0)
    }

    /// What keeps it.
    pub(in crate::lock) fn session(&self) -> Option<SessionId> {
        Some(SessionId(self.session)).filter(|session| session.0 != 0)
    }
}

/// A time to live as a lease keeps it.
pub(in crate::lock) fn kept_ttl(ttl: u64) -> u32 {
    u32::try_from(ttl).unwrap_or(u32::MAX)
}
