//! Everything that can be asked of the locks, as values.
//!
//! A door decodes a request into one of these, has [`Locks::run`](super::Locks::run) run it, and encodes the answer.
//! An operation holds no closure and no door's words, so it could be written down or sent to another machine as it is.
//!
//! Times are milliseconds.  Names of owners and resources are bytes, with the limits of [`limits`](super::limits).

use super::grant::Grant;
use super::identifiers::{RequestId, SessionId};
use super::mode::Mode;
use crate::glob::Pattern;

/// Acquires resources for an owner, all of them or none.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    /// The owner: one thread of control.
    pub owner: &'a [u8],
    /// Whether the owner's name was made up for this try, so that a retry comes with another.
    pub is_owner_made_up: bool,
    /// The resources, each once.
    pub resources: &'a [&'a [u8]],
    /// How they are to be held.
    pub mode: Mode,
    /// How long the leases last; none if as long as the session.
    pub ttl: Option<u64>,
    /// How long to wait; 0 answers at once.
    pub wait: u64,
    /// Whether an owner that holds them already acquires them once more.
    pub is_reentrant: bool,
    /// The session that keeps the leases.
    pub session: Option<SessionId>,
    /// A text about the holder for others to read.
    pub meta: &'a [u8],
    /// The id of the request.  A retry may wait for another time.
    pub request: RequestId<'a>,
}

/// Makes a shared lease exclusive, under a new fence, before all other waiters.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// The resource.
    pub resource: &'a [u8],
    /// Its holder.
    pub owner: &'a [u8],
    /// The fence of the lease; none for the holder's last.
    pub fence: Option<u64>,
    /// How long to wait until no other owner shares it; 0 answers at once.
    pub wait: u64,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Makes an exclusive lease shared, under the same fence.
#[derive(Clone, Copy, Debug)]
pub struct Downgrade<'a> {
    /// The resource.
    pub resource: &'a [u8],
    /// Its holder.
    pub owner: &'a [u8],
    /// The fence of the lease; none for the holder's last.
    pub fence: Option<u64>,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Has an owner's leases on resources, all or none, last at least `ttl` from now.  It never shortens them.
#[derive(Clone, Copy, Debug)]
pub struct Renew<'a> {
    /// The resources.
    pub resources: &'a [&'a [u8]],
    /// Their holder.
    pub owner: &'a [u8],
    /// How long the leases last from now.
    pub ttl: u64,
    /// The fence of the leases; none for all that the owner has on the resources.
    pub fence: Option<u64>,
    /// The id of the request.  A retry renews again, since its client counts from then.
    pub request: RequestId<'a>,
}

/// The same for all leases of an owner that no session keeps.
#[derive(Clone, Copy, Debug)]
pub struct RenewAll<'a> {
    /// The owner.
    pub owner: &'a [u8],
    /// How long the leases last from now.
    pub ttl: u64,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Releases a resource once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Release<'a> {
    /// The resource.
    pub resource: &'a [u8],
    /// Its holder.
    pub owner: &'a [u8],
    /// The fence of the lease; none for the holder's last.
    pub fence: Option<u64>,
    /// Releases it as often as the owner holds it.
    pub all: bool,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Releases several resources, if the owner holds them all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReleaseMany<'a> {
    /// The resources.
    pub resources: &'a [&'a [u8]],
    /// Their holder.
    pub owner: &'a [u8],
    /// The fence of the leases; none for the holder's last ones.
    pub fence: Option<u64>,
    /// Releases each as often as the owner holds it.
    pub all: bool,
    /// Releases the rest if some leases have ended.
    pub skips_ended: bool,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Takes a resource away from its holders.
