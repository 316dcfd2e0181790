//! Times to live: given, read, changed and taken away.

use std::time::Duration;

use super::{check_refused, put, resp, server};

#[test]
fn a_time_to_live_is_read_and_changed() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    let seconds = |response: &crate::support::http::Response| response.json()["ttl"].as_f64();
    assert_eq!(http.get("/cache/key/ttl").problem(), "no-such-key");
    put(&mut http, "/cache/key", r#"{"value": 1, "ttl": 100.5}"#);
    assert!(seconds(&http.get("/cache/key/ttl")).is_some_and(|ttl| ttl > 90.0 && ttl <= 100.5));
    assert!(resp.ask("PTTL key").parse::<u64>().is_ok_and(|millis| millis > 90_000));
    assert_eq!(put(&mut http, "/cache/key/ttl", r#"{"ttl": 1000}"#).status, 204);
    assert!(seconds(&http.get("/cache/key/ttl")).is_some_and(|ttl| ttl > 900.0));
    assert_eq!(http.ask("DELETE", "/cache/key/ttl", &[], b"").status, 204);
    assert!(http.get("/cache/key/ttl").json()["ttl"].is_null());
    assert_eq!(resp.ask("TTL key"), "-1");
    // A value that is written anew lives as long as it says itself.
    put(&mut http, "/cache/key/ttl", r#"{"ttl": 1000}"#);
    put(&mut http, "/cache/key", r#"{"value": 2}"#);
    assert_eq!(resp.ask("TTL key"), "-1");
    let raw = [("Content-Type", "text/plain")];
    http.ask("PUT", "/cache/key?ttl=50", &raw, b"x");
    assert!(resp.ask("TTL key").parse::<u64>().is_ok_and(|ttl| (40..=50).contains(&ttl)));

    for json in [r#"{"ttl": 0}"#, r#"{"ttl": null}"#, r#"{}"#] {
        check_refused(&put(&mut http, "/cache/key/ttl", json), "ttl");
    }
    assert_eq!(put(&mut http, "/cache/absent/ttl", r#"{"ttl": 1}"#).problem(), "no-such-key");
    assert_eq!(http.ask("DELETE", "/cache/absent/ttl", &[], b"").problem(), "no-such-key");
}

#[test]
fn a_key_is_gone_when_its_time_has_come() {
    let (server, mut http) = server();
    put(&mut http, "/cache/key", r#"{"value": 1, "ttl": 0.02}"#);
    server.advance(Duration::from_millis(20));
    assert_eq!(http.get("/cache/key").status, 200);
    server.advance(Duration::from_millis(1));
    assert_eq!(http.get("/cache/key").status, 404);
    assert_eq!(http.get("/cache/stats").json()["expired"], 1);
}
