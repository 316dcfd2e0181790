//! Replies that wait for the disk.

use quartet_protocol::resp::{Output, Version};

use super::{Continuation, Services};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::wait::Barrier;

/// The end of a reply whose command is still running.
const OPEN: usize = usize::MAX;

/// The promise of a reply, which time or the client's leaving can make void while the reply waits for the disk.
pub trait Promise: Send {
    /// Writes the reply anew, as it is true now that the disk has its records.  Time has passed meanwhile.
    fn write(&mut self, services: &Services, now: Now, output: &mut Output, effects: &mut Effects);

    /// Withdraws the grant of the reply, since the client has left.  If the reply is written all the same, it says so.
    fn withdraw(&mut self, services: &Services, now: Now, effects: &mut Effects);
}

/// A reply that must not be sent before its records are on the disk.
pub struct HeldReply {
    /// The number of bytes of output before it.
    pub start: usize,
    /// The number of bytes up to its end.
    pub end: usize,
    /// The version of the protocol it is written in.
    pub version: Version,
    /// The place in the journal that it waits for.
    pub barrier: Barrier,
    /// Writes the reply anew when the wait is over; none if the reply stays true.
    pub promise: Option<Box<dyn Promise>>,
}

impl HeldReply {
    /// A reply that begins at the end of `output` and will be written next.
    pub fn opened(output: &Output, barrier: Barrier) -> HeldReply {
        HeldReply { start: output.len(), end: OPEN, version: output.version(), barrier, promise: None }
    }

    /// Whether its command is still running.
    pub fn is_open(&self) -> bool {
        self.end == OPEN
    }
}

impl Continuation {
    /// Ends the reply that the last command has begun to hold, at the end of the output, in bytes.  If the command has
    /// written nothing, since it waits for something else, no reply is held.
    pub fn close_held(&mut self, end: usize) {
        let Some(held) = self.held.last_mut().filter(|held| held.is_open()) else { return };
        held.end = end;
        if held.start == end {
            self.held.pop();
        }
    }

    /// Forgets the replies held behind the first `length` bytes of the output: a client that wants no replies gets no
    /// promises.
    pub fn forget_held(&mut self, length: usize) {
        self.held.retain(|held| held.start < length);
    }
}
