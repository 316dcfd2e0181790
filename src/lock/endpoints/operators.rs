//! What operators do about locks: take one away, end a wait.

use serde::{Deserialize, Serialize};

use super::change;
use super::idempotency::IdempotencyKey;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathBytes, Problem, Query, QueryBytes, State, routes,
};
use crate::lock::operation::{CancelWait, Force};

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(force)).routes(routes!(cancel))
}

/// Whose lock is to be taken away, and why.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Taking {
    /// Only this owner's.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// Told to those who listen.
    #[serde(default)]
    reason: String,
}

/// How many leases were taken away.
#[derive(Serialize, utoipa::ToSchema)]
struct Taken {
    /// Their number.
    taken: u64,
}

/// Takes a lock away from its holders
///
/// For operators.  A holder learns of it when it renews or releases, and its fence is no longer current.
#[utoipa::path(delete, path = "/locks/{resource}", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded"), Taking,
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "How many leases were taken away", body = Taken)))]
async fn force(
    State(context): State<Context>,
    PathBytes(name): PathBytes,
    Query(taking): Query<Taking>,
    key: IdempotencyKey,
) -> Result<Json<Taken>, Problem> {
    let owner = taking.owner.as_deref();
    let reason = taking.reason.as_bytes();
    let operation = Force { resource: &name, owner, reason, request: key.request() };
    let taken = change(&context, &operation).await?;
    Ok(Json(Taken { taken }))
}

/// Whose wait is to be ended.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Cancelling {
    /// The owner that waits.
    #[param(value_type = String)]
    owner: QueryBytes,
}

/// How many waits were ended.
#[derive(Serialize, utoipa::ToSchema)]
struct Cancelled {
    /// Their number.
    cancelled: u64,
}

/// Ends an owner's wait for a resource
///
/// The request that waits is answered that it was not granted.
#[utoipa::path(delete, path = "/locks/{resource}/waits", operation_id = "cancel_wait", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded"), Cancelling,
        ("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated")),
    responses((status = 200, description = "How many requests of that owner waited", body = Cancelled)))]
async fn cancel(
    State(context): State<Context>,
    PathBytes(name): PathBytes,
    Query(cancelling): Query<Cancelling>,
    key: IdempotencyKey,
) -> Result<Json<Cancelled>, Problem> {
    let owner = &*cancelling.owner;
    let operation = CancelWait { resource: &name, owner, request: key.request() };
    let cancelled = change(&context, &operation).await?;
    Ok(Json(Cancelled { cancelled }))
}
