//! Several keys in one request.

use serde_json::json;

use super::{check_refused, post, resp, server};

#[test]
fn several_keys_are_written_and_read_at_once() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    let entries = r#"{"entries": [
        {"key": "a", "value": "one"}, {"key": "b", "value": [2], "ttl": 100},
        {"key": "c", "value": "AP4=", "encoding": "base64"}]}"#;
    let written = post(&mut http, "/cache/batch/set", entries);
    assert_eq!((written.status, written.json()), (200, json!({"written": 3})));
    assert_eq!(resp.ask("MGET a b"), "[one, [2]]");
    assert!(resp.ask("TTL b").parse::<u64>().is_ok_and(|ttl| ttl > 90));

    let read = post(&mut http, "/cache/batch/get", r#"{"keys": ["b", "absent", "a", "a", "c"]}"#);
    let expected = json!({"entries": [
        {"found": true, "key": "b", "value": [2]},
        {"found": false, "key": "absent"},
        {"found": true, "key": "a", "value": "one"},
        {"found": true, "key": "a", "value": "one"},
        {"found": true, "key": "c", "value": "AP4=", "encoding": "base64"},
    ]});
    assert_eq!((read.status, read.json()), (200, expected));
    assert_eq!(post(&mut http, "/cache/batch/get", r#"{"keys": []}"#).json(), json!({"entries": []}));
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    resp.ask("SET b old");
    let taken = r#"{"entries": [{"key": "a", "value": 1}, {"key": "b", "value": 2}], "if_absent": true}"#;
    let refused = post(&mut http, "/cache/batch/set", taken);
    assert_eq!((refused.status, refused.problem().as_str()), (409, "key-exists"));
    assert_eq!(refused.json()["key"], "b");
    let late = r#"{"entries": [{"key": "a", "value": 1}, {"key": "c", "value": 2, "ttl": -1}]}"#;
    check_refused(&post(&mut http, "/cache/batch/set", late), "entries[1].ttl");
    let wrong = r#"{"entries": [{"key": "a", "value": 1}, {"key": "c", "value": 2, "encoding": "base64"}]}"#;
    check_refused(&post(&mut http, "/cache/batch/set", wrong), "entries[1].encoding");
    assert_eq!(resp.ask("KEYS *"), "[b]");
}

#[test]
fn batches_are_bounded_and_strict() {
    let (_server, mut http) = server();
    let keys = |count: usize| json!({"keys": vec!["k"; count]}).to_string();
    assert_eq!(post(&mut http, "/cache/batch/get", &keys(1000)).status, 200);
    check_refused(&post(&mut http, "/cache/batch/get", &keys(1001)), "keys");
    check_refused(&post(&mut http, "/cache/batch/get", r#"{"key": ["a"]}"#), "key");
    check_refused(&post(&mut http, "/cache/batch/set", r#"{"entries": [{"key": "a"}]}"#), "entries[0].value");
}

#[test]
fn a_response_carries_no_more_than_it_should() {
    let (_server, mut http) = server();
    let value = vec![b'x'; 10 << 20];
    http.ask("PUT", "/cache/k", &[("Content-Type", "text/plain")], &value);
    let keys = |count: usize| json!({"keys": vec!["k"; count]}).to_string();
    check_refused(&post(&mut http, "/cache/batch/get", &keys(7)), "keys");
}
