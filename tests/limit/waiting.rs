//! Requests whose answer waits until their limits agree.

use std::sync::mpsc;
use std::thread;

use serde_json::json;

use super::{connect, put_policy, server};
use crate::support::http::{Http, Response};
use crate::support::process::{Server, wait_for};

fn wait(http: &mut Http, policy: &str, wait_ms: u64) -> Response {
    let body = json!({"checks": [{"policy": policy, "key": "x"}], "wait_ms": wait_ms}).to_string();
    http.ask("POST", "/check", &[], body.as_bytes())
}

/// A policy that admits one in a day, and no more for now.
fn server_with_nothing_left() -> Server {
    let server = server();
    let mut http = connect(&server);
    put_policy(&mut http, "once", r#"{"limits": [{"algorithm": "log", "limit": 1, "period_ms": 86400000}]}"#);
    assert_eq!(wait(&mut http, "once", 0).status, 200);
    server
}

fn refund(http: &mut Http) {
    let refunded = http.ask("POST", "/limits/x/refund", &[], br#"{"amount": 1, "policy": "once"}"#);
    assert_eq!(refunded.status, 204, "{refunded:?}");
}

#[test]
fn who_waits_is_admitted_at_the_pace_of_the_limit() {
    let server = server();
    let mut http = connect(&server);
    put_policy(
        &mut http,
        "slow",
        r#"{"limits": [{"algorithm": "gcra", "limit": 20, "period_ms": 1000, "burst": 1}]}"#,
    );
    for _ in 0..5 {
        let admitted = wait(&mut http, "slow", 60_000);
        assert_eq!(admitted.status, 200, "{admitted:?}");
    }
    let statistics = http.get("/policies/slow").json()["statistics"].clone();
    assert_eq!(statistics, json!({"allowed": 5, "refused": 0, "shadow_refused": 0, "without_room": 0}));
}

#[test]
fn patience_ends() {
    let server = server_with_nothing_left();
    let mut http = connect(&server);
    let refused = wait(&mut http, "once", 20);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let too_long = wait(&mut http, "once", 3_600_001);
    assert_eq!((too_long.status, &too_long.json()["field"]), (400, &json!("wait")));
}

#[test]
fn who_came_first_is_admitted_first() {
    let server = server_with_nothing_left();
    let address = server.http_address();
    let mut admin = connect(&server);
    let (sender, admitted) = mpsc::channel();
    let waiting = |admin: &mut Http| admin.get("/policies/once").json()["waiting"].as_u64();
    for number in 0..5 {
        let sender = sender.clone();
        thread::spawn(move || {
            let response = wait(&mut Http::connect(address), "once", 3_600_000);
            // The test may be over if it failed; then nobody listens.
            let _ = sender.send((number, response.status));
        });
        wait_for(|| (waiting(&mut admin) == Some(number + 1)).then_some(()));
    }
    for number in 0..5 {
        refund(&mut admin);
        assert_eq!(admitted.recv().expect("a thread waits"), (number, 200));
    }
}

#[test]
fn who_goes_away_takes_nothing() {
    let server = server_with_nothing_left();
    let mut admin = connect(&server);
    let waiting = |admin: &mut Http| admin.get("/policies/once").json()["waiting"].as_u64();
    let mut leaver = connect(&server);
    let body = json!({"checks": [{"policy": "once", "key": "x"}], "wait_ms": 3_600_000}).to_string();
    let head = format!("POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    leaver.write(&[head.as_bytes(), body.as_bytes()].concat());
    wait_for(|| (waiting(&mut admin) == Some(1)).then_some(()));
    drop(leaver);
    wait_for(|| (waiting(&mut admin) == Some(0)).then_some(()));
    refund(&mut admin);
    assert_eq!(wait(&mut admin, "once", 0).status, 200, "what was given back is there for others");
}
