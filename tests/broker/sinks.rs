//! Messages that only a receiver within the server takes: their publishers do not get the answer that nobody heard them, and no
//! receiver is counted.

use std::sync::Arc;

use quartet::delivery::{Effects, Message, Sink};
use quartet::session::{Agreement, Protocol};
use quartet::settings::Settings;
use quartet_protocol::websocket::handshake::Subprotocol;

use crate::support::simulated_server::{SimulatedConnection, SimulatedServer};
use crate::support::websocket::{TEXT, frame};

/// Takes messages and does nothing.
struct Deaf;

impl Sink for Deaf {
    fn take(&self, _message: &Message<'_>, _effects: &mut Effects) -> bool {
        true
    }
}

/// A server with a sink of `heard`, and a client that has said hello.
fn client(protocol: Protocol, hello: &[u8]) -> (SimulatedServer, SimulatedConnection) {
    let mut server = SimulatedServer::new(Settings::default(), 1);
    server.services.fan_out.add_sink(b"heard", Arc::new(Deaf));
    let mut client = server.connect(protocol).expect("the door is open");
    ask(&mut server, &mut client, hello);
    (server, client)
}

/// What the client is sent when it has written.
fn ask(server: &mut SimulatedServer, client: &mut SimulatedConnection, written: &[u8]) -> String {
    client.write(written);
    while server.turn(client) {}
    String::from_utf8_lossy(&client.read(usize::MAX)).into_owned()
}

#[test]
fn frames_get_no_503() {
    let hello = b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB _INBOX.1 1\r\n";
    let (mut server, mut client) = client(Protocol::Broker, hello);
    assert_eq!(ask(&mut server, &mut client, b"PUB heard _INBOX.1 0\r\n\r\n"), "");
    assert!(ask(&mut server, &mut client, b"PUB silence _INBOX.1 0\r\n\r\n").contains("503"));
}

#[test]
fn a_request_of_the_json_form_waits() {
    let protocol = Protocol::WebSocket(Agreement { subprotocol: Subprotocol::Json, has_compression: false });
    let (mut server, mut client) = client(protocol, &frame(TEXT, br#"{"op":"connect"}"#));
    let mut request = |subject: &str| {
        let operation = format!(r#"{{"op":"request","subject":"{subject}","payload":"x"}}"#);
        ask(&mut server, &mut client, &frame(TEXT, operation.as_bytes()))
    };
    assert_eq!(request("heard"), "");
    assert!(request("silence").contains("no_responders"));
}

#[test]
fn resp_counts_subscribers_alone() {
    let (mut server, mut client) = client(Protocol::Resp, b"");
    let asked = b"PUBLISH heard x\r\nPUBSUB NUMSUB heard\r\nPUBSUB CHANNELS\r\n";
    let told = ":0\r\n*2\r\n$5\r\nheard\r\n:0\r\n*0\r\n";
    assert_eq!(ask(&mut server, &mut client, asked), told);
}
