//! Clients that do not read, read or write a little now and then, stop amid a frame, or come and go: nobody else notices.

use std::fs;

use serde_json::Value;

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::{Server, wait_for};

const LENGTH: usize = 64 * 1024;

/// Many times what the sockets of both sides hold.
const MESSAGES: usize = 300;

/// A client that has subscribed to `news` and takes little at a time.
fn narrow(server: &Server, connect: &str) -> BrokerClient {
    let mut client = BrokerClient::connect_narrowly(server.broker_address());
    client.read_info();
    client.write(format!("CONNECT {connect}\r\nSUB news 1\r\n"));
    client.flush();
    client
}

/// Watches who leaves.
fn watcher(server: &Server) -> BrokerClient {
    let mut watcher = BrokerClient::quiet(server.broker_address());
    watcher.write("SUB $SYS.ACCOUNT.*.DISCONNECT 1\r\n");
    watcher.flush();
    watcher
}

/// Why the next client has left.
fn reason(watcher: &mut BrokerClient) -> String {
    let event: Value = serde_json::from_slice(&watcher.delivered().payload).expect("an event is JSON");
    event["reason"].as_str().expect("it has a reason").to_owned()
}

/// A long payload with a number.
fn payload(number: usize) -> String {
    format!("{number} {}", "x".repeat(LENGTH))
}

/// Publishes numbered messages one by one, each of which another subscriber gets at once.
fn publish_and_read(server: &Server, messages: usize) {
    let (mut publisher, mut reader) =
        (BrokerClient::quiet(server.broker_address()), BrokerClient::quiet(server.broker_address()));
    reader.write("SUB news 1\r\n");
    reader.flush();
    for number in 0..messages {
        let payload = payload(number);
        publisher.write(format!("PUB news {}\r\n{payload}\r\n", payload.len()));
        publisher.flush();
        assert_eq!(reader.delivered().payload, payload.as_bytes());
    }
}

#[test]
fn one_that_never_reads_is_cut_off_at_its_limit() {
    let server = server(&["--broker-max-pending", "1mb"]);
    let mut resp = Client::connect(server.address());
    let mut watcher = watcher(&server);
    let mut slow = narrow(&server, "{\"verbose\":false}");
    publish_and_read(&server, MESSAGES);
    assert_eq!(reason(&mut watcher), "Slow Consumer (Pending Bytes)");
    let read = slow.read_to_end();
    assert!(read.len() < MESSAGES * LENGTH && !read.contains("-ERR"), "as by nats-server, without a word");
    assert_eq!(resp.figure("broker_slow_consumers"), 1);
    wait_for(|| (resp.figure("broker_waiting_bytes") == 0).then_some(()));
}

#[test]
fn one_whose_socket_takes_nothing_is_cut_off_in_time_unless_it_may_miss_messages() {
    let server = server(&["--broker-write-deadline", "1"]);
    let mut resp = Client::connect(server.address());
    let mut watcher = watcher(&server);
    let mut slow = narrow(&server, "{\"verbose\":false}");
    let newest = "{\"verbose\":false,\"headers\":true,\"slow_consumer\":\"drop-oldest\"}";
    let mut patient = narrow(&server, newest);
    publish_and_read(&server, MESSAGES);
    // The publisher and the reader have left before.
    let mut reasons: Vec<String> = (0..3).map(|_| reason(&mut watcher)).collect();
    reasons.sort();
    assert_eq!(reasons, ["Client Closed", "Client Closed", "Slow Consumer (Write Deadline)"]);
    slow.read_to_end();
    for number in 0..MESSAGES {
        assert_eq!(patient.delivered().payload, payload(number).as_bytes());
    }
    patient.flush();
    wait_for(|| (resp.figure("broker_waiting_bytes") == 0).then_some(()));
}

#[test]
fn one_that_reads_a_byte_now_and_then_gets_everything() {
    const SLOWLY: usize = 500;
    let server = server(&[]);
    let mut slow = narrow(&server, "{\"verbose\":false}");
    let mut publisher = BrokerClient::quiet(server.broker_address());
    publisher.write("SUB news 2\r\n");
    let mut sent = String::new();
    for number in 0..SLOWLY {
        let payload = format!("{number:01000}");
        publisher.write(format!("PUB news 1000\r\n{payload}\r\n"));
        assert_eq!(publisher.delivered().payload, payload.as_bytes());
        sent += &format!("MSG news 1 1000\r\n{payload}\r\n");
        assert_eq!(slow.read_byte(), sent.as_bytes()[number]);
    }
    assert_eq!(slow.answers_to(""), &sent[SLOWLY..]);
}

