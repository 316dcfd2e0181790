//! A slow disk: however large the messages are and however fast they come, their publishers wait, and every message is stored.

use std::sync::Arc;
use std::time::Duration;

use quartet::clock::{Clock, Now};
use quartet::delivery::{Effects, Message, SLOWED_TIME};
use quartet::journal::Writer;
use quartet::journal::keeper::{JournalHandle, Keeper};
use quartet::server;
use quartet::session::{Agreement, Protocol};
use quartet::settings::Settings;
use quartet::stream::{Details, Streams, Surroundings};
use quartet_protocol::websocket::handshake::Subprotocol;

use crate::support::simulated_disk::SimulatedDisk;
use crate::support::simulated_server::{SimulatedConnection, SimulatedServer};
use crate::support::websocket::{TEXT, frame};

const PAYLOAD: usize = 1 << 20;

/// What a socket gives the server at a time.
const PIECE: usize = 64 << 10;

/// How often the disk writes all that waits for it: so seldom that a publisher that only paused for a moment after each message
/// would have far more to write than may wait.
const DISK_INTERVAL: Duration = Duration::from_millis(400);

/// Far more writes than any of the tests needs.
const WRITES_MAX: usize = 100;

/// A server with one stream, and the writer of its journal.
struct Place {
    server: SimulatedServer,
    writer: Writer,
    _keeper: Keeper,
}

