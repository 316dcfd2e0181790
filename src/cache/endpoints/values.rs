//! Single values: read, written, removed.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::conditions::{ConditionHeaders, Conditions, Reading};
use super::database::{Database, existing};
use super::fencing::{Fencing, synced};
use super::input_value::{BodyType, InputValue, NewValue, lifetime};
use super::output_value::OutputValue;
use super::representations::{self, Entry};
use crate::http::endpoint::{
    Accept, Body, Context, OpenApiRouter, PathBytes, Problem, ProblemBody, Query, QueryBytes, Room, State,
    json_with_status, parse, problems, routes,
};

/// How a value is to be written.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Writing {
    /// The number of the database, as in SELECT; 0 by default.
    #[param(minimum = 0, value_type = u64, required = false)]
    db: Option<usize>,
    /// Seconds until the key expires, unless the body says it.
    #[param(minimum = 0.001, maximum = 3155760000.0, value_type = f64, required = false)]
    ttl: Option<f64>,
    /// Write only if the key does not exist.
    #[param(value_type = bool, required = false)]
    if_absent: Option<bool>,
    /// Write only while this lock is held under `fence`; the check and the write are one step.
    #[param(value_type = String, required = false)]
    lock: Option<QueryBytes>,
    /// The fencing token of the grant of `lock`.
    #[param(minimum = 0, value_type = u64, required = false)]
    fence: Option<u64>,
}

/// The result of a write.
#[derive(Serialize, utoipa::ToSchema)]
struct Written {
    /// The entity tag of the new value, for If-Match.
    etag: String,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(value, put_value, remove_value))
}

/// Reads the value of a key
///
/// A value that was written with its own content type comes back with that type, any other value as JSON; Accept chooses
/// another representation.  HEAD returns the headers alone.
#[utoipa::path(get, path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database, ConditionHeaders),
    responses((status = 200, description = "The value", content((Entry = "application/json"), (String = "*/*")),
            headers(("ETag" = String, description = "The tag of this representation of the value"),
                ("Cache-Control" = String, description = "The seconds until the key expires"))),
        (status = 304, description = "The client has the value already")))]
async fn value(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
    accept: Accept,
    conditions: Conditions,
    room: Room,
) -> Result<Response, Problem> {
    let (found, now) = context
        .read(database.number(&context)?, &[&key], |visit| {
            let now = visit.now();
            let key = visit.key(&key);
            let store = visit.keyspace.store();
            let entry = visit.keyspace.read(&key).ok_or_else(|| Problem::new(problems::NO_SUCH_KEY))?;
            OutputValue::of(store, entry).map(|found| (found, now))
        })
        .await??;
    if conditions.are_none() {
        room.admit(found.bytes.len())?;
    }
    let representation = representations::choose(&accept, &found)?;
    let tag = representations::tag(
        representations::fingerprint(&found.bytes, found.content_type.as_deref()),
        representation,
    );
    Ok(match conditions.reading(&tag)? {
        Reading::Whole => {
            room.admit(found.bytes.len())?;
            representations::respond(&key, found, representation, &tag, now)
        }
        Reading::NotModified => {
            (StatusCode::NOT_MODIFIED, representations::common_headers(&found, &tag, now)).into_response()
        }
    })
}

/// Writes the value of a key
///
/// A JSON body, or one without a type, is an object with the value and its options.  A body of any other type is the value
/// itself, and comes back with that type.
#[utoipa::path(put, path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Writing, ConditionHeaders),
    request_body(content((NewValue = "application/json"), (String = "text/plain"), (String = "application/octet-stream"))),
    responses((status = 200, description = "The value is replaced", body = Written),
        (status = 201, description = "The key is new", body = Written),
        (status = 507, description = "The memory for data is used up", body = ProblemBody, content_type = "application/problem+json")))]
async fn put_value(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(writing): Query<Writing>,
    conditions: Conditions,
    body_type: BodyType,
    Body(body): Body,
) -> Result<Response, Problem> {
    let database = existing(writing.db, &context)?;
    let fencing = Fencing::new(writing.lock.as_deref(), writing.fence)?;
    let mut ttl = writing.ttl;
    let mut if_absent = writing.if_absent.unwrap_or(false);
    let stored = match body_type {
        BodyType::Raw(content_type) => InputValue::from_body(&body, content_type),
        BodyType::Object => {
            let new: NewValue = parse(&body).map_err(explained)?;
            ttl = new.ttl.or(ttl);
            if_absent |= new.if_absent;
            InputValue::from_json(&new.value, new.encoding, "")?
        }
    };
    let stored = stored.within(&context)?;
    let fingerprint = representations::fingerprint(&stored.bytes, stored.content_type.as_deref());
    let etag = representations::tag(
        fingerprint,
        representations::first_representation(stored.content_type.as_deref()),
    );
    let (is_new, hold) = context
        .write(database, &[&key], |visit| {
            let key = visit.key(&key);
            // The one of the query is checked even if the body has another, which has precedence.
            lifetime(writing.ttl, visit.now(), "ttl")?;
            let lifetime = lifetime(ttl, visit.now(), "ttl")?;
            let current = visit.keyspace.find(&key);
            let is_new = current.is_none();
            conditions.allow_writing(current)?;
            if if_absent && !is_new {
                return Err(Problem::new(problems::KEY_EXISTS));
            }
            let hold = fencing.map(|fencing| fencing.allow_writing(visit)).transpose()?.flatten();
            stored.write(&mut visit.keyspace, &key, lifetime);
            Ok((is_new, hold))
        })
        .await??;
    synced(hold).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with_status(status, Written { etag }))
}

/// Says of a body that is no JSON what else it may be: `curl -d hello` sends one.
fn explained(problem: Problem) -> Problem {
    if problem.kind().slug != problems::INVALID_JSON.slug {
        return problem;
    }
    let error = problem.detail_text().unwrap_or_default();
    let detail = format!(
        "{error}; the body is an object such as {{\"value\": \"hello\"}}, or the value itself if Content-Type says that it is \
         no JSON (curl -H 'Content-Type: text/plain')"
    );
    problem.detail(detail)
}

/// Removes a key
#[utoipa::path(delete, path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path, description = "The key, percent-encoded"), Database, ConditionHeaders),
    responses((status = 204, description = "The key is removed")))]
async fn remove_value(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(database): Query<Database>,
    conditions: Conditions,
) -> Result<StatusCode, Problem> {
    context
        .read(database.number(&context)?, &[&key], |visit| {
            let key = visit.key(&key);
            conditions.allow_writing(visit.keyspace.find(&key))?;
            if !visit.keyspace.remove(&key) {
                return Err(Problem::new(problems::NO_SUCH_KEY));
            }
            Ok(StatusCode::NO_CONTENT)
        })
        .await?
}
