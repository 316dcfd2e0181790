//! The statistics of the cache.

use serde::Serialize;

use super::database::Database;
use crate::http::endpoint::{Context, Json, OpenApiRouter, Problem, Query, State, routes};

/// The statistics of the cache since the start or CONFIG RESETSTAT, and how full it is.
#[derive(Serialize, utoipa::ToSchema)]
struct Statistics {
    /// Reads that found their key.
    hits: u64,
    /// Reads that did not find their key.
    misses: u64,
    /// The share of reads that found their key, from 0 to 1; null before the first read.
    hit_ratio: Option<f64>,
    /// Keys removed to make room.
    evictions: u64,
    /// Expired keys that were removed.
    expired: u64,
    /// The longest time in milliseconds that an expired key kept its memory.
    expiry_lag_max_ms: u64,
    /// Keys in this database.
    keys: usize,
    /// Keys in this database that have a time to live.
    keys_with_ttl: usize,
    /// The memory for data of all databases, in bytes.
    memory_bytes: usize,
    /// The limit of `memory_bytes`; 0 for none.
    maxmemory_bytes: usize,
    /// The policy that chooses which keys are evicted at the limit.
    policy: &'static str,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(statistics))
}

/// Shows the statistics of the cache
#[utoipa::path(get, path = "/cache/stats", tag = "cache", params(Database),
    responses((status = 200, description = "The counts", body = Statistics)))]
async fn statistics(
    State(context): State<Context>,
    Query(database): Query<Database>,
) -> Result<Json<Statistics>, Problem> {
    let database = database.number(&context)?;
    let services = context.services();
    let (totals, counts) = (services.metrics.totals(), services.store.counts());
    let (keys, keys_with_ttl) = services.store.key_counts(database);
    let reads = totals.hits + totals.misses;
    Ok(Json(Statistics {
        hits: totals.hits,
        misses: totals.misses,
        hit_ratio: (reads > 0).then(|| totals.hits as f64 / reads as f64),
        evictions: counts.evicted,
        expired: counts.expired,
        expiry_lag_max_ms: counts.expiry_lag_max,
        keys,
        keys_with_ttl,
        memory_bytes: services.store.memory(),
        maxmemory_bytes: services.settings.current().maxmemory,
        policy: services.settings.current().maxmemory_policy.word(),
    }))
}
