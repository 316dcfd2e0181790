//! Feeds of messages over HTTP: `GET /subscribe` as server-sent events and as lines of JSON.

use super::http::Http;
use super::process::Server;

/// The comment of server-sent events, and the line of JSON, that keep a feed open.
const HEARTBEATS: [&str; 2] = [":\n\n", "{\"op\":\"heartbeat\"}\n"];

/// Begins to subscribe, and waits until the subscription stands.
pub(crate) fn subscribe(server: &Server, path: &str, accept: &str) -> Http {
    let mut http = Http::connect(server.http_address());
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    http.write(request.as_bytes());
    let head = http.read_until("\r\n\r\n").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let is_lines = accept == "application/x-ndjson";
    let media_type = if is_lines { accept } else { "text/event-stream" };
    for header in [
        &format!("content-type: {media_type}\r\n"),
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(head.contains(header), "{head}");
    }
    http.read_until(HEARTBEATS[usize::from(is_lines)]);
    http
}

/// The object of the next message or gap.
pub(crate) fn next(feed: &mut Http) -> serde_json::Value {
    loop {
        let line = feed.read_until("\n");
        let object = line.trim().strip_prefix("data: ").unwrap_or(line.trim());
        if object.starts_with('{') && object != HEARTBEATS[1].trim() {
            return serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }
}
