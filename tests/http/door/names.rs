//! Names: of paths, methods, problems and requests.

use quartet::http::endpoint::problems::PROBLEMS;

use super::{connect, server};
use crate::support::in_process::InProcess;
use crate::support::process::wait_for;

#[test]
fn a_path_without_an_endpoint_is_a_problem() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    for path in ["/nothing", "/cache/a/b/c", "/health", "/health/live/", "/problems/nothing", "/%ff", "//"] {
        let response = http.get(path);
        assert_eq!((response.status, response.problem().as_str()), (404, "not-found"), "{path}");
    }
}

#[test]
fn every_problem_has_a_page() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    for kind in PROBLEMS {
        let response = http.get(&format!("/problems/{}", kind.slug));
        assert_eq!(response.status, 200, "{}", kind.slug);
        assert!(response.text().contains(kind.title) && response.text().contains(kind.description));
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    let response = http.ask("PATCH", "/cache/key", &[], b"");
    assert_eq!((response.status, response.problem().as_str()), (405, "method-not-allowed"));
    let allow = response.header("allow").expect("it says what is allowed").to_owned();
    assert!(
        ["GET", "HEAD", "PUT"].iter().all(|method| allow.split(',').any(|other| other.trim() == *method))
    );
    let options = http.ask("OPTIONS", "/cache/key", &[], b"");
    assert_eq!((options.status, options.header("allow"), options.body.len()), (204, Some(allow.as_str()), 0));
    assert_eq!(http.ask("OPTIONS", "/nothing", &[], b"").status, 404);
    assert_eq!(http.ask("BREW", "/health/live", &[], b"").problem(), "method-not-allowed");
}

/// Every path of the API that GET takes, filled in; streams of events have no end and are left out.
fn readable_paths() -> Vec<String> {
    let description = serde_json::to_value(quartet::http::openapi()).expect("it is JSON");
    let paths = description["paths"].as_object().expect("it has paths");
    let has_end = |get: &serde_json::Value| {
        get.is_object() && get["responses"]["200"]["content"]["text/event-stream"].is_null()
    };
    let readable = paths.iter().filter(|(_, operations)| has_end(&operations["get"]));
    let filled = readable.map(|(path, _)| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "thing" } else { part });
        parts.collect::<Vec<_>>().join("/")
    });
    ["/", "/docs/", "/docs/index.css", "/nothing"].map(str::to_owned).into_iter().chain(filled).collect()
}

#[test]
fn head_is_get_without_a_body() {
    let server = server(&[]);
    let mut http = connect(&server);
    assert!(http.ask("PUT", "/cache/thing", &[], br#"{"value": "x"}"#).status < 300);
    let mut steady_bodies = 0;
    for path in readable_paths() {
        let (get, head) = (http.get(&path), http.ask("HEAD", &path, &[], b""));
        assert_eq!((get.status, head.body.len()), (head.status, 0), "{path}");
        assert_eq!(get.header("content-type"), head.header("content-type"), "{path}");
        // A body that states the time or a count may have another length from one request to the next.
        if http.get(&path).body == get.body {
            assert_eq!(get.header("content-length"), head.header("content-length"), "{path}");
            steady_bodies += 1;
        }
    }
    assert!(steady_bodies >= 20, "only {steady_bodies} bodies were the same twice");
}

#[test]
fn a_response_without_a_body_has_no_length() {
    let server = server(&[]);
    let mut http = connect(&server);
    http.ask("PUT", "/cache/key", &[], br#"{"value": "x"}"#);
    let known = [("If-None-Match", "*")];
    for (method, path, headers, status) in [
        ("GET", "/cache/key", &known[..], 304),
        ("HEAD", "/cache/key", &known, 304),
        ("OPTIONS", "/cache/key", &[], 204),
        ("GET", "/auth/nginx", &[("X-User-ID", "me")], 204),
        ("HEAD", "/auth/nginx", &[("X-User-ID", "me")], 204),
        ("DELETE", "/cache/key/ttl", &[], 204),
        ("DELETE", "/cache/key", &[], 204),
        ("DELETE", "/cache", &[], 204),
    ] {
        let response = http.ask(method, path, headers, b"");
        assert_eq!((response.status, response.header("content-length")), (status, None), "{method} {path}");
        assert_eq!(response.header("transfer-encoding"), None, "{method} {path}");
        assert_eq!(response.header("content-type"), None, "{method} {path}");
    }
}

#[test]
fn a_request_has_one_id_from_end_to_end() {
    let server = server(&["--log-level", "debug", "--log-format", "json"]);
    let mut http = connect(&server);
    let made = http.get("/health/live");
    let made = made.header("x-request-id").expect("each response has an id").to_owned();
    assert_eq!(made.len(), 32);
    let again = http.get("/health/live");
    assert_ne!(again.header("x-request-id"), Some(made.as_str()));
    let own = http.ask("GET", "/nothing", &[("X-Request-Id", "order-7")], b"");
    assert_eq!(own.header("x-request-id"), Some("order-7"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let traced = http.ask("GET", "/cache/absent", &[("traceparent", &parent)], b"");
    assert_eq!(traced.header("x-request-id"), Some(trace));

    // A line is handed over before the response, and a thread of its own writes it.
    let log =
        wait_for(|| Some(server.folder().stderr()).filter(|log| log.contains(trace) && log.ends_with('\n')));
    let lines =
        log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON"));
    let answered: Vec<_> = lines.filter(|line| line["message"] == "answered").collect();
    let fields = |id: &str| {
        let line = answered.iter().find(|line| line["request_id"] == id).expect("the request is in the log");
        assert!(line["micros"].is_u64());
        (line["method"].clone(), line["route"].clone(), line["status"].clone())
    };
    assert_eq!(fields(&made), ("GET".into(), "/health/live".into(), 200.into()));
    assert_eq!(fields("order-7"), ("GET".into(), "(none)".into(), 404.into()));
    assert_eq!(fields(trace), ("GET".into(), "/cache/{key}".into(), 404.into()));
}

#[test]
fn requests_are_logged_as_text_when_asked_for() {
    let server = server(&["--http-log-requests", "yes"]);
    let mut http = connect(&server);
    http.ask("GET", "/cache/absent", &[("X-Request-Id", "order-8")], b"");
    // A thread of its own writes the log.
    let line = wait_for(|| {
        let log = server.folder().stderr();
        log.lines().find(|line| line.contains("order-8")).map(str::to_owned)
    });
    for part in ["INFO", "GET", "/cache/{key}", "404"] {
        assert!(line.contains(part), "{line}");
    }
}
