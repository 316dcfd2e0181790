//! The page that Prometheus reads: a table of what there is to know, and where it is read.
//!
//! Everything is counted per thread or per shard anyway and added up here, on the thread of the HTTP door.  A worker
//! waits for it at most as long as one shard takes to be looked at.
//!
//! What clients make up (keys, owners, resources, paths) is no label: it would be a new series for each, without end, and
//! bytes that are not UTF-8 would name two series alike.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;

use crate::command::{Group, Services};
use crate::http::endpoint::{Context, OpenApiRouter, ProblemBody, State, routes};
use crate::lock;
use crate::metrics::exposition::{Exposition, Kind, MEDIA_TYPE, seconds};
use crate::metrics::process::Process;
use crate::metrics::{RouteTotals, Totals};
use crate::store::eviction::{Member, Score, Standing};
use crate::store::{Counts as CacheCounts, MemoryParts};

/// Policies of the rate limiter that have samples of their own, the first by name.
const POLICIES_SHOWN_MAX: usize = 256;

/// One family of samples.
struct Row {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    write: fn(&mut Exposition, &Look),
}

/// What is read once for all rows.
struct Look<'s> {
    services: &'s Services,
    totals: Totals,
    counts: CacheCounts,
    memory: MemoryParts,
    process: Process,
    requests: Vec<(&'static str, String, RouteTotals)>,
    locks: lock::Totals,
    lock_counts: lock::Counts,
    /// Bytes that wait for clients, and bytes of theirs that wait to be run.
    queued_output: usize,
    queued_input: usize,
}

const fn counter(name: &'static str, help: &'static str, write: fn(&mut Exposition, &Look)) -> Row {
    Row { name, kind: Kind::Counter, help, write }
}

const fn gauge(name: &'static str, help: &'static str, write: fn(&mut Exposition, &Look)) -> Row {
    Row { name, kind: Kind::Gauge, help, write }
}

const fn histogram(name: &'static str, help: &'static str, write: fn(&mut Exposition, &Look)) -> Row {
    Row { name, kind: Kind::Histogram, help, write }
}

