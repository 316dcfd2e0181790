//! A command that waits for its reply, and the answer it waits for.

use std::task::{Poll, Waker};

use quartet_protocol::resp::Output;

use super::{Continuation, Services};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::store::Keyspace;
use crate::wait::Ticket;

/// The answer of a service to a request that waited, as commands and HTTP requests wait for it.
pub trait Awaited: Send + Sized + 'static {
    /// Ends the wait of a ticket whose answer was not taken.  The request leaves its queue, and a grant made meanwhile
    /// is withdrawn.
    fn cancel(ticket: &Ticket<Self>, services: &Services, now: Now, effects: &mut Effects);
}

/// How RESP spells the answer to a command that waited.
pub trait Encoder<A>: Send + 'static {
    /// Writes the answer.  A reply that waits for the disk is left in `continuation` as a held one, with its place
    /// in `output`.
    fn write(&mut self, answer: A, output: &mut Output, continuation: &mut Continuation);

    /// Writes the reply of a command whose time to wait is over: CLIENT UNBLOCK ends waits that way.
    fn write_timeout(&self, output: &mut Output);
}

/// A command that waits for its reply, as its connection keeps it.
pub trait BlockedCommand: Send {
    /// Writes the reply once there is one; until then `waker` is woken when there may be.
    fn poll(&mut self, waker: &Waker, output: &mut Output, continuation: &mut Continuation) -> Poll<()>;

    /// Writes the reply of a command whose time to wait is over.
    fn write_timeout(&self, output: &mut Output);

    /// Ends the wait, since the connection ends or the wait is cut short.  A grant made meanwhile is withdrawn.  The gate was
    /// entered, and no shard is locked.
    fn cancel(&self, services: &Services, keyspace: &mut Keyspace<'_>, effects: &mut Effects);

    /// Ends the wait without an answer, since another client asks for it; false if its answer is on its way, which is
    /// then the reply.  The gate was entered, and no shard is locked.
    fn cut_short(&mut self, services: &Services, keyspace: &mut Keyspace<'_>, effects: &mut Effects) -> bool {
        self.cancel(services, keyspace, effects);
        true
    }
}

/// A ticket, and how its answer is written.
pub(super) struct Blocked<A, E> {
    pub(super) ticket: Ticket<A>,
    pub(super) encoder: E,
}

impl<A: Awaited, E: Encoder<A>> BlockedCommand for Blocked<A, E> {
    fn poll(&mut self, waker: &Waker, output: &mut Output, continuation: &mut Continuation) -> Poll<()> {
        self.ticket.poll(waker).map(|answer| self.encoder.write(answer, output, continuation))
    }

    fn write_timeout(&self, output: &mut Output) {
        self.encoder.write_timeout(output);
    }

    fn cancel(&self, services: &Services, keyspace: &mut Keyspace<'_>, effects: &mut Effects) {
        A::cancel(&self.ticket, services, keyspace.now(), effects);
    }
}
