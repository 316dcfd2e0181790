//! Access by password, by the page that asks, and by the name of the server.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{connect as connect_to, server as process};
use crate::support::client::Client;
use crate::support::http::Ask;
use crate::support::in_process::{Http, InProcess};

fn server(arguments: &[&str]) -> InProcess {
    InProcess::start(arguments)
}

fn connect(server: &InProcess) -> Http {
    server.http()
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// The status of a request that says who it is.
fn status_for(http: &mut impl Ask, authorization: &str) -> u16 {
    http.ask("GET", "/cache/key", &[("Authorization", authorization)], b"").status
}

#[test]
fn a_password_is_asked_for_and_taken() {
    let server = server(&["--requirepass", "open: sesame"]);
    let mut http = connect(&server);
    let refused = http.get("/cache/key");
    assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"));
    let challenge = refused.header("www-authenticate").expect("it says how to authenticate");
    assert!(challenge.contains("Basic") && challenge.contains("Bearer"), "{challenge}");
    let absent = 404;
    for right in [basic("default:open: sesame"), basic(":open: sesame"), "Bearer open: sesame".to_owned()] {
        assert_eq!(status_for(&mut http, &right), absent, "{right}");
    }
    for wrong in [
        basic("default:sesame"),
        basic("other:open: sesame"),
        basic("open: sesame"),
        "Basic !".to_owned(),
        "Bearer".to_owned(),
        "Bearer open".to_owned(),
        "Digest open: sesame".to_owned(),
        format!("Bearer {}", "x".repeat(5000)),
    ] {
        assert_eq!(status_for(&mut http, &wrong), 401, "{wrong}");
    }
}

#[test]
fn users_publish_and_ask_within_their_rights_and_do_nothing_else() {
    let users =
        "[{ name = 'shop', password = 'a b ', publish = ['orders.>'] }, { name = 'root', password = 'r' }]";
    let server = server(&["--requirepass", "sesame", "--users", users]);
    let mut http = connect(&server);
    let (shop, root) = (basic("shop:a b "), basic("root:r"));
    let mut said = |method: &str, path: &str, user: &str, body: &str| {
        let batch = ("Content-Type", "application/x-ndjson");
        let headers = [("Authorization", user), batch];
        let headers = if body.is_empty() { &headers[..1] } else { &headers };
        let answer = http.ask(method, path, headers, body.as_bytes());
        let problem = if answer.status < 400 { String::new() } else { answer.problem() };
        (answer.status, problem, answer.text().contains("\"line\":2"))
    };
    let done = (200, String::new(), false);
    let refused = |status, problem: &str| (status, problem.to_owned(), false);
    assert_eq!(said("POST", "/publish/orders.new", &shop, ""), done);
    assert_eq!(said("POST", "/publish/news", &root, ""), done);
    assert_eq!(said("POST", "/publish/news", &shop, ""), refused(403, "subject-not-allowed"));
    let lines = "{\"subject\": \"orders.a\"}\n{\"subject\": \"news\"}\n";
    for path in ["/publish", "/publish/orders.new"] {
        let at_fault = (403, "subject-not-allowed".to_owned(), true);
        assert_eq!(said("POST", path, &shop, lines), at_fault, "{path}");
        assert_eq!(said("POST", path, &root, lines), done, "{path}");
    }
    assert_eq!(said("POST", "/request/orders.get", &shop, ""), refused(503, "no-responders"));
    assert_eq!(said("POST", "/request/news", &shop, ""), refused(403, "subject-not-allowed"));
    let others = [
        ("GET", "/subscribe/orders.new"),
        ("GET", "/publish/orders.new"),
        ("DELETE", "/request/orders.get"),
        ("GET", "/cache/key"),
        ("PUT", "/cache/key"),
        ("POST", "/tickets"),
        ("GET", "/metrics"),
        ("GET", "/figures"),
        ("GET", "/redis/ping"),
        ("GET", "/connz"),
        ("DELETE", "/streams/orders"),
        ("GET", "/nothing"),
    ];
    for (method, path) in others {
        for user in [&shop, &root] {
            assert_eq!(said(method, path, user, ""), refused(403, "not-for-users"), "{method} {path}");
        }
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(said("GET", path, &shop, ""), done);
    }
    for wrong in ["shop:a b", "shop:sesame", "nobody:a b ", "default:a b ", ":r"] {
        let unauthorized = refused(401, "unauthorized");
        assert_eq!(said("POST", "/publish/orders.new", &basic(wrong), ""), unauthorized, "{wrong}");
    }
}

#[test]
fn without_a_password_only_health_is_told_and_only_its_status() {
    let server = server(&["--requirepass", "sesame"]);
    let mut http = connect(&server);
    for path in ["/docs/", "/figures", "/openapi.json", "/problems/not-found", "/nothing", "/health/ready/x"]
    {
        assert_eq!(http.get(path).status, 401, "{path}");
    }
    assert_eq!(http.ask("OPTIONS", "/cache/key", &[], b"").status, 401);
    assert_eq!(http.get("/health/live").json(), serde_json::json!({ "status": "up" }));
    assert_eq!(http.get("/health/ready").json(), serde_json::json!({ "status": "up" }));
    let told = http.ask("GET", "/health/ready", &[("Authorization", "Bearer sesame")], b"").json();
    assert_eq!(told["parts"]["cache"], "up", "{told}");
}

#[test]
fn a_password_set_later_holds_for_open_connections() {
    let server = process(&[]);
    let mut http = connect_to(&server);
    assert_eq!(http.get("/cache/key").status, 404);
    assert_eq!(Client::connect(server.address()).ask("CONFIG SET requirepass sesame"), "OK");
    assert_eq!(http.get("/cache/key").status, 401);
    assert_eq!(status_for(&mut http, "Bearer sesame"), 404);
}

/// The problem of a request with these headers, or `none`.
fn problem_with(server: &InProcess, headers: &[(&str, &str)]) -> String {
    let response = connect(server).ask("PUT", "/cache/key", headers, br#"{"value": "x"}"#);
    if response.status < 400 { "none".to_owned() } else { response.problem() }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let server = server(&[]);
    let own = format!("http://{}", server.http_address());
    assert_eq!(problem_with(&server, &[("Origin", &own)]), "none");
    for origin in ["http://example.com", "http://localhost:1", "null", "https://127.0.0.1"] {
        assert_eq!(problem_with(&server, &[("Origin", origin)]), "foreign-origin", "{origin}");
    }
    let fetched = |site, mode| problem_with(&server, &[("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)]);
    assert_eq!(fetched("cross-site", "no-cors"), "foreign-origin");
    assert_eq!(fetched("same-site", "no-cors"), "foreign-origin");
    assert_eq!(fetched("cross-site", "navigate"), "foreign-origin");
    assert_eq!(fetched("same-origin", "cors"), "none");
    assert_eq!(fetched("none", "navigate"), "none");
    let preflight = [("Origin", "http://example.com"), ("Access-Control-Request-Method", "PUT")];
    let response = connect(&server).ask("OPTIONS", "/cache/key", &preflight, b"");
    assert_eq!((response.status, response.header("access-control-allow-origin")), (403, None));
}

#[test]
fn a_proxy_may_pass_on_what_browsers_say_of_other_sites() {
    let server = server(&[]);
    let said = [("Origin", "https://shop.test"), ("Sec-Fetch-Site", "cross-site"), ("X-User-ID", "user123")];
    let passed_on = [&said[..], &[("Host", "shop.test"), ("X-Forwarded-For", "192.0.2.1")]].concat();
    assert_eq!(connect(&server).ask("GET", "/auth/nginx", &passed_on, b"").status, 204);
    assert_eq!(connect(&server).ask("GET", "/auth/forward", &passed_on, b"").status, 200);
    let host = [("Host", "shop.test"), said[2]];
    assert_eq!(connect(&server).ask("GET", "/auth/forward", &host, b"").status, 200);
    assert_eq!(connect(&server).ask("GET", "/check", &passed_on, b"").problem(), "foreign-host");
    assert_eq!(connect(&server).ask("GET", "/check", &said, b"").problem(), "foreign-origin");
    for path in ["/auth/nginx", "/auth/forward"] {
        let refused = connect(&server).ask("GET", path, &said, b"");
        assert_eq!((refused.status, refused.problem().as_str()), (403, "foreign-origin"), "{path}");
    }
    let left = connect(&server).ask("GET", "/check?peek=true", &said[2..], b"").json();
    assert_eq!(left["remaining"], 97, "what was refused took nothing");
}

/// A GET of the API.
struct Read {
    /// Its path, filled in.
    path: String,
    /// Its description says that it takes something.
    takes: bool,
    /// Its description says that it runs commands.
    runs_commands: bool,
}

/// Every GET of the API.
fn reads() -> Vec<Read> {
    let description = serde_json::to_value(quartet::http::openapi()).expect("it is JSON");
    let paths = description["paths"].as_object().expect("it has paths");
    // Streams do not end.
    let has_end = |get: &serde_json::Value| {
        get.is_object() && get["responses"]["200"]["content"]["text/event-stream"].is_null()
    };
    let gets = paths.iter().filter(|(_, operations)| has_end(&operations["get"]));
    let reads = gets.map(|(path, operations)| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "thing" } else { part });
        Read {
            path: parts.collect::<Vec<_>>().join("/"),
            takes: operations["get"]["x-taken-by"].is_string(),
            runs_commands: operations["get"]["x-runs-commands"] == true,
        }
    });
    reads.collect()
}

#[test]
fn a_link_of_another_site_takes_nothing() {
    let server = server(&[]);
    let mut http = connect(&server);
    let followed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    for Read { path, takes, runs_commands } in reads() {
        for method in ["GET", "HEAD"] {
            let status = http.ask(method, &format!("{path}?key=victim&cost=40"), &followed, b"").status;
            assert_eq!(status == 403, takes || runs_commands, "{method} {path}");
        }
    }
    let left = http.get("/check?key=victim&peek=true").json();
    assert_eq!(left["remaining"], 100);
}

#[test]
fn every_get_that_takes_something_is_described_so() {
    let server = server(&[]);
    let mut http = connect(&server);
    let state = |http: &mut Http| {
        ["/policies", "/cache?count=10000", "/locks"].map(|path| http.get(path).json().to_string())
    };
    let mut before = state(&mut http);
    for Read { path, takes, .. } in reads() {
        for query in ["", "?key=victim"] {
            http.get(&format!("{path}{query}"));
        }
        let after = state(&mut http);
        assert_eq!(after != before, takes, "{path}: {before:?}, {after:?}");
        before = after;
    }
}

#[test]
fn no_page_frames_the_server_or_runs_what_clients_have_stored() {
    let server = server(&[]);
    let mut http = connect(&server);
    let script = b"<script>fetch('/cache', {method: 'DELETE'})</script>";
    assert_eq!(http.ask("PUT", "/cache/page", &[("Content-Type", "text/html")], script).status, 201);
    let reads = reads().into_iter().map(|read| read.path);
    let others = [
        "/",
        "/console/app.js",
        "/docs",
        "/docs/",
        "/docs/swagger-initializer.js",
        "/cache/page",
        "/nothing",
        "/locks/a/b/c",
    ];
    for path in reads.chain(others.map(str::to_owned)) {
        let response = http.get(&path);
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{path}");
        let policy = response.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'") || policy == "sandbox", "{path}: {policy}");
        let is_page = path == "/" || path.starts_with("/docs") || path.starts_with("/console/");
        assert_eq!(policy.contains("sandbox"), !is_page, "{path}: {policy}");
    }
    let stored = http.get("/cache/page");
    assert_eq!((stored.header("content-type"), stored.body.as_slice()), (Some("text/html"), &script[..]));
}

#[test]
fn a_page_that_points_its_name_at_the_server_is_refused() {
    for arguments in [&["--bind", "0.0.0.0"][..], &["--bind", "0.0.0.0", "--protected-mode", "no"], &[]] {
        let server = server(arguments);
        let port = server.http_address().port();
        let own = format!("http://evil.com:{port}");
        let headers = [("Host", own.trim_start_matches("http://")), ("Origin", &own)];
        assert_eq!(problem_with(&server, &headers), "foreign-host", "{arguments:?}");
        let refused = connect(&server).ask("GET", "/cache/key", &headers, b"");
        assert!(refused.json().to_string().contains("--http-hosts"), "{refused:?}");
        assert_eq!(problem_with(&server, &[("Host", "[::1]evil.com")]), "invalid-request");
        assert_eq!(problem_with(&server, &[("Host", "localhost")]), "none");
    }
    let guarded = server(&["--bind", "0.0.0.0", "--requirepass", "sesame"]);
    let named = [("Host", "cache.example.com"), ("Authorization", "Bearer sesame")];
    assert_eq!(problem_with(&guarded, &named), "none");
}

#[test]
fn names_of_other_machines_are_refused_while_on_loopback() {
    let server = server(&["--http-hosts", "quartet.test"]);
    let port = server.http_address().port();
    for host in ["localhost", "LOCALHOST", "api.localhost", "127.0.0.1", "[::1]", "quartet.test"] {
        assert_eq!(problem_with(&server, &[("Host", host)]), "none", "{host}");
        assert_eq!(problem_with(&server, &[("Host", &format!("{host}:{port}"))]), "none", "{host}");
    }
    for host in ["example.com", "localhost.example.com", "192.168.0.1", "quartet.test.example.com", ""] {
        assert_eq!(problem_with(&server, &[("Host", host)]), "foreign-host", "{host}");
    }
    assert_eq!(problem_with(&server, &[("Host", "localhost"), ("Host", "localhost")]), "invalid-request");
    let server = process(&[]);
    let mut http = connect_to(&server);
    http.write(b"GET /health/live HTTP/1.1\r\n\r\n");
    assert_eq!(http.read("GET").expect("it is answered").problem(), "invalid-request");
    http.write(b"GET http://example.com/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(http.read("GET").expect("it is answered").problem(), "foreign-host");
    http.write(b"GET /health/live HTTP/1.0\r\n\r\n");
    assert_eq!(http.read("GET").expect("it is answered").status, 200);
}

#[test]
fn allowed_sites_may_use_the_door_from_a_browser() {
    let server = server(&["--http-cors-origins", "http://console.test:3000", "--requirepass", "sesame"]);
    let mut http = connect(&server);
    let preflight = [
        ("Origin", "http://console.test:3000"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let response = http.ask("OPTIONS", "/cache/key", &preflight, b"");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), Some("http://console.test:3000"));
    assert_eq!(response.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(response.header("access-control-allow-headers"), Some("authorization,content-type"));
    let headers = [("Origin", "http://console.test:3000"), ("Authorization", "Bearer sesame")];
    let response = http.ask("GET", "/health/ready", &headers, b"");
    assert_eq!((response.status, response.header("access-control-allow-origin")), (200, Some(headers[0].1)));
    let other = http.ask("GET", "/health/ready", &[("Origin", "http://example.com")], b"");
    assert_eq!(
        (other.problem().as_str(), other.header("access-control-allow-origin")),
        ("foreign-origin", None)
    );
}

#[test]
fn options_that_ask_for_nothing_else_are_answered_by_the_path() {
    let origin = ("Origin", "http://console.test");
    for settings in [&["--http-cors-origins", origin.1][..], &["--http-cors-origins", "*"], &[]] {
        let server = server(settings);
        let mut http = connect(&server);
        let has_cors = !settings.is_empty();
        let from_page = if has_cors { vec![origin] } else { vec![] };
        for headers in [vec![], from_page, vec![("Access-Control-Request-Method", "PUT")]] {
            let options = http.ask("OPTIONS", "/cache/key", &headers, b"");
            assert_eq!(options.status, 204, "{headers:?}");
            assert!(options.header("allow").is_some_and(|allow| allow.contains("DELETE")), "{options:?}");
            let is_from_page = headers.contains(&origin);
            assert_eq!(
                options.header("access-control-allow-origin").is_some(),
                has_cors && (is_from_page || settings[1] == "*")
            );
            assert!(options.header("x-request-id").is_some());
            assert_eq!(http.ask("OPTIONS", "/nothing", &headers, b"").problem(), "not-found");
        }
    }
}
