//! Reservations: a cost taken ahead by estimate, and put right once it is known.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, respond};
use super::check::{OneCheck, demands};
use super::headers::headers;
use super::run;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, ProblemBody, State, json_with_status, problems, routes,
};
use crate::limit::algorithm::{NANOS_PER_MILLI, checked_cost};
use crate::limit::operation::{Reserve, Settle};
use crate::limit::reservations::{ReservationId, checked_reservation_span};

/// What is taken ahead.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReservation {
    /// What is taken; all of it or nothing.
    checks: Vec<OneCheck>,
    /// Milliseconds until it ends by itself, which then counts as used unless the policy says `"on_expiry": "refund"`.
    #[serde(default = "default_ttl")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    ttl_ms: i64,
}

/// What was taken ahead.
#[derive(Serialize, utoipa::ToSchema)]
struct Reserved {
    /// Names the reservation.
    id: String,
    /// Milliseconds until it ends by itself.
    expires_in_ms: u64,
    /// What the check came to.
    #[serde(flatten)]
    answer: Answer,
}

/// What was really used.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
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

/// Takes ahead
///
/// For costs that are known only afterwards, such as the tokens of a language model: takes an estimate, all or nothing.
#[utoipa::path(post, path = "/reservations", tag = "limits", request_body = NewReservation,
    responses((status = 201, description = "It is taken", body = Reserved),
        (status = 429, description = "It is over a limit", body = ProblemBody, content_type = "application/problem+json")))]
async fn reserve(
    State(context): State<Context>,
    Json(new): Json<NewReservation>,
) -> Result<Response, Problem> {
    let span = checked_reservation_span(new.ttl_ms)?;
    let demands = demands(&new.checks)?;
    let id = context.draw() as ReservationId;
    let table = context.services().limits.policies.load();
    let report = run(&context, &table, Reserve { id, demands: &demands, span })?.report();
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

/// Says what was used
///
/// Charges or gives back the difference to what was reserved.
#[utoipa::path(put, path = "/reservations/{id}/commit", tag = "limits",
    params(("id" = String, Path, description = "The reservation's id")), request_body = Actual,
    responses((status = 204, description = "It is put right")))]
async fn commit(
    State(context): State<Context>,
    PathText(id): PathText,
    Json(actual): Json<Actual>,
) -> Result<Response, Problem> {
    settle(&context, &id, checked_cost(actual.actual)?)
}

/// Gives back what was reserved
#[utoipa::path(delete, path = "/reservations/{id}", tag = "limits",
    params(("id" = String, Path, description = "The reservation's id")),
    responses((status = 204, description = "It is given back")))]
async fn cancel(State(context): State<Context>, PathText(id): PathText) -> Result<Response, Problem> {
    settle(&context, &id, 0)
}

fn settle(context: &Context, id: &str, used: u64) -> Result<Response, Problem> {
    let table = context.services().limits.policies.load();
    let was_open = match u64::from_str_radix(id, 16) {
        Ok(id) => run(context, &table, Settle { id, used })?,
        Err(_) => false,
    };
    match was_open {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Problem::new(problems::NO_SUCH_RESERVATION)),
    }
}
