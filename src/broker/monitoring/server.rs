//! /varz: the server and its totals.

use std::collections::BTreeMap;

use serde::Serialize;

use super::streams::StreamsPart;
use super::text::uptime;
use crate::broker::announcement::{NATS_VERSION, SERVER_NAME};
use crate::broker::authentication;
use crate::client::{CloseReason, Door};
use crate::clock::{Now, wall_time};
use crate::command::Services;
use crate::metrics::process::Process;
use crate::settings::{Settings, SlowConsumer};

/// The paths of monitoring, whose requests are counted.
const PATHS: &[&str] = &["/varz", "/connz", "/subsz", "/jsz", "/healthz"];

/// A section without fields, of something that nats-server has and does not use either unless it is told to.
#[derive(Serialize, Debug)]
struct Unused {}

/// Counts by the kind of connection.
#[derive(Serialize, Debug, Default)]
struct ByKind {
    clients: u64,
    routes: u64,
    gateways: u64,
    leafs: u64,
}

/// The page, with the fields in the order of nats-server.
#[derive(Serialize, Debug)]
pub struct ServerPage {
    server_id: String,
    server_name: &'static str,
    version: &'static str,
    proto: u8,
    go: &'static str,
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auth_required: bool,
    max_connections: usize,
    #[serde(skip_serializing_if = "is_zero")]
    max_subscriptions: usize,
    ping_interval: u64,
    ping_max: u32,
    http_host: String,
    http_port: u16,
    http_base_path: &'static str,
    https_port: u16,
    auth_timeout: f64,
    max_control_line: usize,
    max_payload: usize,
    max_pending: usize,
    cluster: Unused,
    gateway: Unused,
    leaf: Unused,
    mqtt: Unused,
    websocket: WebSockets,
    jetstream: StreamsPart,
    tls_timeout: f64,
    write_deadline: u64,
    start: String,
    now: String,
    uptime: String,
    mem: u64,
    cores: usize,
    gomaxprocs: usize,
    cpu: f64,
    connections: usize,
    total_connections: u64,
    routes: u64,
    remotes: u64,
    leafnodes: u64,
    in_msgs: u64,
    in_bytes: u64,
    in_client_msgs: u64,
    in_client_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
    out_client_msgs: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    stale_connections: u64,
    stalled_clients: u64,
    subscriptions: usize,
    http_req_stats: BTreeMap<&'static str, u64>,
    config_load_time: String,
    config_digest: &'static str,
    system_account: &'static str,
    slow_consumer_stats: ByKind,
    stale_connection_stats: ByKind,
}

/// The listener of WebSockets, which is that of HTTP.
#[derive(Serialize, Debug)]
struct WebSockets {
    #[serde(skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(skip_serializing_if = "is_no_port")]
    port: u16,
    compression: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no_port(port: &u16) -> bool {
    *port == 0
}

/// The doors whose connections speak with the broker.
const DOORS: &[Door] = &[Door::Broker, Door::WebSocket];

impl ServerPage {
    /// The page now.
    pub fn new(services: &Services, now: Now) -> ServerPage {
        let settings = services.settings.current();
        let process = Process::now();
        let seconds = now.micros().saturating_sub(services.started.micros()) / 1_000_000;
        let (published, sent) = (services.fan_out.published_by_clients(), services.fan_out.sent());
        let started = wall_time(services.started.wall_micros());
        let slow = slow_consumers(services);
        let stale = services.clients.closed.count(CloseReason::Stale);
        let host = host(&settings);
        let http_port = settings.http_port.first().copied().unwrap_or(0);
        ServerPage {
            server_id: services.announcement.server_id.clone(),
            server_name: SERVER_NAME,
            version: NATS_VERSION,
            proto: 1,
            go: "none",
            host: host.clone(),
            port: settings.broker_port.unwrap_or(0),
            auth_required: authentication::is_required(&settings),
            max_connections: settings.broker_connection_limit,
            max_subscriptions: settings.broker_max_subscriptions,
            ping_interval: settings.broker_ping_interval.as_nanos() as u64,
            ping_max: settings.broker_max_pings_out,
            http_host: host.clone(),
            http_port,
            http_base_path: "",
            https_port: 0,
            auth_timeout: settings.broker_auth_timeout.as_secs_f64(),
            max_control_line: settings.broker_max_control_line,
            max_payload: settings.broker_max_payload,
            max_pending: settings.broker_max_pending,
            cluster: Unused {},
            gateway: Unused {},
            leaf: Unused {},
            mqtt: Unused {},
            websocket: WebSockets { host, port: http_port, compression: settings.websocket_compression },
            jetstream: StreamsPart::new(services),
            tls_timeout: 0.0,
            write_deadline: settings.broker_write_deadline.as_nanos() as u64,
            config_load_time: started.clone(),
            start: started,
            now: wall_time(now.wall_micros()),
            uptime: uptime(seconds),
            mem: process.resident_bytes,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            gomaxprocs: settings.threads,
            cpu: services.metrics.processor.percent(&process, now),
            connections: DOORS.iter().map(|&door| services.clients.len(door)).sum(),
            total_connections: DOORS.iter().map(|&door| services.clients.accepted(door)).sum(),
            routes: 0,
            remotes: 0,
            leafnodes: 0,
            in_msgs: published.messages,
            in_bytes: published.bytes,
            in_client_msgs: published.messages,
            in_client_bytes: published.bytes,
            out_msgs: sent.messages,
            out_bytes: sent.bytes,
            out_client_msgs: sent.messages,
            out_client_bytes: sent.bytes,
            slow_consumers: slow,
            stale_connections: stale,
            stalled_clients: 0,
            subscriptions: services.fan_out.channels.subscription_count(),
            http_req_stats: requests(services),
            config_digest: "",
            system_account: "$SYS",
            slow_consumer_stats: ByKind { clients: slow, ..ByKind::default() },
            stale_connection_stats: ByKind { clients: stale, ..ByKind::default() },
        }
    }
}

fn host(settings: &Settings) -> String {
    settings.bind.first().map_or_else(String::new, ToString::to_string)
}

/// Receivers that were cut off since they were too slow.
fn slow_consumers(services: &Services) -> u64 {
    let word = SlowConsumer::Disconnect.word();
    let met = services.fan_out.slow_receivers().filter(|(policy, _)| *policy == word);
    met.map(|(_, count)| count).sum::<u64>() + services.clients.closed.count(CloseReason::WriteDeadline)
}

/// How often the pages of monitoring were asked for.
fn requests(services: &Services) -> BTreeMap<&'static str, u64> {
    let totals = services.metrics.requests.totals();
    let count = |path: &str| {
        let of_path = totals.iter().filter(|((method, route), _)| *method == "GET" && route == path);
        of_path.map(|(_, route)| route.by_status.iter().sum::<u64>()).sum::<u64>()
    };
    PATHS.iter().map(|path| (*path, count(path))).filter(|(_, count)| *count > 0).collect()
}
