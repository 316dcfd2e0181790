//! The page that Prometheus reads: the families of the server itself, then those of each service.
//!
//! Counts are kept per thread or per shard and are added up here, on the thread of the HTTP listener.  A worker waits for
//! that at most as long as it takes to look at one shard.
//!
//! Names that clients choose (keys, owners, resources, paths) are never labels: each would be a new series, without
//! end, and names that are not UTF-8 could be shown alike.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;

use crate::client::Door;
use crate::command::Services;
use crate::http::endpoint::{Context, OpenApiRouter, State, routes};
use crate::metrics::exposition::{Exposition, MEDIA_TYPE, seconds};
use crate::metrics::process::Process;
use crate::version;

/// The families of the process.
fn process(text: &mut Exposition, services: &Services) {
    let (process, settings) = (Process::now(), services.settings.current());
    let uptime = services.clock.now().micros().saturating_sub(services.started.micros());
    text.gauge("quartet_build_info", "The version and the commit that run; always 1.")
        .sample(&[("version", version::VERSION), ("commit", version::COMMIT)], 1);
    text.gauge("quartet_uptime_seconds", "Seconds since the start.").value(seconds(uptime));
    text.gauge("quartet_threads", "Threads that serve connections, by listener.")
        .values("listener", [("resp", settings.threads), ("http", settings.http_threads)]);
    text.gauge("process_resident_memory_bytes", "Memory that the process has.").value(process.resident_bytes);
    text.counter("process_cpu_seconds_total", "Processor time that the process took.")
        .value(process.user_seconds + process.system_seconds);
    text.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
        .value(services.started.wall_millis() as f64 / 1000.0);
    text.counter("quartet_log_lines_dropped_total", "Lines of the log that nobody read in time.")
        .value(services.log.dropped());
    text.counter("quartet_journal_syncs_total", "Writes of the journal that were synced to the disk.  The services share it, so each shows the same figure.");
    services.each_journal(|service, status| text.sample(&[("service", service)], status.syncs));
    text.gauge(
        "quartet_journal_last_sync_seconds",
        "How long the last write of the journal took, with its sync.",
    );
    services.each_journal(|service, status| {
        text.sample(&[("service", service)], seconds(status.last_sync_micros));
    });
    text.gauge("quartet_journal_failed", "1 if the journal cannot be written.");
    services.each_journal(|service, status| {
        text.sample(&[("service", service)], u8::from(status.failure.is_some()));
    });
}

/// The families of connections.
fn connections(text: &mut Exposition, services: &Services) {
    let (clients, requests, attempts) = (&services.clients, &services.metrics.requests, &services.attempts);
    let by_listener = |of_listener: &dyn Fn(Door) -> u64, http: u64| {
        let doors = Door::ALL.iter().map(|&door| (door.name(), of_listener(door)));
        doors.chain([("http", http)]).collect::<Vec<_>>()
    };
    text.gauge("quartet_connections", "Connections there are, by listener.").values(
        "listener",
        by_listener(&|door| clients.len(door) as u64, requests.connections.load(Relaxed) as u64),
    );
    text.counter("quartet_connections_accepted_total", "Connections that were let in, by listener.")
        .values("listener", by_listener(&|door| clients.accepted(door), requests.accepted.load(Relaxed)));
    text.counter("quartet_connections_rejected_total", "Connections that were turned away, by listener.")
        .values("listener", by_listener(&|door| clients.rejected(door), requests.rejected.load(Relaxed)));
    text.counter(
        "quartet_authentications_failed_total",
        "Passwords that were wrong, and those that were not looked at since their address had given too many.",
    )
    .values("reason", [("wrong", attempts.failures()), ("too_many", attempts.unheard_count())]);
    text.gauge("quartet_blocked_clients", "RESP clients that wait for an answer.").value(clients.blocked());
    let (mut queued_output, mut queued_input) = (0, 0);
    for client in clients.all() {
        queued_output += client.outbox.bytes();
        queued_input += client.pending_input.load(Relaxed);
    }
    text.gauge(
        "quartet_queue_bytes",
        "Bytes that wait: output until clients read it, input until it is run.",
    )
    .values("queue", [("output", queued_output), ("input", queued_input)]);
}

