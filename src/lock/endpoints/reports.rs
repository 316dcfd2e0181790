//! Reports: holders, waiters and their blockers, deadlocks.

use serde::{Deserialize, Serialize};

use super::{durable, look, start, text};
use crate::glob::Pattern;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathBytes, Problem, Query, QueryBytes, State, routes,
};
use crate::lock::limits::DEADLOCKS_MAX;
use crate::lock::operation::{self, Inspect, List, Waits};
use crate::lock::{Deadlock, Holder, ResourceReport, WaitReport};

/// Waiting requests that one answer names by default.
const WAITS_SHOWN: usize = 100;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(graph))
        .routes(routes!(deadlocks))
        .routes(routes!(resource))
        .routes(routes!(waits))
}

/// A holder of a resource.
#[derive(Serialize, utoipa::ToSchema)]
struct Hold {
    /// The owner.
    owner: String,
    /// exclusive, shared or permits.
    mode: &'static str,
    /// The number of permits, if it holds some.
    #[serde(skip_serializing_if = "Option::is_none")]
    permits: Option<u32>,
    /// The fencing token of its lease.
    fence: u64,
    /// How often it holds the resource.
    holds: u32,
    /// Milliseconds the lease lasts from now; missing if as long as its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
    /// Milliseconds it has held it.
    held_ms: u64,
    /// The session that keeps the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The text that it gave about itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    meta: String,
}

/// A resource.
#[derive(Serialize, utoipa::ToSchema)]
struct Resource {
    /// Its name.
    resource: String,
    /// Its holders, the first thousand.
    holders: Vec<Hold>,
    /// How many requests wait for it.
    waiters: usize,
}

/// A part of all resources.
#[derive(Serialize, utoipa::ToSchema)]
struct Page {
    /// Where the next part begins; 0 after the last.
    cursor: usize,
    /// Resources that are held or waited for.
    locks: Vec<Resource>,
}

/// A waiting request: an edge of the graph for each of `blockers`.
#[derive(Serialize, utoipa::ToSchema)]
struct Wait {
    /// The owner.
    owner: String,
    /// The resource.
    resource: String,
    /// How it wants to hold the resource.
    mode: &'static str,
    /// Its position in the queue; the first is 0.
    place: usize,
    /// Milliseconds it has waited.
    waited_ms: u64,
    /// Milliseconds it still waits.
    left_ms: u64,
    /// The owners that it waits for: holders, then waiters ahead of it.
    blockers: Vec<String>,
}

/// Waiting requests and their blockers.
#[derive(Serialize, utoipa::ToSchema)]
struct Graph {
    /// The waiting requests, in the order of their queues.
    waits: Vec<Wait>,
}

/// The last deadlocks that were refused.
#[derive(Serialize, utoipa::ToSchema)]
struct Deadlocks {
    /// The newest first.
    deadlocks: Vec<Cycle>,
}

/// A circle of owners, each of which would have waited for the next.
#[derive(Serialize, utoipa::ToSchema)]
struct Cycle {
    /// Milliseconds since it was found.
    age_ms: u64,
    /// Begins with the owner that was refused.
    cycle: Vec<Link>,
}

/// An owner and the resource that it would have waited for.
#[derive(Serialize, utoipa::ToSchema)]
struct Link {
    /// The owner.
    owner: String,
    /// The resource, which the next owner keeps from it.
    waits_for: String,
}

impl From<&Holder> for Hold {
    fn from(holder: &Holder) -> Hold {
        let permits = match holder.mode {
            crate::lock::Mode::Permits { count, .. } => Some(count),
            _ => None,
        };
        Hold {
            owner: text(&holder.owner),
            mode: holder.mode.word(),
            permits,
            fence: holder.fence,
            holds: holder.holds,
            expires_in_ms: holder.ttl,
            held_ms: holder.held,
            session: holder.session.map(|id| id.to_string()),
            meta: text(&holder.meta),
        }
    }
}

impl From<&ResourceReport> for Resource {
    fn from(report: &ResourceReport) -> Resource {
        Resource {
            resource: text(&report.resource),
            holders: report.holders.iter().map(Hold::from).collect(),
            waiters: report.waiters,
        }
    }
}

