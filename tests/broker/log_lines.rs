//! What the log says of clients of the broker.

use serde_json::{Value, json};

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::{Server, wait_for};
use crate::support::websocket::{BINARY, CLOSE, TEXT, WebSocket, frame};

/// The lines of a log in JSON with this message, without the time.
fn lines(server: &Server, message: &str) -> Vec<Value> {
    let log = server.folder().stderr();
    let whole = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut found: Vec<_> = whole.filter(|line| line["message"] == message).collect();
    for line in &mut found {
        line.as_object_mut().expect("a line is an object").remove("timestamp");
    }
    found
}

fn wait_for_lines(server: &Server, message: &str, count: usize) -> Vec<Value> {
    wait_for(|| Some(lines(server, message)).filter(|lines| lines.len() >= count))
}

fn server(more: &[&str]) -> Server {
    let arguments =
        ["--broker-port", "0", "--http-port", "0", "--log-level", "debug", "--log-format", "json"];
    Server::quartet(&[&arguments, more].concat())
}

#[test]
fn a_client_comes_and_leaves_with_one_line_each() {
    let users = "[{ name = 'ann', password = 'sesame' }]";
    let server = server(&["--requirepass", "secret", "--users", users]);
    let mut socket = WebSocket::open(server.http_address(), &[]).expect("it is taken");
    socket.send(BINARY, "CONNECT {\"verbose\":false,\"pass\":\"secret\"}\r\nPING\r\n");
    socket.stream_until("PONG\r\n");
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    let address = client.address().to_string();
    client.write("CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"sesame\",\"name\":\"a\\nb\"}\r\n");
    // It is the same client after another CONNECT.
    client.write("CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"sesame\",\"name\":\"c\"}\r\n");
    client.flush();
    drop(client);
    let gone = wait_for_lines(&server, "a client of the broker has gone", 1);
    let expected = json!({
        "level": "DEBUG", "message": "a client of the broker has gone", "client": info["client_id"],
        "address": address, "listener": "broker", "reason": "Client Closed",
    });
    assert_eq!(gone, [expected]);
    let come = lines(&server, "a client of the broker has come");
    let expected = json!({
        "level": "DEBUG", "message": "a client of the broker has come", "client": info["client_id"],
        "address": address, "listener": "broker", "name": "a\nb", "user": "ann",
    });
    assert_eq!(
        (come.len(), &come[0]["listener"], &come[0]["user"]),
        (2, &"websocket".into(), &"default".into())
    );
    assert_eq!(come[1], expected);
    let mut operator = Client::connect(server.address());
    assert_eq!(operator.ask("AUTH secret"), "OK");
    assert_eq!(operator.ask(&format!("CLIENT KILL ID {}", come[0]["client"])), "1");
    let gone = wait_for_lines(&server, "a client of the broker has gone", 2);
    assert_eq!((&gone[1]["listener"], &gone[1]["reason"]), (&"websocket".into(), &"Kicked".into()));
}

#[test]
fn the_reason_of_the_end_of_a_websocket_is_told() {
    let server = server(&["--requirepass", "secret"]);
    let json = [("Sec-WebSocket-Protocol", "quartet.json")];
    let open = |headers: &[_]| WebSocket::open(server.http_address(), headers).expect("it is taken");
    let is_end = |first| first == CLOSE;
    for (mut socket, words, reason) in [
        (open(&json), frame(TEXT, br#"{"op":"connect","pass":"wrong"}"#), "Authentication Failure"),
        (open(&json), frame(TEXT, b"\xff"), "Protocol Violation"),
        (open(&json), frame(TEXT, &[b' '; 1 << 20]), "Maximum Message Payload Exceeded"),
        (open(&[]), b"\x82\x01x".to_vec(), "Protocol Violation"),
        (open(&[]), frame(BINARY, b"PING\r\n"), "Authentication Failure"),
        (open(&[]), frame(CLOSE, b""), "Client Closed"),
    ] {
        let before = lines(&server, "a client of the broker has gone").len();
        socket.write(&words);
        while !is_end(socket.frame().0) {}
        let gone = wait_for_lines(&server, "a client of the broker has gone", before + 1);
        assert_eq!(gone[before]["reason"], reason);
    }
}

#[test]
fn a_name_cannot_make_a_line_of_its_own() {
    let server = Server::quartet(&["--broker-port", "0", "--log-level", "debug"]);
    let mut client = BrokerClient::quiet(server.broker_address());
    client.write("CONNECT {\"verbose\":false}\r\n");
    client.flush();
    let mut forger = BrokerClient::connect_silently(server.broker_address());
    forger.write("CONNECT {\"verbose\":false,\"name\":\"x\\nforged line\\u001b[2J\"}\r\nPING\r\n");
    let log = wait_for(|| Some(server.folder().stderr()).filter(|log| log.contains("forged line")));
    let line = log.lines().find(|line| line.contains("forged line")).unwrap_or_default();
    assert!(line.contains("a client of the broker has come"), "{line}");
    assert!(line.contains(r#"name="x\nforged line\u{1b}[2J" user="default""#), "{line}");
}

#[test]
fn refused_connections_have_a_line_now_and_then() {
    const REFUSED: usize = 50;
    let server = server(&["--broker-connection-limit", "1"]);
    let _only = BrokerClient::quiet(server.broker_address());
    for _ in 0..REFUSED {
        BrokerClient::connect_silently(server.broker_address()).read_to_end();
        WebSocket::open(server.http_address(), &[]).map(drop).expect_err("it is refused");
    }
    let found = wait_for_lines(&server, "a connection is refused", 2);
    assert!(found.len() < REFUSED, "{} lines", found.len());
    for door in ["broker", "websocket"] {
        let first = found.iter().find(|line| line["listener"] == door).expect("each door has one");
        assert_eq!(
            (&first["level"], &first["reason"], &first["more"]),
            (&"WARN".into(), &"there are too many connections".into(), &0.into())
        );
        assert!(first["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:")));
    }
}

#[test]
fn a_slow_consumer_is_cut_off_with_a_line() {
    let server = server(&["--broker-max-pending", "1mb"]);
    let (mut slow, info) = BrokerClient::connect(server.broker_address());
    slow.write("CONNECT {\"verbose\":false}\r\nSUB much 1\r\n");
    slow.flush();
    let mut publisher = BrokerClient::quiet(server.broker_address());
    publisher.write(format!("PUB much {}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20)).repeat(32));
    publisher.flush();
    let gone = wait_for_lines(&server, "a client of the broker has gone", 1);
    assert_eq!(gone[0]["reason"], "Slow Consumer (Pending Bytes)");
    let told = wait_for_lines(&server, "a receiver of messages is too slow", 1);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["client"], &told[0]["policy"], &told[0]["level"]),
        (&info["client_id"], &"disconnect".into(), &"WARN".into())
    );
}
