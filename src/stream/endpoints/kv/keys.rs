//! Keys: read, written, deleted, their history.

use axum::body::Body as Content;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::conditions::{ConditionHeaders, Conditions, tag};
use super::watching::watch;
use super::writing::Writing;
use super::{Bucket, Entry, Operation, check_key, is_set};
use crate::broker::endpoints::headers_of;
use crate::http::endpoint::{
    Accept, Body, Context, Json, OpenApiRouter, PathParts, Problem, Query, State, TTL_SECONDS_MAX,
    json_with_status, problems, routes,
};
use crate::stream::api::get::MessageGet;
use crate::stream::endpoints::messages::{unreadable, with_type};
use crate::stream::endpoints::object::json;
use crate::stream::endpoints::position::LastEventId;
use crate::stream::endpoints::text;
use crate::stream::filter::Filter;
use crate::stream::message::StoredMessage;
use crate::stream::{Follower, Portion, ReadError, Seen};

/// Entries of a history, of which a bucket keeps 64 at most, and their bytes.
const HISTORY: Portion = Portion { messages: 64, bytes: 4 << 20 };

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(read_key, write_key, delete_key))
}

/// How a key is read.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReadQuery {
    /// The entry with this revision instead of the last one.
    #[param(minimum = 1)]
    revision: Option<u64>,
    /// All entries that are kept, as JSON.
    #[param(value_type = bool, required = false)]
    history: Option<String>,
    /// Watch the key, or the keys of a pattern, as server-sent events.
    #[param(value_type = bool, required = false)]
    watch: Option<String>,
}

/// The entries of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyHistory)]
struct History {
    /// The entries that are kept, the oldest first.
    #[schema(value_type = Vec<Entry<'static>>)]
    entries: Vec<Box<serde_json::value::RawValue>>,
}

/// Reads the value of a key
///
/// The value comes as it was written, with its `Content-Type` if it has one, and its revision as `ETag`.  With `?history` all
/// entries that are kept, and with `?watch` the value now and each change, as `GET /kv/{bucket}?watch` has them.
#[utoipa::path(get, path = "/kv/{bucket}/{key}", tag = "kv", extensions(("x-takes-ticket" = json!(true))),
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings"),
        ("key" = String, Path, description = "The key, percent-encoded", example = "colour"), ReadQuery, ConditionHeaders,
        ("Last-Event-ID" = Option<String>, Header, description = "With `watch`: the last event that was seen")),
    responses((status = 200, description = "The value", headers(("ETag" = String, description = "Its revision")),
            content((String = "application/octet-stream", example = "blue"), (History = "application/json"),
                (serde_json::Value = "text/event-stream"))),
        (status = 304, description = "The client has the value already")))]
async fn read_key(
    State(context): State<Context>,
    PathParts([bucket, key]): PathParts<2>,
    Query(reading): Query<ReadQuery>,
    conditions: Conditions,
    accept: Accept,
    last_event: LastEventId,
) -> Result<Response, Problem> {
    let (bucket, key) = (Bucket::find(&context, text(bucket, "bucket")?)?, text(key, "key")?);
    if is_set(reading.watch.as_deref(), "watch")? {
        return watch(&context, &bucket, &key, &accept, &last_event);
    }
    check_key(&key)?;
    if is_set(reading.history.as_deref(), "history")? {
        return history(&bucket, &key);
    }
    let subject = bucket.subject(&key);
    let wanted = reading.revision.map_or_else(|| MessageGet::Last(subject.clone()), MessageGet::At);
    let found = bucket.stream.get(&wanted, |message| {
        let is_it = message.subject == subject.as_bytes();
        let is_value = is_it && Operation::of(message.headers) == Operation::Put;
        is_value.then(|| respond(message, &conditions))
    });
    found.map_err(unreadable)?.flatten().unwrap_or_else(|| Err(Problem::new(problems::NO_SUCH_KEY)))
}

