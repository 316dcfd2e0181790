//! The reply of a lock command that has waited.

use quartet_protocol::resp::Output;

use super::{promises::Granted, write_grant};
use crate::command::{Continuation, Encoder, HeldReply};
use crate::lock::{Answer, Outcome};
use crate::refusal::Refusal;

/// Writes the grant, or why there is none.
pub(super) struct GrantEncoder;

impl Encoder<Answer> for GrantEncoder {
    fn write(&mut self, answer: Answer, output: &mut Output, continuation: &mut Continuation) {
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
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null();
    }
}
