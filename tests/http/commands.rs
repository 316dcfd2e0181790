//! Commands over HTTP: the rights of requests, and the limits of one request.

use std::time::Duration;

use quartet::command::Flags;
use serde_json::{Value, json};

use crate::support::http::{Http as Socket, Response};
use crate::support::in_process::{Http, InProcess};
use crate::support::process::{Folder, Server};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const TEXT: (&str, &str) = ("Content-Type", "text/plain");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const FIREFOX: (&str, &str) =
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");

fn run(http: &mut Http, headers: &[(&str, &str)], command: &Value) -> Response {
    http.ask("POST", "/redis", headers, command.to_string().as_bytes())
}

/// The headers of a browser that opens a page or sends a form, from several places.
const NAVIGATIONS: &[&[(&str, &str)]] = &[
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
    &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "navigate")],
    &[("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-User", "?1")],
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
    // An image, on a page of the server itself.
    &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "no-cors")],
    // Without TLS, a browser says less to other machines.
    &[FIREFOX],
    &[FIREFOX, ("Referer", "http://127.0.0.1:8080/docs/")],
    &[FIREFOX, ("Referer", "http://example.com/")],
];

#[test]
fn no_link_and_no_form_runs_any_command() {
    let server = InProcess::start(&["--requirepass", "sesame", "--http-cors-origins", "http://console.test"]);
    let mut http = server.http();
    let bearer = ("Authorization", "Bearer sesame");
    // Every command meets every navigation, each with one form: whether it passes does not depend on the command, and there are
    // many more commands than forms, so that each navigation meets them all.
    let kinds = [TEXT, FORM, ("Content-Type", "multipart/form-data; boundary=x")];
    let origins = [None, Some("http://127.0.0.1:8080"), Some("http://console.test"), Some("null")];
    let forms: Vec<_> = kinds.iter().flat_map(|kind| origins.map(|origin| (*kind, origin))).collect();
    for (number, name) in server.command_names().into_iter().enumerate() {
        let words: Vec<&str> = name.split('|').chain(["0", "1"]).collect();
        for (place, navigation) in NAVIGATIONS.iter().enumerate() {
            let link = [&[bearer][..], navigation].concat();
            for method in ["GET", "HEAD"] {
                let response = http.ask(method, &format!("/redis/{}", words.join("/")), &link, b"");
                assert_eq!(response.status, 403, "{name}: {method} {navigation:?}");
            }
            let body = json!(words).to_string();
            let several = json!([words]).to_string();
            let (kind, origin) = forms[(number + place) % forms.len()];
            let mut form = [&[bearer, kind][..], navigation].concat();
            form.extend(origin.map(|origin| ("Origin", origin)));
            for (path, body) in [
                ("/redis", &body),
                ("/redis/pipeline", &several),
                ("/redis/multi-exec", &several),
                (&format!("/redis/{}", words.join("/")), &body),
            ] {
                let response = http.ask("POST", path, &form, body.as_bytes());
                assert!(matches!(response.status, 403 | 415), "{name}: {path} {form:?}");
                assert!(response.json()["error"].is_string(), "{}", response.text());
            }
        }
    }
    for (name, calls, rejected) in server.command_counts() {
        assert_eq!((calls, rejected), (0, 0), "{name}");
    }
}

#[test]
fn scripts_of_pages_that_may_use_the_door_run_commands() {
    let server = InProcess::start(&["--http-cors-origins", "http://console.test"]);
    let mut http = server.http();
    let own = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), JSON, FIREFOX];
    let listed = [
        ("Origin", "http://console.test"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "cors"),
        JSON,
    ];
    let plain = [("Origin", "http://console.test"), JSON, FIREFOX];
    // The runtime of Node says so too.
    let node = [("Sec-Fetch-Mode", "cors"), ("User-Agent", "node"), JSON];
    for headers in [&own[..], &listed, &plain, &node] {
        assert_eq!(
            run(&mut http, headers, &json!(["PING"])).json(),
            json!({"result": "PONG"}),
            "{headers:?}"
        );
        let (kept, _): (Vec<_>, Vec<_>) = headers.iter().copied().partition(|header| *header != JSON);
        assert_eq!(http.ask("GET", "/redis/get/k", &kept, b"").json(), json!({"result": null}), "{kept:?}");
        for kind in [TEXT, FORM] {
            let other = [&kept[..], &[kind]].concat();
            let refused = run(&mut http, &other, &json!(["PING"]));
            assert_eq!((refused.status, refused.problem().as_str()), (415, "unsupported-media-type"));
        }
        assert_eq!(run(&mut http, &kept, &json!(["PING"])).status, 415, "{kept:?}");
    }
    let foreign = [("Origin", "http://example.com"), ("Sec-Fetch-Mode", "cors"), JSON];
    assert_eq!(run(&mut http, &foreign, &json!(["PING"])).problem(), "foreign-origin");
    // A client that is no browser may leave the type out, or send that of curl.
    for headers in [&[][..], &[FORM], &[TEXT], &[JSON]] {
        assert_eq!(run(&mut http, headers, &json!(["PING"])).status, 200, "{headers:?}");
    }
}

