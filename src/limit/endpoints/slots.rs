//! Slots of policies that limit concurrency, held for a time or for as long as the client reads the response.

use std::task::{Poll, Waker};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Operations;
use super::answer::{Answer, respond};
use super::headers::headers;
use crate::delivery::server_sent_event;
use crate::http::endpoint::stream::{EventSource, StreamForm, stream};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathParts, Problem, ProblemBody, State, Visit, json_with_status, problems,
    routes,
};
use crate::limit::algorithm::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, SlotId, checked_span};
use crate::limit::operation::{Enter, Lease, Leave, Renew, Slots};
use crate::limit::slots::{SlotCounter, slot_of, text_of};

/// The shortest lease of a slot that a response holds.
const HELD_LEASE_MIN: Nanos = 3 * NANOS_PER_SECOND;

/// How often such a slot is renewed per lease.
const RENEWALS: u64 = 3;

/// A request for a slot.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl_ms": 30000}))]
struct WantedSlot {
    /// Milliseconds until it ends by itself; the limit's period by default.
    #[serde(default)]
    #[schema(minimum = 1)]
    ttl_ms: Option<i64>,
    /// Holds the slot for as long as the response is open.
    #[serde(default)]
    hold: bool,
}

/// The new lease of a slot.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl_ms": 30000}))]
struct RenewedSlot {
    /// Milliseconds until it ends by itself; the limit's period by default.
    #[serde(default)]
    #[schema(minimum = 1)]
    ttl_ms: Option<i64>,
}

/// The answer to a request for a slot.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EnteredSlot)]
struct Shown {
    /// The slot; null if none is needed, because a list or a policy in shadow mode allows the key.
    slot: Option<String>,
    /// Milliseconds until it ends by itself, unless it is renewed.
    expires_in_ms: u64,
    /// The answer of the limit.
    #[serde(flatten)]
    answer: Answer,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(enter)).routes(routes!(renew, leave))
}

/// Takes a slot
///
/// The policy must be one limit with the algorithm `concurrency`.  The slot is held until it is left or its lease ends.  With
/// `"hold": true` the response is a stream of server-sent events that stays open: first `entered` with the fields of the
/// answer, then comments.  The server renews the slot while the response is open, and leaves it at once when the client closes
/// the connection or resets the stream.  If the slot is taken away meanwhile, the last event is `lost`.
#[utoipa::path(post, path = "/slots/{policy}/{key}", tag = "limits", request_body = Option<WantedSlot>,
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "The client's key, percent-encoded")),
    responses((status = 201, description = "The slot is held", body = Shown),
        (status = 200, description = "No slot is needed, or the response holds it", content(
            (Shown = "application/json"), (String = "text/event-stream"))),
        (status = 429, description = "All slots are held", body = ProblemBody, content_type = "application/problem+json")))]
async fn enter(
    State(context): State<Context>,
    PathParts([policy, key]): PathParts<2>,
    Json(wanted): Json<WantedSlot>,
) -> Result<Response, Problem> {
    let lease = match (wanted.hold, lease(wanted.ttl_ms)?) {
        (true, Lease::For(span)) if span < HELD_LEASE_MIN => {
            let allowed = format!("at least {} for a slot that is held", HELD_LEASE_MIN / NANOS_PER_MILLI);
            return Err(Problem::invalid("ttl_ms", allowed));
        }
        (true, Lease::OfPolicy(_)) => Lease::OfPolicy(HELD_LEASE_MIN),
        (_, lease) => lease,
    };
    let operations = Operations::new(&context);
    let enter = Enter { policy: &policy, key: &key, lease };
    let entered = context.walk(0, |visit| operations.run(visit, enter)).await??;
    let (slot, lease) = (entered.slot, entered.lease);
    // From here on the slot is left if the response goes away.
    let held = slot.filter(|_| wanted.hold);
    let held = held.map(|slot| HeldSlot { context: context.clone(), counter: entered.counter, slot, lease });
    let report = entered.admission.report();
    if !report.summary.allowed {
        return Ok(respond(&report));
    }
    let shown = Shown {
        slot: slot.map(text_of),
        expires_in_ms: slot.map_or(0, |_| lease / NANOS_PER_MILLI),
        answer: Answer::of(&report),
    };
    let mut response = match wanted.hold {
        true => {
            let entered = serde_json::to_vec(&shown).expect("it holds nothing that JSON cannot say");
            let source = Holding { held, next: Some(server_sent_event("entered", &entered)), is_over: false };
            stream(&context, StreamForm::Events, source, Duration::from_nanos(lease / RENEWALS))
        }
        false if slot.is_none() => Json(shown).into_response(),
        false => json_with_status(StatusCode::CREATED, shown),
    };
    response.headers_mut().extend(headers(&report));
    Ok(response)
}

