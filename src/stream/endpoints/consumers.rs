//! Consumers as resources.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::streams::limit_of;
use super::{answer, named, problem_of, stream, text};
use crate::delivery::Effects;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathParts, PathText, Problem, Query, State, json_with_status, routes,
};
use crate::stream::Stream;
use crate::stream::api::bodies::Action;
use crate::stream::api::error::{self, ApiError};
use crate::stream::api::reply::Page;
use crate::stream::definition::ConsumerDefinition;
use crate::stream::json::Time;

/// The defaults of a consumer made over HTTP: it stays, and its messages are acknowledged one by one.
const DEFAULT_ACKNOWLEDGEMENTS: &str = "explicit";

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_consumers))
        .routes(routes!(describe_consumer, put_consumer, delete_consumer))
        .routes(routes!(pause_consumer))
}

/// Which consumers to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Consumers to pass over.
    #[serde(default)]
    #[param(default = 0)]
    offset: usize,
    /// Most consumers to list.
    #[param(minimum = 1, maximum = 256, default = 256)]
    limit: Option<usize>,
}

/// Lists the consumers of a stream
///
/// In the order of their names, each with its definition (`config`) and its progress.
#[utoipa::path(get, path = "/streams/{stream}/consumers", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"), Listing),
    responses((status = 200, description = "The consumers", body = Value)))]
async fn list_consumers(
    State(context): State<Context>,
    PathText(name): PathText,
    Query(Listing { offset, limit }): Query<Listing>,
) -> Result<Json<Value>, Problem> {
    let limit = limit_of(limit)?;
    let stream = stream(&context, &name)?;
    let (Page { total, offset, limit }, found) = stream.describe_consumers(offset, limit, context.now());
    let consumers: Vec<_> = found.iter().map(|consumer| value(&consumer.info())).collect();
    Ok(Json(json!({ "total": total, "offset": offset, "limit": limit, "consumers": consumers })))
}

fn value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn described(context: &Context, stream: &Stream, consumer: &str) -> Result<Value, Problem> {
    let found = stream.describe_consumer(consumer, context.now());
    let found = found.ok_or_else(|| problem_of(&error::CONSUMER_NOT_FOUND.error()))?;
    Ok(value(&found.info()))
}

/// The stream and the name of the consumer that a path names.
pub(super) fn parts(
    context: &Context,
    [name, consumer]: [Vec<u8>; 2],
) -> Result<(Arc<Stream>, String), Problem> {
    Ok((stream(context, &text(name, "stream")?)?, text(consumer, "consumer")?))
}

/// Shows a consumer
///
/// `config` is its definition, with the field names of NATS; the rest is its progress: `num_pending` messages are to be delivered,
/// `num_ack_pending` wait for their acknowledgement.
#[utoipa::path(get, path = "/streams/{stream}/consumers/{consumer}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    responses((status = 200, description = "The consumer", body = Value)))]
async fn describe_consumer(
    State(context): State<Context>,
    PathParts(path): PathParts<2>,
) -> Result<Json<Value>, Problem> {
    let (stream, consumer) = parts(&context, path)?;
    Ok(Json(described(&context, &stream, &consumer)?))
}

/// Makes a consumer, or gives it another definition
///
/// The body is the consumer's definition, with the field names of NATS: `filter_subjects`, `deliver_policy`, `ack_wait` in nanoseconds,
/// `max_deliver`, `max_ack_pending`, and the others.  Two defaults are not those of NATS: without `ack_policy` messages are
/// acknowledged one by one, and without `durable_name` the consumer stays until it is deleted (`"durable_name": ""` makes one
/// that goes when nobody uses it).
#[utoipa::path(put, path = "/streams/{stream}/consumers/{consumer}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body(content = Option<Value>, content_type = "application/json",
        example = json!({"filter_subjects": ["orders.new"], "max_deliver": 5})),
    responses((status = 200, description = "It has this definition now", body = Value),
        (status = 201, description = "It is new", body = Value)))]
async fn put_consumer(
    State(context): State<Context>,
    PathParts(path): PathParts<2>,
    Json(mut definition): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (stream, consumer) = parts(&context, path)?;
    definition.entry("durable_name").or_insert_with(|| consumer.clone().into());
    definition.entry("ack_policy").or_insert(DEFAULT_ACKNOWLEDGEMENTS.into());
    let body = named(definition, "name", &consumer)?;
    let definition = ConsumerDefinition::read(&body).map_err(|error| problem_of(&error))?;
    let is_new = !stream.has_consumer(&consumer);
    answer(&context, |sender, effects| {
        let created = Box::new(move |_: &_, created: Result<Arc<str>, ApiError>, _: &mut Effects| {
            drop(sender.send(created));
        });
        stream.define_consumer(definition, Action::CreateOrUpdate, false, created, effects);
    })
    .await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with_status(status, described(&context, &stream, &consumer)?))
}

/// Deletes a consumer
#[utoipa::path(delete, path = "/streams/{stream}/consumers/{consumer}", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    responses((status = 204, description = "It is gone")))]
async fn delete_consumer(
    State(context): State<Context>,
    PathParts(path): PathParts<2>,
) -> Result<StatusCode, Problem> {
    let (stream, consumer) = parts(&context, path)?;
    let id = stream.state.lock().consumers.named(&consumer).map(|slot| slot.id);
    let id = id.ok_or_else(|| problem_of(&error::CONSUMER_NOT_FOUND.error()))?;
    answer(&context, |sender, effects| {
        let deleted = Box::new(move |_: &_, deleted: Result<(), ApiError>, _: &mut Effects| {
            drop(sender.send(deleted));
        });
        stream.delete_consumer(id, Some(deleted), effects);
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Until when a consumer is paused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConsumerPause, example = json!({"pause_until": "2026-01-02T03:04:05Z"}))]
struct Pause {
    /// When deliveries resume; without it, they resume at once.
    #[schema(format = "date-time", example = "2026-01-02T03:04:05Z")]
    pause_until: Option<String>,
}

/// Pauses or resumes a consumer
///
/// A paused consumer delivers nothing; messages that it has delivered can still be acknowledged.
#[utoipa::path(post, path = "/streams/{stream}/consumers/{consumer}/pause", tag = "streams",
    params(("stream" = String, Path, description = "The name of the stream", example = "ORDERS"),
        ("consumer" = String, Path, description = "The name of the consumer", example = "work")),
    request_body = Option<Pause>,
    responses((status = 200, description = "The consumer", body = Value)))]
async fn pause_consumer(
    State(context): State<Context>,
    PathParts(path): PathParts<2>,
    Json(Pause { pause_until }): Json<Pause>,
) -> Result<Json<Value>, Problem> {
    let time = |text: String| {
        Time::parse(&text).ok_or_else(|| Problem::invalid("pause_until", "a time as in RFC 3339"))
    };
    let until = pause_until.map(time).transpose()?;
    let (stream, consumer) = parts(&context, path)?;
    answer(&context, |sender, effects| {
        let paused = Box::new(move |_: &_, paused: Result<Arc<str>, ApiError>, _: &mut Effects| {
            drop(sender.send(paused));
        });
        stream.pause_consumer(&consumer, until, paused, effects);
    })
    .await?;
    Ok(Json(described(&context, &stream, &consumer)?))
}
