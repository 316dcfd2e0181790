//! Every figure of INFO and `/metrics` moves: for each there is something that changes it, or a reason why nothing does.

use std::collections::{BTreeMap, BTreeSet};

use super::constant_figures::{CONSTANT, REPEATED};
use super::{script_figures, stream_figures};
use crate::support::broker::BrokerClient;
use crate::support::client::{Client, request};
use crate::support::http::Http;
use crate::support::process::{Folder, Server, wait_for};
use crate::support::websocket::{TEXT, WebSocket};

/// The server and its clients.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) client: Client,
    other: Client,
    http: Http,
}

/// Something that is done, and the figures it changes: a field of INFO, the part of one behind a point, or a series of
/// `/metrics`.
pub(super) type Step = (&'static str, fn(&mut Stage), &'static [&'static str]);

const STEPS: &[Step] = &[
    stream_figures::USED,
    stream_figures::REFUSED,
    stream_figures::DAMAGED,
    script_figures::SCRIPT,
    script_figures::LIBRARY,
    (
        "keys are written",
        |stage| {
            stage.lines(&[
                "SET key value",
                "SET brief value EX 1000",
                "SELECT 1",
                "SET other value",
                "SELECT 0",
            ]);
        },
        &[
            "used_memory",
            "used_memory_human",
            "used_memory_peak",
            "used_memory_peak_human",
            "used_memory_dataset",
            "mem_fragmentation_ratio",
            "mem_fragmentation_bytes",
            "db0.keys",
            "db0.expires",
            "db0.avg_ttl",
            "cmdstat_set.calls",
            "latency_percentiles_usec_set.p50",
            "total_commands_processed",
            "total_net_input_bytes",
            "total_net_output_bytes",
            "instantaneous_ops_per_sec",
            "instantaneous_input_kbps",
            "instantaneous_output_kbps",
            "quartet_cache_keys{database=\"0\"}",
            "quartet_cache_keys_with_ttl{database=\"0\"}",
            "quartet_cache_memory_bytes{part=\"entries\"}",
            "quartet_cache_memory_bytes{part=\"buckets\"}",
            "quartet_cache_memory_bytes{part=\"expiry\"}",
            "quartet_resp_bytes_total{direction=\"in\"}",
            "quartet_resp_bytes_total{direction=\"out\"}",
            "quartet_commands_total{listener=\"resp\",service=\"cache\",command=\"set\"}",
            "quartet_command_seconds_count{listener=\"resp\",service=\"cache\",command=\"set\"}",
        ],
    ),
    (
        "long keys make the store less than its entries",
        |stage| stage.lines(&[&format!("SET {} value", "k".repeat(1000))]),
        &["used_memory_dataset_perc"],
    ),
    (
        "keys are read",
        |stage| stage.lines(&["GET key", "GET missing"]),
        &["keyspace_hits", "keyspace_misses", "quartet_cache_hits_total", "quartet_cache_misses_total"],
    ),
    ("a key goes", |stage| stage.lines(&["DEL key"]), &["used_memory_peak_perc"]),
    (
        "a command fails and one is refused",
        |stage| {
            stage.client.ask("INCR brief");
            stage.client.ask("INCR");
        },
        &[
            "cmdstat_incr.failed_calls",
            "cmdstat_incr.rejected_calls",
            "errorstat_ERR.count",
            "total_error_replies",
            "quartet_commands_failed_total{listener=\"resp\",service=\"cache\",command=\"incr\"}",
            "quartet_commands_rejected_total{listener=\"resp\",service=\"cache\",command=\"incr\"}",
            "quartet_error_replies_total{code=\"ERR\"}",
        ],
    ),
    (
        "a key expires",
        |stage| stage.lines(&["SET fleeting value PX 1"]),
        &[
            "expired_keys",
            "expiry_lag_max_ms",
            "quartet_cache_expired_total",
            "quartet_cache_expiry_lag_max_seconds",
        ],
    ),
    (
        "memory is limited",
        |stage| {
            stage.lines(&["CONFIG SET maxmemory-policy allkeys-adaptive", "CONFIG SET maxmemory 1"]);
            // There may be no room for it even then.
            stage.client.ask("SET one value");
        },
        &[
            "maxmemory",
            "maxmemory_human",
            "maxmemory_policy",
            "evicted_keys",
            "quartet_cache_evictions_total",
            "quartet_cache_memory_limit_bytes",
        ],
    ),
    (
        "memory is limited no more",
        |stage| stage.lines(&["CONFIG SET maxmemory 0", "SET three value"]),
        &["quartet_cache_memory_bytes{part=\"eviction\"}"],
    ),
    (
        "a client comes",
        |stage| {
            // The one before stays: it is not seen when its end is noticed.
            let new = Client::connect(stage.server.address());
            std::mem::forget(std::mem::replace(&mut stage.other, new));
        },
        &["total_connections_received", "quartet_connections_accepted_total{listener=\"resp\"}"],
    ),
    (
        "another stays",
        |stage| std::mem::forget(Client::connect(stage.server.address())),
        &["connected_clients", "quartet_connections{listener=\"resp\"}"],
    ),
    (
        "a client of the broker comes",
        |stage| {
            let mut client = BrokerClient::quiet(stage.server.broker_address());
            client.write("SUB figures 1\r\nPUB figures 1\r\nx\r\n");
            std::mem::forget(client);
        },
        &[
            "quartet_connections{listener=\"broker\"}",
            "quartet_connections_accepted_total{listener=\"broker\"}",
            "broker_connections",
            "broker_subscriptions",
            "broker_messages_in",
            "broker_bytes_in",
        ],
    ),
    (
        "a WebSocket comes",
        |stage| std::mem::forget(WebSocket::open(stage.server.http_address(), &[])),
        &[
            "quartet_connections{listener=\"websocket\"}",
            "quartet_connections_accepted_total{listener=\"websocket\"}",
            "broker_websocket_connections",
        ],
    ),
    (
        "messages are published on every listener, and by the server",
        |stage| {
            let mut broker = BrokerClient::quiet(stage.server.broker_address());
            broker.write("SUB m.> 1\r\nSUB $SYS.> 2\r\n");
            broker.flush();
            let json = [("Sec-WebSocket-Protocol", "quartet.json")];
            let mut socket = WebSocket::open(stage.server.http_address(), &json).expect("it is taken");
            socket.send(TEXT, br#"{"op":"subscribe","subject":"m.>"}"#);
            let mut stream = Http::connect(stage.server.http_address());
            stream.write(b"GET /subscribe/m.%3E HTTP/1.1\r\nHost: localhost\r\n\r\n");
            wait_for(|| (stage.http.get("/subsz").json()["num_subscriptions"] == 5).then_some(()));
            // Threads tell of their lookups now and then.
            broker.write("PUB m.a 1\r\nx\r\n".repeat(10_000));
            stage.lines(&["PUBLISH m.a x"]);
            assert_eq!(stage.http.ask("POST", "/publish/m.a", &[], b"x").status, 200);
            socket.send(TEXT, br#"{"op":"publish","subject":"m.a","payload":"x"}"#);
            std::mem::forget((broker, socket, stream));
        },
        &[
            "quartet_broker_subscriptions",
            "quartet_broker_lookups_total",
            "quartet_broker_lookups_remembered",
            "quartet_broker_messages_total{listener=\"resp\",direction=\"in\"}",
            "quartet_broker_messages_total{listener=\"broker\",direction=\"in\"}",
            "quartet_broker_messages_total{listener=\"broker\",direction=\"out\"}",
            "quartet_broker_messages_total{listener=\"websocket\",direction=\"in\"}",
            "quartet_broker_messages_total{listener=\"websocket\",direction=\"out\"}",
            "quartet_broker_messages_total{listener=\"http\",direction=\"in\"}",
            "quartet_broker_messages_total{listener=\"http\",direction=\"out\"}",
            "quartet_broker_messages_total{listener=\"server\",direction=\"in\"}",
            "quartet_broker_message_bytes_total{listener=\"resp\",direction=\"in\"}",
            "quartet_broker_message_bytes_total{listener=\"broker\",direction=\"in\"}",
            "quartet_broker_message_bytes_total{listener=\"broker\",direction=\"out\"}",
            "quartet_broker_message_bytes_total{listener=\"websocket\",direction=\"in\"}",
            "quartet_broker_message_bytes_total{listener=\"websocket\",direction=\"out\"}",
            "quartet_broker_message_bytes_total{listener=\"http\",direction=\"in\"}",
            "quartet_broker_message_bytes_total{listener=\"http\",direction=\"out\"}",
            "quartet_broker_message_bytes_total{listener=\"server\",direction=\"in\"}",
        ],
    ),
    (
        "clients come in vain",
        |stage| {
            let limits = ["maxclients", "broker-connection-limit"];
            stage.lines(&limits.map(|name| format!("CONFIG SET {name} 1")).each_ref().map(String::as_str));
            drop(BrokerClient::connect(stage.server.broker_address()));
            drop(WebSocket::open(stage.server.http_address(), &[]));
            stage.lines(&["CONFIG SET http-connection-limit 1"]);
            drop(Client::connect(stage.server.address()));
            drop(Http::connect(stage.server.http_address()));
        },
        &[
            "maxclients",
            "rejected_connections",
            "quartet_connections_rejected_total{listener=\"resp\"}",
            "quartet_connections_rejected_total{listener=\"http\"}",
            "quartet_connections_rejected_total{listener=\"broker\"}",
            "quartet_connections_rejected_total{listener=\"websocket\"}",
        ],
    ),
    (
        "a client gives a wrong password",
        |stage| {
            stage.lines(&["CONFIG SET maxclients 100", "CONFIG SET requirepass secret"]);
            Client::connect(stage.server.address()).ask("AUTH wrong");
            stage.client.call(&["CONFIG", "SET", "requirepass", ""]);
        },
        &["acl_access_denied_auth", "quartet_authentications_failed_total{reason=\"wrong\"}"],
    ),
    (
        "a web client comes",
        |stage| {
            stage.lines(&["CONFIG SET maxclients 100", "CONFIG SET http-connection-limit 100"]);
            let mut http = Http::connect(stage.server.http_address());
            http.get("/cache/missing");
            std::mem::forget(http);
        },
        &[
            "quartet_connections{listener=\"http\"}",
            "quartet_connections_accepted_total{listener=\"http\"}",
            "quartet_http_requests_total{listener=\"http\",service=\"cache\",method=\"GET\",route=\"/cache/{key}\",status=\"4xx\"}",
            "quartet_http_request_seconds_count{listener=\"http\",service=\"cache\",method=\"GET\",route=\"/cache/{key}\"}",
        ],
    ),
    (
        "locks are taken and waited for",
        |stage| {
            stage.lines(&["LOCK.SESSION OPEN TTL 600000", "LOCK.ACQUIRE door ann TTL 600000 REQID 1"]);
            stage.other.write(&request(&["LOCK.ACQUIRE", "door", "bob", "TTL", "600000", "WAIT", "600000"]));
        },
        &[
            "lock_resources",
            "lock_owners",
            "lock_leases",
            "lock_waiters",
            "lock_sessions",
            "lock_request_ids",
            "lock_memory",
            "quartet_lock_memory_bytes",
            "lock_last_fence",
            "locks_granted",
            "locks_waited_for",
            "quartet_lock_events_total{event=\"waited\"}",
            "blocked_clients",
            "clients_in_timeout_table",
            "locks_journal_appended_bytes",
            "locks_journal_synced_bytes",
            "locks_journal_syncs",
            "locks_journal_last_sync_usec",
            "quartet_blocked_clients",
            "quartet_locks{kind=\"resource\"}",
            "quartet_locks{kind=\"owner\"}",
            "quartet_locks{kind=\"lease\"}",
            "quartet_locks{kind=\"waiter\"}",
            "quartet_locks{kind=\"session\"}",
            "quartet_lock_events_total{event=\"granted\"}",
            "quartet_journal_syncs_total{service=\"locks\"}",
            "quartet_journal_last_sync_seconds{service=\"locks\"}",
        ],
    ),
    (
        "requests wait to be run",
        |stage| stage.other.write(&request(&["PING"])),
        &["quartet_queue_bytes{queue=\"input\"}"],
    ),
    (
        "locks change hands",
        |stage| {
            stage.client.ask("LOCK.RENEW door ann TTL 600000");
            stage.client.ask("LOCK.RELEASE door ann");
            stage.client.ask("LOCK.ACQUIRE gate ann TTL 300");
            stage.client.ask("LOCK.ACQUIRE wall ann TTL 600000");
            stage.client.ask("LOCK.FORCE wall");
        },
        &[
            "locks_renewed",
            "locks_released",
            "locks_expired",
            "locks_forced",
            "quartet_lock_events_total{event=\"renewed\"}",
            "quartet_lock_events_total{event=\"released\"}",
            "quartet_lock_events_total{event=\"expired\"}",
            "quartet_lock_events_total{event=\"forced\"}",
        ],
    ),
    (
        "locks are waited for in vain",
        |stage| {
            stage.client.ask("LOCK.ACQUIRE roof ann TTL 600000");
            stage.client.ask("LOCK.ACQUIRE roof bob TTL 600000 WAIT 1");
        },
        &["locks_timed_out", "quartet_lock_events_total{event=\"timed_out\"}"],
    ),
    (
        "owners wait in a circle and a session is lost",
        |stage| {
            stage.client.ask("LOCK.ACQUIRE east dan TTL 600000");
            stage.client.ask("LOCK.ACQUIRE west eve TTL 600000");
            let mut first = Client::connect(stage.server.address());
            first.write(&request(&["LOCK.ACQUIRE", "west", "dan", "TTL", "600000", "WAIT", "600000"]));
            stage.until("lock_waiters", "1");
            stage.client.ask("LOCK.ACQUIRE east eve TTL 600000 WAIT 600000");
            let session = stage.client.ask("LOCK.SESSION OPEN TTL 1");
            stage.client.ask(&format!("LOCK.ACQUIRE attic fay SESSION {session}"));
        },
        &["locks_deadlocks", "quartet_lock_events_total{event=\"deadlock\"}"],
    ),
    (
        "a session is lost",
        |stage| {
            let session = stage.client.ask("LOCK.SESSION OPEN TTL 300");
            stage.client.ask(&format!("LOCK.ACQUIRE cellar gus SESSION {session}"));
        },
        &["locks_lost", "quartet_lock_events_total{event=\"lost\"}"],
    ),
    (
        "channels are listened to",
        |stage| {
            let mut listener = Client::connect(stage.server.address());
            listener.write(&request(&["SUBSCRIBE", "news"]));
            listener.write(&request(&["PSUBSCRIBE", "n*"]));
            listener.write(&request(&["SSUBSCRIBE", "shard"]));
            std::mem::forget(listener);
        },
        &[
            "pubsub_channels",
            "pubsub_patterns",
            "pubsubshard_channels",
            "quartet_broker_channels{kind=\"channel\"}",
            "quartet_broker_channels{kind=\"shard\"}",
            "quartet_broker_channels{kind=\"pattern\"}",
        ],
    ),
    (
        "readers of messages are slow, and one is too slow",
        |stage| {
            stage.lines(&["CONFIG SET broker-memory-limit 1gb"]);
            let message = "m".repeat(1 << 20);
            // The second one is left with more than its socket takes, and less than the limit.
            for (channel, messages) in [("cut-off", 64), ("slow", 24)] {
                let mut slow = Client::connect(stage.server.address());
                slow.ask(&format!("SUBSCRIBE {channel}"));
                stage.lines(&vec![format!("PUBLISH {channel} {message}").as_str(); messages]);
                std::mem::forget(slow);
            }
        },
        &[
            "quartet_broker_slow_consumers_total{policy=\"disconnect\"}",
            "broker_slow_consumers",
            "broker_waiting_bytes",
            "broker_messages_out",
            "broker_bytes_out",
            "quartet_broker_messages_total{listener=\"resp\",direction=\"out\"}",
            "quartet_broker_message_bytes_total{listener=\"resp\",direction=\"out\"}",
            "quartet_broker_waiting_bytes",
            "quartet_broker_waiting_limit_bytes",
        ],
    ),
    (
        "output is not read",
        |stage| {
            let value = "v".repeat(1 << 20);
            stage.lines(&[&format!("SET large {value}")]);
            let mut slow = Client::connect(stage.server.address());
            slow.write(&request(&["GET", "large"]).repeat(64));
            std::mem::forget(slow);
        },
        &[
            "quartet_queue_bytes{queue=\"output\"}",
            "used_memory_rss",
            "used_memory_rss_human",
            "process_resident_memory_bytes",
        ],
    ),
    (
        "responses and bodies are under way",
        |stage| {
            let mut slow = Http::connect(stage.server.http_address());
            for _ in 0..64 {
                slow.write(b"GET /cache/large HTTP/1.1\r\nHost: localhost\r\n\r\n");
            }
            let mut unfinished = Http::connect(stage.server.http_address());
            unfinished.write(b"PUT /cache/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n");
            unfinished.write(b"Content-Length: 500000\r\n\r\n");
            unfinished.write(&[b'x'; 400_000]);
            std::mem::forget((slow, unfinished));
        },
        &["quartet_http_response_bytes_in_flight", "quartet_http_request_bytes_in_flight"],
    ),
    (
        "limits decide",
        |stage| {
            stage.lines(&["RL.POLICY SET api ALGO fixed LIMIT 1 PERIOD 600000"]);
            stage.lines(&["RL.POLICY SET shadow ALGO fixed LIMIT 1 PERIOD 600000 SHADOW"]);
            for policy in ["api", "shadow"] {
                stage.client.ask(&format!("RL.CHECK user POLICY {policy}"));
                stage.client.ask(&format!("RL.CHECK user POLICY {policy}"));
            }
        },
        &[
            "limits_journal_appended_bytes",
            "limits_journal_synced_bytes",
            "limits_journal_syncs",
            "limits_journal_last_sync_usec",
            "quartet_journal_syncs_total{service=\"limits\"}",
            "quartet_journal_last_sync_seconds{service=\"limits\"}",
            "limit_policies",
            "limit_allowed",
            "limit_refused",
            "limit_shadow_refused",
            "limit_memory",
            "limit_policy_api.refused",
            "quartet_limit_policies",
            "quartet_limit_memory_bytes",
            "quartet_limit_decisions_total{policy=\"api\",decision=\"refused\"}",
        ],
    ),
    (
        "locks have another limit",
        |stage| stage.lines(&["CONFIG SET lock-maxmemory 100mb"]),
        &["lock_maxmemory", "quartet_lock_memory_limit_bytes"],
    ),
    (
        "limits have no room",
        |stage| {
            stage.lines(&["CONFIG SET limit-maxmemory 1"]);
            stage.client.ask("RL.CHECK stranger POLICY api");
        },
        &["limit_maxmemory", "limit_without_room", "quartet_limit_memory_limit_bytes"],
    ),
    (
        "work is done",
        |stage| {
            for _ in 0..100 {
                stage.lines(&["KEYS *"]);
            }
        },
        &[
            "server_time_usec",
            "uptime_in_seconds",
            "used_cpu_sys",
            "used_cpu_user",
            "quartet_uptime_seconds",
            "process_cpu_seconds_total",
        ],
    ),
];

impl Stage {
    /// Sends commands that are answered without an error.
    pub(super) fn lines(&mut self, lines: &[&str]) {
        for line in lines {
            let answer = self.client.ask(line);
            assert!(!answer.starts_with('-'), "{line}: {answer}");
        }
    }

    /// Waits until a figure has a value.
    fn until(&mut self, figure: &str, value: &str) {
        wait_for(|| (self.figures().get(figure).map(String::as_str) == Some(value)).then_some(()));
    }

    /// All figures there are.
    pub(super) fn figures(&mut self) -> BTreeMap<String, String> {
        let mut figures = BTreeMap::new();
        let page = self.client.ask("INFO everything");
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.split_once(':') else { continue };
            if !value.contains('=') {
                figures.insert(name.to_owned(), value.to_owned());
                continue;
            }
            for part in value.split(',') {
                let (field, value) = part.split_once('=').expect("a field has a value");
                figures.insert(format!("{name}.{field}"), value.to_owned());
            }
        }
        let page = self.http.get("/metrics");
        for line in page.text().lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            figures.insert(series.to_owned(), value.to_owned());
        }
        figures
    }
}

/// Whether a figure is one of a table's: by its whole name, or by that of its family.
fn is_named(figure: &str, name: &str) -> bool {
    figure == name || figure.split(['{', '.']).next() == Some(name)
}

#[test]
fn every_figure_moves() {
    let folder = Folder::new();
    let directory = folder.path().join("data");
    let doors = ["--http-port", "0", "--broker-port", "0"];
    let rest = ["--threads", "2", "--dir", &directory.to_string_lossy()];
    let server = Server::quartet(&[doors, rest].concat());
    let connect = || Client::connect(server.address());
    let (client, other, http) = (connect(), connect(), Http::connect(server.http_address()));
    let mut stage = Stage { server, client, other, http };
    let mut seen = BTreeSet::new();
    let mut failures = Vec::new();
    for (what, act, moved) in STEPS {
        let before = stage.figures();
        act(&mut stage);
        let mut left: BTreeSet<&str> = moved.iter().copied().collect();
        for _ in 0..1000 {
            let after = stage.figures();
            left.retain(|figure| after.get(*figure) == before.get(*figure) || !after.contains_key(*figure));
            seen.extend(after.into_keys());
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            failures.push(format!("when {what}, these do not move: {left:?}"));
        }
    }
    let moved = || STEPS.iter().flat_map(|(_, _, figures)| figures.iter());
    let constant = || CONSTANT.iter().flat_map(|(_, figures)| figures.iter());
    let unknown: Vec<&String> = seen
        .iter()
        .filter(|figure| !figure.contains("_bucket{"))
        .filter(|figure| !REPEATED.iter().any(|family| figure.starts_with(family)))
        .filter(|figure| {
            !moved().any(|name| figure == name) && !constant().any(|name| is_named(figure, name))
        })
        .collect();
    if !unknown.is_empty() {
        failures.push(format!("nothing is known to move these: {unknown:?}"));
    }
    let gone: Vec<_> = constant().filter(|name| !seen.iter().any(|figure| is_named(figure, name))).collect();
    if !gone.is_empty() {
        failures.push(format!("these are not there: {gone:?}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
