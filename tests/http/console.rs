//! The console's page and files, and the figures that it watches.

use crate::support::http::Http;
use crate::support::in_process::InProcess;
use crate::support::process::Server;

/// The addresses that a text names between these words and the next quote.
fn named<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_page_and_its_files_are_sent_without_a_password() {
    let server = InProcess::start(&["--requirepass", "sesame"]);
    let mut http = server.http();
    let page = http.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let mut waiting: Vec<String> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|before| named(page.text(), before))
        .map(str::to_owned)
        .collect();
    waiting.retain(|path| path.starts_with("console/"));
    assert!(waiting.len() >= 3, "{}", page.text());
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let file = http.get(&format!("/{path}"));
        assert_eq!(file.status, 200, "{path}");
        let policy = file.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        for import in named(file.text(), " from \"") {
            let (folder, _) = path.rsplit_once('/').expect("it lies in a folder");
            let (folder, name) = match import.strip_prefix("../") {
                Some(name) => (folder.rsplit_once('/').expect("it lies below another").0, name),
                None => (folder, import.trim_start_matches("./")),
            };
            waiting.push(format!("{folder}/{name}"));
        }
        seen.push(path);
    }
    assert!(seen.len() >= 15, "{seen:?}");
    assert_eq!(http.get("/console/nothing.js").problem(), "not-found");
    assert_eq!(http.get("/console/../openapi.json").status, 404);
    assert_eq!(http.get("/figures").problem(), "unauthorized");
}

#[test]
fn a_browser_keeps_the_files_as_long_as_they_are_the_same() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    for path in ["/", "/console/style.css"] {
        let whole = http.get(path);
        assert_eq!(whole.header("cache-control"), Some("no-cache"), "{path}");
        let tag = whole.header("etag").expect("it has a tag").to_owned();
        for known in [tag.clone(), format!("\"other\", W/{tag}")] {
            let again = http.ask("GET", path, &[("If-None-Match", &known)], b"");
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
        }
        let other = http.ask("GET", path, &[("If-None-Match", "\"other\"")], b"");
        assert_eq!((other.status, &other.body), (200, &whole.body), "{path}");
    }
}

#[test]
fn it_can_be_switched_off() {
    let server = InProcess::start(&["--console", "no"]);
    let mut http = server.http();
    let leads = http.get("/");
    assert_eq!((leads.status, leads.header("location")), (307, Some("/docs/")));
    assert_eq!(http.get("/console/app.js").status, 404);
    assert_eq!(server.resp().ask("CONFIG SET console yes"), "OK");
    assert_eq!((http.get("/").status, http.get("/console/app.js").status), (200, 200));
}

#[test]
fn arguments_may_be_bytes() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    let mut run = |body: &str| http.ask("POST", "/redis", &[], body.as_bytes());
    assert_eq!(run(r#"["SET", {"base64": "/wD+"}, {"base64": "AAE="}]"#).status, 200);
    assert_eq!(run(r#"["STRLEN", {"base64": "/wD+"}]"#).json()["result"], 2);
    for wrong in [
        r#"["GET", {"base64": "?"}]"#,
        r#"["GET", {}]"#,
        r#"["GET", {"base64": "", "x": 1}]"#,
        r#"["GET", {"base64": 1}]"#,
    ] {
        let refused = run(wrong);
        assert_eq!(refused.status, 400, "{wrong}");
        let error = refused.json()["error"].to_string();
        assert!(error.contains("ERR an argument must be"), "{wrong}: {error}");
    }
}

/// The next event of figures.
fn next(http: &mut Http) -> serde_json::Value {
    http.read_until("event: figures\ndata: ");
    let line = http.read_until("\n\n");
    serde_json::from_str(line.trim()).expect("it is JSON")
}

#[test]
fn the_figures_of_all_services_come_by_themselves() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut http = Http::connect(server.http_address());
    http.write(b"GET /figures HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let before = next(&mut http);
    let mut other = Http::connect(server.http_address());
    assert_eq!(other.ask("PUT", "/cache/key", &[], br#"{"value": "x"}"#).status, 201);
    assert_eq!(other.ask("POST", "/lock", &[], br#"{"resource": "x", "ttl": 60}"#).status, 200);
    assert_eq!(other.ask("PUT", "/streams/S", &[], br#"{"subjects": ["s.>"]}"#).status, 201);
    let checks = br#"{"checks": [{"policy": "default", "key": "somebody", "cost": 101}]}"#;
    assert_eq!(other.ask("POST", "/check", &[], checks).status, 429);
    // A request is counted once it is answered, so the event after the next has all of them.
    next(&mut http);
    let after = next(&mut http);
    assert_eq!((&before["cache"]["keys"], &after["cache"]["keys"]), (&0.into(), &1.into()));
    assert_eq!((&after["locks"]["leases"], &after["locks"]["granted"]), (&1.into(), &1.into()));
    assert_eq!(after["streams"]["by_stream"][0]["stream"], "S");
    assert_eq!(after["limits"]["by_policy"][0]["top"][0]["key"], "somebody");
    assert_eq!(
        (&after["traffic"]["locks"]["requests"], &after["traffic"]["limits"]["failed"]),
        (&1.into(), &0.into())
    );
    assert!(after["time_ms"].as_u64() > before["time_ms"].as_u64());
}

#[test]
fn an_event_of_figures_stays_short_whatever_there_is() {
    /// As in the server, and half of what may wait for a feed.
    const POLICIES_MAX: usize = 32;
    const EVENT_LENGTH_MAX: usize = 128 * 1024;
    let server = Server::quartet(&["--http-port", "0"]);
    let mut other = Http::connect(server.http_address());
    for policy in 0..=POLICIES_MAX {
        let definition = br#"{"limits": [{"algorithm": "gcra", "limit": 1, "period_ms": 60000}]}"#;
        assert_eq!(other.ask("PUT", &format!("/policies/a{policy}"), &[], definition).status, 204);
        for key in 0..6 {
            let key = format!("{}{key}", "\u{1}".repeat(100));
            let check = serde_json::json!({ "policy": format!("a{policy}"), "key": key, "cost": 2 });
            let checks = serde_json::json!({ "checks": [check] }).to_string();
            assert_eq!(other.ask("POST", "/check", &[], checks.as_bytes()).status, 429);
        }
    }
    let mut http = Http::connect(server.http_address());
    http.write(b"GET /figures HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let event = next(&mut http);
    let policies = event["limits"]["by_policy"].as_array().expect("they are listed");
    assert_eq!(policies.len(), POLICIES_MAX);
    let all = (&event["limits"]["policies"], &event["limits"]["refused"]);
    assert_eq!(all, (&(POLICIES_MAX + 2).into(), &((POLICIES_MAX + 1) * 6).into()), "the sums are of all");
    for policy in policies {
        let top = policy["top"].as_array().expect("they are listed");
        assert!(top.len() == 5 && top.iter().all(|one| one["is_cut"] == true), "{policy}");
    }
    assert!(event.to_string().len() < EVENT_LENGTH_MAX, "{}", event.to_string().len());
}

#[test]
fn only_so_many_watch_the_figures() {
    /// As in the server.
    const WATCHERS_MAX: usize = 256;
    let server = Server::quartet(&["--http-port", "0"]);
    let watch = || {
        let mut http = Http::connect(server.http_address());
        http.write(b"GET /figures HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = http.read_until("\r\n\r\n");
        (http, head.contains(" 200 "))
    };
    let watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| watch()).collect();
    assert!(watchers.iter().all(|(_, is_open)| *is_open));
    assert!(!watch().1, "one too many");
}
