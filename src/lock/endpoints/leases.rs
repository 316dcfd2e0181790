//! Endpoints of holders: renew a lease, release it, have a fence checked.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::acquisition::{Lock, time_to_live};
use super::idempotency::IdempotencyKey;
use super::identity::LockId;
use super::{begin, change, durable, look};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, Query, QueryBytes, State, routes,
};
use crate::lock::operation::{self, ReleaseMany, Renew, RenewAll};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(renew))
        .routes(routes!(renew_all))
        .routes(routes!(release))
        .routes(routes!(check))
}

/// How long a lease is to last from now.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl": 30}))]
pub(super) struct Lifetime {
    /// In seconds.
    #[schema(minimum = 0, example = 30)]
    ttl: Option<f64>,
    /// In milliseconds.
    ttl_ms: Option<u64>,
}

impl Lifetime {
    pub(super) fn milliseconds(&self) -> Result<u64, Problem> {
        let missing = || Problem::invalid("ttl", "ttl or ttl_ms; one of them must be there");
        time_to_live(self.ttl, self.ttl_ms)?.ok_or_else(missing)
    }
}

/// Renews a lock
///
/// The lock lasts at least this long from now; it never becomes shorter.
#[utoipa::path(put, path = "/lock/{lock_id}/renew", tag = "locks", request_body = Lifetime,
    params(("lock_id" = String, Path, description = "As POST /lock has given it"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "It is still held", body = Lock)))]
async fn renew(
    State(context): State<Context>,
    PathText(id): PathText,
    key: IdempotencyKey,
    Json(lifetime): Json<Lifetime>,
) -> Result<Response, Problem> {
    let id = LockId::decode(&id)?;
    let ttl = lifetime.milliseconds()?;
    let names = id.names();
    let operation =
        Renew { resources: &names, owner: &id.owner, ttl, fence: Some(id.fence), request: key.request() };
    let (grant, barrier) = begin(&context, &operation)?;
    let grant = durable::changed(&context, grant, barrier).await?;
    Ok(Lock::new(&id.owner, &names, &grant).into_response())
}

/// Names the owner.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OwnerSelection {
    /// The owner.
    #[param(value_type = String)]
    owner: QueryBytes,
}

/// The result of renewing all locks.
#[derive(Serialize, utoipa::ToSchema)]
struct Renewed {
    /// How many locks were renewed.
    renewed: u64,
}

/// Renews all locks of an owner
///
/// Except the locks that last as long as a session.
#[utoipa::path(put, path = "/locks", operation_id = "renew_all_locks", tag = "locks", request_body = Lifetime,
    params(OwnerSelection, ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "They last at least this long from now", body = Renewed)))]
async fn renew_all(
    State(context): State<Context>,
    Query(selection): Query<OwnerSelection>,
    key: IdempotencyKey,
    Json(lifetime): Json<Lifetime>,
) -> Result<Json<Renewed>, Problem> {
    let ttl = lifetime.milliseconds()?;
    let owner = &*selection.owner;
    let since = context.now();
    let (renewed, barrier) = begin(&context, &RenewAll { owner, ttl, request: key.request() })?;
    let renewed = durable::all_renewed(&context, (owner, ttl), renewed, since, barrier).await?;
    Ok(Json(Renewed { renewed }))
}

/// How often to release a lock.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Releasing {
    /// As often as it is held; otherwise once.
    #[serde(default)]
    all: bool,
}

/// Releases a lock
#[utoipa::path(delete, path = "/lock/{lock_id}", tag = "locks",
    params(("lock_id" = String, Path, description = "As POST /lock has given it"), Releasing,
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 204, description = "It is released")))]
async fn release(
    State(context): State<Context>,
    PathText(id): PathText,
    Query(releasing): Query<Releasing>,
    key: IdempotencyKey,
) -> Result<StatusCode, Problem> {
    let id = LockId::decode(&id)?;
    let operation = ReleaseMany {
        resources: &id.names(),
        owner: &id.owner,
        fence: Some(id.fence),
        all: releasing.all,
        skips_ended: true,
        request: key.request(),
    };
    change(&context, &operation).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fencing token to check.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
struct Claim {
    /// The fencing token of the lock if this is missing.
    fence: Option<u64>,
}

/// The result of checking a fencing token.
#[derive(Serialize, utoipa::ToSchema)]
struct Check {
    /// Whether all resources of the lock are held under it.
    current: bool,
    /// The fencing token that was checked.
    fence: u64,
}

/// Checks a fencing token
///
/// For the protected resource: it has to refuse a request whose fencing token is not current.
#[utoipa::path(post, path = "/lock/{lock_id}/check", operation_id = "check_lease", tag = "locks", request_body = Option<Claim>,
    params(("lock_id" = String, Path, description = "As POST /lock has given it")),
    responses((status = 200, description = "Whether it is current", body = Check)))]
async fn check(
    State(context): State<Context>,
    PathText(id): PathText,
    Json(claim): Json<Claim>,
) -> Result<Json<Check>, Problem> {
    let id = LockId::decode(&id)?;
    let fence = claim.fence.unwrap_or(id.fence);
    let current = look(&context, &operation::Check { resources: &id.names(), fence }).await?;
    Ok(Json(Check { current, fence }))
}
