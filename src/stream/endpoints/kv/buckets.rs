//! Buckets as resources, and their keys.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::watching::watch;
use super::{Bucket, Operation, check_key_pattern, check_name, is_set, stream_name};
use crate::http::endpoint::{
    Accept, Context, Json, OpenApiRouter, PathText, Problem, Query, State, TTL_SECONDS_MAX, json_with_status,
    problems, routes,
};
use crate::stream::definition::{Storage, StreamDefinition};
use crate::stream::endpoints::messages::unreadable;
use crate::stream::endpoints::position::LastEventId;
use crate::stream::endpoints::{streams, written};
use crate::stream::filter::Filter;
use crate::stream::{Follower, Portion, Seen};

/// Most values that a key keeps, and most keys of one response.
const HISTORY_MAX: u64 = 64;
const KEYS_MAX: usize = 1000;

/// What is read at once while keys are listed.
const PORTION: Portion = Portion { messages: 256, bytes: 1 << 20 };

/// Messages that are looked at for one response; the next request continues from there.
const LOOKED_AT_MAX: u64 = 100_000;

/// In nanoseconds.
const SECOND: f64 = 1e9;

/// How long an id is known by default, in nanoseconds.
const DUPLICATE_WINDOW: i64 = 120_000_000_000;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(bucket_keys, put_bucket, delete_bucket))
}

/// The settings of a bucket.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = BucketDefinition, example = json!({"history": 5}))]
struct Definition {
    /// A description for people.
    description: Option<String>,
    /// How many values of a key are kept.
    #[schema(minimum = 1, maximum = 64, default = 1, example = 1)]
    history: Option<u64>,
    /// Seconds after which a value expires; without it, values stay.
    #[schema(minimum = 0.1, maximum = 3155760000.0, example = 3600.0)]
    ttl: Option<f64>,
    /// Whether the values are in memory only.
    #[schema(default = false)]
    memory: bool,
    /// The bytes of all values; without it, there is no limit.
    #[schema(minimum = 1)]
    max_bytes: Option<u64>,
    /// The bytes of a value; without it, there is no limit but that of messages.
    #[schema(minimum = 1, maximum = 2147483647)]
    max_value_size: Option<u32>,
    /// Whether a value may have its own time to live, after which a marker takes its place for a minute.
    #[schema(default = false)]
    ttl_per_key: bool,
}

impl Definition {
    /// The definition of the stream, as the clients of NATS make it.
    fn stream(self, bucket: &str) -> Result<serde_json::Value, Problem> {
        let history = self.history.unwrap_or(1);
        if !(1..=HISTORY_MAX).contains(&history) {
            return Err(Problem::invalid("history", format!("from 1 to {HISTORY_MAX}")));
        }
        if self.ttl.is_some_and(|ttl| !(0.1..=f64::from(TTL_SECONDS_MAX)).contains(&ttl)) {
            return Err(Problem::invalid("ttl", format!("from 0.1 to {TTL_SECONDS_MAX} seconds")));
        }
        let ttl = self.ttl.unwrap_or(0.0);
        for (name, limit) in
            [("max_bytes", self.max_bytes), ("max_value_size", self.max_value_size.map(u64::from))]
        {
            let most = if name == "max_bytes" { i64::MAX as u64 } else { i32::MAX as u64 };
            if limit.is_some_and(|limit| !(1..=most).contains(&limit)) {
                return Err(Problem::invalid(name, format!("from 1 to {most}")));
            }
        }
        let max_age = (ttl * SECOND) as i64;
        let window = if max_age > 0 { max_age.min(DUPLICATE_WINDOW) } else { DUPLICATE_WINDOW };
        let limit = |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let storage = if self.memory { "memory" } else { "file" };
        let mut definition = json!({
            "name": stream_name(bucket),
            "subjects": [format!("$KV.{bucket}.>")],
            "retention": "limits",
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": limit(self.max_bytes),
            "max_age": max_age,
            "max_msgs_per_subject": history,
            "max_msg_size": limit(self.max_value_size.map(u64::from)),
            "storage": storage,
            "discard": "new",
            "num_replicas": 1,
            "duplicate_window": window,
            "allow_rollup_hdrs": true,
            "deny_delete": true,
            "allow_direct": true,
            "description": self.description.unwrap_or_default(),
        });
        if self.ttl_per_key {
            definition["allow_msg_ttl"] = true.into();
            definition["subject_delete_marker_ttl"] = 60_000_000_000_i64.into();
        }
        Ok(definition)
    }
}

/// A bucket.
#[derive(Serialize, ToSchema)]
#[schema(as = Bucket)]
struct Described {
    /// Its name.
    #[schema(example = "settings")]
    bucket: String,
    /// The stream that it is.
    #[schema(example = "KV_settings")]
    stream: String,
    /// How many values of a key are kept.
    #[schema(example = 1)]
    history: i64,
    /// Seconds after which a value expires; 0 for never.
    #[schema(example = 0.0)]
    ttl: f64,
    /// Whether the values are in memory only.
    memory: bool,
}

impl Described {
    fn of(bucket: String, definition: &StreamDefinition) -> Described {
        Described {
            stream: definition.name.clone(),
            history: definition.max_messages_per_subject,
            ttl: definition.max_age.0 as f64 / SECOND,
            memory: definition.storage == Storage::Memory,
            bucket,
        }
    }
}

