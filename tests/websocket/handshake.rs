//! The handshake: what is refused and why, and what is agreed on.

use super::{open, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};
use crate::support::websocket::{ACCEPT, BINARY, WebSocket, frame};

/// The status and the problem of a handshake that is refused.
#[track_caller]
fn refused(server: &Server, headers: &[(&str, &str)]) -> (u16, String) {
    let response = WebSocket::open(server.http_address(), headers).err().expect("it is refused");
    (response.status, response.problem())
}

#[test]
fn a_handshake_is_answered() {
    let server = server(&[]);
    for headers in [
        &[][..],
        &[("Connection", "keep-alive, Upgrade")],
        &[("Upgrade", "WebSocket")],
        // Compression is off unless a setting says otherwise.
        &[("Sec-WebSocket-Extensions", "permessage-deflate")],
    ] {
        let socket = open(&server, headers);
        let header = |name| socket.response.header(name);
        assert_eq!(header("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(header("upgrade"), Some("websocket"));
        assert_eq!(header("sec-websocket-protocol"), None);
        assert_eq!(header("sec-websocket-extensions"), None);
    }
}

#[test]
fn what_is_no_handshake_is_refused_with_its_reason() {
    let server = server(&[]);
    for (headers, status, problem) in [
        (&[("Connection", "")][..], 426, "upgrade-required"),
        (&[("Connection", "close")], 426, "upgrade-required"),
        (&[("Upgrade", "")], 426, "upgrade-required"),
        (&[("Upgrade", "h2c")], 426, "upgrade-required"),
        (&[("Sec-WebSocket-Version", "")], 426, "upgrade-required"),
        (&[("Sec-WebSocket-Version", "8")], 426, "upgrade-required"),
        (&[("Sec-WebSocket-Key", "")], 400, "invalid-request"),
        (&[("Sec-WebSocket-Key", "c2hvcnQ=")], 400, "invalid-request"),
        (&[("Sec-WebSocket-Protocol", "mqtt")], 400, "invalid-request"),
        (&[("Content-Length", "5")], 400, "invalid-request"),
    ] {
        assert_eq!(refused(&server, headers), (status, problem.to_owned()), "{headers:?}");
    }
    let mut http = Http::connect(server.http_address());
    let plain = http.get("/ws");
    assert_eq!((plain.status, plain.header("upgrade")), (426, Some("websocket")));
    assert_eq!(http.ask("POST", "/ws", &[], b"").status, 405);
    let old = WebSocket::open(server.http_address(), &[("Sec-WebSocket-Version", "8")]).err();
    assert_eq!(old.expect("it is refused").header("sec-websocket-version"), Some("13"));
}

#[test]
fn pages_of_other_sites_are_refused() {
    let server = server(&["--http-cors-origins", "https://friend.example"]);
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        let problem = (403, "foreign-origin".to_owned());
        assert_eq!(refused(&server, &[("Origin", origin)]), problem, "{origin}");
    }
    let of_browser = [("User-Agent", "Mozilla/5.0")];
    assert_eq!(refused(&server, &of_browser), (403, "foreign-origin".to_owned()));
    assert_eq!(refused(&server, &[("Host", "rebound.example")]), (403, "foreign-host".to_owned()));
    for origin in ["http://localhost", "https://friend.example"] {
        open(&server, &[("Origin", origin)]);
    }
}

#[test]
fn compression_is_agreed_on_if_the_setting_says_so() {
    let server = server(&["--websocket-compression", "yes"]);
    let socket = open(&server, &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]);
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(socket.response.header("sec-websocket-extensions"), Some(agreed));
    for offer in ["", "permessage-deflate; server_max_window_bits=10"] {
        let socket = open(&server, &[("Sec-WebSocket-Extensions", offer)]);
        assert_eq!(socket.response.header("sec-websocket-extensions"), None);
    }
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    let server = server(&[]);
    let early = frame(BINARY, b"CONNECT {\"verbose\":false}\r\nPING\r\n");
    let mut socket = WebSocket::open_with(server.http_address(), &[], &early).expect("it is one");
    assert!(socket.stream_until("PONG\r\n").starts_with("INFO {"));
}

