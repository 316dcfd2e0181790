//! Bodies of requests: too long, too slow, not what they should be.

use super::{connect, server};
use crate::support::http::{Http, Response};

fn put(http: &mut Http, headers: &[(&str, &str)], body: &[u8]) -> Response {
    http.ask("PUT", "/cache/key", headers, body)
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let server = server(&["--http-body-limit", "1kb"]);
    let body = |length: usize| [br#"{"value":""#, vec![b'x'; length - 12].as_slice(), br#""}"#].concat();
    assert_eq!(body(1024).len(), 1024);
    assert!(put(&mut connect(&server), &[], &body(1024)).status < 300);
    let refused = put(&mut connect(&server), &[], &body(1025));
    assert_eq!((refused.status, refused.problem().as_str()), (413, "too-large"));
    assert_eq!(refused.json()["allowed"], "at most 1024 bytes");

    // Without a length the limit shows only when it is passed.
    let mut http = connect(&server);
    let host = server.http_address();
    http.write(
        format!("PUT /cache/key HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes(),
    );
    http.write(format!("400\r\n{}\r\n1\r\nx\r\n", "x".repeat(1024)).as_bytes());
    assert_eq!(http.read("PUT").expect("it is answered").problem(), "too-large");
}

#[test]
fn a_body_may_come_in_pieces() {
    let server = server(&[]);
    let mut http = connect(&server);
    let host = server.http_address();
    http.write(
        format!("PUT /cache/key HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes(),
    );
    for piece in [r#"{"val"#, r#"ue": "#, r#""hello"#, r#"" }"#] {
        http.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
    }
    http.write(b"0\r\n\r\n");
    assert!(http.read("PUT").expect("it is answered").status < 300);
    assert_eq!(http.get("/cache/key").json()["value"], "hello");
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let server = server(&[]);
    let mut http = connect(&server);
    let host = server.http_address();
    let head = format!(
        "PUT /cache/key HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n"
    );
    http.write(head.as_bytes());
    assert_eq!(http.read("PUT").expect("it is answered").status, 100);
    http.write(br#"{"value": "x"}"#);
    assert!(http.read("PUT").expect("it is answered").status < 300);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let server = server(&["--http-request-timeout", "1"]);
    let mut http = connect(&server);
    let host = server.http_address();
    http.write(
        format!("PUT /cache/key HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{").as_bytes(),
    );
    let refused = http.read("PUT").expect("it is answered");
    assert_eq!((refused.status, refused.problem().as_str()), (408, "request-timeout"));
}

#[test]
fn broken_json_and_unknown_fields_are_named() {
    let server = server(&[]);
    let mut http = connect(&server);
    let broken = put(&mut http, &[], br#"{"value": "#);
    assert_eq!((broken.status, broken.problem().as_str()), (400, "invalid-json"));
    assert!(broken.json()["detail"].as_str().is_some_and(|detail| detail.contains("line 1")));
    let unknown = put(&mut http, &[], br#"{"value": "x", "tll": 5}"#);
    assert_eq!((unknown.status, unknown.problem().as_str()), (400, "invalid-value"));
    let body = unknown.json();
    assert_eq!(body["field"], "tll");
    assert!(body["allowed"].as_str().is_some_and(|allowed| allowed.contains("value")), "{body}");
}

/// Every operation of the API that takes a body, with its path filled in.
fn operations_with_bodies() -> Vec<(String, String)> {
    let description = serde_json::to_value(quartet::http::openapi()).expect("it is JSON");
    let mut found = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("it has paths") {
        let parts = path.split('/').map(|part| match part {
            // As a server makes it for the fence 1, the owner `a` and the resource `b`.
            "{lock_id}" => "1.AAFhAAFi",
            part if part.starts_with('{') => "thing",
            part => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let takes_body =
            |(_, operation): &(&String, &serde_json::Value)| operation["requestBody"].is_object();
        let methods = operations.as_object().expect("a path has operations").iter().filter(takes_body);
        found.extend(methods.map(|(method, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let needed = parameters.filter(|named| named["in"] == "query" && named["required"] == true);
            let query = needed.map(|named| format!("{}=a&", named["name"].as_str().expect("it has a name")));
            (method.to_ascii_uppercase(), format!("{path}?{}", query.collect::<String>()))
        }));
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn a_compressed_body_is_refused_wherever_bodies_are_taken() {
    let server = server(&[]);
    let mut http = connect(&server);
    for (method, path) in operations_with_bodies() {
        for coding in ["gzip", "br", "identity, GZIP", "x"] {
            let refused = http.ask(&method, &path, &[("Content-Encoding", coding)], b"{}");
            assert_eq!((refused.status, refused.problem().as_str()), (415, "unsupported-coding"), "{path}");
            assert_eq!(refused.header("accept-encoding"), Some("identity"), "{path}");
        }
    }
    let typed = |coding| [("Content-Type", "text/css"), ("Content-Encoding", coding)];
    assert_eq!(put(&mut http, &typed("gzip"), b"\x1f\x8b").status, 415);
    for none in ["identity", ", ,Identity,", ""] {
        assert!(put(&mut http, &typed(none), b"a {}").status < 300, "{none:?}");
    }
    for codings in ["gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let mut http = connect(&server);
        let head =
            format!("PUT /cache/key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {codings}\r\n\r\n");
        http.write(format!("{head}0\r\n\r\n").as_bytes());
        let refused = http.read("PUT").expect("it is answered");
        assert_eq!((refused.status, refused.problem().as_str()), (501, "unsupported-transfer"), "{codings}");
    }
}

#[test]
fn no_body_is_an_object_without_fields() {
    let server = server(&[]);
    let mut http = connect(&server);
    for (method, path) in operations_with_bodies() {
        let response = http.ask(&method, &path, &[], b"");
        if path.starts_with("/redis") {
            // A command is a list.
            assert!(response.json()["error"].is_string(), "{method} {path}: {response:?}");
            continue;
        }
        // It may be done, or what it is about may not be there; else a field is missing, and named.
        if response.status == 400 {
            assert_eq!(response.problem(), "invalid-value", "{method} {path}: {response:?}");
            assert!(response.json()["field"].is_string(), "{method} {path}: {response:?}");
        }
    }
    assert_eq!(http.ask("PUT", "/cache/key", &[], b"").json()["field"], "value");
    assert_eq!(http.ask("POST", "/cache/count/incr", &[], b"").json()["value"], 1);
    assert_eq!(http.ask("POST", "/cache/count/incr", &[], b" \n").json()["value"], 2);
    let shared = br#"{"resource": "x", "ttl": 60, "mode": "shared"}"#;
    let lock = http.ask("POST", "/lock", &[], shared).json();
    let upgrade = format!("/lock/{}/upgrade", lock["lock_id"].as_str().expect("it is held"));
    assert_eq!(http.ask("POST", &upgrade, &[], b"").status, 200);
}
