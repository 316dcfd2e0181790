//! Operations on one key: resetting it, giving some back, blocking it for a time.

use axum::http::StatusCode;
use serde::Deserialize;

use super::check::default_policy;
use super::{Operations, change};
use crate::http::endpoint::{Context, Json, OpenApiRouter, PathBytes, Problem, Query, State, routes};
use crate::limit::algorithm::{checked_count, checked_span};
use crate::limit::operation::{self, Change};

/// The policy of a reset.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Under {
    /// The policy's name; `default` if none is given.
    #[serde(default = "default_policy")]
    policy: String,
}

/// A refund.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": 1}))]
struct Refund {
    /// How much to give back.
    #[schema(minimum = 1)]
    amount: i64,
    /// The policy it was taken from.
    #[serde(default = "default_policy")]
    policy: String,
}

/// A block.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl_ms": 60000}))]
struct Block {
    /// Milliseconds of the block.
    #[schema(minimum = 1)]
    ttl_ms: i64,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(reset)).routes(routes!(refund)).routes(routes!(block, unblock))
}

/// Resets a key
///
/// Removes its counters under one policy.  Limits that count all keys together stay.
#[utoipa::path(post, path = "/limits/{key}/reset", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded"), Under),
    responses((status = 204, description = "The key starts from nothing")))]
async fn reset(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(under): Query<Under>,
) -> Result<StatusCode, Problem> {
    let operations = Operations::new(&context);
    let reset = operation::Reset { policy: under.policy.as_bytes(), key: &key };
    context.walk(0, |visit| operations.run(visit, reset)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Refunds a key
///
/// Gives the latest costs back.
#[utoipa::path(post, path = "/limits/{key}/refund", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")), request_body = Refund,
    responses((status = 204, description = "The amount is given back")))]
async fn refund(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Json(refund): Json<Refund>,
) -> Result<StatusCode, Problem> {
    let amount = checked_count("amount", refund.amount)?;
    let operations = Operations::new(&context);
    let policy = refund.policy.as_bytes();
    let refund = operation::Refund { policy, key: &key, amount };
    context.walk(0, |visit| operations.run(visit, refund)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Blocks a key for a time
#[utoipa::path(put, path = "/limits/{key}/block", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")), request_body = Block,
    responses((status = 204, description = "The key is refused under every policy")))]
async fn block(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Json(block): Json<Block>,
) -> Result<StatusCode, Problem> {
    let span = checked_span("ttl_ms", block.ttl_ms)?;
    change(&context, Change::Block { key: &key, span }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the block of a key
#[utoipa::path(delete, path = "/limits/{key}/block", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")),
    responses((status = 204, description = "The key is not blocked")))]
async fn unblock(State(context): State<Context>, PathBytes(key): PathBytes) -> Result<StatusCode, Problem> {
    change(&context, Change::Block { key: &key, span: 0 }).await?;
    Ok(StatusCode::NO_CONTENT)
}
