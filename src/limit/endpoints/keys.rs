//! What is done to one key: forgetting what it took, giving some back, blocking it for a time.

use axum::http::StatusCode;
use serde::Deserialize;

use super::change;
use super::check::{default_policy, find};
use crate::http::endpoint::{Context, Json, OpenApiRouter, PathBytes, Problem, Query, State, routes};
use crate::limit::algorithm::{checked_count, checked_span};
use crate::limit::check::{Check, Counters, Demand, Rule};
use crate::limit::definition::Scope;
use crate::limit::nanos;
use crate::limit::policy::{CounterName, checked_key};
use crate::limit::stored::StoredCounters;

/// Under which policy.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Under {
    /// The policy's name; `default` if there is none.
    #[serde(default = "default_policy")]
    policy: String,
}

/// How much is given back.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Refund {
    /// How much.
    #[schema(minimum = 1)]
    amount: i64,
    /// The policy it was taken from.
    #[serde(default = "default_policy")]
    policy: String,
}

/// For how long a key is blocked.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Block {
    /// Milliseconds.
    #[schema(minimum = 1)]
    ttl_ms: i64,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(reset)).routes(routes!(refund)).routes(routes!(block, unblock))
}

/// Forgets what a key has taken
///
/// Under one policy, of the limits that count per key; those that count all keys together stay.
#[utoipa::path(post, path = "/limits/{key}/reset", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded"), Under),
    responses((status = 204, description = "All of its limits can be had again")))]
async fn reset(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Query(under): Query<Under>,
) -> Result<StatusCode, Problem> {
    let table = context.services().limits.policies.load();
    let policy = find(&table, &under.policy)?;
    let own =
        policy.limits_of(checked_key(&key)?).filter(|(part, ..)| policy.parts()[*part].scope == Scope::Key);
    let counters: Vec<CounterName> = own.map(|(.., counter)| counter).collect();
    let keys: Vec<&[u8]> = counters.iter().map(|counter| &**counter).collect();
    context.read(0, &keys, |visit| StoredCounters(&mut visit.keyspace).forget(&counters))?;
    context.services().wake_waiting(0, keys.iter().copied());
    Ok(StatusCode::NO_CONTENT)
}

/// Gives back what was taken
#[utoipa::path(post, path = "/limits/{key}/refund", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")), request_body = Refund,
    responses((status = 204, description = "It can be had again")))]
async fn refund(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Json(refund): Json<Refund>,
) -> Result<StatusCode, Problem> {
    let amount = checked_count("amount", refund.amount)?;
    let limits = &context.services().limits;
    let table = limits.policies.load();
    let rule = Rule::Policy(find(&table, &refund.policy)?);
    let check = Check::new([Demand { rule, key: &key, cost: amount }], limits, nanos(context.now()))?;
    let keys: Vec<&[u8]> = check.counters().collect();
    let refunded = context.read(0, &keys, |visit| {
        let now = nanos(visit.now());
        check.refund(&mut StoredCounters(&mut visit.keyspace), now, now)
    });
    refunded?;
    context.services().wake_waiting(0, keys.iter().copied());
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a key for a time
#[utoipa::path(put, path = "/limits/{key}/block", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")), request_body = Block,
    responses((status = 204, description = "It is refused under every policy")))]
async fn block(
    State(context): State<Context>,
    PathBytes(key): PathBytes,
    Json(block): Json<Block>,
) -> Result<StatusCode, Problem> {
    let now = nanos(context.now());
    let span = checked_span("ttl_ms", block.ttl_ms)?;
    change(&context, |limits| limits.lists.block(&key, now + span, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the block of a key
#[utoipa::path(delete, path = "/limits/{key}/block", tag = "limits",
    params(("key" = String, Path, description = "The key, percent-encoded")),
    responses((status = 204, description = "It is not blocked")))]
async fn unblock(State(context): State<Context>, PathBytes(key): PathBytes) -> Result<StatusCode, Problem> {
    let now = nanos(context.now());
    change(&context, |limits| limits.lists.block(&key, now, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}
