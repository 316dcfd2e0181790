//! Checks: one from a header, or several at once from a body.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::Operations;
use super::answer::{Answer, respond};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, Preferences, Problem, ProblemBody, Query, QueryBytes, State, routes,
};
use crate::limit::admission::{CheckAnswer, Report};
use crate::limit::algorithm::{NANOS_PER_MILLI, checked_cost};
use crate::limit::operation::{Check, Demand, Mode};
use crate::limit::policies::DEFAULT_POLICY;
use crate::limit::policy::checked_key;
use crate::limit::queue::{PATIENCE_MAX, QueuedAnswer, checked_patience};
use crate::wait::Ticket;

/// The header with the client's key.
pub(super) const X_USER_ID: &str = "x-user-id";

/// A check in a query.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// The policy to check; `default` if none is given.
    #[serde(default = "default_policy")]
    pub(super) policy: String,
    /// The client's key; goes before the header X-User-ID.
    #[param(value_type = Option<String>)]
    pub(super) key: Option<QueryBytes>,
    /// The cost of the request; 0 only asks.
    #[serde(default = "one")]
    #[param(minimum = 0)]
    pub(super) cost: i64,
    /// Take nothing, and only tell what the answer would be.
    #[serde(default)]
    pub(super) peek: bool,
    /// Take as much as is left, up to the cost.  The answer says in `taken` how much that was.
    #[serde(default)]
    pub(super) upto: bool,
}

/// Several checks that are allowed together or not at all.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"checks": [{"key": "user123"}]}))]
struct Checks {
    /// The checks; all of them take, or none does.
    checks: Vec<OneCheck>,
    /// Take nothing, and only tell what the answer would be.
    #[serde(default)]
    peek: bool,
    /// Take the same amount from all, as much as all have left.  The costs must be equal.  The answer says in `taken` how
    /// much that was.
    #[serde(default)]
    upto: bool,
    /// The longest time in milliseconds to wait until the limits allow it, in the order of the waiters.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3_600_000)]
    wait_ms: Option<i64>,
}

/// One of several checks.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneCheck {
    /// The policy to check.
    #[serde(default = "default_policy")]
    pub(super) policy: String,
    /// The client's key.
    #[schema(examples("user123"))]
    pub(super) key: String,
    /// The cost of the request.
    #[serde(default = "one")]
    #[schema(minimum = 0)]
    pub(super) cost: i64,
}

impl Question {
    /// The client's key: the parameter, or else the header.
    pub(super) fn named<'q>(&'q self, headers: &'q HeaderMap) -> Result<Option<&'q [u8]>, Problem> {
        let user = || headers.get(X_USER_ID).map(|user| ("X-User-ID", user.as_bytes()));
        let key = self.key.as_deref().map(|key| ("key", key)).or_else(user);
        key.map(|(field, key)| said(|| field.to_owned(), key)).transpose()
    }

    /// Decides it for `key`.
    pub(super) async fn decide<'q>(
        &'q self,
        operations: &'q Operations<'q>,
        key: &'q [u8],
    ) -> Result<Report<&'q str>, Problem> {
        let mode = mode(self.upto, self.peek, 0)?;
        let demand = Demand::of_policy(self.policy.as_bytes(), key, checked_cost(self.cost)?);
        let check = Check { demands: &[demand], mode };
        match operations.context.walk(0, |visit| operations.run(visit, check)).await?? {
            CheckAnswer::Decided(admission) => Ok(admission.report()),
            CheckAnswer::Waits { .. } => unreachable!("a check without patience does not wait"),
        }
    }
}

