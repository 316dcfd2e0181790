//! Metrics of both doors.

use std::collections::{HashMap, HashSet};

use quartet::version::{COMMIT, VERSION};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::Server;

/// The samples of a page, by name and labels.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut families = HashSet::new();
    let mut samples = HashMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a family has a name");
            assert!(families.insert(name.to_owned()), "{name} is there twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
            let name = series.split('{').next().expect("a sample has a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_known = families.contains(name) || family.is_some_and(|name| families.contains(name));
            assert!(is_known, "{name} has no family");
        }
    }
    samples
}

#[test]
fn both_doors_and_all_services_are_counted() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut resp = Client::connect(server.address());
    for line in ["SET key value PX 100000", "GET key", "GET absent", "INCR key", "GET", "SUBSCRIBE news"] {
        resp.ask(line);
    }
    let mut http = Http::connect(server.http_address());
    http.get("/cache/key");
    http.get("/cache/absent");
    let page = http.get("/metrics");
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = samples(page.text());
    let get = r#"listener="resp",service="cache",command="get""#;
    let route = r#"listener="http",service="cache",method="GET",route="/cache/{key}""#;
    for (series, expected) in [
        (format!("quartet_build_info{{version=\"{VERSION}\",commit=\"{COMMIT}\"}}"), 1.0),
        (format!("quartet_commands_total{{{get}}}"), 2.0),
        (format!("quartet_commands_rejected_total{{{get}}}"), 1.0),
        (r#"quartet_commands_failed_total{listener="resp",service="cache",command="incr"}"#.to_owned(), 1.0),
        (r#"quartet_commands_total{listener="resp",service="broker",command="subscribe"}"#.to_owned(), 1.0),
        (r#"quartet_error_replies_total{code="ERR"}"#.to_owned(), 2.0),
        (format!("quartet_http_requests_total{{{route},status=\"2xx\"}}"), 1.0),
        (format!("quartet_http_requests_total{{{route},status=\"4xx\"}}"), 1.0),
        (format!("quartet_http_request_seconds_count{{{route}}}"), 2.0),
        (format!("quartet_http_request_seconds_bucket{{{route},le=\"+Inf\"}}"), 2.0),
        ("quartet_cache_hits_total".to_owned(), 2.0),
        ("quartet_cache_misses_total".to_owned(), 2.0),
        (r#"quartet_cache_keys{database="0"}"#.to_owned(), 1.0),
        (r#"quartet_cache_keys_with_ttl{database="0"}"#.to_owned(), 1.0),
        (r#"quartet_connections{listener="resp"}"#.to_owned(), 1.0),
        (r#"quartet_connections{listener="http"}"#.to_owned(), 1.0),
        (r#"quartet_broker_channels{kind="channel"}"#.to_owned(), 1.0),
        (r#"quartet_locks{kind="lease"}"#.to_owned(), 0.0),
        (r#"quartet_queue_bytes{queue="output"}"#.to_owned(), 0.0),
    ] {
        assert_eq!(samples.get(&series), Some(&expected), "{series}");
    }
    assert!(samples[r#"quartet_cache_memory_bytes{part="entries"}"#] > 0.0);
    assert!(samples["process_resident_memory_bytes"] > 0.0);
}

#[test]
fn every_bucket_holds_those_before_it() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut http = Http::connect(server.http_address());
    for _ in 0..100 {
        http.get("/cache/absent");
    }
    let page = http.get("/metrics");
    let (mut last, mut buckets) = (0.0, 0);
    for line in page.text().lines() {
        let is_of_the_route =
            line.starts_with("quartet_http_request_seconds_bucket") && line.contains("{key}\"");
        if is_of_the_route {
            let count: f64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a count");
            assert!(count >= last, "{line}");
            (last, buckets) = (count, buckets + 1);
        }
    }
    assert_eq!((last, buckets), (100.0, 14));
}

#[test]
fn names_that_clients_choose_are_no_labels() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut resp = Client::connect(server.address());
    let mut http = Http::connect(server.http_address());
    let few = br#"{"limits": [{"algorithm": "fixed", "limit": 1, "period_ms": 3600000}]}"#;
    assert_eq!(http.ask("PUT", "/policies/few", &[], few).status, 204);
    let mut invent = |number: usize| {
        for line in [
            "SET invented{n} v",
            "GET invented{n}",
            "INVENTED{n}",
            "CONFIG INVENTED{n}",
            "AUTH invented{n} x",
            "SUBSCRIBE invented{n}",
            "UNSUBSCRIBE invented{n}",
            "CLIENT SETNAME invented{n}",
            "LOCK.ACQUIRE invented{n} invented{n} TTL 60000",
            "RL.CHECK invented{n} POLICY few",
            "RL.CHECK invented{n} POLICY few",
        ] {
            resp.ask(&line.replace("{n}", &number.to_string()));
        }
        let key = [b"invented", &[0xf0 + number as u8][..]].concat();
        for _ in 0..2 {
            resp.call(&[&b"RL.CHECK"[..], &key, b"POLICY", b"few"]);
        }
        for path in
            ["/invented{n}", "/cache/invented{n}", "/locks/invented{n}", "/check?policy=few&key=invented{n}"]
        {
            let path = path.replace("{n}", &number.to_string());
            http.get(&path);
            http.ask(&format!("INVENTED{number}"), &path, &[], b"");
        }
        samples(http.get("/metrics").text())
    };
    // The second page has what asking for the first one has added.
    (0..2).for_each(|number| drop(invent(number)));
    let series = |samples: HashMap<String, f64>| samples.into_keys().collect::<HashSet<_>>();
    let before = series(invent(2));
    let after = (3..9).map(&mut invent).last().map(series).expect("there are several");
    assert!(after.iter().all(|series| !series.to_lowercase().contains("invented")), "{after:?}");
    assert_eq!(before.symmetric_difference(&after).collect::<Vec<_>>(), Vec::<&String>::new());
}
