//! POST /publish and POST /request, over sockets.

use super::streams::{next, subscribe};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

#[test]
fn headers_of_a_request_become_those_of_the_message() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut stream = subscribe(&server, "/subscribe/news", "application/x-ndjson");
    let mut http = Http::connect(server.http_address());
    let headers = [
        ("NATS-MSG-ID", "7"),
        ("nats-ttl", "10s"),
        ("X-Trace", "a"),
        ("x-trace", "b"),
        ("CE-Id", "1"),
        ("Content-Type", "text/plain"),
        ("TraceParent", "00-1-2-00"),
        ("Authorization", "Bearer sesame"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Real-IP", "192.0.2.1"),
        ("X-Accel-Redirect", "/"),
        ("Accept", "*/*"),
    ];
    let answer = http.ask("POST", "/publish/news?reply=answers", &headers, b"hello");
    assert_eq!(answer.json(), serde_json::json!({"subject": "news", "receivers": 1}));
    let message = next(&mut stream);
    assert_eq!((&message["payload"], &message["reply"]), (&"hello".into(), &"answers".into()));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    http.ask("POST", "/publish/news", &form, b"hello");
    let message = next(&mut stream);
    assert_eq!(message, serde_json::json!({"subject": "news", "payload": "hello"}));
}

#[test]
fn a_message_may_be_as_long_as_the_setting_says() {
    let server = Server::quartet(&["--http-port", "0", "--broker-max-payload", "100kb"]);
    let mut stream = subscribe(&server, "/subscribe/news", "application/x-ndjson");
    let mut http = Http::connect(server.http_address());
    let longest = vec![b'x'; 100 << 10];
    assert_eq!(http.ask("POST", "/publish/news", &[], &longest).json()["receivers"], 1);
    assert_eq!(next(&mut stream)["payload"].as_str().map(str::len), Some(longest.len()));
    // Headers count too.
    let refused = http.ask("POST", "/publish/news", &[("X-A", "b")], &longest);
    assert_eq!((refused.problem().as_str(), refused.status), ("message-too-large", 413));
    let mut http = Http::connect(server.http_address());
    let refused = http.ask("POST", "/publish/news", &[], &[&longest[..], b"x"].concat());
    assert_eq!(refused.problem(), "message-too-large");
    let line = format!("{{\"subject\": \"news\", \"payload\": \"{}x\"}}", "x".repeat(longest.len()));
    let batch = [("Content-Type", "application/x-ndjson")];
    let mut http = Http::connect(server.http_address());
    let refused = http.ask("POST", "/publish", &batch, line.as_bytes());
    assert_eq!((refused.problem().as_str(), &refused.json()["line"]), ("message-too-large", &1.into()));
    // So is a body whose length is not announced.
    let mut http = Http::connect(server.http_address());
    http.write(b"POST /publish/news HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..5 {
        http.write(&[b"10000\r\n", &vec![b'x'; 0x10000][..], b"\r\n"].concat());
    }
    http.write(b"0\r\n\r\n");
    assert_eq!(http.read("POST").expect("it is answered").problem(), "message-too-large");
}

#[test]
fn a_batch_has_a_limit() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut http = Http::connect(server.http_address());
    let batch = [("Content-Type", "application/x-ndjson")];
    let most = "{\"subject\":\"a\"}\n".repeat(10_000);
    assert_eq!(http.ask("POST", "/publish", &batch, most.as_bytes()).json()["published"], 10_000);
    let more = format!("{most}\n{{}}");
    let refused = http.ask("POST", "/publish", &batch, more.as_bytes());
    assert_eq!(refused.json()["allowed"], "at most 10000 lines");
}

#[test]
fn a_request_without_an_answer_ends_in_time_and_leaves_nothing_behind() {
    let server = Server::quartet(&["--http-port", "0"]);
    let mut resp = Client::connect(server.address());
    resp.ask("SUBSCRIBE service");
    let mut http = Http::connect(server.http_address());
    let response = http.ask("POST", "/request/service?timeout=0.05", &[], b"hello");
    assert_eq!((response.problem().as_str(), response.status), ("no-answer", 504));
    assert_eq!(response.json()["detail"], "no answer came within 0.05 seconds");
    let mut other = Client::connect(server.address());
    assert_eq!(other.ask("PUBSUB CHANNELS _INBOX*"), "[]");
    // A client that hangs up ends the wait too.
    let mut http = Http::connect(server.http_address());
    http.write(b"POST /request/service?timeout=300 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let mut has_inbox = || other.ask("PUBSUB CHANNELS _INBOX*") != "[]";
    wait_for(|| has_inbox().then_some(()));
    drop(http);
    wait_for(|| (!has_inbox()).then_some(()));
}
