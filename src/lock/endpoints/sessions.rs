//! Sessions over HTTP: opened, kept alive by a ping, closed.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::acquisition::{milliseconds, session_id};
use super::idempotency::IdempotencyKey;
use super::{begin, change, durable, text};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, State, json_with_status, routes,
};
use crate::lock::operation::{CloseSession, InspectSession, OpenSession, PingSession, SessionTerms};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(ping)).routes(routes!(session, close))
}

/// The terms of a session.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl": 30}))]
struct Opening {
    /// Seconds that it lasts from its last ping.
    #[schema(minimum = 0, example = 30)]
    ttl: f64,
    /// Seconds that its locks are kept after it is lost, so that its holder can finish what it has begun.
    #[serde(default)]
    #[schema(minimum = 0)]
    delay: f64,
}

/// A session that was opened or pinged.
#[derive(Serialize, utoipa::ToSchema)]
struct Opened {
    /// Its name.
    session: String,
    /// Milliseconds it lasts from now without a ping.
    expires_in_ms: Option<u64>,
}

/// A session.
#[derive(Serialize, utoipa::ToSchema)]
struct Session {
    /// Its name.
    session: String,
    /// Milliseconds it lasts from a ping.
    ttl_ms: Option<u64>,
    /// Milliseconds it lasts from now without a ping; once it is lost, how long its locks last.
    expires_in_ms: Option<u64>,
    /// Whether it is lost, so that only its delay keeps its locks.
    lost: bool,
    /// The number of its locks.
    locks: usize,
    /// The number of its waiting requests.
    waiters: usize,
    /// The resources of its locks, the first thousand.
    resources: Vec<String>,
}

/// Opens a session
///
/// A session keeps any number of locks, and one ping keeps all of them alive.
#[utoipa::path(post, path = "/sessions", tag = "locks", request_body = Opening,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 201, description = "It is open", body = Opened)))]
async fn open(
    State(context): State<Context>,
    key: IdempotencyKey,
    Json(opening): Json<Opening>,
) -> Result<Response, Problem> {
    let delay = if opening.delay == 0.0 { 0 } else { milliseconds("delay", opening.delay)? };
    let terms = SessionTerms { ttl: Some(milliseconds("ttl", opening.ttl)?), delay, connection: None };
    let drawn = context.draw() as u64;
    let (id, barrier) = begin(&context, &OpenSession { id: drawn, terms, request: key.request() })?;
    let expires_in_ms = match barrier {
        Some(barrier) => durable::session_left(&context, id, true, barrier).await?,
        None => terms.ttl,
    };
    Ok(json_with_status(StatusCode::CREATED, Opened { session: id.to_string(), expires_in_ms }))
}

/// Keeps a session alive
#[utoipa::path(put, path = "/sessions/{session}/ping", tag = "locks",
    params(("session" = String, Path, description = "Its name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "It stays alive", body = Opened)))]
async fn ping(
    State(context): State<Context>,
    PathText(name): PathText,
    key: IdempotencyKey,
) -> Result<Json<Opened>, Problem> {
    let id = session_id(&name)?;
    let operation = PingSession { session: id, connection: None, request: key.request() };
    let (ttl, barrier) = begin(&context, &operation)?;
    let expires_in_ms = match barrier {
        Some(barrier) => durable::session_left(&context, id, false, barrier).await?,
        None => ttl,
    };
    Ok(Json(Opened { session: id.to_string(), expires_in_ms }))
}

/// Reports a session
#[utoipa::path(get, path = "/sessions/{session}", tag = "locks",
    params(("session" = String, Path, description = "Its name")),
    responses((status = 200, description = "The session", body = Session)))]
async fn session(State(context): State<Context>, PathText(name): PathText) -> Result<Json<Session>, Problem> {
    let id = session_id(&name)?;
    let found = begin(&context, &InspectSession { session: id })?;
    let report = durable::report(&context, found).await?;
    Ok(Json(Session {
        session: id.to_string(),
        ttl_ms: report.ttl,
        expires_in_ms: report.left,
        lost: report.is_lost,
        locks: report.leases,
        waiters: report.waiters,
        resources: report.resources.iter().map(|resource| text(resource)).collect(),
    }))
}

/// Closes a session
///
/// Its locks are released.
#[utoipa::path(delete, path = "/sessions/{session}", tag = "locks",
    params(("session" = String, Path, description = "Its name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 204, description = "It is closed")))]
async fn close(
    State(context): State<Context>,
    PathText(name): PathText,
    key: IdempotencyKey,
) -> Result<StatusCode, Problem> {
    let id = session_id(&name)?;
    change(&context, &CloseSession { session: id, request: key.request() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
