//! All keys: listed, counted, removed.

use std::collections::BTreeSet;

use super::{check_refused, put, resp, server, server_with};

#[test]
fn keys_are_listed_page_by_page() {
    const KEYS: usize = 500;
    let (server, mut http) = server();
    let mut resp = resp(&server);
    for number in 0..KEYS {
        resp.ask(&format!("SET key:{number} value"));
    }
    resp.call(&[b"SET".as_slice(), b"\xff", b"value"]);
    let (mut listed, mut binary, mut pages) = (BTreeSet::new(), Vec::new(), 0);
    let mut path = "/cache?count=20".to_owned();
    loop {
        let page = http.get(&path).json();
        pages += 1;
        for key in page["keys"].as_array().expect("keys are a list") {
            listed.insert(key.as_str().expect("a key is text").to_owned());
        }
        binary.extend(page["keys_base64"].as_array().into_iter().flatten().cloned());
        let Some(cursor) = page["cursor"].as_u64() else { break };
        path = format!("/cache?count=20&cursor={cursor}");
    }
    assert_eq!(listed, (0..KEYS).map(|number| format!("key:{number}")).collect());
    assert_eq!(binary, ["/w=="]);
    assert!(pages > 5, "{pages}");
    let page = http.get("/cache?match=key:1%3f&count=10000").json();
    assert_eq!((page["keys"].as_array().map(Vec::len), page["cursor"].is_null()), (Some(10), true));
    check_refused(&http.get("/cache?count=0"), "count");
    check_refused(&http.get("/cache?count=10001"), "count");
    check_refused(&http.get("/cache?cursor=-1"), "cursor");
    check_refused(&http.get("/cache?pattern=a"), "pattern");
}

#[test]
fn a_page_of_long_keys_ends_early() {
    const KEYS: usize = 12;
    let (server, mut http) = server();
    let mut resp = resp(&server);
    let rest = "x".repeat(300_000);
    for number in 0..KEYS {
        resp.ask(&format!("SET {number}{rest} value"));
    }
    let (mut listed, mut path) = (BTreeSet::new(), "/cache?count=10000".to_owned());
    loop {
        let page = http.get(&path);
        assert!(page.body.len() < 2 << 20, "{}", page.body.len());
        let page = page.json();
        let keys = page["keys"].as_array().expect("keys are a list");
        listed.extend(keys.iter().map(|key| key.as_str().map(str::to_owned)));
        let Some(cursor) = page["cursor"].as_u64() else { break };
        path = format!("/cache?count=10000&cursor={cursor}");
    }
    assert_eq!(listed.len(), KEYS);
}

#[test]
fn all_keys_of_a_database_are_removed() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    for number in 0..100 {
        resp.ask(&format!("SET key:{number} value"));
    }
    put(&mut http, "/cache/key?db=1", r#"{"value": 1}"#);
    check_refused(&http.ask("DELETE", "/cache?match=key:*", &[], b""), "match");
    assert_eq!(resp.ask("DBSIZE"), "100");
    let removed = http.ask("DELETE", "/cache?prefix=key:1", &[], b"");
    assert_eq!((removed.status, removed.json()), (200, serde_json::json!({"removed": 11})));
    assert_eq!(http.ask("DELETE", "/cache?prefix=key:1", &[], b"").json()["removed"], 0);
    check_refused(&http.ask("DELETE", "/cache?prefix=", &[], b""), "prefix");
    assert_eq!(http.ask("DELETE", "/cache", &[], b"").status, 204);
    assert_eq!(resp.ask("DBSIZE"), "0");
    assert_eq!(http.get("/cache/key?db=1").status, 200);
}

#[test]
fn statistics_count_both_doors() {
    let (server, mut http) = server_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    assert!(http.get("/cache/stats").json()["hit_ratio"].is_null());
    put(&mut http, "/cache/key", r#"{"value": 1, "ttl": 100}"#);
    http.get("/cache/key");
    http.get("/cache/absent");
    let mut resp = resp(&server);
    resp.ask("GET key");
    resp.ask("GET key");
    let statistics = http.get("/cache/stats").json();
    for (field, expected) in [("hits", 3), ("misses", 1), ("evictions", 0), ("keys", 1), ("keys_with_ttl", 1)]
    {
        assert_eq!(statistics[field], expected, "{field}");
    }
    assert_eq!((&statistics["hit_ratio"], &statistics["policy"]), (&0.75.into(), &"allkeys-lru".into()));
    assert_eq!(statistics["maxmemory_bytes"], 64 << 20);
    assert!(statistics["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(http.get("/cache/stats?db=1").json()["keys"], 0);
}
