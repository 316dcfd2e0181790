//! The pages of monitoring beside those of nats-server: fields, figures, orders and reasons.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::monitoring::{server, visit};
use crate::support::broker::BrokerClient;
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::{Folder, Server, pause, wait_for};

/// Fields that only one of the two has, with the reason.
const DIFFERENCES: &[(&str, &str)] = &[
    ("/varz .git_commit", "it names a version of nats-server"),
    ("/varz .feature_flags", "they are those of nats-server"),
    ("/varz .disk_io_wait_stats", "its streams wait for the disk"),
    ("/varz .http_req_stats", "its fields are the pages that were asked for"),
    ("/varz .jetstream.config.sync_always", "nothing is acknowledged before it is synced"),
    ("/jsz .config.sync_always", "nothing is acknowledged before it is synced"),
    ("/jsz .account_details[].stream_detail[].config.metadata", "its versions are its own"),
    ("/jsz .account_details[].stream_detail[].consumer_detail[].config.metadata", "its versions are its own"),
    ("/varz .websocket", "WebSockets have the port of HTTP, and are always on"),
    (
        "/connz .connections[].rtt",
        "here it is known once a ping was answered; there it is a made-up number until then",
    ),
];

/// Long enough for the clocks of servers to show another time.
const TICK: Duration = Duration::from_millis(3);

/// The kinds of all fields by their places.
fn shape(place: &str, value: &Value, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                shape(&format!("{place}.{name}"), value, found);
            }
            "object"
        }
        Value::Array(items) => {
            for item in items {
                shape(&format!("{place}[]"), item, found);
            }
            "list"
        }
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "switch",
        Value::Null => "null",
    };
    found.insert(place.to_owned(), kind);
}

