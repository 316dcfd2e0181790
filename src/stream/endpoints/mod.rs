//! Streams over HTTP: streams, their messages and consumers as resources, messages with leases, and buckets of keys.
//!
//! Definitions and descriptions of streams and consumers have the field names of NATS.

mod consumers;
mod events;
mod kv;
mod leases;
mod messages;
mod object;
pub(crate) mod position;
mod pulling;
mod refusals;
mod streams;

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::delivery::Effects;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, problems};
use crate::stream::Stream;
use crate::stream::api::error::{self, ApiError};
use crate::wait::Lost;

pub(crate) use object::{Gap, MessageObject};
pub(crate) use refusals::problem_of;

/// The endpoints of the streams.
pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .merge(streams::endpoints())
        .merge(messages::endpoints())
        .merge(consumers::endpoints())
        .merge(leases::endpoints())
        .merge(kv::endpoints())
}

/// Runs `act` with effects, and delivers these.
fn act<R>(context: &Context, act: impl FnOnce(&mut Effects) -> R) -> R {
    let mut effects = Effects::default();
    let result = act(&mut effects);
    context.services().fan_out.deliver(&mut effects);
    result
}

/// Calls `ask`, and waits for its answer, which comes once the disk has the change.
///
/// # Errors
/// If it is refused, or the server stops meanwhile.
async fn answer<T: Send + 'static>(
    context: &Context,
    ask: impl FnOnce(oneshot::Sender<Result<T, ApiError>>, &mut Effects),
) -> Result<T, Problem> {
    let (sender, answer) = oneshot::channel();
    act(context, |effects| ask(sender, effects));
    match context.wait_for(answer).await? {
        Ok(answer) => answer.map_err(|error| problem_of(&error)),
        Err(_) => Err(lost()),
    }
}

/// The problem of a change that may be lost.
fn lost() -> Problem {
    Problem::new(problems::UNAVAILABLE).detail(Lost.to_string())
}

/// The stream with this name.
///
/// # Errors
/// If it is not there.
fn stream(context: &Context, name: &str) -> Result<Arc<Stream>, Problem> {
    context.services().streams.find(name).ok_or_else(|| problem_of(&error::STREAM_NOT_FOUND.error()))
}

/// Part of a path as text.
fn text(part: Vec<u8>, field: &str) -> Result<String, Problem> {
    String::from_utf8(part).map_err(|_| Problem::invalid(field, "percent-encoded UTF-8"))
}

/// A definition whose name is that of the path.
///
/// # Errors
/// If it has another name.
fn named(mut definition: Map<String, Value>, member: &str, name: &str) -> Result<Vec<u8>, Problem> {
    let said = definition.insert(member.to_owned(), name.into());
    if said.is_some_and(|said| said != name && said != "") {
        return Err(Problem::invalid(member, "the name in the path, or nothing"));
    }
    Ok(written(&Value::Object(definition)))
}

fn written(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
