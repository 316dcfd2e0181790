//! Requests to the server that come as messages, as those of the streams' API do.
//!
//! A sink may not carry a request out while it takes the message, since its caller may hold locks.  So the publisher does that, as
//! soon as it holds none.  What the same client says later waits until the request is done, which may take as long as
//! the disk does: so each of a client's requests finds what the ones before have left, as if the client had waited for its answer.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use super::{AfterBatch, Effects};
use crate::wait::{Mailbox, Position, Ticket};

/// A request that was taken and not carried out.
pub(super) struct Request {
    work: Arc<dyn AfterBatch>,
    done: Ticket<()>,
}

/// What a request holds until it is done.  When the last holder has dropped it, its client's next operations are run.
pub struct Unfinished {
    done: Arc<Mailbox<()>>,
    /// The thread of the client's connection.
    thread: ThreadId,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // The client may have left.
        let _ = self.done.put(());
    }
}

impl Effects {
    /// Leaves a request for the publisher of the message.  `work` holds the other end until it is done.
    pub fn request<W: AfterBatch + 'static>(&mut self, work: impl FnOnce(Unfinished) -> W) {
        let done = Ticket::new(0);
        let unfinished = Unfinished { done: Arc::clone(done.mailbox()), thread: thread::current().id() };
        let work = Arc::new(work(unfinished));
        self.requests.push(Request { work, done });
    }

    /// Whether the last message was a request that is still to be carried out.
    #[inline]
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Carries the requests out.  Returns the tickets of those that are not done then.  No lock may be held.
    pub fn carry_out_requests(&mut self) -> impl Iterator<Item = Ticket<()>> + use<> {
        let requests = std::mem::take(&mut self.requests);
        let tickets: Vec<Ticket<()>> = requests
            .into_iter()
            .map(|Request { work, done }| {
                work.run(self);
                done
            })
            .collect();
        tickets.into_iter()
    }

    /// Leaves requests that no publisher carries out for the end of the batch.
    pub(super) fn put_requests_off(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            self.after_batch(request.work);
        }
    }

    /// Notes that an answer to a request is in this batch.  The request ends when the batch is handed over, so that the next
    /// answer, perhaps from another thread, cannot overtake it.
    pub fn note_answered(&mut self, request: &Arc<Unfinished>) {
        let is_noted = self.answered.last().is_some_and(|last| Arc::ptr_eq(last, request));
        if !is_noted && request.thread != thread::current().id() {
            self.answered.push(Arc::clone(request));
        }
    }

    /// Says what a client has stored in streams before this batch: everything up to a position, or nothing yet.
    pub fn set_stored_until(&mut self, position: Option<Position>) {
        self.stored_until = position;
    }

    /// Notes that the client of the batch has stored something, which is visible once everything up to this position is.
    pub fn note_stored(&mut self, position: Position) {
        self.stored_until = self.stored_until.max(Some(position));
    }

    /// Up to which position the client of the batch has stored something; none if it has stored nothing.
    pub fn stored_until(&self) -> Option<Position> {
        self.stored_until
    }
}
