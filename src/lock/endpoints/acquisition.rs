//! POST /lock: acquires one resource or several, at once or with a long poll.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::idempotency::IdempotencyKey;
use super::identity::LockId;
use super::{SECOND, durable, problem_of, start, text};
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, Preferences, Problem, ProblemBody, State, problems, routes,
};
use crate::lock::limits::{TTL_MAX, WAIT_MAX};
use crate::lock::operation::{Acquire, Inspect};
use crate::lock::{Answer, Asked, Deadlock, Grant, Mode, Outcome, Refused, ResourceReport, SessionId};
use crate::wait::{Barrier, Ticket};

/// Carries the fencing token of a grant, so that it can be passed on without reading the body.
const FENCING_TOKEN: HeaderName = HeaderName::from_static("fencing-token");

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(acquire))
}

/// A request for a lock.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"resource": "shared-resource", "ttl": 30}))]
struct Acquisition {
    /// The resource.
    #[schema(example = "shared-resource")]
    resource: Option<String>,
    /// Several resources instead, all of them or none, under one fencing token.
    resources: Option<Vec<String>>,
    /// Seconds that the lease lasts.
    #[schema(minimum = 0, example = 30)]
    ttl: Option<f64>,
    /// The same in milliseconds.
    ttl_ms: Option<u64>,
    /// Milliseconds to wait for the lock; 0 answers at once.
    #[serde(default)]
    wait_ms: u64,
    /// How to hold it: `exclusive` if this and `permits` are missing.
    mode: Option<ModeName>,
    /// Permits of a semaphore instead of a mode.
    permits: Option<Permits>,
    /// The owner: one thread of control.  The server makes one up if it is missing.
    owner: Option<String>,
    /// Whether an owner that holds it already may acquire it once more.
    #[serde(default)]
    reentrant: bool,
    /// The session that keeps the lease.
    session: Option<String>,
    /// A text about the holder for others to read.
    meta: Option<String>,
}

/// How a resource is held.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    /// By one owner.
    Exclusive,
    /// Together with other owners that share it.
    Shared,
}

/// Permits of a semaphore.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Permits {
    /// The permits wanted.
    count: u32,
    /// The permits that there are.
    of: u32,
}

/// A grant.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Lock {
    /// Names the lock when it is renewed, released or checked.
    lock_id: String,
    /// The owner.
    owner: String,
    /// The resources.
    resources: Vec<String>,
    /// Larger than that of every earlier grant, so that the protected resource can refuse a holder from the past.
    fence: u64,
    /// Milliseconds the lease lasts from now; missing if it lasts as long as its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
    /// How often the owner holds it.
    holds: u32,
    /// Milliseconds that the request waited.
    waited_ms: u64,
}

impl Lock {
    /// A grant of these resources as its client sees it; `owner` has asked for it.
    pub(super) fn new(owner: &[u8], resources: &[&[u8]], grant: &Grant) -> Lock {
        let id = LockId {
            fence: grant.fence,
            owner: grant.owner.as_deref().unwrap_or(owner).to_vec(),
            resources: resources.iter().map(|resource| resource.to_vec()).collect(),
        };
        Lock {
            lock_id: id.encode(),
            owner: text(&id.owner),
            resources: id.resources.iter().map(|resource| text(resource)).collect(),
            fence: grant.fence,
            expires_in_ms: grant.ttl,
            holds: grant.holds,
            waited_ms: grant.waited,
        }
    }

    pub(super) fn into_response(self) -> Response {
        let fence = HeaderValue::from(self.fence);
        ([(FENCING_TOKEN, fence)], Json(self)).into_response()
    }
}