/// Renews a slot
///
/// Starts its lease anew.
#[utoipa::path(put, path = "/slots/{policy}/{key}/{slot}", operation_id = "renew_slot", tag = "limits",
    request_body = Option<RenewedSlot>,
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "The client's key, percent-encoded"),
        ("slot" = String, Path, description = "The slot")),
    responses((status = 204, description = "The lease starts anew")))]
async fn renew(
    State(context): State<Context>,
    PathParts([policy, key, slot]): PathParts<3>,
    Json(renewed): Json<RenewedSlot>,
) -> Result<StatusCode, Problem> {
    let slots = Slots::Of { policy: &policy, key: &key };
    let operations = Operations::new(&context);
    let renew = Renew { slots, slot: slot_of(&slot), lease: lease(renewed.ttl_ms)? };
    held(context.walk(0, |visit| operations.run(visit, renew)).await??)
}

/// Leaves a slot
#[utoipa::path(delete, path = "/slots/{policy}/{key}/{slot}", tag = "limits",
    params(("policy" = String, Path, description = "The policy's name"),
        ("key" = String, Path, description = "The client's key, percent-encoded"),
        ("slot" = String, Path, description = "The slot")),
    responses((status = 204, description = "The slot is free")))]
async fn leave(
    State(context): State<Context>,
    PathParts([policy, key, slot]): PathParts<3>,
) -> Result<StatusCode, Problem> {
    let slots = Slots::Of { policy: &policy, key: &key };
    let operations = Operations::new(&context);
    let leave = Leave { slots, slot: slot_of(&slot) };
    held(context.walk(0, |visit| operations.run(visit, leave)).await??)
}

fn lease(ttl_ms: Option<i64>) -> Result<Lease, Problem> {
    Ok(match ttl_ms {
        Some(millis) => Lease::For(checked_span("ttl_ms", millis)?),
        None => Lease::OfPolicy(0),
    })
}

/// The response to an operation on a slot.
fn held(was_held: bool) -> Result<StatusCode, Problem> {
    match was_held {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(problems::NO_SUCH_SLOT)),
    }
}

/// A slot that a response holds.  It is left when this is dropped.
struct HeldSlot {
    context: Context,
    counter: SlotCounter,
    slot: SlotId,
    lease: Nanos,
}

/// A change to a slot that a response holds.
#[derive(Clone, Copy)]
enum Change {
    Renew,
    Leave,
}

impl HeldSlot {
    /// Changes the slot; false if it was no longer held.  While something that takes long holds its counter, a task waits for that, and the
    /// slot counts as held.  If a script holds the counter beyond its threshold, the end of the lease ends the slot.
    fn change(&self, change: Change) -> bool {
        let (context, counter) = (self.context.clone(), self.counter.clone());
        let (slot, lease) = (Some(self.slot), Lease::For(self.lease));
        let mut step = move |visit: &mut Visit<'_, '_>| {
            let (operations, slots) = (Operations::new(&context), Slots::In(&counter));
            match change {
                Change::Renew => operations.run(visit, Renew { slots, slot, lease }),
                Change::Leave => operations.run(visit, Leave { slots, slot }),
            }
        };
        match self.context.attempt(&mut step) {
            // If the counter's key holds another kind of value by now, the slot is gone.
            Ok(changed) => changed.unwrap_or(false),
            Err(_) => {
                let context = self.context.clone();
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { context.walk(0, step).await.is_ok() });
                }
                true
            }
        }
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        self.change(Change::Leave);
    }
}

/// The events of a response that holds a slot.
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
            // Only `keep_alive` brings more.
            None => Poll::Pending,
        }
    }

    fn keep_alive(&mut self) {
        let Some(held) = &self.held else { return };
        if !held.change(Change::Renew) {
            self.next = Some(server_sent_event("lost", b"{}"));
            self.is_over = true;
        }
    }
}
