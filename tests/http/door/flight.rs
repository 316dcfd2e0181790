//! Bytes that clients make the server hold: responses that they do not read, bodies that they do not finish.

use serde_json::json;

use super::http2::{DATA, END_STREAM, Http2, RST_STREAM};
use super::{connect, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

/// A value that is not small.
const LENGTH: usize = 60_000;

/// Responses and problems are longer than the values by so much at most.
const HEADROOM: usize = 1_000;

/// Streams of one connection.
const STREAMS: [u32; 10] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19];

/// A server with a long text, and the same bytes with a type of their own.
fn server_with_values(length: usize, arguments: &[&str]) -> Server {
    let server = server(arguments);
    let mut http = connect(&server);
    let value = "x".repeat(length);
    assert_eq!(Client::connect(server.address()).ask(&format!("SET text {value}")), "OK");
    let typed = [("Content-Type", "text/html")];
    assert_eq!(http.ask("PUT", "/cache/typed", &typed, value.as_bytes()).status, 201);
    server
}

/// What `/metrics` says of one series.
fn sample(server: &Server, name: &str) -> usize {
    let page = connect(server).get("/metrics");
    let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("it is measured").parse().expect("it is a number")
}

fn unread(server: &Server) -> usize {
    sample(server, "quartet_http_response_bytes_in_flight")
}

#[test]
fn responses_that_one_connection_does_not_read_are_bounded() {
    let server = server_with_values(LENGTH, &["--http-connection-in-flight-limit", "100kb"]);
    for path in ["/cache/typed", "/cache/text"] {
        let mut http = Http2::connect(&server, Some(0));
        http.get(path, &STREAMS);
        let (good, bad) = http.read_heads(STREAMS.len());
        assert_eq!((good.len(), bad.len()), (2, 8), "{path}");
        let held = unread(&server);
        assert!((2 * LENGTH..2 * LENGTH + 10 * HEADROOM).contains(&held), "{path}: {held}");

        // What is read makes room.
        http.widen(2 * LENGTH as u32, good[0]);
        http.widen(2 * LENGTH as u32, 0);
        let mut received = 0;
        loop {
            let (kind, stream, payload) = http.read();
            assert_eq!((kind, stream), (DATA, good[0]));
            received += payload.len();
            if payload.is_empty() {
                break;
            }
        }
        assert!((LENGTH..LENGTH + HEADROOM).contains(&received), "{path}: {received}");
        let held = unread(&server);
        assert!((LENGTH..LENGTH + 10 * HEADROOM).contains(&held), "{path}: {held}");
        http.get(path, &[21]);
        assert_eq!(http.read_heads(1), (vec![21], vec![]));
        drop(http);
        wait_for(|| (unread(&server) == 0).then_some(()));
    }
}

#[test]
fn small_responses_go_on_beside_large_ones() {
    let server = server_with_values(LENGTH, &["--http-connection-in-flight-limit", "1kb"]);
    let mut http = Http2::connect(&server, Some(0));
    http.get("/cache/typed", &[1]);
    http.get("/health/live", &[3, 5, 7]);
    http.get("/cache/typed", &[9]);
    assert_eq!(http.read_heads(5), (vec![1, 3, 5, 7], vec![9]));
}

#[test]
fn a_request_that_changed_something_is_answered_whatever_is_unread() {
    let server = server_with_values(LENGTH, &["--http-connection-in-flight-limit", "1kb"]);
    let mut http = Http2::connect(&server, Some(0));
    http.get("/cache/typed", &[1]);
    assert_eq!(http.read_heads(1), (vec![1], vec![]));
    http.post("/cache/batch/get", &json!({ "keys": ["text"] }), 3);
    let resources: Vec<_> = (100..150).map(|number| format!("{number}{}", "x".repeat(1_000))).collect();
    http.post("/lock", &json!({ "resources": resources, "ttl": 60 }), 5);
    assert_eq!(http.read_heads(2), (vec![5], vec![3]));
    let held = unread(&server);
    assert!(held > LENGTH + 50 * 1_000, "{held}");
}

#[test]
fn replies_of_commands_are_bounded_unless_they_changed_something() {
    let server = server_with_values(LENGTH, &["--http-connection-in-flight-limit", "1kb"]);
    let mut http = Http2::connect(&server, Some(0));
    http.get("/cache/typed", &[1]);
    assert_eq!(http.read_heads(1), (vec![1], vec![]));
    http.get("/redis/get/text", &[3]);
    http.post("/redis", &json!(["GET", "text"]), 5);
    http.post("/redis/pipeline", &json!([["STRLEN", "text"], ["GET", "text"]]), 7);
    http.post("/redis", &json!(["STRLEN", "text"]), 9);
    assert_eq!(http.read_heads(4), (vec![9], vec![3, 5, 7]));
    http.post("/redis", &json!(["GETDEL", "text"]), 11);
    assert_eq!(http.read_heads(1), (vec![11], vec![]));
}