/// Every family.
const ROWS: &[Row] = &[
    // The process.
    gauge("quartet_build_info", "The version that runs; always 1.", |text, _| {
        text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }),
    gauge("quartet_uptime_seconds", "Seconds since the start.", |text, look| {
        let now = look.services.clock.now().micros();
        text.sample(&[], seconds(now.saturating_sub(look.services.started.micros())));
    }),
    gauge("quartet_threads", "Threads that serve connections, by door.", |text, look| {
        let settings = look.services.settings.settings();
        text.sample(&[("door", "resp")], settings.threads);
        text.sample(&[("door", "http")], settings.http_threads);
    }),
    gauge("process_resident_memory_bytes", "Memory that the process has.", |text, look| {
        text.sample(&[], look.process.resident_bytes);
    }),
    counter("process_cpu_seconds_total", "Processor time that the process took.", |text, look| {
        text.sample(&[], look.process.user_seconds + look.process.system_seconds);
    }),
    gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", |text, look| {
        text.sample(&[], look.services.started.wall_millis() as f64 / 1000.0);
    }),
    // The doors.
    gauge("quartet_connections", "Connections there are, by door.", |text, look| {
        text.sample(&[("door", "resp")], look.services.clients.len());
        text.sample(&[("door", "http")], look.services.metrics.requests.connections.load(Relaxed));
    }),
    counter("quartet_connections_accepted_total", "Connections that were let in, by door.", |text, look| {
        text.sample(&[("door", "resp")], look.services.clients.accepted());
        text.sample(&[("door", "http")], look.services.metrics.requests.accepted.load(Relaxed));
    }),
    counter(
        "quartet_connections_rejected_total",
        "Connections that were turned away, by door.",
        |text, look| {
            text.sample(&[("door", "resp")], look.services.clients.rejected());
            text.sample(&[("door", "http")], look.services.metrics.requests.rejected.load(Relaxed));
        },
    ),
    counter(
        "quartet_authentications_failed_total",
        "Passwords that were wrong, and that were not looked at since their address had given too many.",
        |text, look| {
            text.sample(&[("reason", "wrong")], look.services.attempts.failures());
            text.sample(&[("reason", "too_many")], look.services.attempts.unheard_count());
        },
    ),
    gauge("quartet_blocked_clients", "RESP clients that wait for an answer.", |text, look| {
        text.sample(&[], look.services.clients.blocked());
    }),
    counter("quartet_resp_bytes_total", "Bytes of the RESP door, by direction.", |text, look| {
        text.sample(&[("direction", "in")], look.totals.bytes_in);
        text.sample(&[("direction", "out")], look.totals.bytes_out);
    }),
    gauge(
        "quartet_queue_bytes",
        "Bytes that wait: output for clients to read it, input to be run.",
        |text, look| {
            text.sample(&[("queue", "output")], look.queued_output);
            text.sample(&[("queue", "input")], look.queued_input);
        },
    ),
    counter("quartet_commands_total", "Commands of the RESP door that ran.", |text, look| {
        each_command(look, |labels, command| text.sample(labels, command.calls));
    }),
    counter("quartet_commands_failed_total", "Commands that answered an error.", |text, look| {
        each_command(look, |labels, command| text.sample(labels, command.failed));
    }),
    counter(
        "quartet_commands_rejected_total",
        "Commands that were refused before they ran.",
        |text, look| {
            each_command(look, |labels, command| text.sample(labels, command.rejected));
        },
    ),
    histogram(
        "quartet_command_seconds",
        "How long commands took; of quick ones a sample is timed.",
        |text, look| {
            for row in look.services.commands.rows() {
                let durations = look.services.metrics.durations(row.id);
                if !durations.is_empty() {
                    let service = service_of(row.command.group);
                    text.durations(
                        &[("door", "resp"), ("service", service), ("command", &row.name)],
                        &durations,
                    );
                }
            }
        },
    ),
    counter("quartet_error_replies_total", "Error replies of the RESP door, by code.", |text, look| {
        for (code, count) in look.services.metrics.errors() {
            text.sample(&[("code", &code)], count);
        }
    }),
    counter("quartet_http_requests_total", "Requests of the HTTP door, by class of status.", |text, look| {
        for (method, route, totals) in &look.requests {
            for (class, count) in totals.by_status.iter().enumerate().filter(|(_, count)| **count > 0) {
                let status = format!("{}xx", class + 1);
                let labels = http_labels(method, route);
                text.sample(&[labels[0], labels[1], labels[2], labels[3], ("status", &status)], count);
            }
        }
    }),
    gauge(
        "quartet_http_response_bytes_in_flight",
        "Bytes of responses that clients have not read yet.",
        |text, look| {
            text.sample(&[], look.services.metrics.requests.response_bytes.load(Relaxed));
        },
    ),
    gauge(
        "quartet_http_request_bytes_in_flight",
        "Bytes of bodies of requests that are not answered yet.",
        |text, look| {
            text.sample(&[], look.services.metrics.requests.request_bytes.load(Relaxed));
        },
    ),
    histogram("quartet_http_request_seconds", "How long requests of the HTTP door took.", |text, look| {
        for (method, route, totals) in &look.requests {
            text.durations(&http_labels(method, route), &totals.durations);
        }
    }),
    // The cache.
    counter("quartet_cache_hits_total", "Reads that found their key.", |text, look| {
        text.sample(&[], look.totals.hits);
    }),
    counter("quartet_cache_misses_total", "Reads that did not find their key.", |text, look| {
        text.sample(&[], look.totals.misses);
    }),
    counter("quartet_cache_evictions_total", "Keys removed to make room.", |text, look| {
        text.sample(&[], look.counts.evicted);
    }),
    gauge(
        "quartet_cache_eviction_member",
        "Which member of an adaptive eviction policy is in force: 1 for this one.",
        |text, look| {
            each_member(look, |labels, member, standing, _| {
                text.sample(labels, u8::from(standing.winner == member));
            });
        },
    ),
    counter(
        "quartet_cache_eviction_member_switches_total",
        "How often another member of an adaptive eviction policy took over.",
        |text, look| {
            if let Some(standing) = standing(look) {
                text.sample(&[], standing.switches);
            }
        },
    ),
    counter(
        "quartet_cache_eviction_member_lookups_total",
        "Sampled reads, on which the members of an adaptive eviction policy are compared.",
        |text, look| {
            each_member(look, |labels, _, _, score| text.sample(labels, score.lookups));
        },
    ),
    counter(
        "quartet_cache_eviction_member_hits_total",
        "Those of them that would have found their key if this member had always been in force.",
        |text, look| each_member(look, |labels, _, _, score| text.sample(labels, score.hits)),
    ),
    counter("quartet_cache_expired_total", "Keys removed because their time had come.", |text, look| {
        text.sample(&[], look.counts.expired);
    }),
    gauge(
        "quartet_cache_expiry_lag_max_seconds",
        "The longest time that a key's memory was kept after its time had come.",
        |text, look| text.sample(&[], seconds(look.counts.expiry_lag_max.saturating_mul(1000))),
    ),
    gauge("quartet_cache_keys", "Keys, by database.", |text, look| {
        each_database(look, |labels, (keys, _)| text.sample(labels, keys));
    }),
    gauge("quartet_cache_keys_with_ttl", "Keys with a time to live, by database.", |text, look| {
        each_database(look, |labels, (_, volatile)| text.sample(labels, volatile));
    }),
    gauge("quartet_cache_memory_bytes", "Memory of the data, by what it is for.", |text, look| {
        let MemoryParts { entries, buckets, expiry, eviction } = look.memory;
        let parts = [("entries", entries), ("buckets", buckets), ("expiry", expiry), ("eviction", eviction)];
        for (part, bytes) in parts {
            text.sample(&[("part", part)], bytes);
        }
    }),
    gauge(
        "quartet_cache_memory_limit_bytes",
        "The limit for the memory of the data; 0 for none.",
        |text, look| {
            text.sample(&[], look.services.settings.maxmemory());
        },
    ),
    // The broker.
    gauge("quartet_broker_channels", "Channels that somebody has subscribed to.", |text, look| {
        let broker = &look.services.broker;
        text.sample(&[("kind", "channel")], broker.channels.channel_count());
        text.sample(&[("kind", "shard")], broker.shard_channels.channel_count());
        text.sample(&[("kind", "pattern")], broker.channels.pattern_count());
    }),
    // The locks.
    gauge("quartet_locks", "What the locks keep: what is held, who holds and who waits.", |text, look| {
        let lock::Totals { resources, owners, leases, waiters, sessions, .. } = look.locks;
        let kinds = [
            ("resource", resources),
            ("owner", owners),
            ("lease", leases),
            ("waiter", waiters),
            ("session", sessions),
        ];
        for (kind, count) in kinds {
            text.sample(&[("kind", kind)], count);
        }
    }),
    gauge("quartet_lock_memory_bytes", "Memory of the locks, about.", |text, look| {
        text.sample(&[], look.locks.memory);
    }),
    gauge(
        "quartet_lock_memory_limit_bytes",
        "The limit for the memory of the locks; 0 for none.",
        |text, look| text.sample(&[], look.services.settings.lock_maxmemory()),
    ),
    counter("quartet_lock_events_total", "What has happened to locks.", |text, look| {
        let counts = &look.lock_counts;
        let events = [
            ("granted", counts.granted),
            ("released", counts.released),
            ("renewed", counts.renewed),
            ("expired", counts.expired),
            ("forced", counts.forced),
            ("lost", counts.lost),
            ("waited", counts.waited),
            ("timed_out", counts.timed_out),
            ("withdrawn", counts.withdrawn),
            ("deadlock", counts.deadlocks),
        ];
        for (event, count) in events {
            text.sample(&[("event", event)], count);
        }
    }),
    counter(
        "quartet_journal_syncs_total",
        "Writes of a journal that were synced to the disk.",
        |text, look| {
            each_journal(look, |labels, status| text.sample(labels, status.syncs));
        },
    ),
    gauge("quartet_journal_last_sync_seconds", "How long the last write of a journal took.", |text, look| {
        each_journal(look, |labels, status| text.sample(labels, seconds(status.last_sync_micros)));
    }),
    gauge("quartet_journal_failed", "1 if a journal cannot be written any more.", |text, look| {
        each_journal(look, |labels, status| text.sample(labels, u8::from(status.failure.is_some())));
    }),
    counter("quartet_log_lines_dropped_total", "Lines of the log that nobody read in time.", |text, look| {
        text.sample(&[], look.services.log.dropped());
    }),
    // The rate limiter.
    gauge("quartet_limit_policies", "Policies of the rate limiter.", |text, look| {
        text.sample(&[], look.services.limits.policies.list().len());
    }),
    gauge("quartet_limit_memory_bytes", "Memory of the rate limiter's counters.", |text, look| {
        text.sample(&[], look.services.store.pinned_memory());
    }),
    gauge(
        "quartet_limit_memory_limit_bytes",
        "The limit for the memory of the rate limiter's counters; 0 for none.",
        |text, look| {
            text.sample(&[], look.services.settings.limit_maxmemory());
        },
    ),
    counter(
        "quartet_limit_without_room_total",
        "Limits that counted a key as their policy says of keys for whose counters there is no room.",
        |text, look| {
            for policy in look.services.limits.policies.list().iter().take(POLICIES_SHOWN_MAX) {
                text.sample(&[("policy", policy.name())], policy.statistics.totals().without_room);
            }
        },
    ),
    counter("quartet_limit_decisions_total", "What policies of the rate limiter decided.", |text, look| {
        for policy in look.services.limits.policies.list().iter().take(POLICIES_SHOWN_MAX) {
            let totals = policy.statistics.totals();
            let decisions = [
                ("allowed", totals.allowed),
                ("refused", totals.refused),
                ("shadow_refused", totals.shadow_refused),
            ];
            for (decision, count) in decisions {
                text.sample(&[("policy", policy.name()), ("decision", decision)], count);
            }
        }
    }),
];

