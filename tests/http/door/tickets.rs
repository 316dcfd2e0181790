//! Tickets, with which a page opens a stream although a browser lets it send no password.

use super::{connect, server};
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

const PASSWORD: (&str, &str) = ("Authorization", "Bearer sesame");

fn ticket(server: &Server) -> String {
    let response = connect(server).ask("POST", "/tickets", &[PASSWORD], b"");
    assert_eq!((response.status, response.header("cache-control")), (201, Some("no-store")));
    let json = response.json();
    assert_eq!(json["expires_in_ms"], 30_000);
    json["ticket"].as_str().expect("it is text").to_owned()
}

/// Asks as an EventSource does; the first line of the response.
fn watch(server: &Server, ticket: &str) -> (Http, String) {
    let mut http = connect(server);
    let head = format!("GET /locks/x/events?ticket={ticket} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http.write(head.as_bytes());
    let line = http.read_until("\r\n");
    (http, line)
}

#[test]
fn a_ticket_opens_one_stream() {
    let server = server(&["--requirepass", "sesame"]);
    let refused = connect(&server).ask("POST", "/tickets", &[], b"");
    assert_eq!(refused.status, 401, "a ticket costs the password");
    let ticket = ticket(&server);
    let (mut stream, line) = watch(&server, &ticket);
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    stream.read_until(":\n\n");
    let acquired = connect(&server).ask("POST", "/lock", &[PASSWORD], br#"{"resource": "x", "ttl": 60}"#);
    assert_eq!(acquired.status, 200);
    stream.read_until("event: acquired\n");
    assert_eq!(watch(&server, &ticket).1, "HTTP/1.1 401 Unauthorized\r\n");
    let again = connect(&server).get(&format!("/locks/x/events?ticket={ticket}"));
    assert!(again.json()["detail"].as_str().is_some_and(|detail| detail.contains("POST /tickets")));
}

#[test]
fn a_ticket_is_for_streams_only() {
    let server = server(&["--requirepass", "sesame"]);
    let ticket = ticket(&server);
    for path in ["/cache/key", "/locks/x", "/metrics", "/redis/get/key"] {
        assert_eq!(connect(&server).get(&format!("{path}?ticket={ticket}")).status, 401, "{path}");
    }
    let posted = connect(&server).ask("POST", &format!("/tickets?ticket={ticket}"), &[], b"");
    assert_eq!(posted.status, 401, "a ticket makes no tickets");
    assert_eq!(watch(&server, &ticket).1, "HTTP/1.1 200 OK\r\n", "and none of these has burnt it");
}

#[test]
fn without_a_password_a_ticket_does_no_harm() {
    let server = server(&[]);
    let ticket = ticket(&server);
    for ticket in [ticket.as_str(), ticket.as_str(), "none"] {
        assert_eq!(watch(&server, ticket).1, "HTTP/1.1 200 OK\r\n");
    }
}

#[test]
fn no_ticket_is_logged() {
    let server = server(&["--requirepass", "sesame", "--http-log-requests", "yes", "--log-level", "trace"]);
    let ticket = ticket(&server);
    for status in ["200 OK", "401 Unauthorized"] {
        assert_eq!(watch(&server, &ticket).1, format!("HTTP/1.1 {status}\r\n"));
    }
    let log = wait_for(|| Some(server.folder().stderr()).filter(|log| log.contains("401")));
    assert!(log.contains("/locks/{resource}/events") && !log.contains(&ticket), "{log}");
}
