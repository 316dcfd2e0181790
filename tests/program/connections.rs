//! Connections beyond the limits or outside the protocol end alone; others are served.

use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::process::{Server, pause, wait_for};

/// More than any line of a request may hold.
const ENDLESS_LINE: usize = 70_000;

/// Enough for a few of them to be gone between a request and its reply.
const GONE_CLIENTS: usize = 1_000;

#[test]
fn more_clients_than_allowed_are_turned_away() {
    let server = Server::quartet(&["--maxclients", "2"]);
    let mut first = Client::connect(server.address());
    let mut second = Client::connect(server.address());
    assert_eq!((first.ask("PING"), second.ask("PING")), ("PONG".to_owned(), "PONG".to_owned()));
    let mut third = Client::connect(server.address());
    assert_eq!(third.read_text().as_deref(), Some("-ERR max number of clients reached"));
    assert_eq!(third.read_text(), None);
    assert_eq!(first.ask("PING"), "PONG");
    drop(second);
    // The server learns of the closed connection when it next polls, so a place is free soon, not at once.
    wait_for(|| {
        let mut fourth = Client::connect(server.address());
        fourth.write(b"PING\r\n");
        fourth.read_text().filter(|reply| reply == "PONG")
    });
}

#[test]
fn idle_clients_are_disconnected() {
    let server = Server::quartet(&["--timeout", "1"]);
    let mut subscriber = Client::connect(server.address());
    assert_eq!(subscriber.ask("SUBSCRIBE news"), "[subscribe, news, 1]");
    let mut idle = Client::connect(server.address());
    assert_eq!(idle.ask("PING"), "PONG");
    assert_eq!(idle.read_text(), None);
    assert_eq!(subscriber.ask("PING"), "[pong, ]");
}

#[test]
fn a_client_that_waits_or_is_slow_is_not_idle() {
    let server = Server::quartet(&["--timeout", "1"]);
    let (mut holder, mut waiting) = (Client::connect(server.address()), Client::connect(server.address()));
    holder.ask("LOCK.ACQUIRE door ann TTL 2500");
    waiting.write(b"LOCK.ACQUIRE door bob TTL 1000 WAIT 60000\r\nPING\r\n");
    let mut slow = Client::connect(server.address());
    // A byte now and then, for longer than an idle client is left alone.
    for byte in b"*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$8\r\nabcdefgh\r\n" {
        pause(Duration::from_millis(100));
        slow.write(&[*byte]);
    }
    assert_eq!(slow.read_text().as_deref(), Some("OK"));
    assert!(waiting.read_text().is_some_and(|granted| granted.starts_with("[fence, ")));
    assert_eq!(waiting.read_text().as_deref(), Some("PONG"));
}

#[test]
fn web_browsers_are_disconnected() {
    let server = Server::quartet(&[]);
    let mut other = Client::connect(server.address());
    for request in ["POST / HTTP/1.1\r\nSET key evil\r\n", "Host: localhost\r\nSET key evil\r\n"] {
        let mut browser = Client::connect(server.address());
        browser.write(request.as_bytes());
        assert_eq!(browser.read_text(), None, "{request}");
        assert_eq!(other.ask("GET key"), "(nil)");
    }
}

#[test]
fn input_that_is_no_request_is_answered_and_ends_its_connection() {
    let server = Server::quartet(&[]);
    let mut other = Client::connect(server.address());
    let check = |request: &[u8], error: &str| {
        let mut client = Client::connect(server.address());
        client.write(b"PING\r\n");
        client.write(request);
        assert_eq!(client.read_text().as_deref(), Some("PONG"));
        assert_eq!(client.read_text(), Some(format!("-ERR Protocol error: {error}")));
        assert_eq!(client.read_text(), None);
    };
    check(b"*1\r\n+PING\r\n", "expected '$', got '+'");
    check(b"*x\r\n", "invalid multibulk length");
    check(b"*2147483648\r\n", "invalid multibulk length");
    check(b"*1\r\n$x\r\n", "invalid bulk length");
    check(b"*1\r\n$-1\r\n", "invalid bulk length");
    check(b"*1\r\n$536870913\r\n", "invalid bulk length");
    check(b"SET key \"open\r\n", "unbalanced quotes in request");
    check(&[b'x'; ENDLESS_LINE], "too big inline request");
    check(&[b'*'; ENDLESS_LINE], "too big mbulk count string");
    check(&[b"*1\r\n".as_slice(), &[b'$'; ENDLESS_LINE]].concat(), "too big bulk count string");
    assert_eq!(other.ask("PING"), "PONG");
}

#[test]
fn replies_to_a_client_that_is_gone_reach_nobody_else() {
    let server = Server::quartet(&["--threads", "1"]);
    for _ in 0..GONE_CLIENTS {
        let mut gone = Client::connect(server.address());
        assert_eq!(gone.ask("ECHO hello"), "hello");
        // The reply to the first request resets the closed connection, so that the next one cannot be written.
        (0..3).for_each(|_| gone.write(b"ECHO secret\r\n"));
        drop(gone);
        assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
    }
}

#[test]
fn an_endless_transaction_is_cut_off() {
    let server = Server::quartet(&["--client-query-buffer-limit", "1mb"]);
    let mut other = Client::connect(server.address());
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("MULTI"), "OK");
    let value = "v".repeat(ENDLESS_LINE);
    let queued = (0..100).take_while(|_| {
        client.write(&request(&["SET", "key", &value]));
        client.read_text().as_deref() == Some("QUEUED")
    });
    assert!((1..20).contains(&queued.count()));
    assert_eq!(other.ask("EXISTS key"), "0");
}

#[test]
fn endless_watching_is_cut_off() {
    let server = Server::quartet(&["--client-query-buffer-limit", "1mb"]);
    let mut client = Client::connect(server.address());
    let mut watch = |round: usize| {
        let keys = (0..1000).map(|number| format!(" key-{round}-{number}")).collect::<String>();
        client.write(format!("WATCH{keys}\r\n").as_bytes());
        client.read_text()
    };
    // A key that is watched already takes nothing.
    assert!((0..20).all(|_| watch(0).as_deref() == Some("OK")));
    let rounds = (1..20).take_while(|round| watch(*round).as_deref() == Some("OK")).count();
    assert!((2..10).contains(&rounds), "{rounds}");
}
