//! Who holds, who waits, for whom, and what deadlocks there were.

use serde::{Deserialize, Serialize};

use super::{kept, look, start, text};
use crate::glob::Pattern;
use crate::http::endpoint::{
    Context, Json, OpenApiRouter, PathBytes, Problem, Query, QueryBytes, State, routes,
};
use crate::lock::limits::DEADLOCKS_MAX;
use crate::lock::operation::{self, Inspect, List, Waits};
use crate::lock::{Deadlock, Holder, ResourceReport, WaitReport};

/// Waiting requests that one answer names unless it is asked for another number.
const WAITS_SHOWN: usize = 100;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(graph))
        .routes(routes!(deadlocks))
        .routes(routes!(resource))
        .routes(routes!(waits))
}

/// One owner's hold on a resource.
#[derive(Serialize, utoipa::ToSchema)]
struct Hold {
    /// The owner.
    owner: String,
    /// exclusive, shared or permits.
    mode: &'static str,
    /// Of permits, how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    permits: Option<u32>,
    /// The fence of its lease.
    fence: u64,
    /// How often it holds.
    holds: u32,
    /// Milliseconds the lease lasts from now; missing if as long as its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
    /// Milliseconds it has held.
    held_ms: u64,
    /// The session that keeps the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// What it said about itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    meta: String,
}

/// A resource.
#[derive(Serialize, utoipa::ToSchema)]
struct Resource {
    /// Its name.
    resource: String,
    /// Who holds it, the first thousand.
    holders: Vec<Hold>,
    /// How many requests wait for it.
    waiters: usize,
}

/// A part of all resources.
#[derive(Serialize, utoipa::ToSchema)]
struct Page {
    /// Where the next part begins; 0 after the last.
    cursor: usize,
    /// Those that are held or waited for.
    locks: Vec<Resource>,
}

/// A request that waits: an edge of the graph for each of `blockers`.
#[derive(Serialize, utoipa::ToSchema)]
struct Wait {
    /// Who waits.
    owner: String,
    /// For what.
    resource: String,
    /// How it is to be held.
    mode: &'static str,
    /// Its place in the queue; the first is 0.
    place: usize,
    /// Milliseconds it has waited.
    waited_ms: u64,
    /// Milliseconds it will wait still.
    left_ms: u64,
    /// Whom it waits for: holders, then those ahead of it.
    blockers: Vec<String>,
}

/// Who waits for whom.
#[derive(Serialize, utoipa::ToSchema)]
struct Graph {
    /// The requests that wait, in the order of their queues.
    waits: Vec<Wait>,
}

/// The last deadlocks.
#[derive(Serialize, utoipa::ToSchema)]
struct Deadlocks {
    /// The newest first.
    deadlocks: Vec<Cycle>,
}

/// A circle of owners each of which would have waited for the next.
#[derive(Serialize, utoipa::ToSchema)]
struct Cycle {
    /// Milliseconds since it was found.
    age_ms: u64,
    /// Begins with the owner that was refused.
    cycle: Vec<Link>,
}

/// An owner and what it would have waited for.
#[derive(Serialize, utoipa::ToSchema)]
struct Link {
    /// The owner.
    owner: String,
    /// What the next owner keeps from it.
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
            place: report.place,
            waited_ms: report.waited,
            left_ms: report.left,
            blockers: report.blockers.iter().map(|owner| text(owner)).collect(),
        }
    }
}

/// Which locks are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A pattern of their names, with `*`, `?` and `[...]`.
    #[serde(rename = "match")]
    #[param(value_type = Option<String>)]
    pattern: Option<QueryBytes>,
    /// Only those that this owner holds.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// Where to go on, as the last part has said.
    #[serde(default)]
    cursor: usize,
}

/// What is held or waited for
#[utoipa::path(get, path = "/locks", tag = "locks", params(Wanted),
    responses((status = 200, description = "A part of them", body = Page)))]
async fn list(State(context): State<Context>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let pattern = wanted.pattern.as_deref().map(Pattern::new).transpose()?;
    let owner = wanted.owner.as_deref();
    let operation = List { cursor: wanted.cursor, pattern: pattern.as_ref(), owner };
    let page = kept::report(&context, start(&context, &operation)).await?;
    Ok(Json(Page { cursor: page.next, locks: page.resources.iter().map(Resource::from).collect() }))
}

/// How many waiting requests are wanted, and whose.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedWaits {
    /// Only those of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<QueryBytes>,
    /// At most so many, and never more than a thousand.
    count: Option<usize>,
}

/// Who waits for whom
#[utoipa::path(get, path = "/locks/graph", tag = "locks", params(WantedWaits),
    responses((status = 200, description = "The edges of the graph", body = Graph)))]
async fn graph(
    State(context): State<Context>,
    Query(wanted): Query<WantedWaits>,
) -> Result<Json<Graph>, Problem> {
    waits_of(&context, None, &wanted).await
}

/// Who waits for a resource
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
    let waits = kept::report(context, start(context, &Waits { resource, owner, count })).await?;
    Ok(Json(Graph { waits: waits.iter().map(Wait::from).collect() }))
}

/// The last deadlocks
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

/// Who holds a resource
#[utoipa::path(get, path = "/locks/{resource}", tag = "locks",
    params(("resource" = String, Path, description = "Its name, percent-encoded; `graph` and `deadlocks` are reached as `%67raph` and `%64eadlocks`")),
    responses((status = 200, description = "Its holders; none if it is free", body = Resource)))]
async fn resource(
    State(context): State<Context>,
    PathBytes(name): PathBytes,
) -> Result<Json<Resource>, Problem> {
    let found = start(&context, &Inspect { resources: &[&name] });
    let reports = kept::report(&context, found).await?;
    let free = || Resource { resource: text(&name), holders: Vec::new(), waiters: 0 };
    Ok(Json(reports.first().map_or_else(free, Resource::from)))
}
