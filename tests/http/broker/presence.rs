//! Who is subscribed, and who comes and goes, on every listener.

use serde_json::json;

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::feeds::{next, subscribe};
use crate::support::http::Http;
use crate::support::process::Server;

fn server() -> Server {
    Server::quartet(&["--http-port", "0", "--broker-port", "0"])
}

/// The event in the next message.
fn event(feed: &mut Http) -> serde_json::Value {
    let message = next(feed);
    let event = message["payload"].as_str().expect("an event is text");
    let event: serde_json::Value = serde_json::from_str(event).expect("it is JSON");
    let subject = event["subject"].as_str().expect("it has a subject");
    assert_eq!(message["subject"], format!("$PRESENCE.{subject}"));
    event
}

#[test]
fn subscribers_of_every_listener_are_listed() {
    let server = server();
    let mut http = Http::connect(server.http_address());
    let empty = json!({"subject": "room.1", "count": 0, "subscribers": []});
    assert_eq!(http.get("/subjects/room.1/subscribers").json(), empty);
    let mut nats = BrokerClient::quiet(server.broker_address());
    nats.write("SUB room.1 1\r\nSUB room.> workers 2\r\n");
    nats.flush();
    let mut resp = Client::connect(server.address());
    resp.ask("CLIENT SETNAME bob");
    resp.ask("PSUBSCRIBE room*");
    let feed = subscribe(&server, "/subscribe/room.*?name=ann", "text/event-stream");
    assert_eq!(http.ask("POST", "/publish/room.1", &[], b"hello").json()["receivers"], 4);
    let list = http.get("/subjects/room.1/subscribers").json();
    assert_eq!(list["count"], 4);
    let listed = list["subscribers"].as_array().expect("it is a list");
    let facts = |subscriber: &serde_json::Value| {
        assert_eq!((&subscriber["delivered"], &subscriber["missed"]), (&1.into(), &0.into()));
        assert_eq!(subscriber["address"].is_string(), subscriber["listener"] != "http", "{subscriber}");
        ["listener", "name", "pattern", "kind", "group"]
            .map(|fact| subscriber[fact].as_str().unwrap_or_default().to_owned())
    };
    let mut found: Vec<_> = listed.iter().map(facts).collect();
    assert_eq!(found.remove(0), ["broker", "test", "room.1", "subject", ""]);
    found.sort_unstable();
    let expected = [
        ["broker", "test", "room.>", "wildcard", "workers"],
        ["http", "ann", "room.*", "wildcard", ""],
        ["resp", "bob", "room*", "glob", ""],
    ];
    assert_eq!(found, expected);
    let part = http.get("/subjects/room.1/subscribers?offset=1&limit=2").json();
    assert_eq!((part["count"].as_u64(), part["subscribers"].as_array().map(Vec::len)), (Some(4), Some(2)));
    for path in ["/subjects/room.*/subscribers", "/subjects/room.1/subscribers?limit=1001"] {
        assert_eq!(http.get(path).problem(), "invalid-value", "{path}");
    }
    drop(feed);
}

#[test]
fn who_comes_and_goes_is_told_to_every_listener() {
    let server = server();
    let mut events =
        subscribe(&server, "/subscribe/$PRESENCE.room.1,$PRESENCE.room.2", "application/x-ndjson");
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $PRESENCE.room.1 9\r\n");
    watcher.flush();
    let mut resp = Client::connect(server.address());
    resp.ask("SUBSCRIBE room.1");
    let joined = event(&mut events);
    let expected =
        json!({"event": "joined", "subject": "room.1", "client": joined["client"], "listener": "resp"});
    assert_eq!(joined, expected);
    let told = watcher.read_line();
    assert!(told.starts_with("MSG $PRESENCE.room.1 9 "), "{told}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&watcher.read_line()).ok(), Some(expected));
    resp.ask("UNSUBSCRIBE room.1");
    assert_eq!(event(&mut events)["event"], "left");
    let feed = subscribe(&server, "/subscribe/room.2?name=ann&group=workers", "text/event-stream");
    let joined = event(&mut events);
    assert_eq!([&joined["listener"], &joined["name"], &joined["group"]], ["http", "ann", "workers"]);
    drop(feed);
    assert_eq!(event(&mut events)["event"], "left");
}

#[test]
fn a_client_that_is_gone_has_left() {
    let server = server();
    let mut events = subscribe(&server, "/subscribe/$PRESENCE.%3E", "text/event-stream");
    let mut guest = BrokerClient::quiet(server.broker_address());
    // It goes on with half an operation, as when it is killed.
    guest.write("SUB room.1 1\r\nSUB room.2 workers 2\r\nPUB room");
    for subject in ["room.1", "room.2"] {
        let joined = event(&mut events);
        assert_eq!([&joined["event"], &joined["subject"], &joined["name"]], ["joined", subject, "test"]);
    }
    drop(guest);
    let mut left: Vec<_> = (0..2).map(|_| event(&mut events)).collect();
    left.sort_unstable_by_key(|event| event["subject"].to_string());
    for (event, subject) in left.iter().zip(["room.1", "room.2"]) {
        assert_eq!([&event["event"], &event["subject"], &event["listener"]], ["left", subject, "broker"]);
    }
}
