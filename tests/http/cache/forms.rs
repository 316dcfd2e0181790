//! The forms of a value: the choice by Accept, and the headers.

use super::{put, resp, server};
use crate::support::http::Response;
use crate::support::in_process::Http;

fn get_as(http: &mut Http, path: &str, accept: &str) -> Response {
    http.ask("GET", path, &[("Accept", accept)], b"")
}

#[test]
fn a_body_is_handed_out_with_its_own_type() {
    let (server, mut http) = server();
    let image = b"\x89PNG\r\n";
    assert_eq!(http.ask("PUT", "/cache/logo", &[("Content-Type", "image/png")], image).status, 201);
    for accept in ["*/*", "image/*", "text/html, image/png"] {
        let read = get_as(&mut http, "/cache/logo", accept);
        assert_eq!((read.header("content-type"), read.body.as_slice()), (Some("image/png"), &image[..]));
        assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
        assert!(read.header("content-security-policy").is_some_and(|policy| policy.contains("sandbox")));
    }
    let json = get_as(&mut http, "/cache/logo", "application/json").json();
    assert_eq!((&json["value"], &json["encoding"]), (&"iVBORw0K".into(), &"base64".into()));
    let refused = get_as(&mut http, "/cache/logo", "text/plain");
    assert_eq!((refused.status, refused.problem().as_str()), (406, "not-acceptable"));
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("image/png")));
    // Once something else writes to the key, it is a string as any other.
    resp(&server).ask("SET logo text");
    assert_eq!(http.get("/cache/logo").text(), r#"{"key":"logo","value":"text"}"#);
}

#[test]
fn strings_and_json_are_json_unless_asked_otherwise() {
    let (_server, mut http) = server();
    put(&mut http, "/cache/text", r#"{"value": "h\u00e9llo"}"#);
    put(&mut http, "/cache/list", r#"{"value": [1]}"#);
    for path in ["/cache/text", "/cache/list"] {
        for accept in ["*/*", "application/json", "text/html,application/xml;q=0.9,*/*;q=0.8"] {
            let read = get_as(&mut http, path, accept);
            assert_eq!(read.header("content-type"), Some("application/json"), "{path} {accept}");
        }
    }
    let text = get_as(&mut http, "/cache/text", "text/*");
    assert_eq!((text.header("content-type"), text.text()), (Some("text/plain; charset=utf-8"), "h\u{e9}llo"));
    assert_eq!(get_as(&mut http, "/cache/list", "application/octet-stream").text(), "[1]");
    assert_eq!(get_as(&mut http, "/cache/text", "image/png").status, 406);
}

#[test]
fn every_form_has_a_tag_and_says_how_long_it_is_good_for() {
    let (server, mut http) = server();
    put(&mut http, "/cache/key", r#"{"value": "hello", "ttl": 100}"#);
    let json = http.get("/cache/key");
    let text = get_as(&mut http, "/cache/key", "text/plain");
    assert_ne!(json.header("etag").expect("it has a tag"), text.header("etag").expect("it has a tag"));
    for response in [&json, &text] {
        assert_eq!(response.header("vary"), Some("Accept"));
        let control = response.header("cache-control").expect("it says how long");
        let seconds: u64 = control.strip_prefix("max-age=").and_then(|age| age.parse().ok()).expect(control);
        assert!((90..=100).contains(&seconds), "{seconds}");
    }
    resp(&server).ask("PERSIST key");
    let lasting = http.get("/cache/key");
    assert_eq!(lasting.header("cache-control"), Some("no-cache"));
    assert_eq!(lasting.header("etag"), json.header("etag"));
}
