//! A grant to an owner.

use smallvec::SmallVec;

use crate::clock::Now;

/// A grant to an owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The fencing token: larger than that of every earlier grant.
    pub fence: u64,
    /// How long the lease lasts from now, in milliseconds; none if it lasts as long as its session.
    pub ttl: Option<u64>,
    /// How often the owner holds it.
    pub holds: u32,
    /// How long the request waited, in milliseconds.
    pub waited: u64,
    /// When the lease ends, in microseconds; none if a session keeps it, so that only the table knows.
    pub(in crate::lock) deadline: Option<u64>,
    /// The leases, by which it can be withdrawn.
    pub(in crate::lock) leases: SmallVec<[usize; 1]>,
    /// The part that withdrawing the grant takes back.
    pub(in crate::lock) withdrawal: Withdrawal,
    /// The owner, of a request with an id that waited or was made before.  If a client makes up an owner for each try,
    /// the first one counts.
    pub owner: Option<Box<[u8]>>,
    /// The key under which the request is remembered; empty if it has no id.
    pub(in crate::lock) request: Box<[u8]>,
}

impl Grant {
    /// The grant with the time that is left now, found without the table; none if only the table can tell.
    pub fn at(&self, now: Now) -> Option<Grant> {
        let left = self.deadline?.saturating_sub(now.micros()) / 1000;
        (left > 0).then(|| Grant { ttl: Some(left), ..self.clone() })
    }
}

/// The part of a grant that withdrawing it takes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lock) enum Withdrawal {
    /// Nothing: the owner knew of all of it before.
    Nothing,
    /// The claim of a retry to a change that an earlier try had made.
    Claim,
    /// One hold on each resource.
    Hold,
    /// The upgrade of a lease that was shared under this fence.
    Upgrade(u64),
}
