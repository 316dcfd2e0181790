//! Reservations: a cost taken ahead by estimate, and put right once it is known.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, decide, make_out};
use super::check::{OneCheck, demands};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathText, Problem, ProblemBody, State, json_with_status, problems, routes,
};
use crate::limit::algorithm::{NANOS_PER_MILLI, checked_cost};
use crate::limit::check::Mode;
use crate::limit::nanos;
use crate::limit::reservations::{Reservation, ReservationId, checked_reservation_span};
use crate::limit::stored::StoredCounters;

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
    let services = context.services();
    services.limits.reservations.check_room()?;
    let table = services.limits.policies.load();
    let check = make_out(&context, demands(&table, &new.checks)?)?;
    let decided = decide(&context, check, Mode::Take)?.count(Mode::Take, &context);
    if !decided.outcome.allowed {
        return Ok(decided.into_response());
    }
    let now = nanos(context.now());
    let id = context.draw() as ReservationId;
    services.reserve(id, Reservation::new(&decided.check, &decided.outcome, 0, now, now + span));
    let reserved = Reserved {
        id: format!("{id:016x}"),
        expires_in_ms: span / NANOS_PER_MILLI,
        answer: decided.answer(),
    };
    let mut response = json_with_status(StatusCode::CREATED, reserved);
    response.headers_mut().extend(decided.headers());
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
    let actual = checked_cost(actual.actual)?;
    end(&context, &id, actual)
}

/// Gives back what was reserved
#[utoipa::path(delete, path = "/reservations/{id}", tag = "limits",
    params(("id" = String, Path, description = "The reservation's id")),
    responses((status = 204, description = "It is given back")))]
async fn cancel(State(context): State<Context>, PathText(id): PathText) -> Result<Response, Problem> {
    end(&context, &id, 0)
}

fn end(context: &Context, id: &str, actual: u64) -> Result<Response, Problem> {
    let services = context.services();
    let (id, reservation) = u64::from_str_radix(id, 16)
        .ok()
        .and_then(|id| services.limits.reservations.close(id).map(|reservation| (id, reservation)))
        .ok_or_else(|| Problem::new(problems::NO_SUCH_RESERVATION))?;
    let counters: Vec<&[u8]> = reservation.counters().collect();
    let settled = context.read(reservation.database, &counters, |visit| {
        let now = nanos(visit.now());
        reservation.commit(&mut StoredCounters(&mut visit.keyspace), actual, now)
    });
    if let Err(not_a_counter) = settled {
        // It stays, to be ended once the key is out of the way.
        services.reserve(id, reservation);
        return Err(not_a_counter.into());
    }
    services.wake_waiting(reservation.database, reservation.counters());
    Ok(StatusCode::NO_CONTENT.into_response())
}
