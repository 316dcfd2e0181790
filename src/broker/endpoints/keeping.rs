//! Publishing with the streams' answers: if a stream keeps a message, the response waits until the disk has it.

use std::future::poll_fn;

use serde::Serialize;

use super::publish_all;
use crate::command::Services;
use crate::delivery::{Effects, Message};
use crate::http::endpoint::{Context, Problem, problems};
use crate::stream::api::error::ApiError;
use crate::stream::endpoints::problem_of;
use crate::stream::{Incoming, OwedOutcome};

/// Where a message is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MessageKept)]
pub(super) struct Kept {
    /// The stream that keeps it.
    #[schema(example = "NEWS")]
    pub(super) stream: String,
    /// Its sequence there.
    #[schema(example = 7)]
    pub(super) sequence: u64,
    /// Whether it was stored already, since a message with the same id came before.
    #[schema(example = false)]
    pub(super) duplicate: bool,
}

/// The outcome of a message.
pub(super) struct Sent {
    /// The subscriptions that got it.
    pub(super) receivers: usize,
    /// The answer of its stream; none if no stream keeps it.
    pub(super) kept: Option<Result<Kept, ApiError>>,
}

/// A message that was published, and the answer that its stream still owes.
struct Owed {
    receivers: usize,
    answer: Option<OwedOutcome>,
}

/// Publishes messages in their order.  Returns the outcome of each, once the disk has those that are kept.
///
/// # Errors
/// If the server stops meanwhile.
pub(super) async fn publish_kept<'m>(
    context: &Context,
    messages: impl IntoIterator<Item = Message<'m>>,
) -> Result<Vec<Sent>, Problem> {
    let mut sent = Vec::new();
    for Owed { receivers, answer } in publish_all(context, messages, publish).await {
        let Some(answer) = answer else {
            sent.push(Sent { receivers, kept: None });
            continue;
        };
        let outcome = context.wait_for(poll_fn(|task| answer.poll(task.waker()))).await?;
        let kept = outcome.map(|receipt| Kept {
            stream: answer.stream().name().to_string(),
            sequence: receipt.sequence,
            duplicate: receipt.is_duplicate,
        });
        sent.push(Sent { receivers, kept: Some(kept) });
    }
    Ok(sent)
}

/// Publishes a message.  It is handed to its stream here and not by the fan-out, since the outcome is needed.
fn publish(services: &Services, message: &Message<'_>, effects: &mut Effects) -> Owed {
    let Some(stream) = services.streams.keeping(message.subject) else {
        return Owed { receivers: services.fan_out.publish(message, effects).count, answer: None };
    };
    let receivers = services.fan_out.publish_to_subscribers(message, effects).count;
    let Message { subject, headers, payload, .. } = *message;
    let incoming = Incoming { subject, headers, payload, left: None };
    let answer = OwedOutcome::of(&stream, &incoming, services.clock.now(), |_, _| (), effects);
    Owed { receivers, answer }
}

/// Checks that the message stored with this key before is the same one.
///
/// # Errors
/// If it is another one.
pub(super) fn check_same(context: &Context, kept: &Kept, message: &Message<'_>) -> Result<(), Problem> {
    let Some(stream) = context.services().streams.find(&kept.stream).filter(|_| kept.duplicate) else {
        return Ok(());
    };
    let is_same = stream.message(kept.sequence, |stored| {
        stored.subject == message.subject && stored.payload == message.payload
    });
    match is_same {
        // A removed message cannot be compared any more.
        Ok(Some(true) | None) => Ok(()),
        Ok(Some(false)) => Err(Problem::new(problems::KEY_USED)
            .detail(format!("message {} came with this key and was another one", kept.sequence))
            .with("field", "Idempotency-Key")),
        Err(error) => Err(Problem::new(problems::INTERNAL).detail(error.to_string())),
    }
}

/// The problem of a message that its stream refuses.
pub(super) fn refused(error: &ApiError) -> Problem {
    problem_of(error)
}
