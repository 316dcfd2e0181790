//! Following a stream: its messages from a place on, gaps where some are missing, and what is stored later.

use serde_json::{Value, json};

use super::server;
use crate::support::http::Http;
use crate::support::json_socket::JsonSocket;
use crate::support::process::Server;

fn put(server: &Server, path: &str, body: &Value) {
    let mut http = Http::connect(server.http_address());
    let headers = [("content-type", "application/json")];
    let answer = http.ask("PUT", path, &headers, body.to_string().as_bytes());
    assert!(answer.status < 300, "{}", answer.text());
}

fn request(server: &Server, method: &str, path: &str) {
    let answer = Http::connect(server.http_address()).ask(method, path, &[], b"");
    assert!(answer.status < 300, "{}", answer.text());
}

/// A server with a stream of `count` messages, and a client.
fn with_stream(count: usize) -> (Server, JsonSocket) {
    let server = server(&[]);
    put(&server, "/streams/ORDERS", &json!({"subjects": ["orders.>"], "storage": "memory"}));
    let mut json = JsonSocket::connect(server.http_address());
    for number in 1..=count {
        publish(&mut json, number);
    }
    (server, json)
}

fn publish(json: &mut JsonSocket, number: usize) {
    let told = json.ask(&format!(
        r#"{{"op":"publish","subject":"orders.{}","payload":"{number}","ack":true,"id":"p"}}"#,
        number % 2
    ));
    assert_eq!(told["op"], "published", "{told}");
}

/// The sequence and the payload of a message.
fn message(told: &Value) -> (u64, String) {
    assert_eq!((&told["op"], told["time"].is_string()), (&json!("message"), true), "{told}");
    let payload = told["payload"].as_str().expect("it is text").to_owned();
    (told["sequence"].as_u64().expect("a number"), payload)
}

fn messages(json: &mut JsonSocket, count: usize) -> Vec<u64> {
    (0..count).map(|_| message(&json.read()).0).collect()
}

