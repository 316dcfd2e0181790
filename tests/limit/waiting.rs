//! Requests that wait until their limits allow them.

use std::sync::mpsc;
use std::thread;

use serde_json::json;

use super::{connect, put_policy, server};
use crate::support::client::Client;
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
fn waiters_are_admitted_at_the_pace_of_the_limit() {
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

/// The parts of an answer that do not depend on the time.
fn shape(response: &Response) -> serde_json::Value {
    let mut body = response.json();
    let limits = body["limits"].as_array_mut().expect("limits are a list");
    for member in limits {
        for time in ["retry_after_ms", "reset_after_ms"] {
            let is_set = member[time].as_i64().is_some_and(|millis| millis > 0);
            member[time] = json!(is_set);
        }
    }
    let left: Vec<_> = response.header("ratelimit").unwrap_or_default().split(", ").collect();
    let left: Vec<_> = left.iter().filter_map(|limit| limit.split(";t=").next()).collect();
    json!({
        "status": response.status,
        "limits": body["limits"],
        "members": body.as_object().expect("it is an object").keys().collect::<Vec<_>>(),
        "violated": body["violated-policies"],
        "policy": body["policy"],
        "remaining": body["remaining"],
        "policies": response.header("ratelimit-policy"),
        "left": left,
        "retry": response.header("retry-after").is_some(),
    })
}

#[test]
fn a_waiter_gets_the_answer_of_a_check_that_did_not_wait() {
    let server = server();
    let mut http = connect(&server);
    let both = json!({"limits": [
        {"algorithm": "log", "limit": 2, "period_ms": 86_400_000, "name": "day"},
        {"algorithm": "fixed", "limit": 50, "period_ms": 604_800_000, "name": "week"},
    ]});
    put_policy(&mut http, "both", &both.to_string());
    let other = json!({
        "limits": [{"algorithm": "log", "limit": 9, "period_ms": 86_400_000}],
        "shadow": true,
    });
    put_policy(&mut http, "other", &other.to_string());
    let ask = |http: &mut Http, wait_ms: u64, headers: &[(&str, &str)]| {
        let checks = json!([{"policy": "both", "key": "x"}, {"policy": "other", "key": "y"}]);
        let body = json!({"checks": checks, "wait_ms": wait_ms}).to_string();
        http.ask("POST", "/check", headers, body.as_bytes())
    };
    assert_eq!(ask(&mut http, 0, &[]).status, 200);
    let at_once = ask(&mut http, 0, &[]);
    let refused = ask(&mut http, 0, &[]);
    assert_eq!((at_once.status, refused.status), (200, 429));
    assert_eq!(refused.json()["limits"].as_array().map(Vec::len), Some(3));
    let waited = ask(&mut http, 20, &[]);
    assert_eq!(shape(&waited), shape(&refused));
    let preferring = ask(&mut http, 0, &[("Prefer", "wait=1")]);
    assert_eq!(shape(&preferring), shape(&refused));
    assert_eq!(preferring.header("preference-applied"), Some("wait=1"));

    let address = server.http_address();
    let waiter = thread::spawn(move || ask(&mut Http::connect(address), 3_600_000, &[]));
    wait_for(|| (http.get("/policies/both").json()["waiting"] == 1).then_some(()));
    for (key, policy) in [("y", "other"), ("x", "both")] {
        let body = json!({"amount": 1, "policy": policy}).to_string();
        let refunded = http.ask("POST", &format!("/limits/{key}/refund"), &[], body.as_bytes());
        assert_eq!(refunded.status, 204, "{refunded:?}");
    }
    let admitted = waiter.join().expect("it is answered");
    assert_eq!(shape(&admitted), shape(&at_once));
}

#[test]
fn a_waiter_whose_counter_is_overwritten_gets_an_error() {
    let server = server_with_nothing_left();
    let address = server.http_address();
    let waiter = thread::spawn(move || wait(&mut Http::connect(address), "once", 3_600_000));
    let mut http = connect(&server);
    wait_for(|| (http.get("/policies/once").json()["waiting"] == 1).then_some(()));
    let mut resp = Client::connect(server.address());
    let counter = http.get("/cache?match=*once*").json()["keys"][0].clone();
    assert_eq!(resp.ask(&format!("SET {} value", counter.as_str().expect("it is text"))), "OK");
    let refused = waiter.join().expect("it is answered");
    assert_eq!((refused.status, refused.problem().as_str()), (409, "wrong-type"));
}

#[test]
fn waiters_are_admitted_in_their_order() {
    let server = server_with_nothing_left();
    let address = server.http_address();
    let mut admin = connect(&server);
    let (sender, admitted) = mpsc::channel();
    let waiting = |admin: &mut Http| admin.get("/policies/once").json()["waiting"].as_u64();
    for number in 0..5 {
        let sender = sender.clone();
        thread::spawn(move || {
            let response = wait(&mut Http::connect(address), "once", 3_600_000);
            // If the test has failed and is over, the channel is closed.
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
fn a_waiter_that_leaves_takes_nothing() {
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