#[test]
fn responses_that_nobody_reads_are_bounded_in_all() {
    const LONG: usize = 16 << 20;
    let server = server_with_values(LONG, &["--http-in-flight-limit", "1mb"]);
    // What is measured can be seen all the time, however long it is.
    let mut client = Client::connect(server.address());
    for number in 0..200 {
        let policy = format!("RL.POLICY SET policy-{number} ALGO fixed LIMIT 1 PERIOD 60000");
        assert_eq!(client.ask(&policy), "OK");
    }
    assert!(connect(&server).get("/metrics").body.len() > 32 * 1024);
    let ask = |path: &str| {
        let mut http = connect(&server);
        http.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        http
    };
    for path in ["/cache/typed", "/cache/text"] {
        let mut first = ask(path);
        wait_for(|| (unread(&server) > 1 << 20).then_some(()));
        let refused = ask(path).read("GET").expect("it is answered");
        assert_eq!((refused.status, refused.problem().as_str()), (503, "too-much-in-flight"));
        assert_eq!(refused.json()["setting"], "http-in-flight-limit");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(connect(&server).get("/cache/absent").status, 404, "small ones go on");
        assert!(first.read("GET").expect("it is answered").body.len() >= LONG);
        wait_for(|| (unread(&server) == 0).then_some(()));
        assert_eq!(ask(path).read("GET").expect("it is answered").status, 200);
        wait_for(|| (unread(&server) == 0).then_some(()));
    }
}

#[test]
fn a_stream_that_is_not_read_is_reset() {
    let server = server_with_values(LENGTH, &["--http-request-timeout", "1"]);
    for (path, window) in [("/cache/typed", 0), ("/cache/typed", 20_000), ("/cache/text", 1)] {
        let mut http = Http2::connect(&server, Some(window));
        http.get(path, &[1]);
        let mut received = 0;
        let reset = loop {
            let (kind, stream, payload) = http.read();
            match kind {
                DATA => received += payload.len(),
                RST_STREAM => break stream,
                _ => {}
            }
        };
        assert_eq!((reset, received), (1, window as usize), "{path}");
        http.get("/cache/absent", &[3]);
        assert_eq!(http.read_heads(1), (vec![], vec![3]), "others are answered");
    }
    wait_for(|| (unread(&server) == 0).then_some(()));
}

#[test]
fn bodies_that_one_connection_does_not_finish_are_bounded() {
    let server = server(&["--http-connection-in-flight-limit", "100kb"]);
    let mut http = Http2::connect(&server, None);
    // Once it has answered, the client may send as much.
    http.get("/health/live", &[1]);
    assert_eq!(http.read_heads(1), (vec![1], vec![]));
    let piece = vec![b'x'; 10_000];
    for stream in [3, 5] {
        http.put("/cache/key", LENGTH, stream);
        (1..LENGTH / piece.len()).for_each(|_| http.send(&piece, 0, stream));
    }
    for stream in [7, 9] {
        http.put("/cache/key", LENGTH, stream);
    }
    assert_eq!(http.read_heads(2), (vec![], vec![7, 9]));
    assert_eq!(sample(&server, "quartet_http_request_bytes_in_flight"), 2 * LENGTH);
    http.send(&piece, END_STREAM, 5);
    // The key is new, so it is no 200.
    assert_eq!(http.read_heads(1), (vec![], vec![5]));
    http.put("/cache/key", LENGTH, 11);
    (1..LENGTH / piece.len()).for_each(|_| http.send(&piece, 0, 11));
    http.send(&piece, END_STREAM, 11);
    assert_eq!(http.read_heads(1), (vec![11], vec![]));
    drop(http);
    wait_for(|| (sample(&server, "quartet_http_request_bytes_in_flight") == 0).then_some(()));
}

#[test]
fn bodies_are_bounded_in_all_whether_announced_or_not() {
    let server = server(&["--http-in-flight-limit", "100kb"]);
    let put = |length: &str, body: &[u8]| {
        let mut http = connect(&server);
        let head =
            format!("PUT /cache/key HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n{length}\r\n\r\n");
        http.write(&[head.as_bytes(), body].concat());
        http
    };
    let check_refused = |http: &mut Http| {
        let refused = http.read("PUT").expect("it is answered");
        assert_eq!((refused.status, refused.problem().as_str()), (503, "too-much-in-flight"));
        assert_eq!(refused.json()["setting"], "http-in-flight-limit");
        assert_eq!(refused.header("retry-after"), Some("1"));
    };
    let announced = put("Content-Length: 200000", &[]);
    wait_for(|| (sample(&server, "quartet_http_request_bytes_in_flight") > 0).then_some(()));
    check_refused(&mut put("Content-Length: 20000", &[]));
    check_refused(&mut put("Expect: 100-continue\r\nContent-Length: 20000", &[]));
    let chunk = format!("4e20\r\n{}\r\n", "x".repeat(20_000));
    check_refused(&mut put("Transfer-Encoding: chunked", chunk.as_bytes()));
    assert_eq!(put("Content-Length: 4", b"data").read("PUT").map(|response| response.status), Some(201));
    drop(announced);
    wait_for(|| (sample(&server, "quartet_http_request_bytes_in_flight") == 0).then_some(()));
    let several = [chunk.repeat(20).as_bytes(), b"0\r\n\r\n"].concat();
    let alone = put("Transfer-Encoding: chunked", &several).read("PUT");
    assert_eq!(
        alone.map(|response| response.status),
        Some(200),
        "one by itself may be as long as a body may be"
    );
}
