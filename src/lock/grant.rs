//! What was given to an owner.

use smallvec::SmallVec;

use crate::clock::Now;

/// What was given to an owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Larger than that of every grant before it.
    pub fence: u64,
    /// How long the lease lasts from now, in milliseconds; none if it lasts as long as its session.
    pub ttl: Option<u64>,
    /// How often the owner holds it.
    pub holds: u32,
    /// How long it was waited for, in milliseconds.
    pub waited: u64,
    /// When it ends, in microseconds; none if only the table knows, since a session keeps it.
    pub(in crate::lock) deadline: Option<u64>,
    /// The leases, by which it can be withdrawn.
    pub(in crate::lock) leases: SmallVec<[usize; 1]>,
    /// What of it is new, and is taken back if nobody hears of it.
    pub(in crate::lock) undo: Undo,
    /// Of a request with an id that waited or was made before, the owner: where one was made up for each try, the first
    /// counts.
    pub owner: Option<Box<[u8]>>,
    /// The key under which the request is remembered; empty if it has no id.
    pub(in crate::lock) request: Box<[u8]>,
}

impl Grant {
    /// The grant as it is to be told now, without a look at the table.  None if that is needed to know what is left.
    pub fn at(&self, now: Now) -> Option<Grant> {
        let left = self.deadline?.saturating_sub(now.micros()) / 1000;
        (left > 0).then(|| Grant { ttl: Some(left), ..self.clone() })
    }
}

/// What a reply about a lease tells that nobody knew before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lock) enum Undo {
    /// Nothing: the owner holds what it held.
    Nothing,
    /// That it was told of a change that was made for an earlier try of the request.
    Claim,
    /// A hold on each resource.
    Hold,
    /// That a lease is exclusive, which was shared under this fence.
    Upgrade(u64),
}
