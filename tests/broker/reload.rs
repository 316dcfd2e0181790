//! Settings that change while clients are connected.

use std::fs;

use rustix::process::{Signal, kill_process};

use super::door::server;
use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::json_socket::JsonSocket;
use crate::support::process::{Folder, Server};

/// A server whose users stand in a file.
struct Guarded {
    server: Server,
    folder: Folder,
}

impl Guarded {
    fn with_users(users: &str) -> Guarded {
        let folder = Folder::new();
        let path = folder.path().join("quartet.toml");
        fs::write(&path, users).expect("the file can be written");
        let server = server(&["--http-port", "0", "--config", &path.to_string_lossy()]);
        Guarded { server, folder }
    }

    /// Has the server read other users.
    fn reload(&self, users: &str) {
        fs::write(self.folder.path().join("quartet.toml"), users).expect("the file can be written");
        kill_process(self.server.process(), Signal::HUP).expect("the process lives");
    }

    fn connect(&self, name: &str) -> BrokerClient {
        let (mut client, _) = BrokerClient::connect(self.server.broker_address());
        let connect = format!("CONNECT {{\"verbose\":false,\"user\":\"{name}\",\"pass\":\"{name}'s\"}}\r\n");
        client.write(connect);
        client.flush();
        client
    }
}

/// The table of a user with these further lines.
fn user(name: &str, lines: &str) -> String {
    format!("[[users]]\nname = \"{name}\"\npassword = \"{name}'s\"\n{lines}\n")
}

#[test]
fn another_limit_of_messages_is_told() {
    let server = server(&[]);
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    assert_eq!(info["max_payload"], 1 << 20);
    client.check("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n", "PONG\r\n");
    client.read_info();
    let mut operator = Client::connect(server.address());
    assert_eq!(operator.ask("CONFIG SET broker-max-payload 2048"), "OK");
    assert_eq!(client.read_info()["max_payload"], 2048);
    // Other settings are none of its business.
    assert_eq!(operator.ask("CONFIG SET timeout 100"), "OK");
    client.flush();
    client.write("PUB a 2049\r\n");
    assert_eq!(client.read_to_end(), "-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn a_user_may_do_less_from_now_on() {
    let guarded = Guarded::with_users(&[user("ann", ""), user("ben", "")].concat());
    let (mut ann, mut ben) = (guarded.connect("ann"), guarded.connect("ben"));
    ann.check("SUB news 1\r\nSUB other team 2\r\nPING\r\n", "PONG\r\n");
    guarded.reload(&[user("ann", "subscribe = [\"news\"]"), user("ben", "")].concat());
    ann.expect("-ERR 'Permissions Violation for Subscription to \"other\" using queue \"team\"'\r\n");
    ben.write("PUB other 1\r\nx\r\nPUB news 1\r\ny\r\n");
    ann.expect("MSG news 1 1\r\ny\r\n");
    ann.check("SUB other 3\r\n", "-ERR 'Permissions Violation for Subscription to \"other\"'\r\n");
    ben.flush();
}

#[test]
fn that_a_subscription_ends_with_its_permission_is_told() {
    let guarded = Guarded::with_users(&[user("ann", ""), user("ben", "")].concat());
    let (mut ann, mut ben) = (guarded.connect("ann"), guarded.connect("ben"));
    ben.write("SUB $PRESENCE.other 1\r\n");
    ben.flush();
    ann.write("SUB other 1\r\nSUB $PRESENCE.third 2\r\n");
    ann.flush();
    let mut read_event = |event: &str| {
        assert!(ben.read_line().starts_with("MSG $PRESENCE.other 1 "));
        let line = ben.read_line();
        assert!(line.contains(&format!("\"event\":\"{event}\"")), "{line}");
    };
    read_event("joined");
    guarded.reload(&[user("ann", "subscribe = [\"news\"]"), user("ben", "")].concat());
    read_event("left");
}

#[test]
fn who_becomes_another_user_keeps_what_that_user_may_have() {
    let guarded = Guarded::with_users(&[user("ann", ""), user("ben", "subscribe = [\"news\"]")].concat());
    let mut json = JsonSocket::connect(guarded.server.http_address());
    assert_eq!(json.ask(r#"{"op":"connect","user":"ann","pass":"ann's"}"#)["op"], "connected");
    for subject in ["news", "other"] {
        json.ask(&format!(r#"{{"op":"subscribe","subject":"{subject}","id":"{subject}"}}"#));
    }
    let ended = json.ask(r#"{"op":"connect","user":"ben","pass":"ben's"}"#);
    assert_eq!((&ended["code"], &ended["id"]), (&"forbidden".into(), &"other".into()));
    assert_eq!(json.read()["op"], "connected");
    for (subject, receivers) in [("other", 0), ("news", 1)] {
        json.send(&format!(r#"{{"op":"publish","subject":"{subject}","ack":true}}"#));
        if receivers > 0 {
            assert_eq!(json.read()["op"], "message");
        }
        assert_eq!(json.read()["receivers"], receivers);
    }
}

#[test]
fn a_user_that_is_gone_has_to_go() {
    let guarded = Guarded::with_users(&[user("ann", ""), user("ben", "")].concat());
    let (mut ann, mut ben) = (guarded.connect("ann"), guarded.connect("ben"));
    guarded.reload(&user("ben", ""));
    assert_eq!(ann.read_to_end(), "-ERR 'User Authentication Expired'\r\n");
    ben.flush();
}