#[test]
fn one_that_writes_a_byte_now_and_then_is_heard() {
    let server = server(&["--broker-ping-interval", "1", "--broker-max-pings-out", "1"]);
    let mut other = BrokerClient::quiet(server.broker_address());
    other.write("SUB news.> 1\r\n");
    let mut slow = BrokerClient::quiet(server.broker_address());
    let frame = "HPUB news.eu answers 18 23\r\nNATS/1.0\r\nA: b\r\n\r\nhello\r\n";
    for byte in frame.bytes() {
        other.flush();
        slow.write([byte]);
    }
    let delivered = other.delivered();
    assert_eq!((delivered.reply.as_str(), delivered.payload.as_slice()), ("answers", b"hello".as_slice()));
    assert_eq!(delivered.headers, b"NATS/1.0\r\nA: b\r\n\r\n");
}

#[test]
fn one_that_stops_amid_a_frame_is_stale() {
    let server = server(&["--broker-ping-interval", "1", "--broker-max-pings-out", "1"]);
    let halves =
        ["PUB news 1000000\r\nhel", "SUB ne", "CONNECT {\"verbose\":", "HPUB news 12 20\r\nNATS/1.0\r\n\r\n"];
    let stopped = halves.map(|half| {
        let mut client = BrokerClient::quiet(server.broker_address());
        client.write(half);
        (half, client)
    });
    for (half, mut client) in stopped {
        assert_eq!(client.read_to_end(), "PING\r\n-ERR 'Stale Connection'\r\n", "{half}");
    }
    let mut resp = Client::connect(server.address());
    wait_for(|| (resp.figure("broker_connections") == 0).then_some(()));
}

#[test]
fn one_that_never_ends_its_connect_is_cut_off() {
    let server = server(&["--requirepass", "sesame", "--broker-auth-timeout", "1"]);
    let (mut client, _) = BrokerClient::connect(server.broker_address());
    client.write("CONNECT {\"pass\":\"");
    // Its bytes show that it lives, and not who it is.
    let mut reader = client.another_end();
    let error = std::thread::scope(|scope| {
        let reading = scope.spawn(move || reader.read_to_end());
        wait_for(|| {
            client.write_anyway("s");
            reading.is_finished().then_some(())
        });
        reading.join().expect("it reads")
    });
    assert_eq!(error, "-ERR 'Authentication Timeout'\r\n");
}

#[test]
fn a_thousand_that_come_and_go_leave_nothing_behind() {
    let server = server(&[]);
    let mut resp = Client::connect(server.address());
    let mut steady = BrokerClient::quiet(server.broker_address());
    steady.write("SUB steady 1\r\n");
    steady.flush();
    let files = format!("/proc/{}/fd", server.process().as_raw_nonzero());
    let count = || fs::read_dir(&files).expect("the process lives").count();
    let before = count();
    for number in 0..1_000 {
        let mut client = BrokerClient::connect_silently(server.broker_address());
        if number % 2 == 0 {
            client.read_info();
        }
        match number % 5 {
            0 => {}
            1 => client.write("CONNECT {\"verb"),
            2 => client.write("SUB news 1\r\nSUB news workers 2\r\nPUB news 2\r\nhi\r\n"),
            3 => client.write("SUB steady 1\r\nPUB steady 1000000\r\nhello"),
            _ => {
                client.write("SUB news 1\r\nPING\r\n");
                client.reset_at_end();
            }
        }
    }
    steady.write("PUB steady 2\r\nhi\r\n");
    assert_eq!(steady.delivered().payload, b"hi");
    wait_for(|| (resp.figure("broker_connections") == 1).then_some(()));
    assert_eq!((resp.figure("broker_subscriptions"), resp.figure("broker_waiting_bytes")), (1, 0));
    wait_for(|| (count() <= before).then_some(()));
}
