//! Values that are counted.

use super::{check_refused, post, put, resp, server};

#[test]
fn counting_up_and_down() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    assert_eq!(http.ask("POST", "/cache/visits/incr", &[], b"").json()["value"], 1);
    assert_eq!(post(&mut http, "/cache/visits/incr", r#"{"by": 41}"#).json()["value"], 42);
    assert_eq!(post(&mut http, "/cache/visits/incr", r#"{"by": -2}"#).json()["value"], 40);
    assert_eq!(http.get("/cache/visits").json()["value"], 40);
    assert_eq!(resp.ask("INCR visits"), "41");
    assert_eq!(http.get("/cache/visits").json()["value"], "41");
    assert_eq!(post(&mut http, "/cache/visits/incr", "{}").json()["value"], 42);
}

#[test]
fn a_counter_lives_as_long_as_its_first_step_says() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    let left = |resp: &mut crate::support::in_process::Resp| resp.ask("TTL visits").parse::<i64>();
    post(&mut http, "/cache/visits/incr", r#"{"ttl": 100}"#);
    assert!(left(&mut resp).is_ok_and(|ttl| (90..=100).contains(&ttl)));
    post(&mut http, "/cache/visits/incr", r#"{"ttl": 1000}"#);
    assert!(left(&mut resp).is_ok_and(|ttl| (90..=100).contains(&ttl)));
}

#[test]
fn a_value_that_is_no_integer_is_not_counted() {
    let (_server, mut http) = server();
    for value in ["\"x\"", "1.5", "null", "\"\"", "99999999999999999999"] {
        put(&mut http, "/cache/key", &format!(r#"{{"value": {value}}}"#));
        let refused = http.ask("POST", "/cache/key/incr", &[], b"");
        assert_eq!((refused.status, refused.problem().as_str()), (409, "not-an-integer"), "{value}");
    }
    put(&mut http, "/cache/key", &format!(r#"{{"value": {}}}"#, i64::MAX));
    assert_eq!(http.ask("POST", "/cache/key/incr", &[], b"").problem(), "not-an-integer");
    assert_eq!(http.get("/cache/key").json()["value"], i64::MAX);
    check_refused(&post(&mut http, "/cache/key/incr", r#"{"by": 1.5}"#), "by");
    check_refused(&post(&mut http, "/cache/key/incr", r#"{"by": 1, "until": 5}"#), "until");
    let refused = http.ask("POST", "/cache/key/incr", &[("Content-Type", "text/plain")], b"5");
    assert_eq!(refused.problem(), "unsupported-media-type");
}