/// Calls `write` with the labels and counts of every command that was asked for.
fn each_command(look: &Look, mut write: impl FnMut(&[(&str, &str)], crate::metrics::CommandTotals)) {
    for row in look.services.commands.rows() {
        let totals = look.services.metrics.command_totals(row.id);
        if totals.calls + totals.rejected > 0 {
            write(
                &[("door", "resp"), ("service", service_of(row.command.group)), ("command", &row.name)],
                totals,
            );
        }
    }
}

/// Calls `write` with the label and the key counts of every database that has keys, and of the first.
fn each_database(look: &Look, mut write: impl FnMut(&[(&str, &str)], (usize, usize))) {
    for database in 0..look.services.store.database_count() {
        let counts = look.services.store.key_counts(database);
        if counts.0 > 0 || database == 0 {
            write(&[("database", &database.to_string())], counts);
        }
    }
}

/// How the members of an adaptive eviction policy stand, if one is in force.
fn standing(look: &Look) -> Option<Standing> {
    let is_adaptive = look.services.settings.maxmemory_policy().is_adaptive();
    is_adaptive.then(|| look.services.store.duel().standing())
}

/// Calls `write` with the label of every member, with how they stand and with its score.
fn each_member(look: &Look, mut write: impl FnMut(&[(&str, &str)], Member, &Standing, Score)) {
    let Some(standing) = standing(look) else { return };
    for (member, score) in Member::ALL.into_iter().zip(standing.scores) {
        write(&[("member", member.name())], member, &standing, score);
    }
}

