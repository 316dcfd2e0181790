//! Endpoints of operators: take a lock away, end a wait.

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

/// Which lock is taken away, and why.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Taking {
    /// Only the lock of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// A text for listeners.
    #[serde(default)]
    reason: String,
}

/// The result of taking a lock away.
#[derive(Serialize, utoipa::ToSchema)]
struct Taken {
    /// How many leases were taken away.
    taken: u64,
}

/// Takes a lock away from its holders
///
/// For operators.  A holder learns of it when it renews or releases, and its fencing token is no longer current.
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

/// Which wait is ended.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Cancelling {
    /// The waiting owner.
    #[param(value_type = String)]
    owner: QueryBytes,
}

/// The result of ending a wait.
#[derive(Serialize, utoipa::ToSchema)]
struct Cancelled {
    /// How many requests waited.
    cancelled: u64,
}

/// Ends an owner's wait for a resource
///
/// The waiting request is answered that it was not granted.
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
