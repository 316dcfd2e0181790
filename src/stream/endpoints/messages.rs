//! The messages of a stream: pages of them, as they come, one of them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quartet_protocol::broker::subject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::events::{StreamEvents, WriteMessage};
use super::object::{Gap, MessageObject, json};
use super::position::{From, LastEventId};
use super::{answer, problem_of, stream, text};
use crate::http::endpoint::stream::{KEEP_ALIVE_MAX, StreamForm, stream as streamed};
use crate::http::endpoint::{
    Accept, Context, Json, OpenApiRouter, PathParts, PathText, Problem, Query, Room, State, media_type,
    problems, routes,
};
use crate::stream::api::error;
use crate::stream::api::get::MessageGet;
use crate::stream::filter::Filter;
use crate::stream::{Follower, Portion, ReadError, Seen};

/// Messages of a page.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// Bytes after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

/// Patterns of subjects that a reader may name.
const SUBJECTS_MAX: usize = 100;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(stream_messages)).routes(routes!(stream_message, delete_message))
}

/// Which messages are read.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReadQuery {
    /// Where to begin: a sequence, a time, `first` (the first message in the stream) or `new` (messages stored from now on).
    #[param(default = "first", example = "2026-01-02T03:04:05Z")]
    from: Option<String>,
    /// A subject or pattern; only messages on it are read.  May be repeated.
    #[serde(default)]
    #[param(example = json!(["orders.new"]))]
    subject: Vec<String>,
    /// The most messages of a page.  Events have no such limit.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamMessages)]
struct Page {
    /// The name of the stream.
    #[schema(example = "ORDERS")]
    stream: String,
    /// Which stream of this name it is: sequences of another epoch mean other messages.
    #[schema(example = "6470b1c2e8a40")]
    epoch: String,
    /// The messages, in their order.
    #[schema(value_type = Vec<MessageObject<'static>>)]
    messages: Vec<Box<serde_json::value::RawValue>>,
    /// Where messages are missing because they were removed.
    gaps: Vec<Gap>,
    /// The sequence at which the next page begins.
    #[schema(example = 101)]
    next: u64,
    /// Whether there were more messages when the page was read.
    is_more: bool,
}

/// A format of the response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Lines,
    Events,
}

/// Reads the messages of a stream
///
/// As JSON a page: go on with `?from=` and the value of `next`.  As `application/x-ndjson` the same page, an object on each
/// line; a gap is `{"op": "gap", ...}`.
///
/// As `text/event-stream` the messages from there on, and whatever is stored later: `event: message` with the same object, and
/// `event: gap` where messages are missing that were removed before they could be sent.  Every event has an id; a client that
/// sends the last one as `Last-Event-ID`, as EventSource does by itself, goes on exactly behind it.  An id of another epoch, or
/// beyond the end, leads to a gap and then to the first message.  A slow reader costs no memory: it is served from the stream.
#[utoipa::path(get, path = "/streams/{stream}/messages", tag = "streams", extensions(("x-takes-ticket" = json!(true))),
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"), ReadQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen; it counts before `from`")),
    responses((status = 200, description = "The messages", content((Page = "application/json"),
        (String = "application/x-ndjson", example = "{\"sequence\":7,\"time\":\"2026-01-02T03:04:05Z\",\"subject\":\"orders.new\",\"payload\":\"hello\"}\n"),
        (serde_json::Value = "text/event-stream", example = "id: 6470b1c2e8a40-7\nevent: message\ndata: {\"sequence\":7,\"time\":\"2026-01-02T03:04:05Z\",\"subject\":\"orders.new\",\"payload\":\"hello\"}\n\n")))))]
async fn stream_messages(
    State(context): State<Context>,
    PathText(name): PathText,
    accept: Accept,
    Query(reading): Query<ReadQuery>,
    last_event: LastEventId,
    room: Room,
) -> Result<Response, Problem> {
    let forms = [
        (media_type::JSON, Form::Page),
        (media_type::JSON_LINES, Form::Lines),
        (StreamForm::Events.media_type(), Form::Events),
    ];
    let form = accept.choose(forms, |_| true).ok_or_else(|| {
        let detail = "there are application/json, application/x-ndjson and text/event-stream";
        Problem::new(problems::NOT_ACCEPTABLE).detail(detail)
    })?;
    let limit = reading.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("from 1 to {PAGE_MAX}")));
    }
    let filter = filter_of(&reading.subject)?;
    let from = From::read(reading.from.as_deref())?;
    let stream = stream(&context, &name)?;
    let (next, gap) = match last_event.next(&stream) {
        Some(resumed) => resumed,
        None => (from.sequence(&stream)?, None),
    };
    let follower =
        Follower::new(&stream, filter, next).ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
    if form == Form::Events {
        let write: WriteMessage = Box::new(|message| json(&MessageObject::of(message)));
        let events = StreamEvents::new(follower, write).behind(gap.as_ref());
        return Ok(streamed(&context, StreamForm::Events, events, KEEP_ALIVE_MAX));
    }
    room.admit(PAGE_BYTES)?;
    page(follower, limit, gap, form)
}

