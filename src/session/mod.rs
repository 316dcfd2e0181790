//! One client's conversation in one of the protocols: bytes in, bytes out, no sockets.

pub mod resp;
mod unsent;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Batch, Output};

pub use unsent::Unsent;

use crate::client::SharedClient;
use crate::clock::Now;
use crate::command::Flow;
use crate::command::executor::Executor;
use crate::delivery::Outbox;

/// The protocols that connections speak, each on a listener of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RESP2 and RESP3.
    Resp,
}

impl Protocol {
    /// Tells a client of another machine that only clients of this one are served while there is no password.
    pub fn protected(self) -> &'static [u8] {
        match self {
            Protocol::Resp => resp::PROTECTED,
        }
    }

    /// Tells a client that there are too many connections.
    pub fn full(self) -> &'static [u8] {
        match self {
            Protocol::Resp => resp::FULL,
        }
    }
}

/// A conversation.  A connection hands it the bytes that its socket has read, and writes the bytes that it adds to its
/// [`Scratch`].
pub enum Session {
    /// In RESP.
    Resp(resp::Session),
}

/// A thread's memory for the conversations of its connections, used by one at a time.
#[derive(Default)]
pub struct Scratch {
    batch: Batch,
    output: Output,
}

impl Scratch {
    /// The bytes that sessions have written, for the connection to take.
    pub fn written(&mut self) -> &mut Buffer {
        &mut self.output
    }
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(protocol: Protocol, client: Arc<SharedClient>, authenticated: bool) -> Session {
        match protocol {
            Protocol::Resp => Session::Resp(resp::Session::new(client, authenticated)),
        }
    }

    /// Messages for the client.
    pub fn outbox(&self) -> &Outbox {
        match self {
            Session::Resp(session) => &session.shared().outbox,
        }
    }

    /// Whether the client is authenticated.  Little is read from one that is not.
    pub fn is_authenticated(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_authenticated(),
        }
    }

    /// Notes that the client is not idle.
    pub fn note_active(&self, now: Now) {
        match self {
            Session::Resp(session) => session.shared().last_active.store(now.millis(), Relaxed),
        }
    }

    /// Takes input as it comes, runs the requests that are complete, and returns how the connection goes on.  `input` is
    /// changed in place.
    ///
    /// After [`Flow::Pause`], after [`Flow::Wait`] once the wait is over, and as long as the session [is
    /// behind](Session::is_behind), the caller goes on with [`Session::resume`], or puts input off, and brings no more
    /// to run.
    pub fn receive(&mut self, input: &mut [u8], executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        match self {
            Session::Resp(session) => {
                session.receive(input, executor, &mut scratch.batch, &mut scratch.output)
            }
        }
    }

    /// Takes input without running it, from a client that sends and does not read.
    pub fn put_off(&mut self, input: &[u8], executor: &mut Executor) -> Flow {
        match self {
            Session::Resp(session) => session.put_off(input, executor),
        }
    }

    /// Whether requests may wait that were received and not run.
    pub fn is_behind(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_behind(),
        }
    }

    /// Whether so many requests wait that no more is to be taken in before some of them were run.
    pub fn is_full(&self, executor: &mut Executor) -> bool {
        match self {
            Session::Resp(session) => session.is_full(executor),
        }
    }

    /// Goes on after a pause or a wait, or when earlier output was handed out.
    pub fn resume(&mut self, executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        match self {
            Session::Resp(session) => session.resume(executor, &mut scratch.batch, &mut scratch.output),
        }
    }

    /// Whether a command waits for its reply.
    pub fn is_blocked(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_blocked(),
        }
    }

    /// Ready once the command that waits has written its reply; until then `waker` is woken when it may have one.
    pub fn poll_blocked(
        &mut self,
        waker: &Waker,
        executor: &mut Executor,
        scratch: &mut Scratch,
    ) -> Poll<()> {
        match self {
            Session::Resp(session) => session.poll_blocked(waker, executor, &mut scratch.output),
        }
    }

    /// Ends the waiting of a client that has gone: it is given nothing.
    pub fn give_up(&mut self, executor: &mut Executor) {
        match self {
            Session::Resp(session) => session.give_up(executor),
        }
    }

    /// Takes the messages for the client.
    pub fn collect(&self, buffer: &mut Buffer) {
        self.outbox().drain_into(buffer);
    }

    /// Ends everything that the client has begun.
    pub fn close(&mut self, executor: &mut Executor) {
        match self {
            Session::Resp(session) => session.close(executor),
        }
    }
}