/// Makes a bucket, or gives it another definition
///
/// It is a stream of its own, exactly as the clients of NATS make one: both see each other's buckets and keys.
#[utoipa::path(put, path = "/kv/{bucket}", tag = "kv",
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings")),
    request_body = Option<Definition>,
    responses((status = 200, description = "It has this definition now", body = Described),
        (status = 201, description = "It is new", body = Described)))]
async fn put_bucket(
    State(context): State<Context>,
    PathText(bucket): PathText,
    Json(definition): Json<Definition>,
) -> Result<Response, Problem> {
    check_name(&bucket)?;
    let body = written(&definition.stream(&bucket)?);
    let (stream, is_new) = streams::define(&context, &body).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with_status(status, Described::of(bucket, &stream.definition())))
}

/// Deletes a bucket
///
/// All its keys are deleted too.
#[utoipa::path(delete, path = "/kv/{bucket}", tag = "kv",
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings")),
    responses((status = 204, description = "It is gone")))]
async fn delete_bucket(
    State(context): State<Context>,
    PathText(bucket): PathText,
) -> Result<StatusCode, Problem> {
    let bucket = Bucket::find(&context, bucket)?;
    streams::end(&context, &bucket.stream).await
}

/// Which keys are listed or watched.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only keys of this pattern, in which `*` stands for a token and `>` at the end for all that follow.
    #[param(default = ">", example = "colours.*")]
    keys: Option<String>,
    /// Only keys whose last revision is above this one: the value of `next` for the next page.
    #[serde(default)]
    #[param(default = 0)]
    after: u64,
    /// The most keys of a response.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<usize>,
    /// Watch the keys, as server-sent events, instead of listing them.
    #[param(value_type = bool, required = false)]
    watch: Option<String>,
}

/// The keys of a bucket.
#[derive(Serialize, ToSchema)]
#[schema(as = BucketKeys)]
struct Keys {
    #[serde(flatten)]
    bucket: Described,
    /// Keys that have a value, in the order of their last revisions.
    #[schema(example = json!(["colour"]))]
    keys: Vec<String>,
    /// The revision behind which the next page begins; missing if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    next: Option<u64>,
}

/// Lists the keys of a bucket, or watches them
///
/// With `?watch` as server-sent events: first the last entry of each key, then `event: complete`, then each change.  An entry
/// is `event: message` with `key`, `revision`, `operation` and `value`.  A client that connects again with `Last-Event-ID`
/// goes on behind it; `event: gap` says that entries were replaced or removed before they could be sent.
#[utoipa::path(get, path = "/kv/{bucket}", tag = "kv", extensions(("x-takes-ticket" = json!(true))),
    params(("bucket" = String, Path, description = "The name of the bucket", example = "settings"), Listing,
        ("Last-Event-ID" = Option<String>, Header, description = "With `watch`: the last event that was seen")),
    responses((status = 200, description = "The keys", content((Keys = "application/json"),
        (serde_json::Value = "text/event-stream", example = "id: 6470b1c2e8a40-7\nevent: message\ndata: {\"key\":\"colour\",\"revision\":7,\"time\":\"2026-01-02T03:04:05Z\",\"operation\":\"put\",\"value\":\"blue\"}\n\n")))))]
async fn bucket_keys(
    State(context): State<Context>,
    PathText(bucket): PathText,
    Query(listing): Query<Listing>,
    accept: Accept,
    last_event: LastEventId,
) -> Result<Response, Problem> {
    let pattern = listing.keys.as_deref().unwrap_or(">");
    check_key_pattern(pattern)?;
    let limit = listing.limit.unwrap_or(KEYS_MAX);
    if !(1..=KEYS_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("from 1 to {KEYS_MAX}")));
    }
    if listing.after > i64::MAX as u64 {
        return Err(Problem::invalid("after", format!("at most {}", i64::MAX)));
    }
    let bucket = Bucket::find(&context, bucket)?;
    if is_set(listing.watch.as_deref(), "watch")? {
        return watch(&context, &bucket, pattern, &accept, &last_event);
    }
    let filter = Filter::of([bucket.subject(pattern).as_bytes()]);
    let (_, last) = bucket.stream.range();
    let begin = listing.after.saturating_add(1);
    let mut follower = Follower::new(&bucket.stream, filter, begin)
        .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?
        .with_latest(last);
    let (prefix, mut keys, mut looked_at) = (bucket.prefix().len(), Vec::new(), 0);
    let is_end = loop {
        let portion = Portion { messages: PORTION.messages.min(limit - keys.len()), ..PORTION };
        let is_end = follower.read_on(portion, |seen| {
            if let Seen::Message(message) = seen
                && Operation::of(message.headers) == Operation::Put
            {
                let key = message.subject.get(prefix..).unwrap_or_default();
                keys.push(String::from_utf8_lossy(key).into_owned());
            }
        });
        let is_end = is_end.map_err(unreadable)?;
        looked_at += portion.messages as u64;
        if is_end || keys.len() >= limit || looked_at >= LOOKED_AT_MAX {
            break is_end;
        }
    };
    let next = (!is_end).then(|| follower.next() - 1);
    let bucket = Described::of(bucket.name, &bucket.stream.definition());
    Ok(Json(Keys { bucket, keys, next }).into_response())
}
