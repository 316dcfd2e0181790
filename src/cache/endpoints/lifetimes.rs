//! How long keys live on: read and changed.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::conditions::{ConditionHeaders, Conditions};
use super::database::Database;
use super::input_value::lifetime;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathBytes, Problem, Query, State, problems, routes,
};
use crate::store::Lifetime;

/// The time to live of a key.
#[derive(Serialize, utoipa::ToSchema)]
struct Remaining {
    /// Seconds until the key expires; null if it does not.
    ttl: Option<f64>,
}

/// A new time to live.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl": 60}))]
struct NewLifetime {
    /// Seconds from now.
    #[schema(minimum = 0.001, maximum = 3155760000.0)]
    ttl: f64,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(remaining, put_remaining, remove_remaining))
}

/// Reads the time to live of a key
#[utoipa::path(get, path = "/cache/{key}/ttl", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database),
    responses((status = 200, description = "The time to live", body = Remaining)))]
async fn remaining(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
) -> Result<Json<Remaining>, Problem> {
    context
        .read(database.number(&context)?, &[&key], |visit| {
            let (key, now) = (visit.key(&key), visit.now().millis());
            let entry = visit.keyspace.inspect(&key).ok_or_else(|| Problem::new(problems::NO_SUCH_KEY))?;
            let seconds = |deadline: u64| deadline.saturating_sub(now) as f64 / 1000.0;
            Ok(Json(Remaining { ttl: entry.deadline().map(seconds) }))
        })
        .await?
}

/// Changes the time to live of a key
#[utoipa::path(put, path = "/cache/{key}/ttl", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database, ConditionHeaders), request_body = NewLifetime,
    responses((status = 204, description = "The time to live is changed")))]
async fn put_remaining(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
    conditions: Conditions,
    Json(new): Json<NewLifetime>,
) -> Result<StatusCode, Problem> {
    change(&context, &database, &key, &conditions, Some(new.ttl)).await
}

/// Removes the time to live of a key
#[utoipa::path(delete, path = "/cache/{key}/ttl", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database, ConditionHeaders),
    responses((status = 204, description = "The key does not expire")))]
async fn remove_remaining(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
    conditions: Conditions,
) -> Result<StatusCode, Problem> {
    change(&context, &database, &key, &conditions, None).await
}

async fn change(
    context: &Context,
    database: &Database,
    key: &[u8],
    conditions: &Conditions,
    ttl: Option<f64>,
) -> Result<StatusCode, Problem> {
    context
        .read(database.number(context)?, &[key], |visit| {
            let key = visit.key(key);
            let deadline = match lifetime(ttl, visit.now(), "ttl")? {
                Lifetime::Until(deadline) => Some(deadline),
                Lifetime::Forever | Lifetime::Keep => None,
            };
            conditions.allow_writing(visit.keyspace.peek(&key))?;
            if !visit.keyspace.contains(&key) {
                return Err(Problem::new(problems::NO_SUCH_KEY));
            }
            visit.keyspace.set_deadline(&key, deadline);
            Ok(StatusCode::NO_CONTENT)
        })
        .await?
}
