//! The broker over HTTP: publish, request, subscribe, list subscribers, tickets for clients that cannot send a password, and
//! monitoring.

mod batch;
mod frames;
mod headers;
mod inbox;
mod keeping;
mod monitoring;
mod publish;
mod request;
mod subscribe;
mod subscribers;
mod tickets;

use std::io;
use std::time::Duration;

pub(crate) use frames::Delivered;
pub(crate) use headers::headers_of;
pub(crate) use inbox::Inbox;

use crate::broker::subjects::SubjectRefused;
use crate::command::Services;
use crate::delivery::{Effects, Listener, Message, Slowed};
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

/// Publishes messages in their order by `publish`; what it says of each.  After each turn the receivers have time to read, or the disk
/// has time to write the published messages.
async fn publish_all<'m, T>(
    context: &Context,
    messages: impl IntoIterator<Item = Message<'m>>,
    publish: impl Fn(&Services, &Message<'_>, &mut Effects) -> T,
) -> Vec<T> {
    let mut messages = messages.into_iter().peekable();
    let mut published = Vec::new();
    loop {
        let slowed = publish_turn(context.services(), &mut messages, &publish, &mut published);
        let is_over = messages.peek().is_none();
        match slowed {
            // The client of the last message waits too: its next one would come at once.
            Some(slowed) => context.wait_while_crowded(slowed).await,
            None if is_over => {}
            None => let_receivers_read(context).await,
        }
        if is_over {
            return published;
        }
    }
}

async fn let_receivers_read(context: &Context) {
    for _ in 0..READING_WAITS_MAX {
        tokio::time::sleep(READING_WAIT).await;
        if !context.services().fan_out.is_tight() {
            return;
        }
    }
}

/// Publishes as many messages as one turn may.  The pause of the publisher, if it has to slow down.
fn publish_turn<'m, T>(
    services: &Services,
    messages: &mut impl Iterator<Item = Message<'m>>,
    publish: impl Fn(&Services, &Message<'_>, &mut Effects) -> T,
    published: &mut Vec<T>,
) -> Option<Slowed> {
    let mut effects = Effects::default();
    while !effects.is_turn_over()
        && let Some(message) = messages.next()
    {
        let message = Message { listener: Listener::Http, ..message };
        published.push(publish(services, &message, &mut effects));
    }
    services.fan_out.deliver(&mut effects);
    let now = services.clock.now();
    effects.slowed_by().map(|crowd| Slowed::new(crowd, now))
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
