//! The outcome of a request for resources, at once and after a wait.

use super::deadlock::Deadlock;
use super::grant::Grant;
use super::identifiers::WaiterId;

/// The immediate outcome of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acquired {
    /// It was granted.
    Granted(Grant),
    /// It cannot be granted now, and does not wait.
    Busy,
    /// It waits.
    Waiting(WaiterId),
    /// It is a retry of a waiting request, and takes its place.
    Rejoined(WaiterId),
    /// Waiting would close a circle of owners.
    Deadlock(Deadlock),
}

/// How a wait ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With a grant.
    Granted(Grant),
    /// With the end of the time to wait.
    TimedOut,
    /// With LOCK.CANCEL.
    Cancelled,
    /// With a retry of the request, which took its place.
    Superseded,
    /// With the end of its session.
    SessionEnded,
    /// With the end of the lease that was to be upgraded.
    LeaseLost,
}
