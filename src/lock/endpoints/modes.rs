//! Changing how a lock is held: exclusive instead of shared, and shared instead of exclusive.

use axum::response::Response;
use serde::Deserialize;

use super::acquisition::{Lock, granted};
use super::idempotency::IdempotencyKey;
use super::identity::LockId;
use super::refusals::problem_of;
use super::{begin, durable, start};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Preferences, Problem, State, problems, routes,
};
use crate::lock::limits::WAIT_MAX;
use crate::lock::operation::{Downgrade, Upgrade};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(upgrade)).routes(routes!(downgrade))
}

/// How long to wait for the others.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"wait_ms": 1000}))]
struct Patience {
    /// Milliseconds to wait until no other owner shares it; 0 answers at once.
    #[serde(default)]
    wait_ms: u64,
}

/// Makes a shared lock exclusive
///
/// It gets a new fencing token and therefore a new `lock_id`, and goes before all other waiters.  If two owners share a
/// resource and both ask for this, the second is refused, since each would wait for the other.  A request that is
/// repeated with the same `Idempotency-Key` and the old `lock_id` has the same result.
#[utoipa::path(post, path = "/lock/{lock_id}/upgrade", operation_id = "upgrade_lock", tag = "locks", request_body = Option<Patience>,
    params(("lock_id" = String, Path, description = "As POST /lock has given it, of one resource"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated"),
        ("Prefer" = Option<String>, Header, description = "`wait=10` waits ten seconds, as `wait_ms` does")),
    responses((status = 200, description = "It is exclusive now", body = Lock)))]
async fn upgrade(
    State(context): State<Context>,
    PathText(id): PathText,
    preferences: Preferences,
    key: IdempotencyKey,
    Json(body): Json<Patience>,
) -> Response {
    let wait = preferences.wait_millis(WAIT_MAX).unwrap_or(body.wait_ms);
    preferences.applied(upgraded(&context, &id, &key, wait).await)
}

async fn upgraded(context: &Context, id: &str, key: &IdempotencyKey, wait: u64) -> Result<Response, Problem> {
    let id = LockId::decode(id)?;
    let resource = one_resource(&id)?;
    let operation =
        Upgrade { resource, owner: &id.owner, fence: Some(id.fence), wait, request: key.request() };
    let (asked, barrier) = start(context, &operation);
    let asked = asked.map_err(|refused| problem_of(&refused, "lock_id"))?;
    let grant = granted(context, asked, barrier, (&id.owner, &[resource]), wait).await?;
    Ok(Lock::new(&id.owner, &[resource], &grant).into_response())
}

/// Makes an exclusive lock shared
///
/// Its fencing token and `lock_id` stay as they are.
#[utoipa::path(post, path = "/lock/{lock_id}/downgrade", operation_id = "downgrade_lock", tag = "locks",
    params(("lock_id" = String, Path, description = "As POST /lock has given it, of one resource"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "It is shared now", body = Lock)))]
async fn downgrade(
    State(context): State<Context>,
    PathText(id): PathText,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let id = LockId::decode(&id)?;
    let resource = one_resource(&id)?;
    let operation = Downgrade { resource, owner: &id.owner, fence: Some(id.fence), request: key.request() };
    let (grant, barrier) = begin(&context, &operation)?;
    let grant = durable::changed(&context, grant, barrier).await?;
    Ok(Lock::new(&id.owner, &[resource], &grant).into_response())
}

/// The resource of a lock on one.  Several resources under one fencing token cannot change one by one.
fn one_resource(id: &LockId) -> Result<&[u8], Problem> {
    match &id.resources[..] {
        [resource] => Ok(resource),
        _ => Err(Problem::new(problems::INVALID_VALUE)
            .with("field", "lock_id")
            .with("allowed", "the lock_id of a lock on one resource")),
    }
}
