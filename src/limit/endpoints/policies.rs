//! Policies: shown, made, changed and removed while the server runs, with the counts of their decisions.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::change;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, Query, State, problems, routes, text_or_base64,
};
use crate::limit::definition::Definition;
use crate::limit::operation::Change;
use crate::limit::policies::find;
use crate::limit::policy::Policy;
use crate::limit::queue::AdmissionQueue;

/// How many keys are listed by default.
const TOP_DEFAULT: usize = 10;

/// The most keys that can be asked for.
const TOP_MAX: usize = 128;

/// A policy and the counts of its decisions.
#[derive(Serialize, utoipa::ToSchema)]
struct NamedPolicy {
    /// Its name.
    name: String,
    /// Its definition.
    #[serde(flatten)]
    // The schema of a definition that is sent here forbids further fields.
    #[schema(value_type = Object)]
    definition: Definition,
    /// The counts of its decisions.
    statistics: Statistics,
    /// How many checks wait to be admitted.
    waiting: usize,
}

/// The decisions of a policy since the server started.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PolicyStatistics)]
struct Statistics {
    /// Allowed requests.
    allowed: u64,
    /// Refused requests.
    refused: u64,
    /// Requests that shadow mode allowed.
    shadow_refused: u64,
    /// Answers of limits, by `on_full`, to keys for whose counters there was no room.
    without_room: u64,
}

/// A key that is refused often.
#[derive(Serialize, utoipa::ToSchema)]
struct Offender {
    /// The key.
    key: String,
    /// Present if the key is not UTF-8 and is written in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    key_encoding: Option<&'static str>,
    /// An upper bound of its refusals.
    refused: u64,
}

/// How many to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Most {
    /// How many at most, up to 128.
    #[serde(default = "top_default")]
    #[param(minimum = 1, maximum = 128)]
    limit: usize,
}

fn top_default() -> usize {
    TOP_DEFAULT
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_policies))
        .routes(routes!(policy, put_policy, delete_policy))
        .routes(routes!(top))
}

fn describe(policy: &Policy, queue: &AdmissionQueue) -> NamedPolicy {
    let totals = policy.statistics.totals();
    NamedPolicy {
        name: policy.name().to_owned(),
        definition: policy.definition().clone(),
        statistics: Statistics {
            allowed: totals.allowed,
            refused: totals.refused,
            shadow_refused: totals.shadow_refused,
            without_room: totals.without_room,
        },
        waiting: queue.count_for(policy.name()),
    }
}

/// Lists all policies
#[utoipa::path(get, path = "/policies", tag = "limits",
    responses((status = 200, description = "All policies by name", body = Vec<NamedPolicy>)))]
async fn list_policies(State(context): State<Context>) -> Json<Vec<NamedPolicy>> {
    let limits = &context.services().limits;
    Json(limits.policies.list().iter().map(|policy| describe(policy, &limits.queue)).collect())
}

/// Shows a policy
#[utoipa::path(get, path = "/policies/{name}", tag = "limits",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The policy", body = NamedPolicy)))]
async fn policy(
    State(context): State<Context>,
    PathText(name): PathText,
) -> Result<Json<NamedPolicy>, Problem> {
    let limits = &context.services().limits;
    let table = limits.policies.load();
    Ok(Json(describe(find(&table, name.as_bytes())?, &limits.queue)))
}

/// Makes or changes a policy
///
/// Counters go on where the algorithm stays the same.
#[utoipa::path(put, path = "/policies/{name}", tag = "limits",
    params(("name" = String, Path, description = "Its name")), request_body = Definition,
    responses((status = 204, description = "The policy holds from now on")))]
async fn put_policy(
    State(context): State<Context>,
    PathText(name): PathText,
    Json(definition): Json<Definition>,
) -> Result<StatusCode, Problem> {
    change(&context, Change::SetPolicy { name: &name, definition }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a policy
#[utoipa::path(delete, path = "/policies/{name}", tag = "limits",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "The policy is removed; its counters expire by themselves")))]
async fn delete_policy(
    State(context): State<Context>,
    PathText(name): PathText,
) -> Result<StatusCode, Problem> {
    if change(&context, Change::RemovePolicies { names: vec![name.as_bytes()] }).await? > 0 {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(problems::NO_SUCH_POLICY).with("policy", name))
}

/// Lists the keys that a policy refuses most
#[utoipa::path(get, path = "/policies/{name}/top", tag = "limits",
    params(("name" = String, Path, description = "The policy's name"), Most),
    responses((status = 200, description = "The keys, the most refused first", body = Vec<Offender>)))]
async fn top(
    State(context): State<Context>,
    PathText(name): PathText,
    Query(most): Query<Most>,
) -> Result<Json<Vec<Offender>>, Problem> {
    if !(1..=TOP_MAX).contains(&most.limit) {
        return Err(Problem::invalid("limit", format!("an integer from 1 to {TOP_MAX}")));
    }
    let table = context.services().limits.policies.load();
    let top = find(&table, name.as_bytes())?.statistics.top(most.limit);
    let offender = |(key, refused): (Box<[u8]>, u64)| {
        let (key, key_encoding) = text_or_base64(&key);
        Offender { key, key_encoding, refused }
    };
    Ok(Json(top.into_iter().map(offender).collect()))
}