/// Acquires a lock
///
/// Answers at once, or within `wait_ms` when its turn comes.  If the client hangs up, it stops waiting.  A request that
/// is repeated with the same `Idempotency-Key` has the same result; `wait_ms` may differ.
#[utoipa::path(post, path = "/lock", tag = "locks", request_body = Acquisition,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that it can be repeated"),
        ("Prefer" = Option<String>, Header, description = "`wait=10` waits ten seconds, as `wait_ms` does")),
    responses((status = 200, description = "It is held now", body = Lock),
        (status = 409, description = "It is held by another, or waiting would be a deadlock", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn acquire(
    State(context): State<Context>,
    preferences: Preferences,
    key: IdempotencyKey,
    Json(body): Json<Acquisition>,
) -> Response {
    let wait = preferences.wait_millis(WAIT_MAX).unwrap_or(body.wait_ms);
    preferences.applied(acquired(&context, &key, body, wait).await)
}

async fn acquired(
    context: &Context,
    key: &IdempotencyKey,
    body: Acquisition,
    wait: u64,
) -> Result<Response, Problem> {
    let ttl = time_to_live(body.ttl, body.ttl_ms)?;
    let session = body.session.as_deref().map(session_id).transpose()?;
    let (resources, field) = match (body.resource, body.resources) {
        (Some(one), None) => (vec![one], "resource"),
        (None, Some(several)) => (several, "resources"),
        _ => return Err(Problem::invalid("resource", "resource or resources, and not both")),
    };
    let is_owner_made_up = body.owner.is_none();
    let owner = body.owner.unwrap_or_else(|| format!("{:032x}", context.draw()));
    let names: Vec<&[u8]> = resources.iter().map(String::as_bytes).collect();
    let mode = match (body.permits, body.mode) {
        (Some(_), Some(_)) => return Err(Problem::invalid("permits", "mode or permits, and not both")),
        (Some(Permits { count, of }), None) => Mode::Permits { count, of },
        (None, None | Some(ModeName::Exclusive)) => Mode::Exclusive,
        (None, Some(ModeName::Shared)) => Mode::Shared,
    };
    let operation = Acquire {
        owner: owner.as_bytes(),
        is_owner_made_up,
        resources: &names,
        mode,
        ttl,
        wait,
        is_reentrant: body.reentrant,
        session,
        meta: body.meta.as_deref().unwrap_or_default().as_bytes(),
        request: key.request(),
    };
    let (asked, barrier) = start(context, &operation);
    let asked = asked.map_err(|refused| problem_of(&refused, field))?;
    let grant = granted(context, asked, barrier, (operation.owner, &names), wait).await?;
    Ok(Lock::new(operation.owner, &names, &grant).into_response())
}

/// The grant of a request, once it is known and on the disk.  `wanted` are the owner and its resources, `patience` the
/// milliseconds to wait.
pub(super) async fn granted(
    context: &Context,
    asked: Asked,
    barrier: Option<Barrier>,
    wanted: (&[u8], &[&[u8]]),
    patience: u64,
) -> Result<Grant, Problem> {
    match asked {
        Asked::Granted(grant) => durable::granted(context, grant, barrier).await,
        Asked::Busy => Err(held(context, wanted, 0)),
        Asked::Deadlock(deadlock) => Err(deadlock_problem(&deadlock)),
        Asked::Waiting(ticket) => wait(context, ticket, wanted, patience).await,
    }
}

async fn wait(
    context: &Context,
    ticket: Ticket<Answer>,
    wanted: (&[u8], &[&[u8]]),
    patience: u64,
) -> Result<Grant, Problem> {
    let answer = context.answer(ticket).await?;
    match answer.outcome {
        Outcome::Granted(grant) => durable::granted(context, grant, answer.barrier).await,
        Outcome::TimedOut => Err(held(context, wanted, patience)),
        Outcome::Cancelled => {
            Err(Problem::new(problems::LOCK_NOT_GRANTED).detail("the wait was cancelled by an operator"))
        }
        Outcome::Superseded => {
            Err(Problem::new(problems::LOCK_NOT_GRANTED).detail("a retry of this request took its place"))
        }
        Outcome::SessionEnded => Err(problem_of(&Refused::NoSession, "resource")),
        Outcome::LeaseLost => Err(problem_of(&Refused::NotHeld, "resource")),
    }
}

/// The problem of a request that was not granted: the holder, and how many requests wait.
fn held(context: &Context, (owner, names): (&[u8], &[&[u8]]), waited: u64) -> Problem {
    let (reports, _) = start(context, &Inspect { resources: names });
    let problem = Problem::new(problems::LOCK_HELD).with("waited_ms", waited);
    // Of several resources the first held one stands for all.
    let is_held = |report: &&ResourceReport| !report.holders.is_empty();
    let Some(report) = reports.iter().find(is_held).or(reports.first()) else {
        return problem.detail("it was held a moment ago");
    };
    let name = text(&report.resource);
    let other = report.holders.iter().find(|holder| holder.owner != owner);
    let detail = match (other, report.holders.first()) {
        (Some(_), _) => format!("{name} is held by another"),
        (None, Some(_)) => {
            format!(
                "{name} is held by this owner already; with `reentrant` it acquires once more what it holds"
            )
        }
        (None, None) => format!("others wait for {name} and are served before"),
    };
    let holder = other.or(report.holders.first()).map_or(Value::Null, |holder| {
        json!({ "owner": text(&holder.owner), "fence": holder.fence, "mode": holder.mode.word(),
            "expires_in_ms": holder.ttl, "meta": text(&holder.meta) })
    });
    let retry = report.holders.iter().filter_map(|holder| holder.ttl).min();
    problem
        .detail(detail)
        .with("resource", name)
        .with("holder", holder)
        .with("queue_length", report.waiters)
        .with("retry_after_ms", retry)
}

fn deadlock_problem(deadlock: &Deadlock) -> Problem {
    let cycle: Vec<Value> = deadlock
        .steps
        .iter()
        .map(|step| json!({ "owner": text(&step.owner), "waits_for": text(&step.resource) }))
        .collect();
    Problem::new(problems::DEADLOCK).detail(deadlock.to_string()).with("cycle", cycle)
}

/// Milliseconds that a lease is to last, from a field in seconds or one in milliseconds.
pub(super) fn time_to_live(seconds: Option<f64>, millis: Option<u64>) -> Result<Option<u64>, Problem> {
    match (seconds, millis) {
        (Some(_), Some(_)) => Err(Problem::invalid("ttl", "ttl or ttl_ms, and not both")),
        (Some(seconds), None) => milliseconds("ttl", seconds).map(Some),
        (None, Some(millis)) if millis == 0 || millis > TTL_MAX => {
            Err(Problem::invalid("ttl_ms", format!("a number of milliseconds from 1 to {TTL_MAX}")))
        }
        (None, millis) => Ok(millis),
    }
}

/// Seconds with a fraction as milliseconds.
pub(super) fn milliseconds(field: &str, seconds: f64) -> Result<u64, Problem> {
    let milliseconds = (seconds * SECOND as f64).round();
    if !(1.0..=TTL_MAX as f64).contains(&milliseconds) {
        let most = TTL_MAX / SECOND;
        return Err(Problem::invalid(field, format!("a number of seconds from 0.001 to {most}")));
    }
    Ok(milliseconds as u64)
}

/// The session that a client has named.
pub(super) fn session_id(name: &str) -> Result<SessionId, Problem> {
    SessionId::parse(name.as_bytes())
        .ok_or_else(|| Problem::invalid("session", "the session of a response to POST /sessions"))
}
