//! The server ends, and the broker's clients hear of it before.

use std::net::TcpStream;

use rustix::process::{Signal, kill_process};

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::{Server, wait_for};

const CONNECT: &str = "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";

/// A client that is told what changes.
fn told(server: &Server) -> BrokerClient {
    let (mut client, _) = BrokerClient::connect(server.broker_address());
    client.check(CONNECT, "PONG\r\n");
    client.read_info();
    client
}

fn retire(server: &Server) {
    kill_process(server.process(), Signal::USR2).expect("the process lives");
}

#[test]
fn clients_are_told_and_the_door_is_closed_while_they_go_on() {
    let mut server = server(&["--broker-lame-duck-grace", "3600"]);
    let (mut one, mut other) = (told(&server), told(&server));
    let (mut old, _) = BrokerClient::connect(server.broker_address());
    old.check("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    retire(&server);
    for client in [&mut one, &mut other] {
        assert_eq!(client.read_info()["ldm"], true);
    }
    wait_for(|| TcpStream::connect(server.broker_address()).is_err().then_some(()));
    one.check("SUB news 1\r\nPING\r\n", "PONG\r\n");
    other.check("PUB news 2\r\nhi\r\nPING\r\n", "PONG\r\n");
    one.expect("MSG news 1 2\r\nhi\r\n");
    // A client that knows nothing of protocol 1 gets no INFO that it does not expect.
    old.flush();
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG", "other doors stay open");
    drop((one, other, old));
    assert_eq!(server.wait().code(), Some(0), "nobody is left to wait for");
}

#[test]
fn clients_that_stay_are_disconnected() {
    let mut server = server(&["--broker-lame-duck-grace", "0", "--broker-lame-duck-duration", "1"]);
    let mut clients: Vec<BrokerClient> = (0..10).map(|_| told(&server)).collect();
    retire(&server);
    for client in &mut clients {
        let rest = client.read_to_end();
        assert_eq!(rest.matches("\"ldm\":true").count(), 1, "{rest}");
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_ordinary_stop_is_announced_and_quick() {
    let mut server = server(&["--broker-lame-duck-grace", "3600"]);
    let mut client = told(&server);
    kill_process(server.process(), Signal::TERM).expect("the process lives");
    let rest = client.read_to_end();
    assert_eq!(rest.matches("\"ldm\":true").count(), 1, "{rest}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stop_ends_the_wait_for_clients() {
    let mut server = server(&["--broker-lame-duck-grace", "3600"]);
    let mut client = told(&server);
    retire(&server);
    assert_eq!(client.read_info()["ldm"], true);
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
    kill_process(server.process(), Signal::TERM).expect("the process lives");
    assert_eq!(client.read_to_end(), "");
    assert_eq!(server.wait().code(), Some(0));
}
