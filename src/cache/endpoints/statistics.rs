//! What the cache has counted.

use serde::Serialize;

use super::database::Database;
use crate::http::endpoint::{Context, Json, OpenApiRouter, Problem, Query, State, routes};

/// What the cache has counted since the start (or CONFIG RESETSTAT), and how full it is.
#[derive(Serialize, utoipa::ToSchema)]
struct Statistics {
    /// Reads that found their key.
    hits: u64,
    /// Reads that did not.
    misses: u64,
    /// Hits of all reads, from 0 to 1; null before the first read.
    hit_ratio: Option<f64>,
    /// Keys removed to make room.
    evictions: u64,
    /// Keys removed because their time had come.
    expired: u64,
    /// The longest time in milliseconds that a key's memory was kept after its time had come.
    expiry_lag_max_ms: u64,
    /// Keys in this database.
    keys: usize,
    /// Those of them that have a time to live.
    keys_with_ttl: usize,
    /// Bytes of memory that the data of all databases takes.
    memory_bytes: usize,
    /// The limit for it; 0 for none.
    maxmemory_bytes: usize,
    /// What goes when the limit is reached.
    policy: &'static str,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(statistics))
}

/// What the cache has counted
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
