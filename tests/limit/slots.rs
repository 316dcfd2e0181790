//! Slots over HTTP: held for a time, or for as long as the client reads the response.

use serde_json::{Value, json};

use super::{connect, put_policy, server};
use crate::support::client::Client;
use crate::support::http::{Http, Response};
use crate::support::process::Server;

/// A policy with one slot for each key, whose lease outlasts every test.
fn make_policy(http: &mut Http) {
    put_policy(
        http,
        "jobs",
        r#"{"limits": [{"algorithm": "concurrency", "limit": 1, "period_ms": 86400000}]}"#,
    );
}

fn enter(http: &mut Http, body: &Value) -> Response {
    http.ask("POST", "/slots/jobs/a%2Fb", &[], body.to_string().as_bytes())
}

/// Takes a slot by a response that stays open, and returns what its first event says.
fn hold(server: &Server, http: &mut Http, body: &Value) -> Value {
    let body = body.to_string();
    let head = format!("Host: {}\r\nContent-Length: {}\r\n\r\n{body}", server.http_address(), body.len());
    http.write(format!("POST /slots/jobs/a%2Fb HTTP/1.1\r\n{head}").as_bytes());
    let head = http.read_until("\r\n\r\n").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    http.read_until("event: entered\ndata: ");
    let data = http.read_until("\n\n");
    serde_json::from_str(&data).expect("the data of an event is JSON")
}

#[test]
fn slots_are_taken_renewed_and_left() {
    let server = server();
    let mut http = connect(&server);
    make_policy(&mut http);
    let entered = enter(&mut http, &json!({"ttl_ms": 60_000}));
    assert_eq!(entered.status, 201, "{entered:?}");
    assert_eq!(entered.header("ratelimit-policy"), Some("\"jobs\";q=1;qu=\"concurrent-requests\";w=86400"));
    let body = entered.json();
    assert_eq!(
        (&body["allowed"], &body["remaining"], &body["expires_in_ms"]),
        (&json!(true), &json!(0), &json!(60_000))
    );
    let slot = body["slot"].as_str().expect("a slot has a name").to_owned();
    let refused = enter(&mut http, &json!({}));
    assert_eq!((refused.status, refused.problem().as_str()), (429, "quota-exceeded"));
    let mut resp = Client::connect(server.address());
    assert_eq!(resp.ask(&format!("RL.RENEW jobs a/b {slot} TTL 70000")), "1", "it is the slot that RESP has");
    let path = format!("/slots/jobs/a%2Fb/{slot}");
    assert_eq!(http.ask("PUT", &path, &[], br#"{"ttl_ms": 3600000}"#).status, 204);
    let left = enter(&mut http, &json!({})).json()["retry_after_ms"].as_i64().expect("it is a number");
    assert!(left > 3_000_000, "it was renewed: {left}");
    assert_eq!(http.ask("DELETE", &path, &[], b"").status, 204);
    for method in ["DELETE", "PUT"] {
        let gone = http.ask(method, &path, &[], b"");
        assert_eq!((gone.status, gone.problem().as_str()), (404, "no-such-slot"), "{method}");
    }
    assert_eq!(http.ask("DELETE", "/slots/jobs/a%2Fb/none", &[], b"").problem(), "no-such-slot");
    let other = http.ask("POST", "/slots/default/x", &[], b"");
    assert_eq!((other.status, &other.json()["field"]), (400, &json!("policy")), "it is not about slots");
    assert_eq!(http.ask("POST", "/slots/none/x", &[], b"").problem(), "no-such-policy");
    assert_eq!(http.ask("PUT", "/lists/allow/a%2F%2A", &[], b"").status, 201);
    let unlimited = enter(&mut http, &json!({}));
    assert_eq!((unlimited.status, &unlimited.json()["slot"]), (200, &Value::Null), "none is needed");
}

#[test]
fn a_slot_is_free_once_its_holder_is_gone() {
    let server = server();
    let mut http = connect(&server);
    make_policy(&mut http);
    for _ in 0..3 {
        let mut holder = connect(&server);
        let entered = hold(&server, &mut holder, &json!({"hold": true}));
        assert_eq!((&entered["allowed"], &entered["remaining"]), (&json!(true), &json!(0)), "{entered}");
        assert_eq!(enter(&mut http, &json!({"hold": true})).problem(), "quota-exceeded");
        drop(holder);
        // The waiter is admitted as soon as the slot is left; its lease would have lasted for a day.
        let mut resp = Client::connect(server.address());
        let admitted = resp.ask("RL.CHECK a/b POLICY jobs WAIT 60000");
        assert!(admitted.starts_with("[1,"), "{admitted}");
        assert_eq!(resp.ask("RL.RESET a/b POLICY jobs"), "1");
    }
}

#[test]
fn a_slot_is_renewed_while_its_response_is_open() {
    let server = Server::quartet(&["--http-port", "0", "--http-idle-timeout", "1"]);
    let (mut http, mut holder) = (connect(&server), connect(&server));
    make_policy(&mut http);
    let short = enter(&mut http, &json!({"hold": true, "ttl_ms": 2999}));
    assert_eq!((short.status, &short.json()["field"]), (400, &json!("ttl_ms")));
    let entered = hold(&server, &mut holder, &json!({"hold": true, "ttl_ms": 3000}));
    assert_eq!(entered["expires_in_ms"], 3000);
    // The first comment comes at once, and then three in each second.
    for _ in 0..13 {
        holder.read_until(":\n\n");
    }
    assert_eq!(connect_and_enter(&server).status, 429, "its lease was renewed");
    let mut resp = Client::connect(server.address());
    assert_eq!(resp.ask("RL.RESET a/b POLICY jobs"), "1");
    holder.read_until("event: lost\ndata: {}\n\n");
    holder.read_until("0\r\n\r\n");
}

fn connect_and_enter(server: &Server) -> Response {
    enter(&mut connect(server), &json!({}))
}