fn respond(message: &StoredMessage<'_>, conditions: &Conditions) -> Result<Response, Problem> {
    let is_known = conditions.has(message.sequence)?;
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Content::from(message.payload.to_vec()));
        *response.headers_mut() = headers_of(message.headers);
        with_type(response.headers_mut());
        response
    };
    let tag = HeaderValue::from_str(&tag(message.sequence));
    response.headers_mut().extend(tag.ok().map(|tag| (header::ETAG, tag)));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn history(bucket: &Bucket, key: &str) -> Result<Response, Problem> {
    let (filter, prefix) = (Filter::of([bucket.subject(key).as_bytes()]), bucket.prefix().len());
    let mut follower =
        Follower::new(&bucket.stream, filter, 1).ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
    let (mut entries, mut damaged) = (Vec::new(), None);
    let read = follower.read_on(HISTORY, |seen| match seen {
        Seen::Message(message) => {
            let text = String::from_utf8(json(&Entry::of(message, prefix))).unwrap_or_default();
            entries.extend(serde_json::value::RawValue::from_string(text));
        }
        Seen::Unreadable(sequence) => damaged = damaged.or(Some(sequence)),
        Seen::Hole(_) => {}
    });
    read.map_err(unreadable)?;
    if let Some(sequence) = damaged {
        return Err(unreadable(ReadError::Unknown(sequence)));
    }
    if entries.is_empty() {
        return Err(Problem::new(problems::NO_SUCH_KEY));
    }
    Ok(Json(History { entries }).into_response())
}

/// How a value is written.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Putting {
    /// Seconds after which the value expires, if the bucket has `ttl_per_key`.
    #[param(minimum = 1, maximum = 3155760000_u64)]
    ttl: Option<u64>,
}

/// The result of a write.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyWritten)]
struct Written {
    /// The revision of the value.
    #[schema(example = 7)]
    revision: u64,
}

/// Writes the value of a key
///
/// The body is the value, whatever its type.  `If-None-Match: *` writes only if the key has no value, and `If-Match` only if it
/// still has that revision; otherwise the status is 412.  The response comes once the disk has the value.
#[utoipa::path(put, path = "/kv/{bucket}/{key}", tag = "kv",
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings"),
        ("key" = String, Path, description = "The key, percent-encoded", example = "colour"), Putting, ConditionHeaders),
    request_body(content = Option<String>, content_type = "application/octet-stream", example = "blue"),
    responses((status = 200, description = "The value is replaced", body = Written),
        (status = 201, description = "The key is new", body = Written)))]
async fn write_key(
    State(context): State<Context>,
    PathParts([bucket, key]): PathParts<2>,
    Query(Putting { ttl }): Query<Putting>,
    conditions: Conditions,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let Body(value) = Body::from_request(request, &context).await?;
    let (bucket, key) = (Bucket::find(&context, text(bucket, "bucket")?)?, text(key, "key")?);
    check_key(&key)?;
    if ttl.is_some_and(|ttl| !(1..=u64::from(TTL_SECONDS_MAX)).contains(&ttl)) {
        return Err(Problem::invalid("ttl", format!("from 1 to {TTL_SECONDS_MAX} seconds")));
    }
    let last = bucket.last_for(&conditions, &key)?;
    let is_new = last.is_none_or(|last| !last.is_there);
    let writing = Writing {
        key: &key,
        operation: Operation::Put,
        value,
        headers: &headers,
        ttl,
        conditions: &conditions,
        last,
    };
    let revision = writing.write(&context, &bucket).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json_with_status(status, Written { revision });
    let tag = HeaderValue::from_str(&tag(revision));
    response.headers_mut().extend(tag.ok().map(|tag| (header::ETAG, tag)));
    Ok(response)
}

/// How a key is deleted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Deleting {
    /// Remove its history as well.
    #[param(value_type = bool, required = false)]
    purge: Option<String>,
}

/// Deletes a key
///
/// A marker takes the place of its value, so that watchers learn of it.  `If-Match` deletes only that revision.
#[utoipa::path(delete, path = "/kv/{bucket}/{key}", tag = "kv",
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings"),
        ("key" = String, Path, description = "The key, percent-encoded", example = "colour"), Deleting, ConditionHeaders),
    responses((status = 204, description = "It has no value any more")))]
async fn delete_key(
    State(context): State<Context>,
    PathParts([bucket, key]): PathParts<2>,
    Query(Deleting { purge }): Query<Deleting>,
    conditions: Conditions,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (bucket, key) = (Bucket::find(&context, text(bucket, "bucket")?)?, text(key, "key")?);
    check_key(&key)?;
    let is_purge = is_set(purge.as_deref(), "purge")?;
    let last = bucket.last_for(&conditions, &key)?;
    conditions.expected(last)?;
    if !last.is_some_and(|last| last.is_there || is_purge) {
        return Err(Problem::new(problems::NO_SUCH_KEY));
    }
    let headers = request.headers().clone();
    let writing = Writing {
        key: &key,
        operation: if is_purge { Operation::Purge } else { Operation::Delete },
        value: Bytes::new(),
        headers: &headers,
        ttl: None,
        conditions: &conditions,
        last,
    };
    writing.write(&context, &bucket).await?;
    Ok(StatusCode::NO_CONTENT)
}
