//! What becomes of a request for resources, at once and after a wait.

use super::deadlock::Deadlock;
use super::grant::Grant;
use super::identifiers::WaiterId;

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acquired {
    /// It was granted.
    Granted(Grant),
    /// It cannot be granted now and was not to wait.
    Busy,
    /// It waits.
    Waiting(WaiterId),
    /// It is a retry of one that waits, whose place it takes.
    Rejoined(WaiterId),
    /// Waiting would close a circle of owners that wait for one another.
    Deadlock(Deadlock),
}

/// How waiting ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With what was waited for.
    Granted(Grant),
    /// The time to wait was over.
    TimedOut,
    /// It was cancelled by LOCK.CANCEL.
    Cancelled,
    /// A retry of the same request took its place.
    Superseded,
    /// The session it was for has ended.
    SessionEnded,
    /// The lease that was to be upgraded has ended.
    LeaseLost,
}
