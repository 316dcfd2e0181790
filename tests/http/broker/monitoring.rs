//! The pages of monitoring: figures that move, lists, and what the pages do not take.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::feeds::subscribe;
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};
use crate::support::websocket::{BINARY, TEXT, WebSocket};

pub(super) fn server(more: &[&str]) -> Server {
    Server::quartet(&[&["--http-port", "0", "--broker-port", "0"], more].concat())
}

/// A client that has published to itself, and another one that is gone.
pub(super) fn visit(address: SocketAddr) -> BrokerClient {
    let mut client = BrokerClient::quiet(address);
    client.write("SUB a.b 1\r\nSUB q.* workers 2\r\nPUB a.b 5\r\nhello\r\n");
    client.expect("MSG a.b 1 5\r\nhello\r\n");
    let mut other = BrokerClient::quiet(address);
    other.write("SUB zz 1\r\n");
    other.flush();
    client
}

#[test]
fn the_figures_of_the_server_move() {
    let server = server(&["--broker-ping-interval", "77", "--broker-max-payload", "2mb"]);
    let mut http = Http::connect(server.http_address());
    let before = http.get("/varz").json();
    assert_eq!(
        ["ping_interval", "max_payload", "connections", "in_msgs", "subscriptions"]
            .map(|field| before[field].as_u64()),
        [Some(77_000_000_000), Some(2 << 20), Some(0), Some(0), Some(0)]
    );
    assert_eq!((&before["server_name"], &before["version"]), (&"quartet".into(), &"2.11.9".into()));
    let client = visit(server.broker_address());
    let mut resp = Client::connect(server.address());
    assert_eq!(resp.ask("PUBLISH a.b hello"), "1");
    http.ask("POST", "/publish/a.b", &[("X-A", "b")], b"hello");
    let after = http.get("/varz").json();
    let header = "NATS/1.0\r\nX-A: b\r\n\r\n".len() as u64;
    for (field, expected) in [
        ("connections", 1),
        ("total_connections", 2),
        ("in_msgs", 3),
        ("in_bytes", 15 + header),
        ("out_msgs", 3),
        ("out_bytes", 15 + header),
        ("subscriptions", 2),
        ("slow_consumers", 0),
    ] {
        // The end of the other client may not have been noticed yet.
        wait_for(|| (http.get("/varz").json()[field] == expected).then_some(()));
    }
    assert!(after["mem"].as_u64().is_some_and(|bytes| bytes > 0), "{after}");
    assert!(http.get("/varz").json()["http_req_stats"]["/varz"].as_u64().is_some_and(|count| count > 2));
    drop(client);
    wait_for(|| (http.get("/varz").json()["connections"] == 0).then_some(()));
}

#[test]
fn the_page_of_streams_tells_of_streams_and_consumers() {
    let server = server(&[]);
    let mut http = Http::connect(server.http_address());
    let mut resp = Client::connect(server.address());
    assert_eq!(http.get("/jsz").json()["streams"], 0);
    assert_eq!(resp.ask("STREAM.CREATE B SUBJECTS 1 b.>"), "OK");
    assert_eq!(resp.ask("STREAM.CREATE A SUBJECTS 1 a.> MAXBYTES 1000 STORAGE MEMORY"), "OK");
    resp.ask("STREAM.PUBLISH a.1 hello");
    resp.ask("STREAM.PUBLISH b.1 hello");
    resp.ask("STREAM.PUBLISH b.2 hello");
    let page = http.get("/jsz?streams=1&config=1").json();
    let figures = ["streams", "consumers", "messages", "total", "reserved_memory", "reserved_storage"];
    assert_eq!(figures.map(|figure| page[figure].as_u64()), [2, 0, 3, 1, 1000, 0].map(Some), "{page}");
    let streams = &page["account_details"][0]["stream_detail"];
    let found = [0, 1].map(|at| (streams[at]["name"].as_str(), streams[at]["state"]["messages"].as_u64()));
    assert_eq!(found, [(Some("A"), Some(1)), (Some("B"), Some(2))], "{page}");
    assert_eq!(streams[1]["config"]["subjects"][0], "b.>");
    assert_eq!(http.get("/varz").json()["jetstream"]["stats"]["reserved_memory"], 1000);
    for path in ["/jsz?acc=others&streams=1", "/jsz?streams=1&offset=1", "/jsz?config=1"] {
        assert!(http.get(path).json().get("account_details").is_none(), "{path}");
    }
    assert_eq!(http.get("/jsz?streams=perhaps").status, 400);
}

