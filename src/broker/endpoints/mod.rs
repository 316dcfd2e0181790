//! The broker over HTTP: publish, request, subscribe, list subscribers, tickets for clients that cannot send a password, and
//! monitoring.

mod batch;
mod headers;
mod inbox;
mod monitoring;
mod publish;
mod request;
mod subscribe;
mod subscribers;
mod tickets;

use std::io;
use std::time::Duration;

use crate::broker::subjects::SubjectRefused;
use crate::command::Services;
use crate::delivery::{Effects, Listener, Message, Receivers};
use crate::http::endpoint::{Context, OpenApiRouter, Problem, problems};
use crate::random;

/// Receivers have so much time to read between two turns of a batch, and up to so many times as much while too much waits for
/// them.
const READING_WAIT: Duration = Duration::from_millis(1);
const READING_WAITS_MAX: usize = 20;

/// All of the broker's endpoints.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .merge(publish::endpoints())
        .merge(request::endpoints())
        .merge(subscribe::endpoints())
        .merge(subscribers::endpoints())
        .merge(tickets::endpoints())
        .merge(monitoring::endpoints())
}

/// Publishes messages in their order; the receivers of each.  After each turn the receivers have time to read.
async fn publish_all<'m>(
    context: &Context,
    messages: impl IntoIterator<Item = Message<'m>>,
) -> Vec<Receivers> {
    let mut messages = messages.into_iter().peekable();
    let mut receivers = publish_turn(context.services(), &mut messages);
    while messages.peek().is_some() {
        for _ in 0..READING_WAITS_MAX {
            tokio::time::sleep(READING_WAIT).await;
            if !context.services().fan_out.is_tight() {
                break;
            }
        }
        receivers.extend(publish_turn(context.services(), &mut messages));
    }
    receivers
}

/// Publishes as many messages as one turn may.
fn publish_turn<'m>(services: &Services, messages: &mut impl Iterator<Item = Message<'m>>) -> Vec<Receivers> {
    let (mut effects, mut receivers) = (Effects::default(), Vec::new());
    while !effects.is_turn_over()
        && let Some(message) = messages.next()
    {
        let message = Message { listener: Listener::Http, ..message };
        receivers.push(services.fan_out.publish(&message, &mut effects));
    }
    services.fan_out.deliver(&mut effects);
    receivers
}

/// The problem of a subject that is refused, in the field or parameter that has it.
fn problem_of(refused: SubjectRefused, field: &str) -> Problem {
    match refused {
        SubjectRefused::Invalid => Problem::invalid(field, refused.to_string()),
        SubjectRefused::Hidden => {
            Problem::new(problems::CLOSED_SUBJECT).detail(refused.to_string()).with("field", field)
        }
    }
}

/// Refuses a message whose headers and payload are too long.
fn check_length(context: &Context, headers: usize, payload: usize) -> Result<(), Problem> {
    let most = context.services().settings.current().broker_max_payload;
    if headers.saturating_add(payload) <= most {
        return Ok(());
    }
    let allowed = format!("at most {most} bytes of headers and payload");
    Err(Problem::new(problems::MESSAGE_TOO_LARGE).with("allowed", allowed))
}

/// Bytes that nobody can guess.
fn secret<const LENGTH: usize>() -> Result<[u8; LENGTH], Problem> {
    random::secret().map_err(no_random_bytes)
}

fn no_random_bytes(error: io::Error) -> Problem {
    tracing::error!(%error, "the system has no random bytes");
    Problem::new(problems::INTERNAL)
}