/// A stream with a message and a consumer, and one with nothing.
fn make_streams(address: SocketAddr) {
    let mut client = BrokerClient::quiet(address);
    let mut ask = |subject: &str, body: &str| {
        let inbox = "_INBOX.monitoring";
        client.write(format!(
            "SUB {inbox} 9\r\nUNSUB 9 1\r\nPUB {subject} {inbox} {}\r\n{body}\r\n",
            body.len()
        ));
        let reply = client.read_until("}\r\n");
        assert!(!reply.contains("\"error\""), "{reply}");
    };
    ask("$JS.API.STREAM.CREATE.A", r#"{"name":"A","subjects":["js.a.>"],"max_bytes":100000}"#);
    ask("$JS.API.STREAM.CREATE.B", r#"{"name":"B","subjects":["js.b"],"storage":"memory"}"#);
    let body = r#"{"stream_name":"A","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
    ask("$JS.API.CONSUMER.DURABLE.CREATE.A.c", body);
    ask("js.a.1", "hello");
}

#[test]
fn pages_have_the_fields_of_nats_server() {
    let Some(program) = peers::nats_server() else { return };
    let folder = Folder::new();
    let settings = format!(
        "http: \"127.0.0.1:-1\"\njetstream {{ store_dir: {:?} }}\n",
        folder.path().display().to_string()
    );
    let (ours, theirs) = (server(&[]), Server::nats(&program, 0, &settings));
    let _clients = [visit(ours.broker_address()), visit(theirs.address())];
    for address in [ours.broker_address(), theirs.address()] {
        make_streams(address);
    }
    let mut doors = [Http::connect(ours.http_address()), Http::connect(theirs.nats_monitoring_address())];
    for path in [
        "/varz",
        "/connz",
        "/connz?subs=1",
        "/connz?subs=detail",
        "/connz?state=closed",
        "/connz?limit=1&offset=1",
        "/subsz",
        "/subsz?subs=1",
        "/jsz",
        "/jsz?accounts=1",
        "/jsz?acc=$G",
        "/jsz?acc=others&streams=1",
        "/jsz?streams=1",
        "/jsz?streams=1&offset=1",
        "/jsz?consumers=1",
        "/jsz?consumers=1&config=1",
        "/healthz",
    ] {
        let [ours, theirs] = [0, 1].map(|door| {
            let page = || {
                let page = doors[door].get(path).json();
                let is_there = path != "/connz?state=closed" || page["num_connections"] != 0;
                is_there.then_some(page)
            };
            let page = wait_for(page);
            let mut found = BTreeMap::new();
            shape("", &page, &mut found);
            found
        });
        let page = path.split('?').next().expect("a path has a start");
        let is_known =
            |place: &str| DIFFERENCES.iter().any(|(known, _)| format!("{page} {place}").starts_with(known));
        for (place, kind) in &theirs {
            assert!(is_known(place) || ours.get(place) == Some(kind), "{path}: {place} is a {kind} there");
        }
        for place in ours.keys() {
            assert!(is_known(place) || theirs.contains_key(place), "{path}: {place} is not there");
        }
    }
}

#[test]
fn figures_of_connections_are_those_of_nats_server() {
    let Some(program) = peers::nats_server() else { return };
    let (ours, theirs) = (server(&[]), Server::nats(&program, 0, "http: \"127.0.0.1:-1\"\n"));
    let figures = |address, monitoring| {
        let mut http = Http::connect(monitoring);
        let mut client = BrokerClient::quiet(address);
        client.write("CONNECT {\"verbose\":false,\"headers\":true,\"echo\":false}\r\nSUB a.* 1\r\n");
        client.flush();
        let mut other = BrokerClient::quiet(address);
        other.write("CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB a.* 1\r\nSUB a.> 2\r\nSUB b 3\r\nUNSUB 3 1\r\n");
        other.write(
            "PUB a.b 5\r\nhello\r\nHPUB a.b 20 22\r\nNATS/1.0\r\nA: bcd\r\n\r\nxx\r\nPUB nobody 3\r\nxyz\r\n",
        );
        other.write("PUB b 1\r\nx\r\nPUB b 1\r\nx\r\n");
        other.frames_before_pong();
        client.write("PUB a.b 1\r\nx\r\n");
        client.frames_before_pong();
        other.frames_before_pong();
        let page = http.get("/connz?sort=cid").json();
        let fields = ["in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions"];
        let connections = page["connections"].as_array().expect("it is a list").iter();
        let of_connections =
            connections.map(|one| fields.map(|field| one[field].clone())).collect::<Vec<_>>();
        let page = http.get("/varz").json();
        let fields = ["in_msgs", "out_msgs", "in_bytes", "out_bytes", "in_client_msgs", "out_client_bytes"];
        (of_connections, fields.map(|field| page[field].clone()))
    };
    let ours = figures(ours.broker_address(), ours.http_address());
    assert_eq!(ours, figures(theirs.address(), theirs.nats_monitoring_address()));
    assert_eq!(ours.0[1], [5, 7, 32, 57, 2].map(Value::from), "{:?}", ours.0);
}

#[test]
fn connections_are_in_the_order_of_nats_server() {
    let Some(program) = peers::nats_server() else { return };
    let (ours, theirs) = (server(&[]), Server::nats(&program, 0, "http: \"127.0.0.1:-1\"\n"));
    let orders = |address, monitoring| {
        let mut http = Http::connect(monitoring);
        let mut clients = Vec::new();
        // Each figure has another order of the clients: what they publish, get, and are subscribed to.
        for (name, subscriptions, received, sent) in [("a", 2, 30, 1), ("b", 3, 10, 3), ("c", 1, 20, 2)] {
            pause(TICK);
            let mut client = BrokerClient::connect_silently(address);
            client.write(format!("CONNECT {{\"verbose\":false,\"name\":\"{name}\"}}\r\n"));
            (0..subscriptions).for_each(|id| client.write(format!("SUB {name}.{id} {id}\r\n")));
            client.write(format!("PUB {name}.0 1\r\nx\r\n").repeat(received));
            client.write("PUB nobody 1000\r\n".to_owned() + &"x".repeat(1000) + "\r\n");
            client.write("PUB nobody 0\r\n\r\n".repeat(100 * sent));
            client.frames_before_pong();
            clients.push(client);
        }
        for last in [1, 0, 2] {
            pause(TICK);
            clients[last].write("PUB nobody 0\r\n\r\n");
            clients[last].frames_before_pong();
        }
        let words = [
            "",
            "cid",
            "start",
            "subs",
            "msgs_to",
            "msgs_from",
            "bytes_to",
            "bytes_from",
            "last",
            "idle",
            "uptime",
        ];
        words.map(|word| {
            let page = http.get(&format!("/connz?sort={word}")).json();
            let connections = page["connections"].as_array().expect("it is a list").iter();
            let names = connections.map(|one| one["name"].as_str().unwrap_or_default().to_owned());
            (word, names.collect::<Vec<_>>().concat())
        })
    };
    let ours = orders(ours.broker_address(), ours.http_address());
    assert_eq!(ours, orders(theirs.address(), theirs.nats_monitoring_address()));
    assert!(ours.iter().all(|(_, names)| names.len() == 3), "{ours:?}");
}

#[test]
fn reasons_of_the_end_are_those_of_nats_server() {
    let Some(program) = peers::nats_server() else { return };
    let settings = "http: \"127.0.0.1:-1\"\nmax_payload: 1024\nauthorization { token: secret }\n";
    let theirs = Server::nats(&program, 0, settings);
    let ours = server(&["--requirepass", "secret", "--broker-max-payload", "1kb"]);
    let connect = |more: &str| format!("CONNECT {{\"verbose\":false,\"auth_token\":\"secret\"{more}}}\r\n");
    let cases = [
        (String::new(), "Client Closed"),
        ("CONNECT {\"auth_token\":\"wrong\"}\r\n".to_owned(), "Authentication Failure"),
        ("PUB a 1\r\nx\r\n".to_owned(), "Authentication Failure"),
        ("CONNECT {no JSON\r\n".to_owned(), "Protocol Violation"),
        (connect(",\"protocol\":7"), "Bad Client Protocol Version"),
        (connect(",\"no_responders\":true,\"headers\":false"), "No Responders Requires Headers"),
        (connect("") + "NONSENSE\r\n", "Protocol Violation"),
        (connect("") + "PUB a x\r\n", "Protocol Violation"),
        (connect("") + "HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\n", "Protocol Violation"),
        (connect("") + "PUB a 5000\r\n", "Maximum Message Payload Exceeded"),
        (connect("") + "PUB " + &"a".repeat(5000) + " 1\r\n", "Maximum Control Line Exceeded"),
    ];
    for (address, monitoring) in
        [(ours.broker_address(), ours.http_address()), (theirs.address(), theirs.nats_monitoring_address())]
    {
        let mut http = Http::connect(monitoring);
        for (place, (words, expected)) in cases.iter().enumerate() {
            let mut client = BrokerClient::connect_silently(address);

            client.read_info();
            client.write(words);
            if !words.is_empty() {
                client.read_to_end();
            }
            drop(client);
            let gone = wait_for(|| {
                let path = "/connz?state=closed&sort=cid";
                let page = http.ask("GET", path, &[("Authorization", "Bearer secret")], b"").json();
                page["connections"].get(place).map(|gone| gone["reason"].clone())
            });
            assert_eq!(gone, *expected, "{words}");
        }
    }
}