#[test]
fn a_stream_is_followed_from_a_place_on() {
    let (_server, mut publisher) = with_stream(3);
    let mut json = JsonSocket::connect(_server.http_address());
    let told = json.ask(r#"{"op":"follow","stream":"ORDERS","id":"f"}"#);
    assert_eq!((&told["op"], &told["id"], &told["next"]), (&json!("following"), &json!("f"), &json!(1)));
    assert_eq!(told["stream"], "ORDERS");
    let told = json.read();
    assert_eq!((&told["id"], &told["subject"]), (&json!("f"), &json!("orders.1")));
    assert_eq!(message(&told), (1, "1".to_owned()));
    assert_eq!(messages(&mut json, 2), [2, 3]);
    publish(&mut publisher, 4);
    assert_eq!(message(&json.read()), (4, "4".to_owned()));
    // Only some subjects, from a sequence on, beside the other.
    let told = json.ask(r#"{"op":"follow","stream":"ORDERS","subject":"orders.0","from":3}"#);
    assert_eq!((&told["op"], &told["id"], &told["next"]), (&json!("following"), &json!("1"), &json!(3)));
    let told = json.read();
    assert_eq!((&told["id"], message(&told).0), (&json!("1"), 4));
    assert_eq!(json.ask(r#"{"op":"unsubscribe","id":"f"}"#)["op"], "unsubscribed");
    publish(&mut publisher, 5);
    publish(&mut publisher, 6);
    let told = json.read();
    assert_eq!((&told["id"], message(&told).0), (&json!("1"), 6));
    // From a time on, and only what is new.
    let told = json.ask(r#"{"op":"follow","stream":"ORDERS","from":"2001-01-01T00:00:00Z","id":"t"}"#);
    assert_eq!(told["next"], 1);
    assert_eq!(messages(&mut json, 6), [1, 2, 3, 4, 5, 6]);
    let told = json.ask(r#"{"op":"follow","stream":"ORDERS","from":"new","id":"n"}"#);
    assert_eq!(told["next"], 7);
}

#[test]
fn gaps_and_the_end_are_told() {
    let (server, mut json) = with_stream(4);
    request(&server, "DELETE", "/streams/ORDERS/messages/2");
    let told = json.ask(r#"{"op":"follow","stream":"ORDERS"}"#);
    let epoch = told["epoch"].as_str().expect("it is text").to_owned();
    assert_eq!(message(&json.read()).0, 1);
    let gap = json!({"op": "gap", "id": "1", "reason": "removed", "from": 2, "to": 2, "missed": 1});
    assert_eq!(json.read(), gap);
    assert_eq!(messages(&mut json, 2), [3, 4]);
    // A client that comes again says where it was.
    let mut again = JsonSocket::connect(server.http_address());
    let told = again.ask(&format!(r#"{{"op":"follow","stream":"ORDERS","epoch":"{epoch}","from":4}}"#));
    assert_eq!((&told["op"], &told["next"]), (&json!("following"), &json!(4)));
    assert_eq!(message(&again.read()).0, 4);
    for (epoch, from, reason) in [("other", 4, "another-epoch"), (&*epoch, 6, "beyond-the-end")] {
        let mut lost = JsonSocket::connect(server.http_address());
        let told =
            lost.ask(&format!(r#"{{"op":"follow","stream":"ORDERS","epoch":"{epoch}","from":{from}}}"#));
        assert_eq!((&told["op"], &told["next"]), (&json!("following"), &json!(1)));
        assert_eq!(lost.read(), json!({"op": "gap", "id": "1", "reason": reason}));
        assert_eq!(message(&lost.read()).0, 1);
    }
    request(&server, "DELETE", "/streams/ORDERS");
    assert_eq!(json.read(), json!({"op": "ended", "id": "1"}));
    assert_eq!(again.read(), json!({"op": "ended", "id": "1"}));
    assert_eq!(json.ask(r#"{"op":"ping"}"#), json!({"op": "pong"}));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let (_server, mut json) = with_stream(1);
    for (object, code, message) in [
        (r#"{"op":"follow"}"#, "invalid_field", "stream: "),
        (r#"{"op":"follow","stream":"NONE"}"#, "no_such_stream", "stream: "),
        (r#"{"op":"follow","stream":"ORDERS","from":"soon"}"#, "invalid_field", "from: "),
        (r#"{"op":"follow","stream":"ORDERS","subject":"a b"}"#, "invalid_field", "subject: "),
    ] {
        let (found, text) = json.fail(object);
        assert_eq!(found, code, "{object}: {text}");
        assert!(text.starts_with(message), "{object}: {text}");
    }
    for _ in 0..64 {
        assert_eq!(json.ask(r#"{"op":"follow","stream":"ORDERS","from":"new"}"#)["op"], "following");
    }
    let (code, _) = json.fail(r#"{"op":"follow","stream":"ORDERS","from":"new"}"#);
    assert_eq!(code, "too_many");
    assert_eq!(json.fail(r#"{"op":"follow","stream":"ORDERS","id":"7"}"#).0, "id_in_use");
}

#[test]
fn a_follower_that_reads_late_gets_everything() {
    const COUNT: usize = 300;
    let (server, mut publisher) = with_stream(0);
    let mut json = JsonSocket::connect(server.http_address());
    assert_eq!(json.ask(r#"{"op":"follow","stream":"ORDERS"}"#)["op"], "following");
    // Far more than the server sends before it is read.
    let payload = "x".repeat(40_000);
    for _ in 0..COUNT {
        let object = format!(r#"{{"op":"publish","subject":"orders.1","payload":"{payload}","ack":true}}"#);
        assert_eq!(publisher.ask(&object)["op"], "published");
    }
    let found: Vec<u64> = (0..COUNT).map(|_| json.read()["sequence"].as_u64().expect("a message")).collect();
    assert_eq!(found, (1..=COUNT as u64).collect::<Vec<u64>>());
}
