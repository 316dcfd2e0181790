//! Slots: so many at the same time, each held for a time, or for as long as its holder reads the response.

use std::task::{Poll, Waker};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Decided};
use super::check::find;
use crate::http::endpoint::stream::{EventSource, encoded, stream};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathParts, Problem, ProblemBody, State, json_with_status, problems, routes,
};
use crate::limit::algorithm::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, SlotId, checked_span};
use crate::limit::check::NotACounter;
use crate::limit::nanos;
use crate::limit::policies::Table;
use crate::limit::policy::Policy;
use crate::limit::slots::{Entry, SlotCounter, SlotError, slot_of, text_of};
use crate::limit::stored::StoredCounters;

/// The shortest lease of a slot that is held by a response, which renews it three times in that time.
const HELD_LEASE_MIN: Nanos = 3 * NANOS_PER_SECOND;

/// How often such a slot is renewed in the time of its lease.
const RENEWALS: u64 = 3;

/// How a slot is wanted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedSlot {
    /// Milliseconds until it ends by itself; the limit's period unless it is said.
    #[serde(default)]
    #[schema(minimum = 1)]
    ttl_ms: Option<i64>,
    /// Holds the slot for as long as the response is open.
    #[serde(default)]
    hold: bool,
}

/// For how long a slot is held from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RenewedSlot {
    /// Milliseconds until it ends by itself; the limit's period unless it is said.
    #[serde(default)]
    #[schema(minimum = 1)]
    ttl_ms: Option<i64>,
}

/// What a request for a slot came to.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EnteredSlot)]
struct Shown {
    /// The slot; null if none is needed, because a list or a policy that only counts lets the key through.
    slot: Option<String>,
    /// Milliseconds until it ends by itself, unless it is renewed.
    expires_in_ms: u64,
    /// What the limit says.
    #[serde(flatten)]
    answer: Answer,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(enter)).routes(routes!(renew, leave))
}

/// Takes a slot
///
/// Of a policy that is one limit with the algorithm `concurrency`.  It is held until it is left or its time is over.  With
/// `"hold": true` the response is a stream of server-sent events that stays open: first `entered` with the fields of the
/// answer, then comments.  The server renews the slot while the response is open and leaves it at once when the client closes
/// the connection or resets the stream; `lost` is sent at the end if the slot was taken away meanwhile.
#[utoipa::path(post, path = "/slots/{policy}/{key}", tag = "limits", request_body = WantedSlot,
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "For whom, percent-encoded")),
    responses((status = 201, description = "The slot is held", body = Shown),
        (status = 200, description = "No slot is needed, or the response holds it", content(
            (Shown = "application/json"), (String = "text/event-stream"))),
        (status = 429, description = "All slots are held", body = ProblemBody, content_type = "application/problem+json")))]
async fn enter(
    State(context): State<Context>,
    PathParts([policy, key]): PathParts<2>,
    Json(wanted): Json<WantedSlot>,
) -> Result<Response, Problem> {
    let limits = &context.services().limits;
    let table = limits.policies.load();
    let policy = policy_of(&table, &policy)?;
    let entry = Entry::new(policy, &key, limits, nanos(context.now()))?;
    let slots = entry.slots().clone();
    let lease = match (lease(wanted.ttl_ms, &slots)?, wanted.hold) {
        (lease, false) => lease,
        (lease, true) if lease < HELD_LEASE_MIN && wanted.ttl_ms.is_some() => {
            let allowed = format!("at least {} for a slot that is held", HELD_LEASE_MIN / NANOS_PER_MILLI);
            return Err(Problem::invalid("ttl_ms", allowed));
        }
        (lease, true) => lease.max(HELD_LEASE_MIN),
    };
    // They are named before the step, which takes the entry.
    let counters: Vec<Vec<u8>> = entry.counters().map(<[u8]>::to_vec).collect();
    let counters: Vec<&[u8]> = counters.iter().map(|counter| &**counter).collect();
    let entered = context.read(0, &counters, |visit| {
        let (now, thread, services) = (nanos(visit.now()), visit.slot, visit.services);
        entry.enter(&mut StoredCounters(&mut visit.keyspace), lease, &services.limits, now, thread)
    })?;
    let slot = entered.slot;
    // From here on the slot is left if the response goes away.
    let held = slot.filter(|_| wanted.hold);
    let held = held.map(|slot| HeldSlot { context: context.clone(), slots, slot, lease });
    let decided = Decided { check: entered.check, outcome: entered.outcome, is_up_to: false };
    if !decided.outcome.allowed {
        return Ok(decided.into_response());
    }
    let shown = Shown {
        slot: slot.map(text_of),
        expires_in_ms: slot.map_or(0, |_| lease / NANOS_PER_MILLI),
        answer: decided.answer(),
    };
    let mut response = match wanted.hold {
        true => {
            let entered = serde_json::to_vec(&shown).expect("it holds nothing that JSON cannot say");
            let source = Holding { held, next: Some(encoded("entered", &entered)), is_over: false };
            stream(&context, source, Duration::from_nanos(lease / RENEWALS))
        }
        false if slot.is_none() => Json(shown).into_response(),
        false => json_with_status(StatusCode::CREATED, shown),
    };
    response.headers_mut().extend(decided.headers());
    Ok(response)
}