impl From<&WaitReport> for Wait {
    fn from(report: &WaitReport) -> Wait {
        Wait {
            owner: text(&report.owner),
            resource: text(&report.resource),
            mode: report.mode.word(),
            place: report.position,
            waited_ms: report.waited,
            left_ms: report.left,
            blockers: report.blockers.iter().map(|owner| text(owner)).collect(),
        }
    }
}

/// Selects locks.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A pattern of their names, with `*`, `?` and `[...]`.
    #[serde(rename = "match")]
    #[param(value_type = Option<String>)]
    pattern: Option<QueryBytes>,
    /// Only locks that this owner holds.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// Where to continue: `cursor` of the last part.
    #[serde(default)]
    cursor: usize,
}

/// Lists locks that are held or waited for
#[utoipa::path(get, path = "/locks", tag = "locks", params(Wanted),
    responses((status = 200, description = "A part of them", body = Page)))]
async fn list(State(context): State<Context>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let pattern = wanted.pattern.as_deref().map(Pattern::new).transpose()?;
    let owner = wanted.owner.as_deref();
    let operation = List { cursor: wanted.cursor, pattern: pattern.as_ref(), owner };
    let page = durable::report(&context, start(&context, &operation)).await?;
    Ok(Json(Page { cursor: page.next, locks: page.resources.iter().map(Resource::from).collect() }))
}

/// Selects waiting requests.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedWaits {
    /// Only requests of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// At most so many, and never more than a thousand.
    count: Option<usize>,
}

/// Lists waiting requests and their blockers
#[utoipa::path(get, path = "/locks/graph", tag = "locks", params(WantedWaits),
    responses((status = 200, description = "The edges of the graph", body = Graph)))]
async fn graph(
    State(context): State<Context>,
    Query(wanted): Query<WantedWaits>,
) -> Result<Json<Graph>, Problem> {
    waits_of(&context, None, &wanted).await
}

/// Lists the requests that wait for a resource
#[utoipa::path(get, path = "/locks/{resource}/waits", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded"), WantedWaits),
    responses((status = 200, description = "Its queue", body = Graph)))]
async fn waits(
    State(context): State<Context>,
    PathBytes(name): PathBytes,
    Query(wanted): Query<WantedWaits>,
) -> Result<Json<Graph>, Problem> {
    waits_of(&context, Some(&name), &wanted).await
}

async fn waits_of(
    context: &Context,
    resource: Option<&[u8]>,
    wanted: &WantedWaits,
) -> Result<Json<Graph>, Problem> {
    let owner = wanted.owner.as_deref();
    let count = wanted.count.unwrap_or(WAITS_SHOWN);
    let waits = durable::report(context, start(context, &Waits { resource, owner, count })).await?;
    Ok(Json(Graph { waits: waits.iter().map(Wait::from).collect() }))
}

/// Lists the last deadlocks
#[utoipa::path(get, path = "/locks/deadlocks", tag = "locks",
    responses((status = 200, description = "The newest first", body = Deadlocks)))]
async fn deadlocks(State(context): State<Context>) -> Result<Json<Deadlocks>, Problem> {
    let (now, count) = (context.now().micros(), DEADLOCKS_MAX);
    let found = look(&context, &operation::Deadlocks { count }).await?;
    let cycle_of = |deadlock: &Deadlock| Cycle {
        age_ms: now.saturating_sub(deadlock.at) / 1000,
        cycle: deadlock
            .steps
            .iter()
            .map(|step| Link { owner: text(&step.owner), waits_for: text(&step.resource) })
            .collect(),
    };
    Ok(Json(Deadlocks { deadlocks: found.iter().map(cycle_of).collect() }))
}

/// Reports the holders of a resource
#[utoipa::path(get, path = "/locks/{resource}", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded; `graph` and `deadlocks` are reached as `%67raph` and `%64eadlocks`")),
    responses((status = 200, description = "Its holders; none if it is free", body = Resource)))]
async fn resource(
    State(context): State<Context>,
    PathBytes(name): PathBytes,
) -> Result<Json<Resource>, Problem> {
    let found = start(&context, &Inspect { resources: &[&name] });
    let reports = durable::report(&context, found).await?;
    let free = || Resource { resource: text(&name), holders: Vec::new(), waiters: 0 };
    Ok(Json(reports.first().map_or_else(free, Resource::from)))
}