#[test]
fn connections_are_listed_in_many_ways() {
    let server = server(&[]);
    let mut http = Http::connect(server.http_address());
    let mut busy = visit(server.broker_address());
    busy.write("PUB a.b 0\r\n\r\n");
    busy.expect("MSG a.b 1 0\r\n\r\n");
    let mut idle = BrokerClient::quiet(server.broker_address());
    idle.flush();
    wait_for(|| (http.get("/connz").json()["num_connections"] == 2).then_some(()));
    let page = http.get("/connz?sort=msgs_from&subs=1").json();
    let first = &page["connections"][0];
    assert_eq!(
        (&first["name"], &first["type"], &first["kind"]),
        (&"test".into(), &"nats".into(), &"Client".into())
    );
    for (field, expected) in
        [("in_msgs", 2), ("out_msgs", 2), ("in_bytes", 5), ("subscriptions", 2), ("pending_bytes", 0)]
    {
        assert_eq!(first[field], expected, "{field} of {first}");
    }
    let mut subjects = first["subscriptions_list"].as_array().cloned().expect("it is a list");
    subjects.sort_by_key(ToString::to_string);
    assert_eq!(subjects, ["a.b", "q.*"]);
    let number = first["cid"].as_u64().expect("it is a number");
    let detail = http.get(&format!("/connz?cid={number}&subs=detail")).json();
    assert_eq!((&detail["num_connections"], &detail["total"]), (&1.into(), &2.into()));
    let details = detail["connections"][0]["subscriptions_list_detail"].as_array().expect("it is a list");
    let group = details.iter().find(|detail| detail["sid"] == "2").expect("it is there");
    assert_eq!(
        (&group["subject"], &group["qgroup"], &group["msgs"]),
        (&"q.*".into(), &"workers".into(), &0.into())
    );
    let part = http.get("/connz?limit=1&offset=1&sort=cid").json();
    assert_eq!(
        (&part["num_connections"], &part["limit"], &part["offset"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert!(part["connections"][0]["cid"].as_u64() > Some(number), "{part}");
    // One client has gone before.
    let closed = http.get("/connz?state=closed&sort=stop").json();
    assert_eq!((&closed["num_connections"], &closed["total"]), (&1.into(), &1.into()));
    let gone = &closed["connections"][0];
    assert_eq!((&gone["reason"], &gone["subscriptions"]), (&"Client Closed".into(), &1.into()));
    assert!(gone["stop"].is_string(), "{gone}");
    busy.write("NONSENSE\r\n");
    busy.read_to_end();
    let second = wait_for(|| {
        let page = http.get("/connz?state=closed&sort=stop").json();
        (page["num_connections"] == 2).then(|| page["connections"][0].clone())
    });
    assert_eq!((&second["reason"], &second["cid"]), (&"Protocol Violation".into(), &number.into()));
    assert_eq!(http.get("/connz?state=any").json()["total"], 3);
    drop(idle);
}

#[test]
fn subscriptions_of_all_listeners_are_counted() {
    let server = server(&[]);
    let mut http = Http::connect(server.http_address());
    let client = visit(server.broker_address());
    let mut resp = Client::connect(server.address());
    resp.ask("SUBSCRIBE a.b");
    let feed = subscribe(&server, "/subscribe/a.*", "text/event-stream");
    wait_for(|| (http.get("/subsz").json()["num_subscriptions"] == 4).then_some(()));
    let page = http.get("/subsz?subs=1&test=a.b").json();
    assert_eq!(
        (&page["total"], &page["num_inserts"], &page["num_removes"]),
        (&3.into(), &5.into(), &1.into())
    );
    let subjects = page["subscriptions_list"].as_array().expect("it is a list").iter();
    let mut subjects: Vec<_> = subjects.map(|one| one["subject"].as_str().unwrap_or_default()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["a.*", "a.b", "a.b"]);
    let part = http.get("/subsz?subs=true&limit=2&offset=1").json();
    assert_eq!(part["subscriptions_list"].as_array().map(Vec::len), Some(2));
    drop((client, feed));
}

#[test]
fn monitoring_needs_the_password_and_says_what_it_does_not_take() {
    let guarded = server(&["--requirepass", "sesame"]);
    let mut http = Http::connect(guarded.http_address());
    for path in ["/varz", "/connz", "/subsz", "/healthz"] {
        assert_eq!(http.get(path).problem(), "unauthorized", "{path}");
        let answer = http.ask("GET", path, &[("Authorization", "Bearer sesame")], b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
    }
    let open = server(&[]);
    let mut http = Http::connect(open.http_address());
    for (path, field) in [
        ("/connz?sort=bogus", "sort"),
        ("/connz?sort=stop", "sort"),
        ("/connz?state=bad", "state"),
        ("/connz?limit=x", "limit"),
        ("/connz?subs=maybe", "subs"),
        ("/subsz?subs=detail", "subs"),
    ] {
        let refused = http.get(path);
        assert_eq!((refused.problem().as_str(), refused.status), ("invalid-value", 400), "{path}");
        assert_eq!(refused.json()["field"], field, "{path}");
    }
    // Programs send what other servers take.
    for path in ["/connz?acc=$G&mqtt_client=x", "/varz?mode=1", "/healthz?js-enabled-only=true"] {
        assert_eq!(http.get(path).status, 200, "{path}");
    }
}

/// What each listener has published and was sent, in messages and bytes, as `/metrics` has it.
fn traffic(http: &mut Http) -> BTreeMap<(String, String), (u64, u64)> {
    let mut found = BTreeMap::<_, (u64, u64)>::new();
    for line in http.get("/metrics").text().lines().filter(|line| line.starts_with("quartet_broker_message"))
    {
        let is_bytes = line.starts_with("quartet_broker_message_bytes_total{");
        if !is_bytes && !line.starts_with("quartet_broker_messages_total{") {
            continue;
        }
        let parts: Vec<&str> = line.split('"').collect();
        let of = found.entry((parts[1].to_owned(), parts[3].to_owned())).or_default();
        let figure = parts[4].trim_start_matches('}').trim().parse().expect("it is a number");
        *(if is_bytes { &mut of.1 } else { &mut of.0 }) = figure;
    }
    found
}

#[test]
fn messages_are_counted_by_listener() {
    let server = server(&[]);
    let mut http = Http::connect(server.http_address());
    let mut broker = BrokerClient::quiet(server.broker_address());
    broker.write("SUB a.b 1\r\nSUB a.* 2\r\n");
    broker.flush();
    let mut frames = WebSocket::open(server.http_address(), &[]).expect("it is taken");
    frames.send(BINARY, b"CONNECT {\"verbose\":false}\r\nSUB a.b 1\r\nPING\r\n");
    frames.stream_until("PONG\r\n");
    let json = [("Sec-WebSocket-Protocol", "quartet.json")];
    let mut socket = WebSocket::open(server.http_address(), &json).expect("it is taken");
    socket.send(TEXT, br#"{"op":"subscribe","subject":"a.>"}"#);
    let mut resp = Client::connect(server.address());
    resp.ask("PSUBSCRIBE a*");
    let feed = subscribe(&server, "/subscribe/a.b", "text/event-stream");
    wait_for(|| (http.get("/subsz").json()["num_subscriptions"] == 6).then_some(()));
    // Each of five publishers sends a message of another length to all six subscriptions.
    broker.write("PUB a.b 1\r\nx\r\n");
    frames.send(BINARY, b"PUB a.b 10\r\n0123456789\r\n");
    socket.send(TEXT, format!(r#"{{"op":"publish","subject":"a.b","payload":"{}"}}"#, "x".repeat(100)));
    let payload = "x".repeat(1_000);
    let mut publisher = Client::connect(server.address());
    assert_eq!(publisher.ask(&format!("PUBLISH a.b {payload}")), "6");
    assert_eq!(http.ask("POST", "/publish/a.b", &[], "x".repeat(10_000).as_bytes()).status, 200);
    let all = 11_111;
    let expected = [
        ("broker", "in", 1, 1),
        ("broker", "out", 10, 2 * all),
        ("http", "in", 1, 10_000),
        ("http", "out", 5, all),
        ("resp", "in", 1, 1_000),
        ("resp", "out", 5, all),
        ("server", "in", 0, 0),
        ("websocket", "in", 2, 110),
        ("websocket", "out", 10, 2 * all),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(door, direction, messages, bytes)| ((door.into(), direction.into()), (messages, bytes)))
        .into();
    let found = wait_for(|| {
        let found = traffic(&mut http);
        let messages: u64 = found.values().map(|(messages, _)| messages).sum();
        (messages == 35).then_some(found)
    });
    assert_eq!(found, expected);
    // The connections have the same figures, each its own.
    let page = http.get("/connz?sort=cid").json();
    let figures =
        |one: &Value| ["in_msgs", "in_bytes", "out_msgs", "out_bytes"].map(|field| one[field].clone());
    let of_connections: Vec<_> =
        page["connections"].as_array().expect("it is a list").iter().map(figures).collect();
    let expected = [[1, 1, 10, 2 * all], [1, 10, 5, all], [1, 100, 5, all]].map(|one| one.map(Value::from));
    assert_eq!(of_connections, expected);
    let page = http.get("/varz").json();
    assert_eq!(figures(&page), [5, all, 30, 6 * all].map(Value::from));
    drop(feed);
}

#[test]
fn a_slow_consumer_is_named_as_one() {
    let server = server(&["--broker-max-pending", "1mb"]);
    let mut http = Http::connect(server.http_address());
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $SYS.ACCOUNT.*.DISCONNECT 1\r\n");
    watcher.flush();
    let mut slow = BrokerClient::quiet(server.broker_address());
    slow.write("SUB much 1\r\n");
    slow.flush();
    let mut publisher = BrokerClient::quiet(server.broker_address());
    let message = format!("PUB much {}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    // More than the sockets hold.
    publisher.write(message.repeat(32));
    publisher.flush();
    assert!(watcher.read_line().starts_with("MSG $SYS.ACCOUNT.$G.DISCONNECT 1 "));
    let told: Value = serde_json::from_str(&watcher.read_line()).expect("it is JSON");
    assert_eq!(told["reason"], "Slow Consumer (Pending Bytes)");
    let closed = wait_for(|| {
        let page = http.get("/connz?state=closed").json();
        (page["num_connections"] == 1).then(|| page["connections"][0].clone())
    });
    assert_eq!(closed["reason"], "Slow Consumer (Pending Bytes)", "{closed}");
    let varz = http.get("/varz").json();
    assert_eq!((&varz["slow_consumers"], &varz["slow_consumer_stats"]["clients"]), (&1.into(), &1.into()));
}
