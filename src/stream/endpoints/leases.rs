//! Messages of a consumer under leases: taking them, and settling the leases.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::consumers::parts;
use super::object::MessageObject;
use super::pulling::{Leased, Pulling};
use super::{act, lost, problem_of};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathParts, Problem, Query, State, problems, routes,
};
use crate::stream::api::error;
use crate::stream::definition::{AcknowledgementPolicy, ConsumerDefinition};
use crate::stream::message::StoredMessage;
use crate::stream::{DeliveryNumbers, LeaseAnswer, Stream};

/// Messages of one response.
const BATCH_MAX: u32 = 1000;

/// The longest time to wait for a message, in seconds.
const WAIT_MAX: f64 = 300.0;

/// Tokens of one request.
const TOKENS_MAX: usize = 1000;

/// The longest time after which a message is delivered again, in milliseconds: a year.
const DELAY_MAX: u64 = 365 * 24 * 3600 * 1000;

/// Bytes of a reason.
const REASON_MAX: usize = 4096;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(next_messages))
        .routes(routes!(ack_messages))
        .routes(routes!(nak_messages))
        .routes(routes!(term_messages))
        .routes(routes!(progress_messages))
}

/// Which messages are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The most messages of the response.
    #[param(minimum = 1, maximum = 1000, default = 1)]
    batch: Option<u32>,
    /// Seconds to wait for a message if there is none.
    #[param(minimum = 0, maximum = 300, default = 0)]
    wait: Option<f64>,
    /// The priority group, if the consumer has some.
    group: Option<String>,
}

impl Wanted {
    fn batch(&self) -> Result<u32, Problem> {
        let batch = self.batch.unwrap_or(1);
        let allowed = || Problem::invalid("batch", format!("from 1 to {BATCH_MAX}"));
        (1..=BATCH_MAX).contains(&batch).then_some(batch).ok_or_else(allowed)
    }

    fn wait(&self) -> Result<Duration, Problem> {
        let wait = self.wait.unwrap_or(0.0);
        if (0.0..=WAIT_MAX).contains(&wait) {
            return Ok(Duration::from_secs_f64(wait));
        }
        Err(Problem::invalid("wait", format!("a number of seconds from 0 to {WAIT_MAX}")))
    }
}

/// Messages of a consumer.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamDeliveries)]
struct Deliveries<'m> {
    /// The messages; none if none came in time.
    messages: Vec<Delivery<'m>>,
}

/// A message that a consumer delivers.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamDelivery)]
struct Delivery<'m> {
    #[serde(flatten)]
    #[schema(inline)]
    message: MessageObject<'m>,
    /// How often it was delivered, this time included.
    #[schema(example = 1)]
    deliveries: u32,
    /// How many messages are to be delivered after it.
    #[schema(example = 12)]
    pending: u64,
    /// The lease; missing if the consumer wants no acknowledgements.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseObject<'m>>,
}

/// The right of one client to a message for a time.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamLease)]
struct LeaseObject<'m> {
    /// The text that names the lease in `ack`, `nak`, `term` and `progress`.
    #[schema(example = "$JS.ACK.ORDERS.work.1.7.1.1700000000000000000.12")]
    token: std::borrow::Cow<'m, str>,
    /// Milliseconds until the message is delivered again, unless the lease is settled or prolonged.
    #[schema(example = 30000)]
    expires_in_ms: u64,
}

/// Takes the next messages of a consumer
///
/// Each comes with a lease: within its time say `ack`, `nak`, `term` or `progress` with its token, or the message is delivered
/// again.  If there is no message, the response waits for the first one, and for no more than that.
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/next", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work"), Wanted),
    responses((status = 200, description = "The messages", body = Deliveries<'static>)))]
async fn next_messages(
    State(context): State<Context>,
    PathParts(path): PathParts<2>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (batch, wait) = (wanted.batch()?, wanted.wait()?);
    let (stream, consumer) = parts(&context, path)?;
    let missing = || problem_of(&error::CONSUMER_NOT_FOUND.error());
    let definition = stream.describe_consumer(&consumer, context.now()).ok_or_else(missing)?.definition;
    let mut pulling = Pulling::new(&context, &stream, &consumer, wanted.group.as_deref())?;
    pulling.pull(batch, wait).await?;
    let messages = pulling.into_messages();
    let messages = messages.iter().map(|leased| delivery(leased, &definition, &context)).collect();
    let mut response = Json(Deliveries { messages }).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn delivery<'m>(leased: &'m Leased, definition: &ConsumerDefinition, context: &Context) -> Delivery<'m> {
    let Leased { delivered, lease: DeliveryNumbers { deliveries, sequence, time, pending, .. }, at } = leased;
    let message = MessageObject::of(&StoredMessage {
        sequence: *sequence,
        time: *time,
        subject: &delivered.subject,
        headers: &delivered.headers,
        payload: &delivered.payload,
    });
    let has_lease = definition.acknowledgement_policy != AcknowledgementPolicy::None;
    let wait = definition.acknowledgement_wait_after(u64::from(*deliveries)).0 / 1_000_000;
    let passed = context.now().millis().saturating_sub(at.millis());
    let lease = LeaseObject {
        token: String::from_utf8_lossy(&delivered.reply),
        expires_in_ms: u64::try_from(wait).unwrap_or_default().saturating_sub(passed),
    };
    Delivery { message, deliveries: *deliveries, pending: *pending, lease: has_lease.then_some(lease) }
}

/// The leases that a request is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StreamLeases, example = json!({"tokens": ["$JS.ACK.ORDERS.work.1.1.1.1767323045123456000.0"]}))]
struct Tokens {
    /// Their tokens.
    #[schema(example = json!(["$JS.ACK.ORDERS.work.1.7.1.1700000000000000000.12"]))]
    tokens: Vec<String>,
    /// With `nak`: after how many milliseconds the messages are delivered again; at once by default.
    delay_ms: Option<u64>,
    /// With `term`: why.
    reason: Option<String>,
}

/// The result of settling leases.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamLeasesSettled)]
struct Settled {
    /// How many leases the request named.
    #[schema(example = 1)]
    settled: usize,
}

type Path = PathParts<2>;

/// Acknowledges messages
///
/// They are not delivered again.  The response comes once this is on the disk.  A retry of the same request succeeds as well.
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/ack", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body(content((Tokens = "application/json"))),
    responses((status = 200, description = "They are done", body = Settled)))]
