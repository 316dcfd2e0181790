//! A subscriber that never reads is disconnected at its output limit, and no other client notices.

use crate::support::client::Client;
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