/// Calls `write` with the label and the state of every journal.
fn each_journal(look: &Look, mut write: impl FnMut(&[(&str, &str)], crate::journal::Status)) {
    look.services.each_journal(|service, status| write(&[("service", service)], status));
}

/// The service that a command belongs to.
fn service_of(group: Group) -> &'static str {
    match group {
        Group::Generic | Group::String | Group::Transactions => "cache",
        Group::PubSub => "broker",
        Group::RateLimit => "limits",
        Group::Lock => "locks",
        Group::Connection | Group::Server | Group::Cluster => "server",
    }
}

/// The labels of a request.  Its service is what the description of the API files the route under.
fn http_labels<'l>(method: &'l str, route: &'l str) -> [(&'l str, &'l str); 4] {
    static SERVICES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let tag = |item: utoipa::openapi::PathItem| {
            let operations = [item.get, item.put, item.post, item.delete];
            operations.into_iter().flatten().find_map(|operation| operation.tags?.into_iter().next())
        };
        let paths = super::openapi().paths.paths.into_iter();
        paths.filter_map(|(path, item)| Some((path, tag(item)?))).collect()
    });
    let service = SERVICES.get(route).map_or("server", String::as_str);
    [("door", "http"), ("service", service), ("method", method), ("route", route)]
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Everything that is counted, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "about",
    responses((status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain"),
        (status = "4XX", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
async fn metrics(State(context): State<Context>) -> Response {
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    ([(header::CONTENT_TYPE, media_type)], page(context.services())).into_response()
}

fn page(services: &Services) -> String {
    let (locks, lock_counts) = services.locks.counted();
    let (mut queued_output, mut queued_input) = (0, 0);
    for client in services.clients.all() {
        queued_output += client.outbox.bytes();
        queued_input += client.pending_input.load(Relaxed);
    }
    let requests = services.metrics.requests.totals();
    let look = Look {
        services,
        totals: services.metrics.totals(),
        counts: services.store.counts(),
        memory: services.store.memory_parts(),
        process: Process::now(),
        requests: requests.into_iter().map(|((method, route), totals)| (method, route, totals)).collect(),
        locks,
        lock_counts,
        queued_output,
        queued_input,
    };
    let mut text = Exposition::default();
    for row in ROWS {
        text.family(row.name, row.kind, row.help);
        (row.write)(&mut text, &look);
    }
    text.into_text()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_say_what_they_count() {
        let mut seen = HashSet::new();
        for row in ROWS {
            assert!(seen.insert(row.name), "{} is there twice", row.name);
            assert_eq!(row.name.ends_with("_total"), row.kind == Kind::Counter, "{}", row.name);
            assert!(row.help.ends_with('.'), "{}", row.name);
        }
    }
}
