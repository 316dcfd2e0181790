//! Requests of a client that are not done, behind which its later operations wait.

use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::Now;
use crate::command::executor::Publisher;
use crate::wait::{Position, Ticket};

/// The longest time that operations wait for a request, which may wait for a disk that hangs.  Client libraries have given the
/// request up by then.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// See the module's text.
#[derive(Default)]
pub(super) struct Requests {
    unfinished: Vec<Ticket<()>>,
    /// When they are not waited for any longer, in microseconds.
    until: u64,
    /// Up to where the client has stored something in streams.
    pub(super) stored_until: Option<Position>,
}

impl Requests {
    /// Carries out what the last operation has requested.
    pub(super) fn carry_out(&mut self, publisher: &mut Publisher<'_>, now: Now) {
        let mut done = publisher.effects.carry_out_requests();
        if let Some(first) = done.find(|ticket| ticket.poll(Waker::noop()).is_pending()) {
            self.unfinished.push(first);
            self.unfinished.extend(done);
            self.until = now.after(WAIT_MAX).micros();
        }
    }

    /// Whether one of them is not done, as far as is known.
    #[inline]
    pub(super) fn are_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Ready once all of them are done, or were waited for long enough.
    pub(super) fn poll(&mut self, waker: &Waker, now: Now) -> Poll<()> {
        self.unfinished.retain(|ticket| ticket.poll(waker).is_pending());
        if now.micros() >= self.until {
            self.unfinished.clear();
        }
        if self.unfinished.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Until when they are waited for, in microseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.are_unfinished().then_some(self.until)
    }
}
