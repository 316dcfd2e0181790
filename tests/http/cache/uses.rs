//! Uses of a key, as eviction counts them: the same as over RESP.

use super::{resp, server_with};

/// Method, path, headers and body of a request, and whether it is a use of the key.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, bool);

const JSON: (&str, &str) = ("Content-Type", "application/json");
const STALE: (&str, &str) = ("If-Match", "\"stale\"");

const CASES: &[Case] = &[
    ("GET", "/cache/key", &[], "", true),
    ("PUT", "/cache/key", &[JSON], r#"{"value": 1}"#, true),
    ("PUT", "/cache/key", &[JSON], r#"{"value": 1, "if_absent": true}"#, true),
    ("PUT", "/cache/key", &[JSON, STALE], r#"{"value": 1}"#, true),
    ("DELETE", "/cache/key", &[STALE], "", true),
    ("GET", "/cache/key/ttl", &[], "", false),
    ("PUT", "/cache/key/ttl", &[JSON], r#"{"ttl": 100}"#, true),
    ("DELETE", "/cache/key/ttl", &[], "", true),
    ("POST", "/cache/key/incr", &[JSON], r#"{"by": 1}"#, true),
    ("POST", "/cache/key/incr", &[JSON], r#"{"by": 9223372036854775807}"#, true),
    ("POST", "/cache/batch/get", &[JSON], r#"{"keys": ["key"]}"#, true),
    ("POST", "/cache/batch/set", &[JSON], r#"{"entries": [{"key": "key", "value": 1}]}"#, true),
    (
        "POST",
        "/cache/batch/set",
        &[JSON],
        r#"{"entries": [{"key": "key", "value": 1}], "if_absent": true}"#,
        true,
    ),
    ("GET", "/cache?prefix=key", &[], "", false),
];

#[test]
fn requests_are_uses_as_commands_are() {
    let settings = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0", "--lfu-decay-time", "0"];
    let (server, mut http) = server_with(&settings);
    let mut resp = resp(&server);
    for (method, path, headers, body, used) in CASES {
        assert_eq!(resp.ask("FLUSHALL"), "OK");
        assert_eq!(resp.ask("SET key 10"), "OK");
        let response = http.ask(method, path, headers, body.as_bytes());
        let expected = if *used { "6" } else { "5" };
        assert_eq!(resp.ask("OBJECT FREQ key"), expected, "{method} {path} {body}: {}", response.status);
        assert!(![404, 405, 415].contains(&response.status), "{method} {path}: {}", response.status);
    }
}