#[test]
fn a_page_that_may_use_the_door_may_send_the_headers_of_the_client() {
    let server = InProcess::start(&["--http-cors-origins", "http://console.test"]);
    let asked = "authorization,content-type,upstash-encoding,upstash-sync-token,upstash-telemetry-sdk";
    let preflight = [
        ("Origin", "http://console.test"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", asked),
    ];
    for path in ["/redis", "/redis/pipeline", "/redis/multi-exec", "/redis/get/k"] {
        let response = server.http().ask("OPTIONS", path, &preflight, b"");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-headers"), Some(asked));
    }
}

#[test]
fn every_row_is_run_or_refused_for_a_reason() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    for name in server.command_names() {
        let words: Vec<&str> = name.split('|').collect();
        let read = http.get(&format!("/redis/{}", words.join("/")));
        let error = read.json()["error"].as_str().unwrap_or_default().to_owned();
        let is_told = [
            "works on a connection",
            "GET may only read keys",
            "is for operators",
            "wrong number of arguments",
        ];
        let flags = server.flags(&name);
        let may_run =
            flags.contains(Flags::READONLY) && !flags.intersects(Flags::ADMIN.union(Flags::DANGEROUS));
        let has_run = read.status == 200;
        let has_reason = is_told.iter().any(|reason| error.contains(reason));
        assert!(if has_run { may_run } else { has_reason }, "{name}: {}", read.text());
    }
}

#[test]
fn commands_are_counted_and_shown_as_any() {
    let server = InProcess::start(&["--slowlog-log-slower-than", "0"]);
    let (mut http, mut resp) = (server.http(), server.resp());
    run(&mut http, &[], &json!(["SET", "k", "v"]));
    run(&mut http, &[], &json!(["INCR", "k"]));
    http.get("/redis/set/k/other");
    let counts: Vec<_> = server.command_counts().into_iter().filter(|(name, ..)| name == "set").collect();
    assert_eq!(counts, [("set".to_owned(), 1, 1)]);
    let shown = resp.ask("SLOWLOG GET 10");
    assert!(shown.contains("[INCR, k], 127.0.0.1:50000, "), "{shown}");
    assert!(resp.ask("INFO commandstats").contains("cmdstat_incr:calls=1,"));
    let page = http.get("/metrics");
    let requests = r#"quartet_http_requests_total{listener="http",service="commands",method="GET",route="/redis/{command}",status="4xx"} 1"#;
    assert!(page.text().contains(requests), "{}", page.text());
}

#[test]
fn replies_of_one_request_have_an_end() {
    let server = InProcess::start(&["--requirepass", "sesame"]);
    let mut http = server.http();
    let bearer = [("Authorization", "Bearer sesame")];
    let length = 6 << 20;
    let long = vec![b'x'; length];
    assert_eq!(http.ask("POST", "/redis/set/long", &bearer, &long).json(), json!({"result": "OK"}));
    let reads = json!([["GET", "long"], ["GET", "long"], ["GET", "long"], ["INCR", "n"], ["GET", "n"]]);
    let several = http.ask("POST", "/redis/pipeline", &bearer, reads.to_string().as_bytes()).json();
    let result = |place: usize| several[place]["result"].as_str().map(str::len);
    let error = |place: usize| several[place]["error"].as_str().unwrap_or_default();
    assert_eq!([0, 1, 2].map(result), [Some(length); 3]);
    for place in [3, 4] {
        assert!(error(place).starts_with("ERR this command did not run: "), "{}", error(place));
    }
    assert_eq!(http.ask("GET", "/redis/exists/n", &bearer, b"").json(), json!({"result": 0}));
    let all = json!(["MGET", "long", "long", "long"]).to_string();
    let refused = http.ask("POST", "/redis", &bearer, all.as_bytes());
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().is_some_and(|error| error.contains("GET /cache/KEY")));
}