/// Starts the time of a slot anew
#[utoipa::path(put, path = "/slots/{policy}/{key}/{slot}", operation_id = "renew_slot", tag = "limits",
    request_body = RenewedSlot,
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "For whom, percent-encoded"),
        ("slot" = String, Path, description = "The slot")),
    responses((status = 204, description = "It is held for so long from now on")))]
async fn renew(
    State(context): State<Context>,
    PathParts([policy, key, slot]): PathParts<3>,
    Json(renewed): Json<RenewedSlot>,
) -> Result<StatusCode, Problem> {
    let slots = slots_of(&context, &policy, &key)?;
    let lease = lease(renewed.ttl_ms, &slots)?;
    done(slot_of(&slot).map(|slot| renew_slot(&context, &slots, slot, lease)))
}

/// Leaves a slot
#[utoipa::path(delete, path = "/slots/{policy}/{key}/{slot}", tag = "limits",
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "For whom, percent-encoded"),
        ("slot" = String, Path, description = "The slot")),
    responses((status = 204, description = "Others can have it")))]
async fn leave(
    State(context): State<Context>,
    PathParts([policy, key, slot]): PathParts<3>,
) -> Result<StatusCode, Problem> {
    let slots = slots_of(&context, &policy, &key)?;
    done(slot_of(&slot).map(|slot| leave_slot(&context, &slots, slot)))
}

fn policy_of<'t>(table: &'t Table, name: &[u8]) -> Result<&'t Policy, Problem> {
    find(table, &String::from_utf8_lossy(name))
}

fn slots_of(context: &Context, policy: &[u8], key: &[u8]) -> Result<SlotCounter, Problem> {
    let table = context.services().limits.policies.load();
    Ok(SlotCounter::new(policy_of(&table, policy)?, key)?)
}

fn lease(ttl_ms: Option<i64>, slots: &SlotCounter) -> Result<Nanos, Problem> {
    Ok(ttl_ms.map_or(Ok(slots.lease()), |millis| checked_span("ttl_ms", millis))?)
}

fn renew_slot(
    context: &Context,
    slots: &SlotCounter,
    slot: SlotId,
    lease: Nanos,
) -> Result<bool, NotACounter> {
    context.read(0, &[&slots.name], |visit| {
        let now = nanos(visit.now());
        slots.renew(&mut StoredCounters(&mut visit.keyspace), slot, lease, now)
    })
}

fn leave_slot(context: &Context, slots: &SlotCounter, slot: SlotId) -> Result<bool, NotACounter> {
    let left = context.read(0, &[&slots.name], |visit| {
        let now = nanos(visit.now());
        slots.leave(&mut StoredCounters(&mut visit.keyspace), slot, now)
    });
    context.services().wake_waiting(0, std::iter::once(slots.name.as_slice()));
    left
}

/// The response to what was done with a slot, if there can be one of its name.
fn done(done: Option<Result<bool, NotACounter>>) -> Result<StatusCode, Problem> {
    match done.unwrap_or(Ok(false))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(problems::NO_SUCH_SLOT)),
    }
}

/// A slot that a response holds: left when this is dropped.
struct HeldSlot {
    context: Context,
    slots: SlotCounter,
    slot: SlotId,
    lease: Nanos,
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        // If something else is at the counter's key by now, the slot is gone anyway.
        let _ = leave_slot(&self.context, &self.slots, self.slot);
    }
}

/// What the response of one who holds a slot says.
struct Holding {
    held: Option<HeldSlot>,
    next: Option<Bytes>,
    is_over: bool,
}

impl EventSource for Holding {
    fn poll_next(&mut self, _: &Waker) -> Poll<Option<Bytes>> {
        match self.next.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.is_over => Poll::Ready(None),
            // Only time brings more, see below.
            None => Poll::Pending,
        }
    }

    fn keep_alive(&mut self) {
        let Some(HeldSlot { context, slots, slot, lease }) = &self.held else { return };
        if !renew_slot(context, slots, *slot, *lease).unwrap_or(false) {
            self.next = Some(encoded("lost", b"{}"));
            self.is_over = true;
        }
    }
}

impl From<SlotError> for Problem {
    fn from(error: SlotError) -> Problem {
        match error {
            SlotError::NotSlots(name) => Problem::invalid(
                "policy",
                format!("one limit with the algorithm concurrency, which {name} is not"),
            ),
            SlotError::NoRoom => Problem::new(problems::OUT_OF_MEMORY).detail(
                "there is no room for another counter: raise limit-maxmemory, or max_keys of the policy",
            ),
            SlotError::Invalid(invalid) => invalid.into(),
            SlotError::NotACounter(other) => other.into(),
        }
    }
}
