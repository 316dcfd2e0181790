//! Reservations: a cost that is taken by estimate, and corrected once it is known.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Operations;
use super::answer::{Answer, respond};
use super::check::{OneCheck, demands};
use super::headers::headers;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, ProblemBody, State, Visit, json_with_status, problems,
    routes,
};
use crate::limit::algorithm::{NANOS_PER_MILLI, checked_cost};
use crate::limit::operation::{Reserve, Settle};
use crate::limit::reservations::{ReservationId, checked_reservation_span};

/// A reservation to open.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"checks": [{"key": "user123", "cost": 10}], "ttl_ms": 60000}))]
struct NewReservation {
    /// The checks: all of them take, or none does.
    checks: Vec<OneCheck>,
    /// Milliseconds until it ends by itself.  Then its cost counts as used, unless the policy says `"on_expiry": "refund"`.
    #[serde(default = "default_ttl")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    ttl_ms: i64,
}

/// An open reservation.
#[derive(Serialize, utoipa::ToSchema)]
struct Reserved {
    /// Its id.
    id: String,
    /// Milliseconds until it ends by itself.
    expires_in_ms: u64,
    /// The answer to the check.
    #[serde(flatten)]
    answer: Answer,
}

/// The amount that was used.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"actual": 7}))]
struct Actual {
    /// How much was used of each limit; it may be more than was reserved.
    #[schema(minimum = 0)]
    actual: i64,
}

/// A minute.
fn default_ttl() -> i64 {
    60_000
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(reserve)).routes(routes!(commit)).routes(routes!(cancel))
}

/// Opens a reservation
///
/// For costs that are known only afterwards, for example the tokens of a language model.  Takes an estimate from all limits, or
/// from none.
#[utoipa::path(post, path = "/reservations", tag = "limits", request_body = NewReservation,
    responses((status = 201, description = "The reservation is open", body = Reserved),
        (status = 429, description = "The request is over a limit", body = ProblemBody, content_type = "application/problem+json")))]
async fn reserve(
    State(context): State<Context>,
    Json(new): Json<NewReservation>,
) -> Result<Response, Problem> {
    let span = checked_reservation_span(new.ttl_ms)?;
    let demands = demands(&new.checks)?;
    let id = context.draw() as ReservationId;
    let operations = Operations::new(&context);
    let reserve = Reserve { id, demands: &demands, span };
    let admission = context.walk(0, |visit| operations.run(visit, reserve)).await??;
    let report = admission.report();
    if !report.summary.allowed {
        return Ok(respond(&report));
    }
    let reserved = Reserved {
        id: format!("{id:016x}"),
        expires_in_ms: span / NANOS_PER_MILLI,
        answer: Answer::of(&report),
    };
    let mut response = json_with_status(StatusCode::CREATED, reserved);
    response.headers_mut().extend(headers(&report));
    Ok(response)
}

/// Commits a reservation
///
/// Charges or gives back the difference between the reserved and the used amount.
#[utoipa::path(put, path = "/reservations/{id}/commit", tag = "limits",
    params(("id" = String, Path, description = "The reservation's id")), request_body = Actual,
    responses((status = 204, description = "The difference is settled")))]
async fn commit(
    State(context): State<Context>,
    PathText(id): PathText,
    Json(actual): Json<Actual>,
) -> Result<Response, Problem> {
    settle(&context, &id, checked_cost(actual.actual)?).await
}

/// Cancels a reservation
///
/// Gives everything back.
#[utoipa::path(delete, path = "/reservations/{id}", tag = "limits",
    params(("id" = String, Path, description = "The reservation's id")),
    responses((status = 204, description = "The cost is given back")))]
async fn cancel(State(context): State<Context>, PathText(id): PathText) -> Result<Response, Problem> {
    settle(&context, &id, 0).await
}

/// Settles a reservation.  If a command that takes long holds its counters, a runner waits for that.  Until a runner comes to it, the
/// reservation is open and may end by itself.
async fn settle(context: &Context, id: &str, used: u64) -> Result<Response, Problem> {
    let Ok(id) = u64::from_str_radix(id, 16) else { return Err(Problem::new(problems::NO_SUCH_RESERVATION)) };
    let settle = Settle { id, used };
    let at_once = {
        let operations = Operations::new(context);
        context.attempt(|visit| operations.run(visit, settle))
    };
    let settled = match at_once {
        Ok(settled) => settled,
        Err(_) => {
            let shared = context.clone();
            let visit = move |visit: &mut Visit<'_, '_>| Operations::new(&shared).run(visit, settle);
            context.patiently(visit).await?
        }
    };
    match settled? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Problem::new(problems::NO_SUCH_RESERVATION)),
    }
}
