//! Connections: kept, bounded, and cut when they keep the door waiting.

use super::{connect, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, quartet, wait_for};
use crate::support::program::run;

#[test]
fn every_port_is_open() {
    let server = server(&["--http-port", "0 0", "--bind", "127.0.0.1 127.0.0.2"]);
    let ports = server.folder().ports().expect("the server serves");
    let addresses = ports["http"].as_array().expect("they are a list");
    assert_eq!(addresses.len(), 4, "{ports}");
    for address in addresses {
        let address = address.as_str().expect("an address is text").parse().expect("an address was bound");
        assert_eq!(Http::connect(address).get("/health/ready").status, 200);
    }
}

#[test]
fn a_taken_port_stops_the_start() {
    let server = server(&[]);
    let mut command = quartet(&Folder::new());
    let port = server.http_address().port().to_string();
    // Few connections, so that no line of the log is about the limit on open files.
    command.args([
        "--dir",
        "",
        "--port",
        "0",
        "--broker-port",
        "off",
        "--http-port",
        &port,
        "--maxclients",
        "9",
        "--http-connection-limit",
        "9",
    ]);
    let ended = run(command);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let address = server.http_address().to_string();
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--http-port"), "{}", ended.stderr);
}

#[test]
fn a_connection_serves_many_requests_in_order() {
    let server = server(&[]);
    let mut http = connect(&server);
    let host = server.http_address();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    http.write([request("/health/live"), request("/nothing"), request("/health/live")].concat().as_bytes());
    let statuses: Vec<_> = (0..3).map(|_| http.read("GET").expect("it is answered").status).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(http.ask("GET", "/health/live", &[("Connection", "close")], b"").status, 200);
    assert_eq!(http.read_to_end(), b"");
}

#[test]
fn several_threads_share_connections_and_data() {
    const CONNECTIONS: usize = 6;
    let server = server(&["--http-threads", "3"]);
    let mut all: Vec<Http> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
    for (number, http) in all.iter_mut().enumerate() {
        let written = http.ask("PUT", &format!("/cache/key{number}"), &[], br#"{"value": "x"}"#);
        assert!(written.status < 300, "{written:?}");
    }
    for http in &mut all {
        let found = (0..CONNECTIONS).filter(|number| http.get(&format!("/cache/key{number}")).status == 200);
        assert_eq!(found.count(), CONNECTIONS);
    }
    assert_eq!(Client::connect(server.address()).ask("DBSIZE"), CONNECTIONS.to_string());
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let server = server(&["--http-connection-limit", "1"]);
    let mut first = connect(&server);
    assert_eq!(first.get("/health/live").status, 200);
    let refused = connect(&server).read("GET").expect("it is told before it asks");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert_eq!(Client::connect(server.address()).ask("CONFIG SET http-connection-limit 2"), "OK");
    assert_eq!(connect(&server).get("/health/live").status, 200);
    drop(first);
    // The server notices in its own time that a client has gone.
    assert_eq!(Client::connect(server.address()).ask("CONFIG SET http-connection-limit 1"), "OK");
    wait_until_served(&server);
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let server = server(&["--http-request-timeout", "1"]);
    for start in ["GET", "GET / HTTP/1.1\r\nHost: local", "PRI * HTTP/2.0\r\n"] {
        let mut http = connect(&server);
        http.write(start.as_bytes());
        assert_eq!(http.read_to_end(), b"", "{start}");
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let server = server(&["--http-idle-timeout", "1"]);
    let (mut silent, mut used) = (connect(&server), connect(&server));
    assert_eq!(used.get("/health/live").status, 200);
    assert_eq!((silent.read_to_end(), used.read_to_end()), (vec![], vec![]));
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let server = server(&["--http-request-timeout", "1", "--http-connection-limit", "1"]);
    let mut http = connect(&server);
    let value = "x".repeat(1 << 20);
    assert!(http.ask("PUT", "/cache/key", &[], format!("{{\"value\":\"{value}\"}}").as_bytes()).status < 300);
    // More than any socket buffer holds.
    const REQUESTS: usize = 64;
    let request = format!("GET /cache/key HTTP/1.1\r\nHost: {}\r\n\r\n", server.http_address());
    http.write(request.repeat(REQUESTS).as_bytes());
    // There is room for another one only once it is cut off.
    wait_until_served(&server);
    assert!(http.read_to_end().len() < REQUESTS << 20);
}

/// Waits until there is room for a connection.
fn wait_until_served(server: &Server) {
    wait_for(|| {
        let mut http = connect(server);
        http.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        http.read("GET").filter(|response| response.status == 200)
    });
}
