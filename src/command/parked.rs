//! A command that waits for its reply.

use std::task::{Poll, Waker};

use quartet_protocol::resp::Output;

use super::{Continuation, Services};
use crate::clock::Now;
use crate::delivery::Effects;

/// What a connection keeps of a command that waits, such as for a lock.
///
/// Who waits is in the hands of its service, which ends the waiting after its time-out too; this is the end that the
/// connection holds.
pub trait Parked: Send {
    /// Writes the reply once there is one; until then `waker` is woken when there may be.  A reply that waits
    /// for the disk is left in `continuation` as a held one, with its place in `output`.
    fn poll(&mut self, waker: &Waker, output: &mut Output, continuation: &mut Continuation) -> Poll<()>;

    /// Writes the reply of a wait that was in vain: for CLIENT UNBLOCK.
    fn write_timeout(&self, output: &mut Output);

    /// Stops waiting, since the connection ends or the wait is cut short.  What was granted meanwhile is withdrawn.
    fn abandon(&mut self, services: &Services, now: Now, effects: &mut Effects);
}
