//! Publishing with word from the stream that keeps a message: the response waits until the disk has it.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use super::publish_all;
use crate::command::Services;
use crate::delivery::{Effects, Message};
use crate::http::endpoint::{Context, Problem, problems};
use crate::stream::api::error::{self, ApiError};
use crate::stream::endpoints::problem_of;
use crate::stream::{Incoming, Outcome, Publisher, Stream};

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
    /// Whether it was there already, since it has come with the same id before.
    #[schema(example = false)]
    pub(super) duplicate: bool,
}

/// What became of a message.
pub(super) struct Sent {
    /// The subscriptions that got it.
    pub(super) receivers: usize,
    /// What its stream says; none if no stream keeps it.
    pub(super) kept: Option<Result<Kept, ApiError>>,
}

/// A message that was published, and the word that its stream owes.
struct Owed {
    receivers: usize,
    word: Option<(Arc<Stream>, oneshot::Receiver<Outcome>)>,
}

/// Publishes messages in their order.  Returns what became of each, once the disk has those that are kept.
///
/// # Errors
/// If the server stops meanwhile.
pub(super) async fn publish_kept<'m>(
    context: &Context,
    messages: impl IntoIterator<Item = Message<'m>>,
) -> Result<Vec<Sent>, Problem> {
    let mut sent = Vec::new();
    for Owed { receivers, word } in publish_all(context, messages, publish).await {
        let Some((stream, word)) = word else {
            sent.push(Sent { receivers, kept: None });
            continue;
        };
        // The disk has failed if nothing is said.
        let lost = || Err(error::STORE_FAILED.with("the disk has failed, so the message may be lost"));
        let outcome = context.wait_for(word).await?.unwrap_or_else(|_| lost());
        let kept = outcome.map(|receipt| Kept {
            stream: stream.name().to_string(),
            sequence: receipt.sequence,
            duplicate: receipt.is_duplicate,
        });
        sent.push(Sent { receivers, kept: Some(kept) });
    }
    Ok(sent)
}

/// Publishes a message.  Its stream is handed it here and not by the fan-out, since it is to tell what becomes of it.
fn publish(services: &Services, message: &Message<'_>, effects: &mut Effects) -> Owed {
    let Some(stream) = services.streams.keeping(message.subject) else {
        return Owed { receivers: services.fan_out.publish(message, effects).count, word: None };
    };
    let receivers = services.fan_out.publish_to_subscribers(message, effects).count;
    let (sender, word) = oneshot::channel();
    let Message { subject, headers, payload, .. } = *message;
    let incoming = Incoming { subject, headers, payload, left: None };
    let publisher = Publisher::Caller(Box::new(move |_, outcome, _| drop(sender.send(outcome))));
    let is_there = stream.store(&incoming, services.clock.now(), publisher, effects);
    Owed { receivers, word: is_there.then_some((stream, word)) }
}

/// That a message with this key was stored before, and that it was the same one.
///
/// # Errors
/// If it was another one.
pub(super) fn check_same(context: &Context, kept: &Kept, message: &Message<'_>) -> Result<(), Problem> {
    let Some(stream) = context.services().streams.find(&kept.stream).filter(|_| kept.duplicate) else {
        return Ok(());
    };
    let is_same = stream.message(kept.sequence, |stored| {
        stored.subject == message.subject && stored.payload == message.payload
    });
    match is_same {
        // What is gone cannot be compared any more.
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