/// A WebSocket is no connection of the HTTP door any more, and one to the broker.
#[test]
fn a_websocket_counts_as_a_connection_to_the_broker() {
    let server = server(&["--broker-connection-limit", "2", "--http-connection-limit", "2"]);
    let (first, _second) = (open(&server, &[]), open(&server, &[]));
    let third = wait_for(|| {
        let refused = WebSocket::open(server.http_address(), &[]).err()?;
        (refused.problem() == "unavailable").then_some(refused)
    });
    assert_eq!((third.status, third.header("retry-after")), (503, Some("1")));
    drop(first);
    wait_for(|| WebSocket::open(server.http_address(), &[]).ok());
}

/// The times of the HTTP door have ended for a connection that has left it.
#[test]
fn the_limits_of_http_do_not_hold_for_a_websocket() {
    let server = server(&["--http-idle-timeout", "1", "--http-request-timeout", "1"]);
    let mut socket = open(&server, &[]);
    assert!(socket.stream_until("\r\n").starts_with("INFO {"));
    let mut idle = Http::connect(server.http_address());
    // The door has closed a connection that is idle for as long.
    assert_eq!(idle.read_to_end(), b"");
    socket.send(BINARY, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    socket.stream_until("PONG\r\n");
}

#[test]
fn no_password_is_needed_for_the_handshake_but_for_the_conversation() {
    let server = server(&["--requirepass", "sesame"]);
    let mut socket = open(&server, &[]);
    assert!(socket.stream_until("\r\n").contains("\"auth_required\":true"));
    socket.send(BINARY, "PING\r\n");
    socket.stream_until("-ERR 'Authorization Violation'\r\n");
    assert_eq!(socket.closed(), (1008, "Authorization Violation".to_owned()));

    let mut socket = open(&server, &[]);
    socket.send(BINARY, "CONNECT {\"verbose\":false,\"pass\":\"sesame\"}\r\nPING\r\n");
    socket.stream_until("PONG\r\n");

    // One that is given in the handshake is enough, and a wrong one is not passed over.
    let mut socket = open(&server, &[("Authorization", "Bearer sesame")]);
    socket.send(BINARY, "PING\r\n");
    socket.stream_until("PONG\r\n");
    assert_eq!(refused(&server, &[("Authorization", "Bearer guess")]), (401, "unauthorized".to_owned()));
}

#[test]
fn a_ticket_is_as_good_as_the_password() {
    let server = server(&["--requirepass", "sesame"]);
    let mut http = Http::connect(server.http_address());
    let mut ticket = || {
        let issued = http.ask("POST", "/tickets", &[("Authorization", "Bearer sesame")], b"").json();
        issued["ticket"].as_str().expect("it is text").to_owned()
    };
    let path = format!("/ws?ticket={}", ticket());
    let mut socket = WebSocket::open_at(server.http_address(), &path, &[]).expect("it is one");
    assert!(socket.stream_until("\r\n").starts_with("INFO {"));
    // As clients of NATS do that know no password.
    socket.send(BINARY, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    socket.stream_until("PONG\r\n");
    let used = WebSocket::open_at(server.http_address(), &path, &[]).err().expect("it was used");
    assert_eq!((used.status, used.problem()), (401, "unauthorized".to_owned()));
    // A ticket does not stand in for a password that is given and wrong.
    let path = format!("/ws?ticket={}", ticket());
    let mut socket = WebSocket::open_at(server.http_address(), &path, &[]).expect("it is one");
    socket.send(BINARY, "CONNECT {\"pass\":\"guess\"}\r\n");
    socket.stream_until("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn who_gives_no_password_is_closed_after_a_time() {
    let server = server(&["--requirepass", "sesame", "--broker-auth-timeout", "1"]);
    let mut socket = open(&server, &[]);
    socket.stream_until("-ERR 'Authentication Timeout'\r\n");
    assert_eq!(socket.closed(), (1008, "Authentication Timeout".to_owned()));
}

#[test]
fn the_server_says_goodbye_when_it_stops() {
    let mut server = server(&[]);
    let mut socket = super::connect(&server);
    Client::connect(server.address()).write(b"SHUTDOWN\r\n");
    loop {
        let (first, payload) = socket.frame();
        if first == crate::support::websocket::CLOSE {
            assert_eq!(payload[..2], 1001u16.to_be_bytes());
            break;
        }
    }
    assert!(server.wait().success());
}
