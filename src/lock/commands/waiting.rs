//! A connection whose lock command waits for its turn.

use std::task::{Poll, Waker};

use quartet_protocol::resp::Output;

use super::{promises::Granted, write_grant};
use crate::clock::Now;
use crate::command::{Continuation, HeldReply, Parked, Services};
use crate::delivery::Effects;
use crate::lock::{Outcome, Ticket};
use crate::refusal::Refusal;

/// The connection's end of the wait.
pub(super) struct Waiting(pub(super) Ticket);

impl Parked for Waiting {
    fn poll(&mut self, waker: &Waker, output: &mut Output, continuation: &mut Continuation) -> Poll<()> {
        let Poll::Ready(answer) = self.0.poll(waker) else { return Poll::Pending };
        let mut held = answer.barrier.map(|barrier| HeldReply::opened(output, barrier));
        match answer.outcome {
            Outcome::Granted(grant) => {
                write_grant(output, &grant);
                if let Some(held) = &mut held {
                    held.promise = Some(Box::new(Granted::new(grant)));
                }
            }
            Outcome::TimedOut => output.null(),
            Outcome::Cancelled => output.error("CANCELLED the wait was cancelled"),
            Outcome::Superseded => output.error("SUPERSEDED a retry of the request has taken its place"),
            Outcome::SessionEnded => output.error(Refusal::NO_LOCK_SESSION.text()),
            Outcome::LeaseLost => output.error(Refusal::LOCK_NOT_HELD.text()),
        }
        continuation.held.extend(held);
        continuation.close_held(output.len());
        Poll::Ready(())
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null();
    }

    fn abandon(&mut self, services: &Services, now: Now, effects: &mut Effects) {
        services.on_locks(now, effects, |locks, now, aftermath| locks.abandon(&self.0, now, aftermath));
    }
}
