//! Pipelines longer than all buffers between a client and the server.

use crate::support::client::{Client, request};
use crate::support::process::Server;

/// Requests whose bytes, and whose replies' bytes, are more than the sockets of both sides hold together.
const REQUESTS: usize = 100_000;
const NAME_LENGTH: usize = 300;
const VALUE_LENGTH: usize = 400;

fn is_answered(end: fn(&mut Client)) {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    let name = "n".repeat(NAME_LENGTH);
    let value = "v".repeat(VALUE_LENGTH);
    assert_eq!(client.ask(&format!("SET {name} {value}")), "OK");
    client.write(&request(&["GET", &name]).repeat(REQUESTS));
    end(&mut client);
    for _ in 0..REQUESTS {
        assert_eq!(client.read_text().as_deref(), Some(value.as_str()));
    }
}

/// Most client libraries write the whole pipeline before they read the first reply.
#[test]
fn is_taken_whole_before_a_reply_is_read() {
    is_answered(|_| {});
}

#[test]
fn is_answered_whole_to_who_sends_no_more() {
    is_answered(Client::finish);
}

/// Who sends more than it is answered, as far as a connection that ends goes, is answered that far.
#[test]
fn what_comes_behind_the_end_takes_no_reply_away() {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    let value = "v".repeat(8 << 20);
    assert_eq!(client.ask(&format!("SET long {value}")), "OK");
    for (last, reply) in
        [("*1\r\n$4\r\nQUIT\r\n", "OK"), ("*x\r\n", "-ERR Protocol error: invalid multibulk length")]
    {
        let mut client = Client::connect(server.address());
        let more = request(&["PING"]).repeat(10_000);
        client.write(&[&request(&["GET", "long"]), last.as_bytes(), &more].concat());
        assert_eq!(client.read_text().as_deref(), Some(value.as_str()));
        assert_eq!(client.read_text().as_deref(), Some(reply));
        assert_eq!(client.read_text(), None);
    }
}

/// Who goes while it waits gets nothing more, but what it was told before it waited is on its way.
#[test]
fn what_was_answered_before_a_wait_reaches_who_sends_no_more() {
    let server = Server::quartet(&["--threads", "1"]);
    let (mut holder, mut client) = (Client::connect(server.address()), Client::connect(server.address()));
    holder.ask("LOCK.ACQUIRE door ann TTL 600000");
    let value = "v".repeat(8 << 20);
    assert_eq!(client.ask(&format!("SET long {value}")), "OK");
    let wait = ["LOCK.ACQUIRE", "door", "bob", "TTL", "1000", "WAIT", "600000"];
    client.write(&[request(&["GET", "long"]), request(&wait)].concat());
    client.finish();
    assert_eq!(client.read_text().as_deref(), Some(value.as_str()));
    assert_eq!(client.read_text(), None);
}
