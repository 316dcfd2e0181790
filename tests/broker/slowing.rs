//! Publishers that are faster than the disk: a sink has them slow down.  Their input is held back, they go on after each pause,
//! and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use quartet::delivery::{Crowd, Effects, Message, SLOWED_TIME, Sink};
use quartet::session::{Agreement, Protocol};
use quartet::settings::Settings;
use quartet_protocol::websocket::handshake::Subprotocol;

use crate::support::simulated_server::{SimulatedConnection, SimulatedServer};
use crate::support::websocket::{BINARY, TEXT, frame};

const MESSAGES: usize = 2_000;
const PAUSES: usize = 20;

/// Most messages between two pauses: a batch of commands runs as a whole.
const BETWEEN_MAX: usize = 32;

/// Takes messages, which bear their numbers, and has publishers slow down while it is behind.
#[derive(Default)]
struct Disk {
    is_behind: AtomicBool,
    taken: AtomicUsize,
}

/// A crowd that is gone after the shortest pause.
struct Gone;

impl Crowd for Gone {
    fn is_crowded(&self) -> bool {
        false
    }
}

impl Sink for Disk {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        let number = self.taken.fetch_add(1, Relaxed);
        assert_eq!(message.payload, format!("{number:04}").as_bytes(), "each once and in order");
        if self.is_behind.load(Relaxed) {
            effects.slow_down(Arc::new(Gone));
        }
        true
    }
}

fn run(server: &mut SimulatedServer, connection: &mut SimulatedConnection) -> Vec<u8> {
    while server.turn(connection) {}
    connection.read(usize::MAX)
}

/// A client says hello, subscribes to `own`, and sends all messages in one go while the disk is behind.
fn check(protocol: Protocol, hello: &[u8], publish: impl Fn(String) -> Vec<u8>) {
    let mut server = SimulatedServer::new(Settings::default(), 1);
    let disk = Arc::<Disk>::default();
    disk.is_behind.store(true, Relaxed);
    let sink = Arc::<Disk>::clone(&disk);
    server.services.fan_out.add_sink(b"k", sink);
    let mut publisher = server.connect(protocol).expect("the door is open");
    publisher.write(hello);
    run(&mut server, &mut publisher);
    let mut other = server.connect(Protocol::Resp).expect("the door is open");
    let input: Vec<u8> = (0..MESSAGES).flat_map(|number| publish(format!("{number:04}"))).collect();
    publisher.write(&input);
    let all = hello.len() + input.len();
    let mut before = 0;
    for _ in 0..PAUSES {
        run(&mut server, &mut publisher);
        let taken = disk.taken.load(Relaxed);
        assert!((1..=BETWEEN_MAX).contains(&(taken - before)), "{} between two pauses", taken - before);
        assert!(publisher.received() < all, "the rest is held back");
        before = taken;
        // What others publish reaches it all the same.
        other.write(b"PUBLISH own for-you\r\n");
        assert_eq!(run(&mut server, &mut other), b":1\r\n");
        let sent = String::from_utf8_lossy(&run(&mut server, &mut publisher)).into_owned();
        assert!(sent.contains("for-you"), "{sent}");
        assert_eq!(disk.taken.load(Relaxed), before, "it pauses");
        server.advance(SLOWED_TIME, |_| {});
    }
    disk.is_behind.store(false, Relaxed);
    run(&mut server, &mut publisher);
    assert_eq!((disk.taken.load(Relaxed), publisher.received()), (MESSAGES, all));
}

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false}\r\nSUB own 1\r\n";

fn operation(payload: &str) -> Vec<u8> {
    format!("PUB k 4\r\n{payload}\r\n").into_bytes()
}

#[test]
fn of_frames() {
    check(Protocol::Broker, CONNECT, |payload| operation(&payload));
}

#[test]
fn of_commands() {
    check(Protocol::Resp, b"HELLO 3\r\nSUBSCRIBE own\r\n", |payload| {
        format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\nk\r\n$4\r\n{payload}\r\n").into_bytes()
    });
}

#[test]
fn of_frames_of_a_websocket() {
    let agreement = Agreement { subprotocol: Subprotocol::Bytes, has_compression: false };
    check(Protocol::WebSocket(agreement), &frame(BINARY, CONNECT), |payload| {
        // A frame may hold several operations, or a part of one.
        let (first, second) = (operation(&payload), b"PING\r\n".repeat(2));
        let joined = [&first[..], &second].concat();
        let (one, other) = joined.split_at(first.len() - 3);
        [frame(BINARY, one), frame(BINARY, other)].concat()
    });
}

#[test]
fn of_json() {
    let agreement = Agreement { subprotocol: Subprotocol::Json, has_compression: false };
    let hello = [&br#"{"op":"connect"}"#[..], br#"{"op":"subscribe","subject":"own"}"#];
    let hello: Vec<u8> = hello.iter().flat_map(|operation| frame(TEXT, operation)).collect();
    check(Protocol::WebSocket(agreement), &hello, |payload| {
        let operation = format!(r#"{{"op":"publish","subject":"k","payload":"{payload}"}}"#);
        frame(TEXT, operation.as_bytes())
    });
}