#[test]
fn a_reply_waits_until_the_disk_has_what_it_says() {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let start = || Server::quartet(&["--http-port", "0", "--dir", &data]);
    let acquire =
        |owner: &str| json!(["LOCK.ACQUIRE", format!("lock {owner}"), owner, "TTL", 3_600_000]).to_string();
    let server = start();
    let mut http = Socket::connect(server.http_address());
    let granted = http.ask("POST", "/redis", &[], acquire("one").as_bytes()).json();
    assert_eq!(granted["result"][0], "fence", "{granted}");
    for path in ["/redis/pipeline", "/redis/multi-exec"] {
        let body = format!("[[\"PING\"], {}, {}, [\"PING\"]]", acquire(path), acquire(&format!("2 {path}")));
        let granted = http.ask("POST", path, &[], body.as_bytes()).json();
        assert_eq!((&granted[0]["result"], &granted[3]["result"]), (&json!("PONG"), &json!("PONG")));
        for place in [1, 2] {
            assert_eq!(granted[place]["result"][0], "fence", "{granted}");
        }
    }
    // It is killed.
    drop(server);
    let server = start();
    let locks = Socket::connect(server.http_address()).get("/locks").json();
    assert_eq!(locks["locks"].as_array().map(Vec::len), Some(5), "{locks}");
}

#[test]
fn bodies_have_the_limit_of_all_bodies() {
    let server = InProcess::start(&["--http-body-limit", "1kb"]);
    let mut http = server.http();
    let refused = run(&mut http, &[], &json!(["SET", "k", "x".repeat(1024)]));
    assert_eq!((refused.status, refused.problem().as_str()), (413, "too-large"));
    assert!(
        refused.json()["error"].as_str().is_some_and(|error| error.starts_with("ERR The body is too large"))
    );
}

#[test]
fn a_command_waits_for_others_and_for_its_own_time() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    let held = run(&mut http, &[], &json!(["LOCK.ACQUIRE", "job", "holder", "TTL", 60_000])).json();
    assert_eq!(held["result"][0], "fence");
    let acquire = |wait: u64, owner: &str| {
        let command = json!(["LOCK.ACQUIRE", "job", owner, "TTL", 60_000, "WAIT", wait]).to_string();
        server.http().begin("POST", "/redis", &[], command.as_bytes())
    };
    let (mut short, mut long, mut gone) =
        (acquire(100, "short"), acquire(10_000, "long"), acquire(10_000, "gone"));
    assert!(short.poll().is_none() && gone.poll().is_none() && long.poll().is_none());
    assert_eq!(http.get("/locks/job").json()["waiters"], 3);
    drop(gone);
    server.advance(Duration::from_millis(100));
    assert_eq!(short.poll().map(|response| response.json()), Some(json!({"result": null})));
    assert_eq!(http.get("/locks/job").json()["waiters"], 1);
    let released = run(&mut http, &[], &json!(["LOCK.RELEASE", "job", "holder"]));
    assert_eq!(released.json(), json!({"result": 0}));
    let granted = long.poll().expect("it is its turn").json();
    assert_eq!(granted["result"][0], "fence");
    // The same of a list.
    let pop = |seconds: f64| {
        let command = json!(["BLPOP", "list", seconds.to_string()]).to_string();
        server.http().begin("POST", "/redis", &[], command.as_bytes())
    };
    let (mut short, mut long, mut other) = (pop(0.1), pop(0.0), pop(0.0));
    assert!(short.poll().is_none() && other.poll().is_none() && long.poll().is_none());
    server.advance(Duration::from_millis(100));
    assert_eq!(short.poll().map(|response| response.json()), Some(json!({"result": null})));
    let pushed = run(&mut http, &[], &json!(["RPUSH", "list", "a", "b"]));
    assert_eq!(pushed.json(), json!({"result": 2}));
    // Which of two connections came first is not said.
    let mut popped =
        [long, other].map(|mut waiting| waiting.poll().expect("there is an element").json().to_string());
    popped.sort();
    assert_eq!(popped, [r#"{"result":["list","a"]}"#, r#"{"result":["list","b"]}"#]);
    // A transaction never waits.
    let at_once = json!([["LOCK.ACQUIRE", "job", "other", "TTL", 60_000, "WAIT", 10_000]]).to_string();
    let refused = http.ask("POST", "/redis/multi-exec", &[], at_once.as_bytes());
    assert_eq!(refused.json(), json!([{"result": null}]));
}
