//! Conditional requests: reading what has changed, and comparing before setting.

use std::thread;

use super::{put, resp, server};
use crate::support::http::{Http as Socket, Response};
use crate::support::in_process::Http;
use crate::support::process::Server;

fn ask(http: &mut Http, method: &str, header: (&str, &str), json: &str) -> Response {
    http.ask(method, "/cache/key", &[header], json.as_bytes())
}

fn tag(http: &mut Http) -> String {
    http.get("/cache/key").header("etag").expect("each value has a tag").to_owned()
}

#[test]
fn an_unchanged_value_is_not_sent_again() {
    let (server, mut http) = server();
    put(&mut http, "/cache/key", r#"{"value": "hello", "ttl": 100}"#);
    let first = tag(&mut http);
    for seen in [
        first.clone(),
        format!("W/{first}"),
        format!("\"other\", {first}"),
        "*".to_owned(),
        format!(",, {first},"),
    ] {
        let response = ask(&mut http, "GET", ("If-None-Match", &seen), "");
        assert_eq!((response.status, response.body.len()), (304, 0), "{seen}");
        assert_eq!(response.header("etag"), Some(first.as_str()));
        assert_eq!(response.header("vary"), Some("Accept"));
        assert!(response.header("cache-control").is_some());
    }
    // The tag is that of one form, and that of one value.
    let headers = [("If-None-Match", first.as_str()), ("Accept", "text/plain")];
    assert_eq!(http.ask("GET", "/cache/key", &headers, b"").status, 200);
    resp(&server).ask("SET key other");
    assert_eq!(ask(&mut http, "GET", ("If-None-Match", &first), "").status, 200);
    assert_eq!(ask(&mut http, "GET", ("If-Match", &first), "").problem(), "precondition-failed");
}

#[test]
fn compare_and_set() {
    let (_server, mut http) = server();
    let written = put(&mut http, "/cache/key", r#"{"value": "one"}"#);
    assert_eq!(written.status, 201);
    let first = tag(&mut http);
    assert_eq!(written.json()["etag"], first.as_str());
    let text = http.ask("GET", "/cache/key", &[("Accept", "text/plain")], b"");
    let as_text = text.header("etag").expect("each form has a tag").to_owned();

    let two = ask(&mut http, "PUT", ("If-Match", &first), r#"{"value": "two"}"#);
    assert_eq!((two.status, two.json()["etag"].as_str()), (200, Some(tag(&mut http).as_str())));
    for (method, stale) in [("PUT", &first), ("PUT", &as_text), ("DELETE", &first)] {
        let refused = ask(&mut http, method, ("If-Match", stale), r#"{"value": "three"}"#);
        assert_eq!((refused.status, refused.problem().as_str()), (412, "precondition-failed"));
        assert_eq!(refused.json()["field"], "If-Match");
    }
    let weak = format!("W/{}", tag(&mut http));
    assert_eq!(ask(&mut http, "PUT", ("If-Match", &weak), r#"{"value": "three"}"#).status, 412);
    assert_eq!(http.get("/cache/key").json()["value"], "two");
    assert_eq!(ask(&mut http, "PUT", ("If-Match", "tag"), r#"{"value": 1}"#).problem(), "invalid-value");
    let current = tag(&mut http);
    assert_eq!(ask(&mut http, "DELETE", ("If-Match", &current), "").status, 204);
    assert_eq!(ask(&mut http, "PUT", ("If-Match", "*"), r#"{"value": 1}"#).status, 412);
}

/// Everything that changes one key.
const CHANGES: &[(&str, &str, &str)] = &[
    ("PUT", "/cache/key", r#"{"value": 2}"#),
    ("POST", "/cache/key/incr", ""),
    ("PUT", "/cache/key/ttl", r#"{"ttl": 100}"#),
    ("DELETE", "/cache/key/ttl", ""),
    ("DELETE", "/cache/key", ""),
];

#[test]
fn every_change_of_a_key_heeds_conditions() {
    let (_server, mut http) = server();
    for &(method, path, body) in CHANGES {
        let mut change = |headers: &[(&str, &str)]| http.ask(method, path, headers, body.as_bytes()).status;
        for header in [("If-Match", "\"stale\""), ("If-Match", "*"), ("If-Match", ","), ("If-Match", "")] {
            assert_eq!(change(&[header]), 412, "{method} {path} without the key: {header:?}");
        }
        http.ask("PUT", "/cache/key", &[], br#"{"value": 1, "ttl": 50}"#);
        let tag = tag(&mut http);
        let state = |http: &mut Http| {
            (http.get("/cache/key").json(), http.get("/cache/key/ttl").json()["ttl"].as_f64() > Some(60.0))
        };
        let before = state(&mut http);
        let stale = format!("\"stale\", W/{tag}");
        for header in [
            ("If-Match", stale.as_str()),
            ("If-None-Match", "*"),
            ("If-None-Match", &tag),
            ("If-None-Match", &stale),
        ] {
            let refused = http.ask(method, path, &[header], body.as_bytes());
            assert_eq!(
                (refused.status, refused.problem().as_str()),
                (412, "precondition-failed"),
                "{method} {path}: {header:?}"
            );
            assert_eq!(refused.json()["field"], header.0);
            assert_eq!(state(&mut http), before, "{method} {path} has changed something");
        }
        let listed = format!(" ,\"stale\",, {tag},");
        let done = http.ask(
            method,
            path,
            &[("If-Match", &listed), ("If-None-Match", ", \"other\" ,")],
            body.as_bytes(),
        );
        assert!(done.status < 300, "{method} {path}: {done:?}");
        http.ask("DELETE", "/cache/key", &[], b"");
    }
}

#[test]
fn a_resource_without_a_tag_matches_none() {
    let (_server, mut http) = server();
    put(&mut http, "/cache/key", r#"{"value": 1}"#);
    let entries = r#"{"entries": [{"key": "other", "value": 1}]}"#;
    for (method, path, body) in [("POST", "/cache/batch/set", entries), ("DELETE", "/cache", "")] {
        for tags in ["*", "\"a\""] {
            let refused = http.ask(method, path, &[("If-Match", tags)], body.as_bytes());
            assert_eq!((refused.status, refused.problem().as_str()), (412, "precondition-failed"), "{path}");
        }
        assert_eq!(http.get("/cache/key").status, 200);
        assert!(http.ask(method, path, &[("If-None-Match", "*")], body.as_bytes()).status < 300, "{path}");
    }
}

#[test]
fn only_the_first_makes_a_key() {
    let (_server, mut http) = server();
    let only_new = ("If-None-Match", "*");
    assert_eq!(ask(&mut http, "PUT", only_new, r#"{"value": 1}"#).status, 201);
    assert_eq!(ask(&mut http, "PUT", only_new, r#"{"value": 2}"#).status, 412);
    let refused = put(&mut http, "/cache/key", r#"{"value": 2, "if_absent": true}"#);
    assert_eq!((refused.status, refused.problem().as_str()), (409, "key-exists"));
    let raw = [("Content-Type", "text/plain")];
    assert_eq!(http.ask("PUT", "/cache/key?if_absent=true", &raw, b"2").problem(), "key-exists");
    assert_eq!(http.ask("PUT", "/cache/other?if_absent=true", &raw, b"2").status, 201);
    assert_eq!(http.get("/cache/key").json()["value"], 1);
}

#[test]
fn no_update_is_lost_between_clients_that_compare() {
    const CLIENTS: u64 = 4;
    const UPDATES: u64 = 50;
    let server = Server::quartet(&["--http-port", "0"]);
    let connect = || Socket::connect(server.http_address());
    assert_eq!(connect().ask("PUT", "/cache/key", &[], br#"{"value": 0}"#).status, 201);
    let count = || {
        let mut http = connect();
        for _ in 0..UPDATES {
            loop {
                let read = http.get("/cache/key");
                let tag = read.header("etag").expect("each value has a tag").to_owned();
                let next = read.json()["value"].as_u64().expect("it is a number") + 1;
                let next = format!(r#"{{"value": {next}}}"#);
                let written = http.ask("PUT", "/cache/key", &[("If-Match", &tag)], next.as_bytes());
                match written.status {
                    200 => break,
                    status => assert_eq!(status, 412),
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(count);
        }
    });
    assert_eq!(connect().get("/cache/key").json()["value"], CLIENTS * UPDATES);
}
