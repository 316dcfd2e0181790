//! Streams of events, by themselves and through a proxy.

use crate::support::http::Http;
use crate::support::nginx::Nginx;
use crate::support::process::Server;

/// Acquires a lock.
fn acquire(server: &Server) {
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.ask("POST", "/lock", &[], br#"{"resource": "x", "ttl": 60}"#).status, 200);
}

/// Begins to watch, and waits for the comment that says so.
fn watch(http: &mut Http) {
    http.write(b"GET /locks/x/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = http.read_until("\r\n\r\n").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    for header in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n"] {
        assert!(head.contains(header), "{head}");
    }
    http.read_until(":\n\n");
}

#[test]
fn a_quiet_stream_is_not_idle() {
    let server = Server::quartet(&["--http-port", "0", "--http-idle-timeout", "1"]);
    let mut watcher = Http::connect(server.http_address());
    watch(&mut watcher);
    // There are three comments in the time after which an idle connection is closed.
    for _ in 0..7 {
        watcher.read_until(":\n\n");
    }
    acquire(&server);
    watcher.read_until("event: acquired\n");
}

#[test]
fn nginx_passes_each_event_on_as_it_comes() {
    let server = Server::quartet(&["--http-port", "0"]);
    let Some(nginx) = Nginx::start(&format!(
        "location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header Host localhost; }}",
        server.http_address()
    )) else {
        return;
    };
    let mut watcher = Http::connect(nginx.address());
    watch(&mut watcher);
    acquire(&server);
    watcher.read_until("event: acquired\n");
}
