//! Streams as resources.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{answer, named, problem_of, stream, written};
use crate::delivery::Effects;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, Query, State, json_with_status, routes,
};
use crate::stream::api::bodies::Purge;
use crate::stream::api::error::ApiError;
use crate::stream::api::reply::{LIST_MAX, Page};
use crate::stream::definition::{StreamDefinition, collides};
use crate::stream::{Details, Stream};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_streams))
        .routes(routes!(describe_stream, put_stream, delete_stream))
        .routes(routes!(purge_stream))
}

/// Which streams to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only streams that keep messages on this subject, or on subjects of this pattern.
    #[param(example = "orders.>")]
    subject: Option<String>,
    /// Streams to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most streams to list.
    #[param(minimum = 1, maximum = 256, default = 256)]
    limit: Option<usize>,
}

/// A number of things to list.
pub(super) fn limit_of(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIST_MAX);
    if (1..=LIST_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid("limit", format!("from 1 to {LIST_MAX}")))
}

/// Lists the streams
///
/// In the order of their names, each with its definition (`config`) and its contents (`state`).
#[utoipa::path(get, path = "/streams", tag = "streams", params(Listing),
    responses((status = 200, description = "The streams", body = Value,
        example = json!({"total": 0, "offset": 0, "limit": 256, "streams": []}))))]
async fn list_streams(
    State(context): State<Context>,
    Query(Listing { subject, offset, limit }): Query<Listing>,
) -> Result<Json<Value>, Problem> {
    let limit = limit_of(limit)?;
    if let Some(subject) = &subject {
        super::messages::filter_of(std::slice::from_ref(subject))?;
    }
    let mut all = context.services().streams.all();
    if let Some(subject) = &subject {
        let subjects = std::slice::from_ref(subject);
        all.retain(|stream| collides(&stream.definition().subjects, subjects));
    }
    let (page, range) = Page::of(all.len(), offset, limit);
    let streams: Vec<Value> = all[range].iter().map(|stream| described(&context, stream)).collect();
    let Page { total, offset, limit } = page;
    Ok(Json(json!({ "total": total, "offset": offset, "limit": limit, "streams": streams })))
}

/// The definition and the figures of a stream.
fn described(context: &Context, stream: &Stream) -> Value {
    let description = stream.describe(Details::default(), context.now());
    let mut value = serde_json::to_value(description.info()).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("epoch".to_owned(), stream.epoch().into());
    }
    value
}

/// Shows a stream
///
/// `config` is its definition, with the field names of NATS; `state` counts its messages; `epoch` is part of the ids of its events.
#[utoipa::path(get, path = "/streams/{stream}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS")),
    responses((status = 200, description = "The stream", body = Value)))]
async fn describe_stream(
    State(context): State<Context>,
    PathText(name): PathText,
) -> Result<Json<Value>, Problem> {
    let stream = stream(&context, &name)?;
    Ok(Json(described(&context, &stream)))
}

/// Makes a stream, or gives it another definition
///
/// The body is the stream's definition, with the field names of NATS: `subjects`, `retention`, `max_msgs`, `max_bytes`, `max_age` in
/// nanoseconds, `max_msgs_per_subject`, `storage`, `discard`, `duplicate_window`, and the others.  Without `subjects` it keeps
/// the subject of its own name.  Settings that this server does not support are refused.  The response comes once the disk
/// has the change.
#[utoipa::path(put, path = "/streams/{stream}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS")),
    request_body(content = Option<Value>, content_type = "application/json",
        example = json!({"subjects": ["orders.>"], "max_msgs": 1000})),
    responses((status = 200, description = "It has this definition now", body = Value),
        (status = 201, description = "It is new", body = Value)))]
async fn put_stream(
    State(context): State<Context>,
    PathText(name): PathText,
    Json(definition): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let body = named(definition, "name", &name)?;
    let (stream, is_new) = define(&context, &body).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with_status(status, described(&context, &stream)))
}

/// Makes the stream of a definition, or gives it that definition; true if it is new.
pub(super) async fn define(context: &Context, body: &[u8]) -> Result<(Arc<Stream>, bool), Problem> {
    let (definition, pedantic) = StreamDefinition::read(body).map_err(|error| problem_of(&error))?;
    let streams = &context.services().streams;
    let former = streams.find(&definition.name);
    let is_new = former.is_none();
    let stream = answer(context, |sender, effects| {
        let done = Box::new(move |defined: Result<&Arc<Stream>, ApiError>, _: &mut Effects| {
            drop(sender.send(defined.map(Arc::clone)));
        });
        match former {
            Some(stream) => streams.update(&stream, definition, pedantic, done, effects),
            None => streams.create(definition, pedantic, context.now(), done, effects),
        }
    })
    .await?;
    Ok((stream, is_new))
}

/// Deletes a stream
///
/// All its messages and consumers are deleted too.
#[utoipa::path(delete, path = "/streams/{stream}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS")),
    responses((status = 204, description = "It is gone")))]
async fn delete_stream(
    State(context): State<Context>,
    PathText(name): PathText,
) -> Result<StatusCode, Problem> {
    let stream = stream(&context, &name)?;
    end(&context, &stream).await
}

/// Deletes a stream.
pub(super) async fn end(context: &Context, stream: &Arc<Stream>) -> Result<StatusCode, Problem> {
    answer(context, |sender, effects| {
        let deleted = Box::new(move |deleted, _: &mut Effects| drop(sender.send(deleted)));
        context.services().streams.delete(stream, deleted, effects);
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many messages were purged.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StreamPurged)]
struct Purged {
    /// How many messages were removed.
    #[schema(example = 12)]
    purged: u64,
}

/// Purges a stream
///
/// Without a body, all messages are removed.  `filter` is the pattern of their subjects, and either `seq`, the first sequence that stays,
/// or `keep`, how many of the last stay.
#[utoipa::path(post, path = "/streams/{stream}/purge", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS")),
    request_body(content = Option<Value>, content_type = "application/json",
        example = json!({"filter": "orders.old.>", "keep": 1})),
    responses((status = 200, description = "They are gone", body = Purged)))]
async fn purge_stream(
    State(context): State<Context>,
    PathText(name): PathText,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let stream = stream(&context, &name)?;
    let asked = Purge::read(&written(&Value::Object(body))).map_err(|error| problem_of(&error))?;
    let purged = answer(&context, |sender, effects| {
        let removed = Box::new(move |_: &_, removed, _: &mut Effects| drop(sender.send(removed)));
        stream.purge(asked, removed, effects);
    })
    .await?;
    Ok(Json(Purged { purged }).into_response())
}