/// Reads a page from a follower's position on.
fn page(mut follower: Follower, limit: usize, gap: Option<Gap>, form: Form) -> Result<Response, Problem> {
    let (mut messages, mut gaps, mut lines) = (Vec::new(), Vec::from_iter(gap), Vec::new());
    let portion = Portion { messages: limit, bytes: PAGE_BYTES };
    let is_end = follower.read_on(portion, |seen: Seen<'_>| {
        let (object, gap) = match Gap::seen(seen) {
            Ok(gap) => (json(&serde_json::json!({ "op": "gap", "gap": gap })), Some(gap)),
            Err(message) => (json(&MessageObject::of(&message)), None),
        };
        match (form, gap) {
            (Form::Lines, _) => lines.extend([&object[..], b"\n"].concat()),
            (_, Some(gap)) => gaps.push(gap),
            (_, None) => {
                let text = String::from_utf8(object).unwrap_or_default();
                messages.extend(serde_json::value::RawValue::from_string(text));
            }
        }
    });
    let is_more = !is_end.map_err(unreadable)?;
    if form == Form::Lines {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type::JSON_LINES))];
        return Ok((headers, lines).into_response());
    }
    let (stream, epoch) = (follower.stream().name().to_string(), follower.stream().epoch());
    Ok(Json(Page { stream, epoch, messages, gaps, next: follower.next(), is_more }).into_response())
}

/// The messages on these subjects, or all.
pub(super) fn filter_of(subjects: &[String]) -> Result<Filter, Problem> {
    if subjects.len() > SUBJECTS_MAX {
        return Err(Problem::invalid("subject", format!("at most {SUBJECTS_MAX} subjects and patterns")));
    }
    if let Some(wrong) = subjects.iter().find(|subject| !subject::is_valid_pattern(subject.as_bytes())) {
        let allowed =
            "tokens between full stops, where `*` is one token and `>` at the end is all that follow";
        let detail = format!("{} is no pattern", wrong.escape_debug());
        return Err(Problem::invalid("subject", allowed).detail(detail));
    }
    Ok(Filter::of(subjects.iter().map(String::as_bytes)))
}

/// The problem of a stream that cannot be read from the disk.
pub(super) fn unreadable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a stream cannot be read");
    Problem::new(problems::INTERNAL).detail(format!("the stream cannot be read: {error}"))
}

/// Which message is meant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// With `last`: the subject or pattern whose last message is meant.
    #[param(example = "orders.new")]
    subject: Option<String>,
}

/// Reads one message
///
/// As JSON, or as its payload alone if `application/octet-stream` is accepted and JSON is not; its headers then come as those
/// of the response, with `Nats-Stream`, `Nats-Subject`, `Nats-Sequence` and `Nats-Time-Stamp`.
#[utoipa::path(get, path = "/streams/{stream}/messages/{sequence}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("sequence" = String, Path, description = "The sequence of the message, or `last`", example = "7"), Which),
    responses((status = 200, description = "The message",
        content((MessageObject<'static> = "application/json"), (String = "application/octet-stream")))))]
async fn stream_message(
    State(context): State<Context>,
    PathParts([name, sequence]): PathParts<2>,
    accept: Accept,
    Query(Which { subject }): Query<Which>,
) -> Result<Response, Problem> {
    let (name, sequence) = (text(name, "stream")?, text(sequence, "sequence")?);
    let forms = [(media_type::JSON, true), (OCTETS, false)];
    let is_json = accept.choose(forms, |_| true).ok_or_else(|| {
        Problem::new(problems::NOT_ACCEPTABLE)
            .detail("there are application/json and application/octet-stream")
    })?;
    let wanted = match (&*sequence, subject) {
        ("last", subject) => {
            let subject = subject.unwrap_or_else(|| ">".to_owned());
            filter_of(std::slice::from_ref(&subject))?;
            MessageGet::Last(subject)
        }
        (_, Some(_)) => return Err(Problem::invalid("subject", "a subject only with the sequence `last`")),
        (sequence, None) => MessageGet::At(sequence_of(sequence)?),
    };
    let stream = stream(&context, &name)?;
    let found = stream.get(&wanted, |message| {
        if is_json { Json(MessageObject::of(message)).into_response() } else { raw(&stream, message) }
    });
    let found = found.map_err(|error: ReadError| unreadable(error))?;
    found.ok_or_else(|| problem_of(&error::NO_MESSAGE_FOUND.error()))
}

/// The media type of payloads that do not say their own.
pub(super) const OCTETS: &str = "application/octet-stream";

/// A message whose payload is the content of a response.
fn raw(stream: &crate::stream::Stream, message: &crate::stream::message::StoredMessage<'_>) -> Response {
    let block = crate::stream::api::direct::got(stream.name(), message);
    let mut response = Response::new(Body::from(message.payload.to_vec()));
    *response.headers_mut() = crate::broker::endpoints::headers_of(&block);
    with_type(response.headers_mut());
    response
}

/// Adds the media type of bytes if the message has none.
pub(super) fn with_type(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(OCTETS));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
}

fn sequence_of(text: &str) -> Result<u64, Problem> {
    let sequence = text.parse().ok().filter(|sequence| *sequence > 0);
    sequence.ok_or_else(|| Problem::invalid("sequence", "a sequence, from 1 on, or last"))
}

/// Deletes one message
///
/// Its sequence is never used again.
#[utoipa::path(delete, path = "/streams/{stream}/messages/{sequence}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("sequence" = String, Path, description = "The sequence of the message", example = "7")),
    responses((status = 204, description = "It is deleted, also on the disk")))]
async fn delete_message(
    State(context): State<Context>,
    PathParts([name, sequence]): PathParts<2>,
) -> Result<StatusCode, Problem> {
    let (name, sequence) = (text(name, "stream")?, sequence_of(&text(sequence, "sequence")?)?);
    let stream = stream(&context, &name)?;
    answer(&context, |sender, effects| {
        let removed = Box::new(move |_: &_, removed, _: &mut _| drop(sender.send(removed)));
        stream.delete_message(sequence, removed, effects);
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
