//! Keys of clients: bytes as they are, addresses in one spelling, and no empty key.

use serde_json::json;

use super::{connect, put_policy, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::Server;

/// A server with a policy `few` that lets each client pass `limit` times in an hour.
fn server_with_few(arguments: &[&str], limit: u32) -> Server {
    let server = Server::quartet(&[&["--http-port", "0"], arguments].concat());
    let definition =
        json!({"limits": [{"algorithm": "fixed", "limit": limit, "period_ms": 3_600_000}]}).to_string();
    put_policy(&mut connect(&server), "few", &definition);
    server
}

/// Asks as a proxy does, and returns the status.
fn ask(http: &mut Http, header: &str, value: &str) -> u16 {
    http.ask("GET", "/auth/nginx?policy=few", &[(header, value)], b"").status
}

#[test]
fn one_host_has_one_counter_however_its_address_is_spelled() {
    let server = server_with_few(&[], 100);
    let mut http = connect(&server);
    let mut resp = Client::connect(server.address());
    for (counter, spellings) in [
        (
            "9.9.9.9",
            &[
                "9.9.9.9",
                "9.9.9.9:1",
                "9.9.9.9:2",
                "1.1.1.1, 9.9.9.9:3",
                "::ffff:9.9.9.9",
                "[::ffff:909:909]:4",
            ][..],
        ),
        (
            "2001:db8::/64",
            &[
                "2001:db8::1",
                "2001:DB8:0::0:1",
                "[2001:db8::1]:443",
                "2001:db8::ffff:0:0:2",
                "fe80::1, 2001:db8::%eth0",
            ],
        ),
    ] {
        for (number, text) in spellings.iter().enumerate() {
            let header = if text.contains(',') || number % 2 == 0 { "X-Forwarded-For" } else { "X-Real-IP" };
            assert_eq!(ask(&mut http, header, text), 204, "{text}");
        }
        let key = format!("/check?policy=few&peek=true&key={counter}");
        assert_eq!(http.get(&key).json()["remaining"], 100 - spellings.len(), "{counter}");
        assert_eq!(resp.ask(&format!("EXISTS rl:few:{counter}")), "1");
    }
    assert_eq!(resp.ask("DBSIZE"), "2", "there is no other counter");
}

#[test]
fn how_much_of_an_address_tells_hosts_apart_is_a_setting() {
    let server = server_with_few(&["--limit-host-prefix", "48"], 1);
    let mut http = connect(&server);
    assert_eq!(ask(&mut http, "X-Real-IP", "2001:db8:0:1::1"), 204);
    assert_eq!(ask(&mut http, "X-Real-IP", "2001:db8:0:2::1"), 403);
    assert_eq!(ask(&mut http, "X-Real-IP", "2001:db8:1:1::1"), 204);
}

#[test]
fn text_that_is_no_address_is_refused() {
    let server = server_with_few(&[], 100);
    let mut http = connect(&server);
    for header in ["X-Real-IP", "X-Forwarded-For"] {
        for text in [
            "unknown",
            "_hidden",
            "unix:",
            "",
            "1.2.3.4,",
            "1.2.3.4:x",
            "999.1.1.1",
            "[::1",
            "1.2.3.4, \u{e9}",
        ] {
            let refused = http.ask("GET", "/auth/forward?policy=few", &[(header, text)], b"");
            assert_eq!((refused.status, &refused.json()["field"]), (400, &json!(header)), "{text}");
        }
    }
    assert_eq!(Client::connect(server.address()).ask("DBSIZE"), "0");
}

#[test]
fn lists_and_blocks_hold_the_hosts_of_addresses() {
    let server = server_with_few(&[], 100);
    let (mut http, mut resp) = (connect(&server), Client::connect(server.address()));
    assert_eq!(resp.ask("RL.DENY ADD 10.0.0.0/8"), "1");
    assert_eq!(resp.ask("RL.DENY ADD [2001:db8::1]"), "1");
    assert_eq!(http.ask("PUT", "/limits/2001:db8:5::1/block", &[], br#"{"ttl_ms": 60000}"#).status, 204);
    for (address, expected) in [
        ("10.1.2.3:80", 403),
        ("::ffff:10.1.2.3", 403),
        ("11.1.2.3", 204),
        ("2001:db8::2", 403),
        ("2001:db8:1::1", 204),
        ("2001:db8:5::9", 403),
    ] {
        assert_eq!(ask(&mut http, "X-Forwarded-For", address), expected, "{address}");
    }
    assert_eq!(http.ask("DELETE", "/limits/2001:db8:5::2/block", &[], b"").status, 204);
    assert_eq!(ask(&mut http, "X-Forwarded-For", "2001:db8:5::9"), 204);
}

#[test]
fn bytes_that_are_no_text_are_kept_in_keys_wherever_they_come_from() {
    let server = server_with_few(&[], 100);
    let (mut http, mut resp) = (connect(&server), Client::connect(server.address()));
    for (number, key) in
        [&b"\xff"[..], b"\xfe", b"\xed\xa0\x80", "\u{fffd}".as_bytes()].into_iter().enumerate()
    {
        let encoded: String = key.iter().map(|byte| format!("%{byte:02X}")).collect();
        for path in ["/check", "/auth/nginx", "/auth/forward"] {
            let status = http.get(&format!("{path}?policy=few&key={encoded}")).status;
            assert!((200..300).contains(&status), "{path} {encoded}");
        }
        let head = b"GET /check?policy=few HTTP/1.1\r\nHost: localhost\r\nX-User-ID: ";
        http.write(&[&head[..], key, b"\r\n\r\n"].concat());
        assert_eq!(http.read("GET").expect("it is answered").json()["remaining"], 96, "{encoded}");
        let refund = br#"{"amount": 1, "policy": "few"}"#;
        assert_eq!(http.ask("POST", &format!("/limits/{encoded}/refund"), &[], refund).status, 204);
        assert_eq!(http.get(&format!("/check?policy=few&peek=true&key={encoded}")).json()["remaining"], 97);
        resp.call(&[b"EXISTS".to_vec(), [b"rl:few:", key].concat()]);
        assert_eq!(resp.ask("DBSIZE"), (number + 1).to_string(), "{encoded} has a counter of its own");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_where_text_is_needed() {
    let server = server();
    let mut http = connect(&server);
    for (method, path, body, field) in [
        ("GET", "/check?key=a&policy=%FF", &b""[..], Some("policy")),
        ("GET", "/check?key=a&cost=%FF", b"", Some("cost")),
        ("GET", "/auth/nginx?key=a&policy=%ff", b"", Some("policy")),
        ("POST", "/limits/a/reset?policy=%FF", b"", Some("policy")),
        ("GET", "/policies/%FF", b"", Some("name")),
        ("DELETE", "/reservations/%FF", b"", Some("id")),
        ("GET", "/cache?count=%FF", b"", Some("count")),
        ("PUT", "/cache/a?ttl=%FF", br#"{"value": 1}"#, Some("ttl")),
        ("GET", "/check?%FF=a", b"", None),
        ("POST", "/check", br#"{"checks": [{"key": "\ud800"}]}"#, None),
        ("POST", "/check", b"{\"checks\": [{\"key\": \"\xff\"}]}", None),
        ("POST", "/lock", br#"{"resource": "\udfff", "ttl": 1}"#, None),
        ("POST", "/lock", b"{\"resource\": \"\xff\", \"ttl\": 1}", None),
        ("PUT", "/cache/a", br#"{"value": "\ud800"}"#, Some("value")),
        ("PUT", "/cache/a", b"{\"value\": \"\xff\"}", None),
        ("POST", "/cache/batch/set", br#"{"entries": [{"key": "\ud800", "value": 1}]}"#, None),
        ("POST", "/cache/batch/get", b"{\"keys\": [\"\xff\"]}", None),
    ] {
        let refused = http.ask(method, path, &[], body);
        assert_eq!(refused.status, 400, "{method} {path}: {refused:?}");
        assert_eq!(refused.json()["field"].as_str(), field, "{method} {path}");
    }
    assert_eq!(Client::connect(server.address()).ask("DBSIZE"), "0");
}

#[test]
fn an_empty_key_names_nobody() {
    let server = server();
    let mut http = connect(&server);
    let empty = json!({"checks": [{"key": "a"}, {"key": ""}]}).to_string();
    for (method, path, headers, body, field) in [
        ("GET", "/check?key=", &[][..], "", "key"),
        ("GET", "/check?key", &[], "", "key"),
        ("GET", "/check?key=", &[("X-User-ID", "a")], "", "key"),
        ("GET", "/check", &[("X-User-ID", "")], "", "X-User-ID"),
        ("GET", "/check", &[], "", "X-User-ID"),
        ("POST", "/check", &[], &empty, "checks[1].key"),
        ("POST", "/reservations", &[], &empty, "checks[1].key"),
        ("GET", "/auth/nginx?key=", &[], "", "key"),
        ("GET", "/auth/nginx?key=", &[("X-Real-IP", "1.2.3.4")], "", "key"),
        ("GET", "/auth/nginx", &[("X-User-ID", "")], "", "X-User-ID"),
        ("GET", "/auth/forward?key=", &[("X-User-ID", "a")], "", "key"),
        ("GET", "/auth/forward", &[("X-User-ID", ""), ("X-Forwarded-For", "1.2.3.4")], "", "X-User-ID"),
    ] {
        let refused = http.ask(method, path, headers, body.as_bytes());
        assert_eq!(
            (refused.status, &refused.json()["field"]),
            (400, &json!(field)),
            "{method} {path} {headers:?}"
        );
    }
    let long = http.get(&format!("/check?key={}", "k".repeat(1025)));
    assert_eq!((long.status, &long.json()["field"]), (400, &json!("key")));
    assert_eq!(Client::connect(server.address()).ask("DBSIZE"), "0");
}
