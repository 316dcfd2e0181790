//! The cache as a service: its row, its section of INFO and its metrics.

use super::{commands, endpoints};
use crate::command::Services;
use crate::metrics::exposition::{Exposition, seconds};
use crate::service::{Page, Section, Service};
use crate::store::MemoryParts;
use crate::store::recency::{Member, Score, Standing};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "cache",
    commands: &[
        commands::keys::COMMANDS,
        commands::expiry::COMMANDS,
        commands::scan::COMMANDS,
        commands::prefixes::COMMANDS,
        commands::databases::COMMANDS,
        commands::object::COMMANDS,
        commands::dump::COMMANDS,
        commands::strings::COMMANDS,
        commands::counters::COMMANDS,
        commands::ranges::COMMANDS,
        commands::multi_key::COMMANDS,
        commands::lcs::COMMANDS,
        commands::conditional_delete::COMMANDS,
        commands::increx::COMMANDS,
        commands::hashes::COMMANDS,
        commands::hash_numbers::COMMANDS,
        commands::hash_deadlines::COMMANDS,
        commands::hash_expiring_values::COMMANDS,
        commands::hash_samples::COMMANDS,
        commands::lists::COMMANDS,
        commands::list_edits::COMMANDS,
        commands::list_moves::COMMANDS,
        commands::list_waits::COMMANDS,
        commands::sort::COMMANDS,
        commands::sets::COMMANDS,
        commands::set_algebra::COMMANDS,
        commands::set_samples::COMMANDS,
        commands::sorted_sets::COMMANDS,
        commands::sorted_set_pops::COMMANDS,
        commands::sorted_set_ranges::COMMANDS,
        commands::sorted_set_algebra::COMMANDS,
        commands::sorted_set_samples::COMMANDS,
        commands::sorted_set_waits::COMMANDS,
    ],
    endpoints: endpoints::endpoints,
    info: &[Section::by_default("keyspace", "Keyspace", keyspace)],
    metrics,
    figures,
    health: Some(|_| Ok(())),
    ..Service::ROW
};

fn keyspace(page: &mut Page, services: &Services) {
    for database in 0..services.store.database_count() {
        let (keys, expires) = services.store.key_counts(database);
        if keys > 0 {
            let left = services.store.average_time_left(database, services.clock.now().millis());
            let line = format_args!("keys={keys},expires={expires},avg_ttl={left}");
            page.field(&format!("db{database}"), line);
        }
    }
}

fn metrics(text: &mut Exposition, services: &Services) {
    let (totals, counts) = (services.metrics.totals(), services.store.counts());
    text.counter("quartet_cache_hits_total", "Reads that found their key.").value(totals.hits);
    text.counter("quartet_cache_misses_total", "Reads that did not find their key.").value(totals.misses);
    text.counter("quartet_cache_evictions_total", "Keys removed to make room.").value(counts.evicted);
    adaptive_eviction(text, services);
    text.counter("quartet_cache_expired_total", "Keys removed because their time had come.")
        .value(counts.expired);
    text.gauge(
        "quartet_cache_expiry_lag_max_seconds",
        "The longest time that a key's memory was kept after its time had come.",
    )
    .value(seconds(counts.expiry_lag_max.saturating_mul(1000)));
    text.gauge("quartet_cache_keys", "Keys, by database.");
    each_database(services, |labels, (keys, _)| text.sample(labels, keys));
    text.gauge("quartet_cache_keys_with_ttl", "Keys with a time to live, by database.");
    each_database(services, |labels, (_, volatile)| text.sample(labels, volatile));
    let MemoryParts { entries, buckets, expiry, eviction } = services.store.memory_parts();
    text.gauge("quartet_cache_memory_bytes", "Memory of the data, by what it is for.").values(
        "part",
        [("entries", entries), ("buckets", buckets), ("expiry", expiry), ("eviction", eviction)],
    );
    text.gauge("quartet_cache_memory_limit_bytes", "The limit for the memory of the data; 0 for none.")
        .value(services.settings.current().maxmemory);
}

fn figures(services: &Services) -> serde_json::Value {
    let (totals, counts, settings) =
        (services.metrics.totals(), services.store.counts(), services.settings.current());
    let databases = (0..services.store.database_count()).map(|database| services.store.key_counts(database));
    let (keys, with_ttl) = databases.fold((0, 0), |sum, (keys, with_ttl)| (sum.0 + keys, sum.1 + with_ttl));
    serde_json::json!({
        "keys": keys,
        "keys_with_ttl": with_ttl,
        "memory_bytes": services.store.memory(),
        "memory_limit_bytes": settings.maxmemory,
        "eviction_policy": settings.maxmemory_policy.word(),
        "databases": services.store.database_count(),
        "hits": totals.hits,
        "misses": totals.misses,
        "evicted": counts.evicted,
        "expired": counts.expired,
        "expiry_lag_max_ms": counts.expiry_lag_max,
    })
}

/// The families about the members of an adaptive eviction policy: without samples unless one is in force.
fn adaptive_eviction(text: &mut Exposition, services: &Services) {
    let is_adaptive = services.settings.current().maxmemory_policy.is_adaptive();
    let standing = is_adaptive.then(|| services.store.duel().standing());
    let each_member = |text: &mut Exposition, value: fn(Member, &Standing, Score) -> u64| {
        if let Some(standing) = &standing {
            for (member, score) in Member::ALL.into_iter().zip(standing.scores) {
                text.sample(&[("member", member.name())], value(member, standing, score));
            }
        }
    };
    text.gauge(
        "quartet_cache_eviction_member",
        "Which member of an adaptive eviction policy is in force: 1 for this one.",
    );
    each_member(text, |member, standing, _| u64::from(standing.winner == member));
    text.counter(
        "quartet_cache_eviction_member_switches_total",
        "How often another member of an adaptive eviction policy took over.",
    );
    if let Some(standing) = &standing {
        text.value(standing.switches);
    }
    text.counter(
        "quartet_cache_eviction_member_lookups_total",
        "Sampled reads, on which the members of an adaptive eviction policy are compared.",
    );
    each_member(text, |_, _, score| score.lookups);
    text.counter(
        "quartet_cache_eviction_member_hits_total",
        "Sampled reads that would have found their key if this member had always been in force.",
    );
    each_member(text, |_, _, score| score.hits);
}

/// Calls `write` with the label and the key counts of every database that has keys, and of the first.
fn each_database(services: &Services, mut write: impl FnMut(&[(&str, &str)], (usize, usize))) {
    for database in 0..services.store.database_count() {
        let counts = services.store.key_counts(database);
        if counts.0 > 0 || database == 0 {
            write(&[("database", &database.to_string())], counts);
        }
    }
}
