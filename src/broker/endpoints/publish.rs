//! POST /publish: one message with the body as its payload, or a batch of messages.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::batch::{self, Line};
use super::headers::block_of;
use super::keeping::{Kept, Sent, check_same, publish_kept, refused};
use super::{check_length, problem_of};
use crate::broker::subjects::{check_reply, check_subject};
use crate::delivery::Message;
use crate::http::endpoint::{
    Body, Context, Json, OpenApiRouter, PIECE_LENGTH_MAX, PathText, Problem, Query, Rights, State,
    media_type, problems, routes,
};
use crate::stream::header_names;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(publish)).routes(routes!(publish_batch))
}

/// How a message is to be published.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Publishing {
    /// The subject on which answers should be published.  Not for a batch, whose lines have their own.
    reply: Option<String>,
}

/// What became of a message, or of the messages of a batch.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
enum Published {
    /// Of one message.
    One {
        /// Its subject.
        #[schema(example = "news.eu")]
        subject: String,
        /// The subscriptions that got it, on every listener.
        #[schema(example = 3)]
        receivers: usize,
        /// The stream that keeps it, if one does.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(example = "NEWS", required = false, nullable = false)]
        stream: Option<String>,
        /// Its sequence there.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(example = 7, required = false, nullable = false)]
        sequence: Option<u64>,
        /// Whether it was stored already, since a message with the same id came before.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(example = false, required = false, nullable = false)]
        duplicate: Option<bool>,
    },
    /// Of a batch.
    Batch(BatchPublished),
}

/// What became of the messages of a batch.
#[derive(Serialize, utoipa::ToSchema)]
struct BatchPublished {
    /// The number of messages.
    #[schema(example = 2)]
    published: usize,
    /// The receivers of each, in the order of the lines; blank lines do not count.
    #[schema(example = json!([3, 0]))]
    receivers: Vec<usize>,
    /// Where each is kept; `null` for a message that no stream keeps.  Missing if none of them is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    kept: Option<Vec<Option<Kept>>>,
}

/// Publishes a message
///
/// The body is the payload, whatever its type.  The request's headers `Nats-*`, `X-*` and `ce-*`, `Content-Type`,
/// `traceparent`, `tracestate` and `baggage` become headers of the message; all others do not, nor do those that proxies add
/// (`X-Forwarded-*` and their like) or the type that `curl -d` says of any body.  Everybody who is subscribed to the subject
/// gets it, by whatever listener: NATS, RESP, WebSocket and HTTP.
///
/// If a stream keeps the subject, the response comes once the message is on the disk, and has `stream`, `sequence` and
/// `duplicate`; the stream's refusals are problems.  `Idempotency-Key` is the id by which the message is known if it comes again
/// (as `Nats-Msg-Id`): then it is not stored twice, and another message with the same key is refused with 422.  A retry with the
/// key is safe.  `Nats-Expected-Last-Sequence`, `Nats-Expected-Last-Subject-Sequence` and their like say what must hold (412).
/// The answer of the stream is this response; it is not published on `reply`.
///
/// With `Content-Type: application/x-ndjson` the body is a batch: one object per line, in which `subject` may be left out if
/// it is that of the path.  If a line is at fault, nothing is published and the problem names its number.
#[utoipa::path(post, path = "/publish/{subject}", tag = "broker", extensions(("x-takes-users" = json!(true))),
    params(("subject" = String, Path, description = "The subject, percent-encoded", example = "news.eu"), Publishing),
    request_body(content((String = "application/octet-stream", example = "hello"),
        (Line = "application/x-ndjson",
            example = "{\"payload\": \"hello\"}\n{\"subject\": \"news.us\", \"json\": {\"n\": 1}}\n"))),
    responses((status = 200, description = "It was published", body = Published,
        example = json!({"subject": "news.eu", "receivers": 3}))))]
async fn publish(
    State(context): State<Context>,
    PathText(subject): PathText,
    Query(Publishing { reply }): Query<Publishing>,
    rights: Rights,
    request: Request,
) -> Result<Json<Published>, Problem> {
    check_subject(subject.as_bytes()).map_err(|refused| problem_of(refused, "subject"))?;
    if is_batch(&request) {
        if reply.is_some() {
            return Err(Problem::invalid("reply", "nothing for a batch: give it in each line"));
        }
        refuse_key(request.headers())?;
        let Body(body) = Body::from_request(request, &context).await?;
        return Ok(Json(Published::Batch(publish_lines(&context, &rights, Some(&subject), &body).await?)));
    }
    rights.check_publish(&subject)?;
    if let Some(reply) = &reply {
        check_reply(reply.as_bytes()).map_err(|refused| problem_of(refused, "reply"))?;
    }
    let has_key = has_key(request.headers())?;
    if has_key && context.services().streams.keeping(subject.as_bytes()).is_none() {
        let allowed =
            "nothing where no stream keeps the subject, since the message is not known if it comes again";
        return Err(Problem::invalid(IDEMPOTENCY_KEY, allowed));
    }
    let content = Content::read(&context, request).await?;
    let reply = reply.unwrap_or_default();
    let message = content.message(subject.as_bytes(), reply.as_bytes());
    let Some(Sent { receivers, kept }) = publish_kept(&context, [message]).await?.pop() else {
        return Err(Problem::new(problems::INTERNAL));
    };
    let kept = kept.transpose().map_err(|error| refused(&error))?;
    if let Some(kept) = kept.as_ref().filter(|_| has_key) {
        check_same(&context, kept, &message)?;
    }
    let (stream, sequence, duplicate) = match kept {
        Some(Kept { stream, sequence, duplicate }) => (Some(stream), Some(sequence), Some(duplicate)),
        None => (None, None, None),
    };
    Ok(Json(Published::One { subject, receivers, stream, sequence, duplicate }))
}