impl Place {
    fn new() -> Place {
        let now = Now::at(Duration::from_secs(1_000), Duration::from_secs(1_700_000_000));
        let settings = Settings { threads: 1, dir: None, ..Settings::default() };
        let mut services = server::services(settings, Clock::manual(now), 1);
        let (journal, disk) = (Arc::<JournalHandle>::default(), SimulatedDisk::default());
        let surroundings = Surroundings {
            fan_out: Arc::clone(&services.fan_out),
            journal: Arc::clone(&journal),
            clock: Arc::clone(&services.clock),
        };
        services.streams = Arc::new(Streams::on_disk(surroundings, Arc::new(SimulatedDisk::default())));
        services.streams.listen();
        let kept = vec![services.streams.persistent()];
        let opened = Keeper::open_on(&journal, Arc::new(disk), Vec::new(), kept, now);
        let (keeper, writer) = opened.expect("the journal opens");
        let mut place = Place { server: SimulatedServer::with_services(services), writer, _keeper: keeper };
        let (subject, body) = (b"$JS.API.STREAM.CREATE.S", br#"{"name":"S","subjects":["s"]}"#);
        let (fan_out, mut effects) = (Arc::clone(&place.server.services.fan_out), Effects::default());
        fan_out.publish(&Message::new(subject, body), &mut effects);
        fan_out.deliver(&mut effects);
        (0..6).for_each(|_| place.write());
        place
    }

    fn connect(&mut self) -> SimulatedConnection {
        self.connect_by(Protocol::Broker, b"CONNECT {\"verbose\":false}\r\nSUB _INBOX.told 1\r\n")
    }

    fn connect_by(&mut self, protocol: Protocol, hello: &[u8]) -> SimulatedConnection {
        let mut connection = self.server.connect(protocol).expect("there is room");
        connection.piece_max = PIECE;
        connection.write(hello);
        while self.server.turn(&mut connection) {}
        connection.read(usize::MAX);
        connection
    }

    /// The disk writes all that waits for it, and what follows from that is done.
    fn write(&mut self) {
        let mut effects = Effects::default();
        self.writer.step();
        self.server.services.streams.settle(&mut effects);
        self.server.services.fan_out.deliver(&mut effects);
    }

    /// Has clients publish what they have to, while the disk writes now and then; how often it did.
    fn publish_all(&mut self, clients: &mut [SimulatedConnection], each: usize) -> usize {
        let before: Vec<usize> = clients.iter().map(SimulatedConnection::received).collect();
        self.publish_until(clients, |clients| {
            clients.iter().zip(&before).all(|(client, before)| client.received() - before == each)
        })
    }

    /// The same, until each client has been answered.
    fn publish_until_answered(&mut self, clients: &mut [SimulatedConnection], answer: &str) -> usize {
        let mut answers = vec![String::new(); clients.len()];
        self.publish_until(clients, |clients| {
            for (client, answers) in clients.iter_mut().zip(&mut answers) {
                answers.push_str(&String::from_utf8_lossy(&client.read(usize::MAX)));
            }
            answers.iter().all(|answers| answers.contains(answer))
        })
    }

    fn publish_until(
        &mut self,
        clients: &mut [SimulatedConnection],
        mut is_done: impl FnMut(&mut [SimulatedConnection]) -> bool,
    ) -> usize {
        for written in 0..WRITES_MAX {
            let mut passed = Duration::ZERO;
            while passed < DISK_INTERVAL {
                for client in clients.iter_mut() {
                    while self.server.turn(client) {}
                }
                self.server.services.clock.advance(SLOWED_TIME);
                passed += SLOWED_TIME;
            }
            if is_done(clients) {
                self.write();
                return written + 1;
            }
            self.write();
        }
        panic!("publishers wait for ever");
    }

    /// The messages of the stream, and how many were refused.
    fn figures(&self) -> (u64, u64) {
        let services = &self.server.services;
        let stream = services.streams.find("S").expect("it is there");
        let messages = stream.describe(Details::default(), services.clock.now()).state.messages;
        (messages, services.streams.counted().refused)
    }
}

fn message(reply: &str) -> Vec<u8> {
    let mut text = format!("PUB s {reply}{PAYLOAD}\r\n").into_bytes();
    text.resize(text.len() + PAYLOAD, b'x');
    text.extend_from_slice(b"\r\n");
    text
}

#[test]
fn large_messages_of_one_connection_wait_for_a_slow_disk() {
    for reply in ["", "_INBOX.told "] {
        let mut place = Place::new();
        let mut client = place.connect();
        let one = message(reply);
        let count = 150;
        (0..count).for_each(|_| client.write(&one));
        let writes = place.publish_all(std::slice::from_mut(&mut client), count * one.len());
        assert_eq!(place.figures(), (count as u64, 0));
        // Each time about half of what may wait was written.
        assert!((4..=6).contains(&writes), "{writes}");
        while place.server.turn(&mut client) {}
        let told = String::from_utf8(client.read(usize::MAX)).expect("it is text");
        let told = told.matches(r#"{"stream":"S","seq":"#).count();
        assert_eq!(told, if reply.is_empty() { 0 } else { count });
    }
}

#[test]
fn the_first_message_of_a_connection_waits_too() {
    let mut place = Place::new();
    let one = message("");
    let mut clients: Vec<SimulatedConnection> = (0..150).map(|_| place.connect()).collect();
    clients.iter_mut().for_each(|client| client.write(&one));
    let writes = place.publish_all(&mut clients, one.len());
    assert_eq!(place.figures(), (150, 0));
    assert!((4..=6).contains(&writes), "{writes}");
}

#[test]
fn the_first_message_of_a_connection_waits_whatever_it_speaks() {
    let long = "x".repeat(PAYLOAD);
    let command = format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\ns\r\n${PAYLOAD}\r\n{long}\r\n");
    let operation = format!(r#"{{"op":"publish","subject":"s","payload":"{long}","ack":true}}"#);
    let agreement = Agreement { subprotocol: Subprotocol::Json, has_compression: false };
    let hello = frame(TEXT, br#"{"op":"connect"}"#);
    for (protocol, hello, publish, answer) in [
        (Protocol::Resp, b"PING\r\n".to_vec(), command.into_bytes(), ":0\r\n"),
        (Protocol::WebSocket(agreement), hello, frame(TEXT, operation.as_bytes()), r#""op":"published""#),
    ] {
        let mut place = Place::new();
        let mut clients: Vec<_> = (0..150).map(|_| place.connect_by(protocol, &hello)).collect();
        clients.iter_mut().for_each(|client| client.write(&publish));
        let writes = place.publish_until_answered(&mut clients, answer);
        assert_eq!(place.figures(), (150, 0), "{protocol:?}");
        assert!((4..=6).contains(&writes), "{protocol:?}: {writes}");
    }
}

#[test]
fn commands_of_a_pipeline_wait_in_their_order() {
    let mut place = Place::new();
    let mut client = place.connect_by(Protocol::Resp, b"PING\r\n");
    let long = "x".repeat(PAYLOAD / 2);
    let count = 300;
    for number in 0..count {
        client.write(format!("*2\r\n$4\r\nECHO\r\n$4\r\n{number:04}\r\n").as_bytes());
        let head =
            format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\ns\r\n${}\r\n{number:04}{}\r\n", PAYLOAD / 2 + 4, long);
        client.write(head.as_bytes());
    }
    client.write(b"*2\r\n$4\r\nECHO\r\n$3\r\nend\r\n");
    let mut answers = String::new();
    place.publish_until(std::slice::from_mut(&mut client), |clients| {
        answers.push_str(&String::from_utf8_lossy(&clients[0].read(usize::MAX)));
        answers.ends_with("end\r\n")
    });
    let expected: String = (0..count).map(|number| format!("$4\r\n{number:04}\r\n:0\r\n")).collect();
    assert_eq!(answers, expected + "$3\r\nend\r\n");
    assert_eq!(place.figures(), (count as u64, 0));
}

fn multi(payload: &str, count: usize) -> Vec<u8> {
    let publish = format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\ns\r\n${}\r\n{payload}\r\n", payload.len());
    format!("*1\r\n$5\r\nMULTI\r\n{}*1\r\n$4\r\nEXEC\r\n", publish.repeat(count)).into_bytes()
}

#[test]
fn a_transaction_waits_before_it_runs() {
    let mut place = Place::new();
    let transaction = multi(&"x".repeat(PAYLOAD), 1);
    let mut clients: Vec<_> = (0..150).map(|_| place.connect_by(Protocol::Resp, b"PING\r\n")).collect();
    clients.iter_mut().for_each(|client| client.write(&transaction));
    let writes = place.publish_until_answered(&mut clients, "*1\r\n:0\r\n");
    assert_eq!(place.figures(), (150, 0));
    assert!((4..=6).contains(&writes), "{writes}");
}

/// A transaction runs whole, so one that publishes more than may wait for the disk is told which messages are not stored.
#[test]
fn a_transaction_with_more_than_may_wait_is_told_what_is_not_stored() {
    let mut place = Place::new();
    let count = 100;
    let mut client = place.connect_by(Protocol::Resp, b"PING\r\n");
    client.write(&multi(&"x".repeat(PAYLOAD), count));
    let mut answers = String::new();
    place.publish_until(std::slice::from_mut(&mut client), |clients| {
        answers.push_str(&String::from_utf8_lossy(&clients[0].read(usize::MAX)));
        answers.matches("QUEUED").count() == count && answers.contains(&format!("*{count}\r\n"))
    });
    let (stored, refused) = place.figures();
    assert_eq!(stored + refused, count as u64);
    assert!((32..=66).contains(&stored), "{stored}");
    assert_eq!(answers.matches(":0\r\n").count() as u64, stored);
    assert_eq!(answers.matches("-NOTSTORED stream S has not stored the message: ").count() as u64, refused);
}