/// The mode that the fields of a request say.
fn mode(upto: bool, peek: bool, wait_ms: i64) -> Result<Mode, Problem> {
    if upto && (peek || wait_ms != 0) {
        return Err(Problem::invalid("upto", "without peek and without a wait"));
    }
    let patience = if wait_ms == 0 { 0 } else { checked_patience(wait_ms)? };
    Ok(match patience {
        _ if upto => Mode::UpTo,
        _ if peek => Mode::Peek,
        0 => Mode::Take,
        patience => Mode::Wait(patience),
    })
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
/// Takes from the policy's limits for the key in the parameter `key` or the header `X-User-ID`.
#[utoipa::path(get, path = "/check", tag = "limits", extensions(("x-taken-by" = json!("clients"))),
    params(Question, ("X-User-ID" = Option<String>, Header, description = "The client's key")),
    responses((status = 200, description = "The request is allowed", body = Answer),
        (status = 429, description = "The request is over a limit", body = ProblemBody, content_type = "application/problem+json")))]
async fn check(
    State(context): State<Context>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let named = question.named(&headers)?.ok_or_else(|| {
        Problem::invalid("X-User-ID", "the client's key, in this header or in the parameter key")
    })?;
    let operations = Operations::new(&context);
    Ok(respond(&question.decide(&operations, named).await?))
}

/// Checks several limits at once
///
/// Takes from all of them, or from none.
#[utoipa::path(post, path = "/check", tag = "limits", request_body = Checks,
    params(("Prefer" = Option<String>, Header, description = "`wait=10` waits ten seconds, as `wait_ms` does")),
    responses((status = 200, description = "The request is allowed", body = Answer),
        (status = 429, description = "The request is over a limit", body = ProblemBody, content_type = "application/problem+json")))]
async fn check_all(
    State(context): State<Context>,
    preferences: Preferences,
    Json(checks): Json<Checks>,
) -> Response {
    let preferred = preferences.wait_millis(PATIENCE_MAX / NANOS_PER_MILLI);
    let wait_ms = preferred.map(|millis| millis as i64).or(checks.wait_ms).unwrap_or(0);
    preferences.applied(checked(&context, &checks, wait_ms).await)
}

async fn checked(context: &Context, checks: &Checks, wait_ms: i64) -> Result<Response, Problem> {
    let ticket = match decide(context, checks, wait_ms).await? {
        Answered::Now(response) => return Ok(response),
        Answered::Later(ticket) => ticket,
    };
    Ok(respond(&context.answer(ticket).await?.result?))
}

enum Answered {
    Now(Response),
    Later(Ticket<QueuedAnswer>),
}

/// Decides now, or lets the check wait.
async fn decide(context: &Context, checks: &Checks, wait_ms: i64) -> Result<Answered, Problem> {
    let mode = mode(checks.upto, checks.peek, wait_ms)?;
    let demands = demands(&checks.checks)?;
    let (operations, check) = (Operations::new(context), Check { demands: &demands, mode });
    Ok(match context.walk(0, |visit| operations.run(visit, check)).await?? {
        CheckAnswer::Decided(admission) => Answered::Now(respond(&admission.report())),
        CheckAnswer::Waits { ticket, .. } => Answered::Later(ticket),
    })
}

/// The demands of several checks.
pub(super) fn demands(checks: &[OneCheck]) -> Result<Vec<Demand<'_>>, Problem> {
    if checks.is_empty() {
        return Err(Problem::invalid("checks", "at least one check"));
    }
    let demands = checks.iter().enumerate().map(|(number, check)| {
        let key = said(|| format!("checks[{number}].key"), check.key.as_bytes())?;
        Ok(Demand::of_policy(check.policy.as_bytes(), key, checked_cost(check.cost)?))
    });
    demands.collect()
}

/// Checks a key in a field, parameter or header.  An empty key is refused: it would stand for all clients without a name.
pub(super) fn said(field: impl FnOnce() -> String, key: &[u8]) -> Result<&[u8], Problem> {
    checked_key(key).map_err(|invalid| {
        let (field, detail) = (field(), invalid.to_string());
        Problem::invalid(field, invalid.allowed).detail(detail)
    })
}