/// Publishes a batch of messages
///
/// The body is `application/x-ndjson`: one object per line, with its `subject`, a payload as `payload` (text), `json` or
/// `base64`, and `headers` and `reply` if wanted.  The messages are published in their order.  If a line is at fault, nothing
/// is published and the problem names its number.
#[utoipa::path(post, path = "/publish", tag = "broker", extensions(("x-takes-users" = json!(true))),
    request_body(content((Line = "application/x-ndjson",
        example = "{\"subject\": \"news.eu\", \"payload\": \"hello\"}\n{\"subject\": \"news.us\", \"json\": {\"n\": 1}}\n"))),
    responses((status = 200, description = "They were published", body = BatchPublished)))]
async fn publish_batch(
    State(context): State<Context>,
    rights: Rights,
    request: Request,
) -> Result<Json<BatchPublished>, Problem> {
    let is_batch = is_batch(&request);
    refuse_key(request.headers())?;
    let Body(body) = Body::from_request(request, &context).await?;
    if !is_batch {
        let detail = "send application/x-ndjson, or name the subject in the path: POST /publish/{subject}";
        return Err(Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail(detail));
    }
    Ok(Json(publish_lines(&context, &rights, None, &body).await?))
}

fn is_batch(request: &Request) -> bool {
    media_type::content_type(request.headers()).is_some_and(|essence| essence == media_type::JSON_LINES)
}

async fn publish_lines(
    context: &Context,
    rights: &Rights,
    subject: Option<&str>,
    body: &[u8],
) -> Result<BatchPublished, Problem> {
    let entries = batch::read(context, rights, body, subject)?;
    let sent = publish_kept(context, entries.iter().map(batch::Entry::message)).await?;
    let receivers: Vec<usize> = sent.iter().map(|sent| sent.receivers).collect();
    let failed = sent.iter().zip(&entries).find_map(|(sent, entry)| match &sent.kept {
        Some(Err(error)) => Some(refused(error).with("line", entry.line)),
        _ => None,
    });
    let kept: Vec<Option<Kept>> = sent.into_iter().map(|sent| sent.kept?.ok()).collect();
    if let Some(problem) = failed {
        // The lines before and behind it were published, and some of them kept.
        return Err(problem.with("kept", serde_json::to_value(kept).unwrap_or_default()));
    }
    let kept = kept.iter().any(Option::is_some).then_some(kept);
    Ok(BatchPublished { published: receivers.len(), receivers, kept })
}

/// The header of a request that names its message, so that a retry is recognised.
pub(super) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Whether a request has a key.
fn has_key(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (None, _) => return Ok(false),
        // An empty key comes from a variable that was never set: the retry would be taken for a new request.
        (Some(key), None) if !key.is_empty() => key.as_bytes(),
        _ => return Err(Problem::invalid(IDEMPOTENCY_KEY, "one key that is not empty")),
    };
    match headers.get(header_names::MESSAGE_ID) {
        Some(id) if id.as_bytes() != key => {
            Err(Problem::invalid(header_names::MESSAGE_ID, "the Idempotency-Key, or nothing beside it"))
        }
        _ => Ok(true),
    }
}

/// Refuses a key for a batch.
fn refuse_key(headers: &HeaderMap) -> Result<(), Problem> {
    let allowed = "nothing for a batch: give each line a header Nats-Msg-Id";
    if headers.contains_key(IDEMPOTENCY_KEY) {
        return Err(Problem::invalid(IDEMPOTENCY_KEY, allowed));
    }
    Ok(())
}

/// The headers and the payload of a message, as a request carries them.
pub(super) struct Content {
    headers: Vec<u8>,
    payload: Bytes,
}

impl Content {
    /// Reads them from a request.
    ///
    /// # Errors
    /// If they are longer than a message may be, or do not come.
    pub(super) async fn read(context: &Context, request: Request) -> Result<Content, Problem> {
        let headers = block_of(request.headers());
        // A body that is announced as too long is refused before it comes.
        let announced = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
        check_length(context, headers.len(), announced)?;
        let Body(payload) = Body::from_request(request, context).await?;
        check_length(context, headers.len(), payload.len())?;
        Ok(Content { headers, payload })
    }

    /// The message with this content.
    pub(super) fn message<'m>(&'m self, subject: &'m [u8], reply: &'m [u8]) -> Message<'m> {
        // A short body may be a part of a larger buffer, which it would keep alive.
        let is_own = self.payload.len() > PIECE_LENGTH_MAX;
        Message {
            reply,
            headers: &self.headers,
            shared_payload: is_own.then_some(&self.payload),
            ..Message::new(subject, &self.payload)
        }
    }
}
