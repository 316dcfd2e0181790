//! Every way to stop the server ends it well while clients are connected.

use rustix::process::{Signal, kill_process};

use crate::support::client::Client;
use crate::support::process::Server;

/// Starts a server with clients of every kind, lets `stop` stop it, and looks that it closes them and ends well.
fn check(stop: impl FnOnce(&Server)) {
    let mut server = Server::quartet(&[]);
    let mut idle = Client::connect(server.address());
    let mut subscriber = Client::connect(server.address());
    let mut in_transaction = Client::connect(server.address());
    assert_eq!(idle.ask("PING"), "PONG");
    assert_eq!(subscriber.ask("SUBSCRIBE news"), "[subscribe, news, 1]");
    assert_eq!(in_transaction.ask("MULTI"), "OK");
    stop(&server);
    assert_eq!(server.wait().code(), Some(0), "{}", server.folder().stderr());
    for client in [&mut idle, &mut subscriber, &mut in_transaction] {
        assert_eq!(client.read_text(), None);
    }
}

#[test]
fn by_sigterm() {
    check(|server| kill_process(server.process(), Signal::TERM).expect("the process lives"));
}

#[test]
fn by_sigint() {
    check(|server| kill_process(server.process(), Signal::INT).expect("the process lives"));
}

#[test]
fn by_shutdown() {
    check(|server| {
        let mut client = Client::connect(server.address());
        client.write(b"SHUTDOWN NOSAVE\r\n");
        assert_eq!(client.read_text(), None);
    });
}
