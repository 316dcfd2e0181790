//! POST /publish: one message with the body as its payload, or a batch of messages.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::batch::{self, Line};
use super::headers::block_of;
use super::{check_length, problem_of, publish_all};
use crate::broker::subjects::{check_reply, check_subject};
use crate::delivery::Message;
use crate::http::endpoint::{
    Body, Context, Json, OpenApiRouter, PIECE_LENGTH_MAX, PathText, Problem, Query, State, media_type,
    problems, routes,
};

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
}

/// Publishes a message
///
/// The body is the payload, whatever its type.  The request's headers `Nats-*`, `X-*` and `ce-*`, `Content-Type`,
/// `traceparent`, `tracestate` and `baggage` become headers of the message; all others do not, nor do those that proxies add
/// (`X-Forwarded-*` and their like) or the type that `curl -d` says of any body.  Everybody who is subscribed to the subject
/// gets it, by whatever listener: NATS, RESP, WebSocket and HTTP.  Nobody else does, since it is not kept.
///
/// With `Content-Type: application/x-ndjson` the body is a batch: one object per line, in which `subject` may be left out if
/// it is that of the path.  If a line is at fault, nothing is published and the problem names its number.
#[utoipa::path(post, path = "/publish/{subject}", tag = "broker",
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
    request: Request,
) -> Result<Json<Published>, Problem> {
    check_subject(subject.as_bytes()).map_err(|refused| problem_of(refused, "subject"))?;
    if is_batch(&request) {
        if reply.is_some() {
            return Err(Problem::invalid("reply", "nothing for a batch: give it in each line"));
        }
        let Body(body) = Body::from_request(request, &context).await?;
        return Ok(Json(Published::Batch(publish_lines(&context, Some(&subject), &body).await?)));
    }
    if let Some(reply) = &reply {
        check_reply(reply.as_bytes()).map_err(|refused| problem_of(refused, "reply"))?;
    }
    let content = Content::read(&context, request).await?;
    let reply = reply.unwrap_or_default();
    let message = content.message(subject.as_bytes(), reply.as_bytes());
    let receivers = publish_all(&context, [message]).await[0].count;
    Ok(Json(Published::One { subject, receivers }))
}

/// Publishes a batch of messages
///
/// The body is `application/x-ndjson`: one object per line, with its `subject`, a payload as `payload` (text), `json` or
/// `base64`, and `headers` and `reply` if wanted.  The messages are published in their order.  If a line is at fault, nothing
/// is published and the problem names its number.
#[utoipa::path(post, path = "/publish", tag = "broker",
    request_body(content((Line = "application/x-ndjson",
        example = "{\"subject\": \"news.eu\", \"payload\": \"hello\"}\n{\"subject\": \"news.us\", \"json\": {\"n\": 1}}\n"))),
    responses((status = 200, description = "They were published", body = BatchPublished)))]
async fn publish_batch(
    State(context): State<Context>,
    request: Request,
) -> Result<Json<BatchPublished>, Problem> {
    let is_batch = is_batch(&request);
    let Body(body) = Body::from_request(request, &context).await?;
    if !is_batch {
        let detail = "send application/x-ndjson, or name the subject in the path: POST /publish/{subject}";
        return Err(Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail(detail));
    }
    Ok(Json(publish_lines(&context, None, &body).await?))
}

fn is_batch(request: &Request) -> bool {
    media_type::content_type(request.headers()).is_some_and(|essence| essence == media_type::JSON_LINES)
}

async fn publish_lines(
    context: &Context,
    subject: Option<&str>,
    body: &[u8],
) -> Result<BatchPublished, Problem> {
    let entries = batch::read(context, body, subject)?;
    let receivers = publish_all(context, entries.iter().map(batch::Entry::message)).await;
    let receivers: Vec<usize> = receivers.iter().map(|receivers| receivers.count).collect();
    Ok(BatchPublished { published: receivers.len(), receivers })
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
