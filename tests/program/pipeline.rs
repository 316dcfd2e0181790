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

/// A client that sends more than is answered before its connection ends still gets those answers.
#[test]
fn input_behind_the_end_takes_no_reply_away() {
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

/// Requests behind unread replies are held back at the limit, and answered once the replies are read.
#[test]
fn whole_requests_beyond_the_query_buffer_wait() {
    const LARGE: usize = 300_000;
    const READS: usize = 50;
    const WRITES: usize = 4_000;
    let server = Server::quartet(&["--threads", "1", "--client-query-buffer-limit", "1mb"]);
    let mut client = Client::connect(server.address());
    let (large, value) = ("v".repeat(LARGE), "w".repeat(VALUE_LENGTH));
    assert_eq!(client.ask(&format!("SET large {large}")), "OK");
    let mut writer = client.another_end();
    let sent = std::thread::spawn(move || {
        writer.write(&request(&["GET", "large"]).repeat(READS));
        for number in 0..WRITES {
            writer.write(&request(&["SET", &format!("key:{number}"), &value]));
        }
    });
    // By now the client has more to send than the limit and the sockets of both sides hold, or has sent all.
    let mut other = Client::connect(server.address());
    for _ in 0..100 {
        assert_eq!(other.ask("PING"), "PONG");
    }
    for _ in 0..READS {
        assert_eq!(client.read_text().as_deref(), Some(large.as_str()));
    }
    for _ in 0..WRITES {
        assert_eq!(client.read_text().as_deref(), Some("OK"));
    }
    sent.join().expect("everything was sent");
    // One request that does not end is still not taken in without end.
    let mut endless = Client::connect(server.address());
    endless.write(format!("*2\r\n$3\r\nGET\r\n${}\r\n", 8 << 20).as_bytes());
    endless.write(&vec![b'x'; 8 << 20]);
    assert_eq!(endless.read_text(), None);
}

/// A waiting client that leaves is noticed, however many of its requests are held back.
#[test]
fn a_client_that_leaves_while_its_requests_are_held_back_is_given_nothing() {
    let server = Server::quartet(&["--threads", "1", "--client-query-buffer-limit", "1mb"]);
    let (mut holder, mut client) = (Client::connect(server.address()), Client::connect(server.address()));
    holder.ask("LOCK.ACQUIRE door ann TTL 600000");
    let wait = ["LOCK.ACQUIRE", "door", "bob", "TTL", "600000", "WAIT", "600000"];
    // Input that the server no longer reads fits into the socket, or the server could not notice that the client left.
    let [long, short] = [1 << 20, 1 << 13].map(|length| request(&["SET", "key", &"v".repeat(length)]));
    client.write(&[request(&wait), long, short].concat());
    drop(client);
    while !holder.ask("LOCK.LIST").contains("waiters, 0") {
        std::thread::yield_now();
    }
}

/// A client that leaves while it waits gets nothing more, but earlier replies are still sent.
#[test]
fn replies_before_a_wait_reach_a_client_that_sends_no_more() {
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
