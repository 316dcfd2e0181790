//! A short burst for many receivers: one read of a publisher's input becomes more bytes than all waiting messages may take,
//! and yet nobody who reads loses anything.

use quartet::session::{Agreement, Protocol};
use quartet::settings::Settings;
use quartet_protocol::websocket::handshake::Subprotocol;

use crate::support::simulated_server::{SimulatedConnection, SimulatedServer};
use crate::support::websocket::{BINARY, TEXT, frame};

const SUBSCRIBERS: usize = 200;
const MESSAGES: usize = 2_000;
const MEMORY_LIMIT: usize = 4 << 20;
const MESSAGE: &[u8] = b"MSG k 1 16\r\n0123456789abcdef\r\n";

/// Gives every connection its turns until none has anything to do; the most bytes that waited in between.
fn settle(
    server: &mut SimulatedServer,
    connections: &mut [SimulatedConnection],
    read: &mut [Vec<u8>],
) -> usize {
    let mut most = 0;
    loop {
        let mut is_quiet = true;
        for (connection, read) in connections.iter_mut().zip(&mut *read) {
            is_quiet &= !server.turn(connection);
            most = most.max(server.services.fan_out.waiting_bytes());
            read.extend(connection.read(usize::MAX));
        }
        if is_quiet {
            return most;
        }
    }
}

/// A publisher sends a burst in one go.
fn burst(protocol: Protocol, hello: &[u8], burst: &[u8]) {
    let settings = Settings { broker_memory_limit: MEMORY_LIMIT, ..Settings::default() };
    let mut server = SimulatedServer::new(settings, 1);
    let mut connections: Vec<SimulatedConnection> = (0..SUBSCRIBERS)
        .map(|_| {
            let mut subscriber = server.connect(Protocol::Broker).expect("the door is open");
            subscriber.write(b"CONNECT {\"verbose\":false}\r\nSUB k 1\r\n");
            subscriber
        })
        .collect();
    let mut publisher = server.connect(protocol).expect("the door is open");
    publisher.write(hello);
    connections.insert(0, publisher);
    let mut read = vec![Vec::new(); connections.len()];
    settle(&mut server, &mut connections, &mut read);
    read.iter_mut().for_each(Vec::clear);
    connections[0].write(burst);
    let most = settle(&mut server, &mut connections, &mut read);
    assert!(SUBSCRIBERS * MESSAGES * MESSAGE.len() > 2 * MEMORY_LIMIT, "it would have been too much at once");
    assert!(most <= MEMORY_LIMIT, "{most} bytes waited");
    for (number, (connection, read)) in connections.iter().zip(&read).enumerate().skip(1) {
        assert!(!connection.has_ended(), "subscriber {number} was cut off");
        assert!(*read == MESSAGE.repeat(MESSAGES), "subscriber {number} has read {} bytes", read.len());
    }
    assert_eq!(server.services.fan_out.slow_receivers().map(|(_, count)| count).sum::<u64>(), 0);
}

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false}\r\n";
const PUBLISH: &[u8] = b"PUB k 16\r\n0123456789abcdef\r\n";

#[test]
fn of_frames() {
    burst(Protocol::Broker, CONNECT, &PUBLISH.repeat(MESSAGES));
}

#[test]
fn of_commands() {
    let publish = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nk\r\n$16\r\n0123456789abcdef\r\n";
    burst(Protocol::Resp, b"PING\r\n", &publish.repeat(MESSAGES));
}

#[test]
fn of_one_frame_of_a_websocket() {
    let agreement = Agreement { subprotocol: Subprotocol::Bytes, has_compression: false };
    // Frames are cut anywhere.
    let bytes = PUBLISH.repeat(MESSAGES);
    let frames: Vec<u8> = bytes.chunks(10_001).flat_map(|piece| frame(BINARY, piece)).collect();
    burst(Protocol::WebSocket(agreement), &frame(BINARY, CONNECT), &frames);
}

#[test]
fn of_json() {
    let agreement = Agreement { subprotocol: Subprotocol::Json, has_compression: false };
    let publish = br#"{"op":"publish","subject":"k","payload":"0123456789abcdef"}"#;
    let hello = frame(TEXT, br#"{"op":"connect"}"#);
    burst(Protocol::WebSocket(agreement), &hello, &frame(TEXT, publish).repeat(MESSAGES));
}
