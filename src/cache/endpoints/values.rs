//! Single values: read and written.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::{Lifetime, WrongKind};
use crate::endpoint::{
    Context, Json, OpenApiRouter, PathBytes, Problem, ProblemBody, State, problems, routes,
};

/// A key and what it holds.
#[derive(Serialize, utoipa::ToSchema)]
struct Entry {
    /// The key.
    key: String,
    /// The value.
    value: String,
}

/// A value to be written.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewValue {
    /// Any JSON.  A string is stored as it is, anything else as compact JSON.
    value: Value,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(value, put_value))
}

/// The value of a key
#[utoipa::path(get, path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded")),
    responses((status = 200, description = "The value", body = Entry),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn value(State(context): State<Context>, PathBytes(key): PathBytes) -> Result<Json<Entry>, Problem> {
    context.read(0, &[&key], |visit| {
        let key = visit.key(&key);
        let entry = visit.keyspace.read(&key).ok_or_else(|| Problem::new(problems::NO_SUCH_KEY))?;
        let value = entry.string().map_err(|WrongKind| Problem::new(problems::WRONG_TYPE))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Json(Entry { key: text(key.bytes), value: text(value.bytes()) }))
    })
}

/// Writes the value of a key
#[utoipa::path(put, path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded")), request_body = NewValue,
    responses((status = 204, description = "It is written"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn put_value(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Json(new): Json<NewValue>,
) -> Result<StatusCode, Problem> {
    let text = match new.value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    context.write(0, &[&key], |visit| {
        let (key, moment) = (visit.key(&key), visit.keyspace.moment);
        visit.keyspace.shard(&key).set(&key, text.as_bytes(), Lifetime::Forever, &moment);
    })?;
    Ok(StatusCode::NO_CONTENT)
}
