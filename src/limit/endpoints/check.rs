//! Checks: one from a header, or several at once from a body.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::answer::{Answer, decide};
use crate::endpoint::{Context, Json, OpenApiRouter, Problem, ProblemBody, Query, State, problems, routes};
use crate::limit::algorithm::checked_cost;
use crate::limit::check::{Demand, Mode, Rule};
use crate::limit::policies::{DEFAULT_POLICY, Table};
use crate::limit::policy::Policy;

/// The header that says for whom a request is.
pub(super) const X_USER_ID: &str = "x-user-id";

/// What is asked in a query.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// The policy to check; `default` if there is none.
    #[serde(default = "default_policy")]
    pub(super) policy: String,
    /// For whom; goes before the header X-User-ID.
    pub(super) key: Option<String>,
    /// How much is wanted; 0 only asks.
    #[serde(default = "one")]
    #[param(minimum = 0)]
    pub(super) cost: i64,
    /// Only look, and take nothing.
    #[serde(default)]
    pub(super) peek: bool,
}

/// Several checks that are allowed together or not at all.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Checks {
    /// The checks; all of them take, or none does.
    checks: Vec<OneCheck>,
    /// Only look, and take nothing.
    #[serde(default)]
    peek: bool,
}

/// One of several checks.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneCheck {
    /// The policy to check.
    #[serde(default = "default_policy")]
    pub(super) policy: String,
    /// For whom.
    #[schema(examples("user123"))]
    pub(super) key: String,
    /// How much is wanted.
    #[serde(default = "one")]
    #[schema(minimum = 0)]
    pub(super) cost: i64,
}

pub(super) fn default_policy() -> String {
    DEFAULT_POLICY.to_owned()
}

fn one() -> i64 {
    1
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(check, check_all))
}

/// Checks a limit
///
/// Takes from the policy's limits for the user that the header `X-User-ID` or the parameter `key` names.
#[utoipa::path(get, path = "/check", tag = "limits",
    params(Question, ("X-User-ID" = Option<String>, Header, description = "For whom")),
    responses((status = 200, description = "It may be done", body = Answer),
        (status = 429, description = "It is over a limit", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn check(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = headers.get(X_USER_ID).map(|value| value.as_bytes());
    let key = question.key.as_ref().map(String::as_bytes).or(user).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| {
        Problem::invalid("X-User-ID", "who the request is for, in this header or in the parameter key")
    })?;
    let table = context.services().limits.policies.load();
    let demand = demand(&table, &question.policy, key, question.cost)?;
    let mode = if question.peek { Mode::Peek } else { Mode::Take };
    Ok(decide(&context, [demand], mode)?.into_response())
}

/// Checks several limits at once
///
/// All of them take, or none does: a refusal takes nothing anywhere.
#[utoipa::path(post, path = "/check", tag = "limits", request_body = Checks,
    responses((status = 200, description = "It may be done", body = Answer),
        (status = 429, description = "It is over a limit", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn check_all(State(context): State<Context>, Json(checks): Json<Checks>) -> Result<Response, Problem> {
    if checks.checks.is_empty() {
        return Err(Problem::invalid("checks", "at least one check"));
    }
    let table = context.services().limits.policies.load();
    let demands: Vec<Demand<'_>> = checks
        .checks
        .iter()
        .map(|check| demand(&table, &check.policy, check.key.as_bytes(), check.cost))
        .collect::<Result<_, _>>()?;
    let mode = if checks.peek { Mode::Peek } else { Mode::Take };
    Ok(decide(&context, demands, mode)?.into_response())
}

/// What is asked of a policy.
pub(super) fn demand<'d>(
    table: &'d Table,
    policy: &str,
    key: &'d [u8],
    cost: i64,
) -> Result<Demand<'d>, Problem> {
    let rule = Rule::Policy(find(table, policy)?);
    Ok(Demand { rule, key, cost: checked_cost(cost)? })
}

/// The policy of this name.
pub(super) fn find<'t>(table: &'t Table, name: &str) -> Result<&'t Policy, Problem> {
    let policy = table.get(name.as_bytes());
    policy.map(|policy| &**policy).ok_or_else(|| Problem::new(problems::NO_SUCH_POLICY).with("policy", name))
}
