//! A client that never reads, or asks for more than may wait for it, is disconnected at its output limit, and no other client
//! notices.

use super::large_values::{MEBIBYTE, SLACK, forget_peak, memory, resident};
use crate::support::client::{Client, request};
use crate::support::process::Server;

const MESSAGE_LENGTH: usize = 64 * 1024;

/// Far more than the limit and what the sockets of both sides hold.
const MESSAGES_MAX: usize = 20_000;

#[test]
fn is_cut_off_while_others_are_served() {
    let server = Server::quartet(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut publisher = Client::connect(server.address());
    let mut reader = Client::connect(server.address());
    let mut slow = Client::connect(server.address());
    assert_eq!(reader.ask("SUBSCRIBE news"), "[subscribe, news, 1]");
    assert_eq!(slow.ask("SUBSCRIBE news"), "[subscribe, news, 1]");
    let message = "m".repeat(MESSAGE_LENGTH);
    let heard = format!("[message, news, {message}]");
    let mut published = 0;
    while publisher.ask(&format!("PUBLISH news {message}")) == "2" {
        assert_eq!(reader.read_text().as_deref(), Some(heard.as_str()));
        published += 1;
        assert!(published < MESSAGES_MAX, "the slow reader is still subscribed");
    }
    assert_eq!(reader.read_text().as_deref(), Some(heard.as_str()));
    let mut received = 0;
    while slow.read_text().is_some() {
        received += 1;
    }
    assert!(received <= published, "{received} of {published} messages were received");
    assert_eq!(publisher.ask("PUBLISH news last"), "1");
    assert_eq!(reader.read_text().as_deref(), Some("[message, news, last]"));
}

/// The replies of EXEC are made at once, so their limit counts while they are made: the queue runs to its end, as in Redis.
#[test]
fn a_transaction_whose_replies_are_beyond_the_limit_ends_its_connection() {
    const REPLY: usize = MEBIBYTE / 2;
    const REPLIES: usize = 400;
    let server = Server::quartet(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut other = Client::connect(server.address());
    assert_eq!(other.ask(&format!("APPEND value {}", "v".repeat(REPLY))), REPLY.to_string());
    // Its reply is a copy, which the value itself would not be.
    let read = ["GETRANGE", "value", "1", "-1"];
    let before = resident(&server);
    forget_peak(&server);
    let mut pipeline = request(&["MULTI"]);
    (0..REPLIES).for_each(|_| pipeline.extend(request(&read)));
    pipeline.extend([request(&["INCR", "done"]), request(&["EXEC"]), request(&["PING"])].concat());
    let mut client = Client::connect(server.address());
    client.write(&pipeline);
    assert_eq!(client.read_text().as_deref(), Some("OK"));
    for _ in 0..=REPLIES {
        assert_eq!(client.read_text().as_deref(), Some("QUEUED"));
    }
    assert_eq!(client.read_text(), None, "the connection ends without the replies");
    assert_eq!(other.ask("GET done"), "1");
    let peak = memory(&server, "VmHWM:");
    assert!(peak < before + SLACK + 4 * REPLY, "{peak} bytes at most, from {before}");
    // What is within the limit is answered.
    let mut client = Client::connect(server.address());
    client.write(&[request(&["MULTI"]), request(&read), request(&["EXEC"])].concat());
    assert_eq!(client.read_text().as_deref(), Some("OK"));
    assert_eq!(client.read_text().as_deref(), Some("QUEUED"));
    assert!(client.read_text().is_some_and(|reply| reply.len() > REPLY - 10));
}