#[derive(Clone, Copy, Debug)]
pub struct Force<'a> {
    /// The resource.
    pub resource: &'a [u8],
    /// The only owner that loses it; none for all of them.
    pub owner: Option<&'a [u8]>,
    /// A text for listeners.
    pub reason: &'a [u8],
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Ends an owner's wait for a resource.
#[derive(Clone, Copy, Debug)]
pub struct CancelWait<'a> {
    /// The resource.
    pub resource: &'a [u8],
    /// The owner that waits.
    pub owner: &'a [u8],
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// The terms of a session: what ends it, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionTerms {
    /// How long it lasts from its last ping; none if only its connection keeps it.
    pub ttl: Option<u64>,
    /// How long its leases are kept after it was lost.
    pub delay: u64,
    /// The connection with which it ends.
    pub connection: Option<u64>,
}

/// Opens a session.
#[derive(Clone, Copy, Debug)]
pub struct OpenSession<'a> {
    /// A random number: the session's id, or the number before it if that is taken.
    pub id: u64,
    /// Its terms.
    pub terms: SessionTerms,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Has a session last its full time from now.
#[derive(Clone, Copy, Debug)]
pub struct PingSession<'a> {
    /// The session.
    pub session: SessionId,
    /// The connection that binds it, if the one that it was bound to has ended.
    pub connection: Option<u64>,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Ends a session and its leases.
#[derive(Clone, Copy, Debug)]
pub struct CloseSession<'a> {
    /// The session.
    pub session: SessionId,
    /// The id of the request.
    pub request: RequestId<'a>,
}

/// Asks whether resources are all held under a fence.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The resources.
    pub resources: &'a [&'a [u8]],
    /// The fence.
    pub fence: u64,
}

/// Reports those of some resources that are held or waited for.
#[derive(Clone, Copy, Debug)]
pub struct Inspect<'a> {
    /// The resources.
    pub resources: &'a [&'a [u8]],
}

/// Reports resources that are held or waited for, in steps.  A resource that is there during the whole walk is found.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Where the step begins: 0, or [`Page::next`](super::Page::next) of the last one.
    pub cursor: usize,
    /// The pattern that names have to match; none for all.
    pub pattern: Option<&'a Pattern>,
    /// The owner that has to hold them.
    pub owner: Option<&'a [u8]>,
}

/// Reports waiting requests with their blockers, in the order of the queues.
#[derive(Clone, Copy, Debug)]
pub struct Waits<'a> {
    /// The resource that is waited for; none for any.
    pub resource: Option<&'a [u8]>,
    /// The owner that waits; none for any.
    pub owner: Option<&'a [u8]>,
    /// The most requests to report, and never more than a thousand.
    pub count: usize,
}

/// Reports a session.
#[derive(Clone, Copy, Debug)]
pub struct InspectSession {
    /// The session.
    pub session: SessionId,
}

/// Reports the last deadlocks, the newest first.
#[derive(Clone, Copy, Debug)]
pub struct Deadlocks {
    /// The most to report.
    pub count: usize,
}

/// Asks for the rest of a new grant, now that its owner can be told of it.  If a part has ended, it is withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Confirm<'a> {
    /// The grant.
    pub grant: &'a Grant,
}

/// Asks for the rest of leases that their owner knew before.  Nothing is withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Remaining<'a> {
    /// The leases, as they were when they changed.
    pub grant: &'a Grant,
}

/// Takes a grant back that its owner will not be told of, unless a retry was told of it.
#[derive(Clone, Copy, Debug)]
pub struct Withdraw<'a> {
    /// The grant.
    pub grant: &'a Grant,
}

/// Counts the leases of an owner that no session keeps.
#[derive(Clone, Copy, Debug)]
pub struct CountRenewable<'a> {
    /// The owner.
    pub owner: &'a [u8],
}

/// Asks how long a session lasts from now.
#[derive(Clone, Copy, Debug)]
pub struct SessionRemaining {
    /// The session.
    pub session: SessionId,
}

/// Ends a session that its client will not be told of, unless a retry was told of it.
#[derive(Clone, Copy, Debug)]
pub struct WithdrawSession {
    /// The session.
    pub session: SessionId,
}

/// Ends the sessions that are bound to a connection.
#[derive(Clone, Copy, Debug)]
pub struct Disconnect {
    /// The connection.
    pub connection: u64,
}

/// Does everything that has fallen due.
#[derive(Clone, Copy, Debug)]
pub struct Advance;