/// The families of the Redis listener.
fn commands(text: &mut Exposition, services: &Services) {
    let totals = services.metrics.totals();
    text.counter("quartet_resp_bytes_total", "Bytes of the Redis listener, by direction.")
        .values("direction", [("in", totals.bytes_in), ("out", totals.bytes_out)]);
    text.counter("quartet_commands_total", "Commands of the Redis listener that ran.");
    each_command(services, |labels, command| text.sample(labels, command.calls));
    text.counter("quartet_commands_failed_total", "Commands that answered an error.");
    each_command(services, |labels, command| text.sample(labels, command.failed));
    text.counter("quartet_commands_rejected_total", "Commands that were refused before they ran.");
    each_command(services, |labels, command| text.sample(labels, command.rejected));
    text.histogram("quartet_command_seconds", "How long commands took; of quick commands a sample is timed.");
    for row in services.commands.rows() {
        let durations = services.metrics.durations(row.id);
        if !durations.is_empty() {
            let service = row.command.group.facts().service;
            text.durations(&[("listener", "resp"), ("service", service), ("command", &row.name)], &durations);
        }
    }
    text.counter("quartet_error_replies_total", "Error replies of the Redis listener, by code.");
    for (code, count) in services.metrics.errors() {
        text.sample(&[("code", &code)], count);
    }
}

/// The families of the HTTP listener.
fn requests(text: &mut Exposition, services: &Services) {
    let requests = services.metrics.requests.totals();
    text.counter("quartet_http_requests_total", "Requests of the HTTP listener, by class of status.");
    for ((method, route), totals) in &requests {
        for (class, count) in totals.by_status.iter().enumerate().filter(|(_, count)| **count > 0) {
            let status = format!("{}xx", class + 1);
            let labels = http_labels(method, route);
            text.sample(&[labels[0], labels[1], labels[2], labels[3], ("status", &status)], count);
        }
    }
    text.gauge("quartet_http_response_bytes_in_flight", "Bytes of responses that clients have not read yet.")
        .value(services.metrics.requests.response_bytes.load(Relaxed));
    text.gauge(
        "quartet_http_request_bytes_in_flight",
        "Bytes of bodies of requests that are not answered yet.",
    )
    .value(services.metrics.requests.request_bytes.load(Relaxed));
    text.histogram("quartet_http_request_seconds", "How long requests of the HTTP listener took.");
    for ((method, route), totals) in &requests {
        text.durations(&http_labels(method, route), &totals.durations);
    }
}

/// Calls `write` with the labels and counts of every command that a client has sent.
fn each_command(services: &Services, mut write: impl FnMut(&[(&str, &str)], crate::metrics::CommandTotals)) {
    for row in services.commands.rows() {
        let totals = services.metrics.command_totals(row.id);
        if totals.calls + totals.rejected > 0 {
            let service = row.command.group.facts().service;
            write(&[("listener", "resp"), ("service", service), ("command", &row.name)], totals);
        }
    }
}

/// The service of a route: its tag in the description of the API.
pub(super) fn service_of_route(route: &str) -> &'static str {
    static SERVICES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let tag = |item: utoipa::openapi::PathItem| {
            let operations = [item.get, item.put, item.post, item.delete];
            operations.into_iter().flatten().find_map(|operation| operation.tags?.into_iter().next())
        };
        let paths = super::openapi().paths.paths.into_iter();
        paths.filter_map(|(path, item)| Some((path, tag(item)?))).collect()
    });
    SERVICES.get(route).map_or("server", String::as_str)
}

/// The labels of a request.
fn http_labels<'l>(method: &'l str, route: &'l str) -> [(&'l str, &'l str); 4] {
    [("listener", "http"), ("service", service_of_route(route)), ("method", method), ("route", route)]
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Shows all metrics, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "about",
    responses((status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain")))]
async fn metrics(State(context): State<Context>) -> Response {
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    ([(header::CONTENT_TYPE, media_type)], page(context.services())).into_response()
}

fn page(services: &Services) -> String {
    let mut text = Exposition::default();
    for families in [process, connections, commands, requests] {
        families(&mut text, services);
    }
    for service in services.rows {
        (service.metrics)(&mut text, services);
    }
    text.into_text()
}