async fn ack_messages(
    State(context): State<Context>,
    PathParts(path): Path,
    Json(tokens): Json<Tokens>,
) -> Result<Json<Settled>, Problem> {
    tokens.say_nothing_else(&["delay_ms", "reason"])?;
    answer(&context, path, tokens, LeaseAnswer::Done).await
}

/// Returns messages, to be delivered again
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/nak", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body(content((Tokens = "application/json"))),
    responses((status = 200, description = "They will be", body = Settled)))]
async fn nak_messages(
    State(context): State<Context>,
    PathParts(path): Path,
    Json(tokens): Json<Tokens>,
) -> Result<Json<Settled>, Problem> {
    tokens.say_nothing_else(&["reason"])?;
    if tokens.delay_ms.is_some_and(|delay| delay > DELAY_MAX) {
        return Err(Problem::invalid("delay_ms", format!("at most {DELAY_MAX}")));
    }
    let after = tokens.delay_ms.map(Duration::from_millis);
    answer(&context, path, tokens, LeaseAnswer::Again(after)).await
}

/// Gives messages up: they are not delivered again
///
/// If the consumer has a dead-letter subject, they go there.
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/term", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body(content((Tokens = "application/json"))),
    responses((status = 200, description = "They are given up", body = Settled)))]
async fn term_messages(
    State(context): State<Context>,
    PathParts(path): Path,
    Json(mut tokens): Json<Tokens>,
) -> Result<Json<Settled>, Problem> {
    tokens.say_nothing_else(&["delay_ms"])?;
    let reason = tokens.reason.take().unwrap_or_default();
    if reason.len() > REASON_MAX {
        return Err(Problem::invalid("reason", format!("at most {REASON_MAX} bytes")));
    }
    answer(&context, path, tokens, LeaseAnswer::Never(reason.into_bytes().into())).await
}

/// Prolongs leases: their time begins anew
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/progress", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body(content((Tokens = "application/json"))),
    responses((status = 200, description = "The leases last as long as new ones", body = Settled)))]
async fn progress_messages(
    State(context): State<Context>,
    PathParts(path): Path,
    Json(tokens): Json<Tokens>,
) -> Result<Json<Settled>, Problem> {
    tokens.say_nothing_else(&["delay_ms", "reason"])?;
    answer(&context, path, tokens, LeaseAnswer::Continued).await
}

impl Tokens {
    /// Refuses members that the request has no use for.
    fn say_nothing_else(&self, strangers: &[&str]) -> Result<(), Problem> {
        let said = [("delay_ms", self.delay_ms.is_some()), ("reason", self.reason.is_some())];
        match said.iter().find(|(name, is_said)| *is_said && strangers.contains(name)) {
            Some((name, _)) => Err(Problem::invalid(*name, "nothing here")),
            None => Ok(()),
        }
    }

    fn leases(&self, stream: &Stream, consumer: &str) -> Result<Vec<DeliveryNumbers>, Problem> {
        if !(1..=TOKENS_MAX).contains(&self.tokens.len()) {
            return Err(Problem::invalid("tokens", format!("1 to {TOKENS_MAX} tokens")));
        }
        let read = |(place, token): (usize, &String)| {
            let lease = DeliveryNumbers::read(token.as_bytes(), stream.name(), consumer);
            lease.ok_or_else(|| Problem::invalid(format!("tokens.{place}"), "a token of this consumer"))
        };
        self.tokens.iter().enumerate().map(read).collect()
    }
}

async fn answer(
    context: &Context,
    path: [Vec<u8>; 2],
    tokens: Tokens,
    said: LeaseAnswer,
) -> Result<Json<Settled>, Problem> {
    let (stream, consumer): (Arc<Stream>, String) = parts(context, path)?;
    let leases = tokens.leases(&stream, &consumer)?;
    let (sender, answered) = oneshot::channel();
    let is_there = act(context, |effects| {
        let done = Box::new(move |lost, _: &mut _| drop(sender.send(lost)));
        stream.answer_leases(&consumer, &leases, &said, done, effects)
    });
    if !is_there {
        return Err(problem_of(&error::CONSUMER_NOT_FOUND.error()));
    }
    let Ok(Ok(lost)) = context.wait_for(answered).await? else {
        return Err(lost());
    };
    if lost.is_empty() {
        return Ok(Json(Settled { settled: leases.len() }));
    }
    let lost: Vec<&str> = lost.iter().map(|place| &*tokens.tokens[*place]).collect();
    Err(Problem::new(problems::LEASE_LOST).with("settled", leases.len() - lost.len()).with("lost", lost))
}
