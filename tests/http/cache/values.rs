//! Single values: what is written over one door is read over the other.

use std::process::Command;

use super::{check_refused, put, resp, server, server_with};
use crate::support::client::text;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

#[test]
fn the_first_calls_of_a_new_user() {
    let Some(curl) = peers::peer("curl") else { return };
    let server = Server::quartet(&["--http-port", "0"]);
    let address = format!("http://{}/cache/mykey", server.http_address());
    let curl = |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--fail-with-body", &address]).args(arguments);
        run(command).success().stdout
    };
    let body = r#"{"value": "hello"}"#;
    for headers in [&[][..], &["-H", "Content-Type: application/json"]] {
        curl(&[&["-X", "PUT", "-d", body], headers].concat());
        assert_eq!(curl(&[]), r#"{"key":"mykey","value":"hello"}"#);
        assert_eq!(curl(&["-H", "Accept: text/plain"]), "hello");
        curl(&["-X", "DELETE"]);
    }
    curl(&["-X", "PUT", "-H", "Content-Type: text/html", "-d", "<p>hello</p>"]);
    assert_eq!(curl(&[]), "<p>hello</p>");
}

#[test]
fn both_doors_see_the_same_keys() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    assert_eq!(put(&mut http, "/cache/a%20key%2Fx", r#"{"value": "hello"}"#).status, 201);
    assert_eq!(text(&resp.call(&["GET", "a key/x"])), "hello");
    resp.call(&["SET", "a key/x", "from\r\nthere"]);
    let read = http.get("/cache/a%20key%2Fx");
    assert_eq!((read.status, read.header("content-type")), (200, Some("application/json")));
    assert_eq!(read.text(), r#"{"key":"a key/x","value":"from\r\nthere"}"#);
    resp.call(&[b"SET".as_slice(), b"\xff\x00", b"\x00\xfe"]);
    let binary = r#"{"key":"/wA=","key_encoding":"base64","value":"AP4=","encoding":"base64"}"#;
    assert_eq!(http.get("/cache/%ff%00").text(), binary);
    assert_eq!(http.ask("DELETE", "/cache/%ff%00", &[], b"").status, 204);
    assert_eq!(resp.ask("DBSIZE"), "1");
    assert_eq!(http.get("/cache/%ff%00").problem(), "no-such-key");
    assert_eq!(http.ask("DELETE", "/cache/%ff%00", &[], b"").problem(), "no-such-key");
}

#[test]
fn json_is_stored_compactly_and_strings_bare() {
    let (server, mut http) = server();
    let mut resp = resp(&server);
    let cases = [
        (r#""a \"b\"""#, "a \"b\"", r#""a \"b\"""#),
        ("7", "7", "7"),
        (r#""7""#, "7", r#""7""#),
        ("1.50", "1.50", "1.50"),
        ("null", "null", "null"),
        (r#"{ "z": [1, 2], "a": {} }"#, r#"{"z":[1,2],"a":{}}"#, r#"{"z":[1,2],"a":{}}"#),
    ];
    for (json, stored, read) in cases {
        assert!(put(&mut http, "/cache/key", &format!(r#"{{"value": {json}}}"#)).status < 300, "{json}");
        assert_eq!(resp.ask("GET key"), stored);
        assert_eq!(http.get("/cache/key").text(), format!(r#"{{"key":"key","value":{read}}}"#));
    }
    // A value that was written over RESP is a string.
    resp.ask("SET key 7");
    assert_eq!(http.get("/cache/key").text(), r#"{"key":"key","value":"7"}"#);
    put(&mut http, "/cache/key", r#"{"value": "AP4=", "encoding": "base64"}"#);
    assert_eq!(
        http.ask("GET", "/cache/key", &[("Accept", "application/octet-stream")], b"").body,
        b"\x00\xfe"
    );
}

#[test]
fn long_values_come_back_whole() {
    let (_server, mut http) = server();
    let long: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let octets = [("Content-Type", "application/octet-stream")];
    assert_eq!(http.ask("PUT", "/cache/long", &octets, &long).status, 201);
    let read = http.get("/cache/long");
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    assert!(read.body == long);
    let head = http.ask("HEAD", "/cache/long", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3000000")));
    assert_eq!(head.header("etag"), read.header("etag"));
}

#[test]
fn a_value_that_cannot_be_written_is_refused_by_its_field() {
    let (_server, mut http) = server();
    let cases = [
        ("", "value"),
        (r#"{}"#, "value"),
        (r#"{"value": 1, "tll": 5}"#, "tll"),
        (r#"{"value": 1, "ttl": 0}"#, "ttl"),
        (r#"{"value": 1, "ttl": -1}"#, "ttl"),
        (r#"{"value": 1, "ttl": 1e300}"#, "ttl"),
        (r#"{"value": 1, "ttl": "5"}"#, "ttl"),
        (r#"{"value": 1, "if_absent": 1}"#, "if_absent"),
        (r#"{"value": "x!", "encoding": "base64"}"#, "value"),
        (r#"{"value": 1, "encoding": "base64"}"#, "encoding"),
        (r#"{"value": "", "encoding": "hex"}"#, "encoding"),
        (r#"{"value": "\ud800"}"#, "value"),
    ];
    for (json, field) in cases {
        check_refused(&put(&mut http, "/cache/key", json), field);
    }
    for body in ["{", r#"{"value": }"#, r#"{"value": 1} x"#, "hello", r#"{"value": "\x"}"#] {
        let refused = put(&mut http, "/cache/key", body);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid-json"), "{body}");
        assert!(refused.text().contains("Content-Type: text/plain"), "it says what else may be sent");
    }
    for content_type in ["text", "/", "text/", "a b/c", &"x/".repeat(200)] {
        let refused = http.ask("PUT", "/cache/key", &[("Content-Type", content_type)], b"x");
        assert_eq!(refused.problem(), "unsupported-media-type", "{content_type}");
    }
    let text = [("Content-Type", "text/plain")];
    check_refused(&http.ask("PUT", "/cache/key?ttl=nan", &text, b"x"), "ttl");
    check_refused(&put(&mut http, "/cache/key?ttl=0", r#"{"value": 1}"#), "ttl");
    check_refused(&http.get("/cache/key?database=1"), "database");
    check_refused(&http.get("/cache/key?db=x"), "db");
    assert_eq!(http.get("/cache/key").status, 404);
}

#[test]
fn a_key_that_holds_something_else_is_a_conflict() {
    let (server, mut http) = server();
    resp(&server).ask("CL.THROTTLE counter 10 10 60");
    resp(&server).ask("HSET hash field value");
    let asked = [
        ("GET", "/cache/counter"),
        ("POST", "/cache/counter/incr"),
        ("GET", "/cache/hash"),
        ("POST", "/cache/hash/incr"),
    ];
    for (method, path) in asked {
        let refused = http.ask(method, path, &[], b"");
        assert_eq!((refused.status, refused.problem().as_str()), (409, "wrong-type"), "{method} {path}");
    }
}

#[test]
fn databases_are_apart() {
    let (server, mut http) = server();
    put(&mut http, "/cache/key?db=3", r#"{"value": "three"}"#);
    assert_eq!(http.get("/cache/key").status, 404);
    assert_eq!(http.get("/cache/key?db=3").json()["value"], "three");
    let mut resp = resp(&server);
    resp.ask("SELECT 3");
    assert_eq!(resp.ask("GET key"), "three");
    let refused = http.get("/cache/key?db=16");
    assert_eq!((refused.status, refused.problem().as_str()), (404, "no-such-database"));
    assert_eq!(refused.json()["allowed"], "an integer from 0 to 15");
}

#[test]
fn keys_named_as_resources_are_reachable() {
    let (server, mut http) = server();
    for (path, key) in [("/cache/%73tats", "stats"), ("/cache/batch", "batch"), ("/cache/ttl", "ttl")] {
        assert_eq!(put(&mut http, path, r#"{"value": "mine"}"#).status, 201, "{path}");
        assert_eq!(resp(&server).ask(&format!("GET {key}")), "mine");
        assert_eq!(http.get(path).json()["value"], "mine");
    }
    assert!(http.get("/cache/stats").json()["hits"].is_u64());
}

#[test]
fn writing_stops_where_the_memory_ends() {
    let (_server, mut http) = server_with(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    let value = format!(r#"{{"value": "{}"}}"#, "x".repeat(100_000));
    let mut last = 0;
    for number in 0..20 {
        let response = put(&mut http, &format!("/cache/key{number}"), &value);
        last = response.status;
        if last >= 300 {
            assert_eq!((last, response.problem().as_str()), (507, "out-of-memory"));
            break;
        }
    }
    assert_eq!(last, 507);
    assert_eq!(http.get("/cache/key0").status, 200);
}
