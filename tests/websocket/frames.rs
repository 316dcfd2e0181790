//! Frames: cut anywhere, mixed with control frames, hostile, compressed.

use std::io::Write;
use std::sync::Arc;

use quartet::clock::Clock;
use quartet::command::Flow;
use quartet::command::executor::Executor;
use quartet::random::Random;
use quartet::server::services;
use quartet::session::{Agreement, Protocol, Scratch, Session};
use quartet::settings::Settings;
use quartet_protocol::buffer::Buffer;
use quartet_protocol::websocket::handshake::Subprotocol;
use quartet_protocol::websocket::{Deflater, Inflater};

use super::{connect, open, server};
use crate::support::websocket::{BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame};

#[test]
fn frames_are_cut_anywhere() {
    let server = server(&[]);
    let mut subscriber = connect(&server);
    subscriber.send(BINARY, "SUB news.* 1\r\nPING\r\n");
    subscriber.stream_until("PONG\r\n");
    let mut publisher = connect(&server);
    let stream = b"PUB news.eu 5\r\nhello\r\nPUB news.us 2\r\nhi\r\n";
    let expected = "MSG news.eu 1 5\r\nhello\r\nMSG news.us 1 2\r\nhi\r\n";

    // Several operations in a frame.
    publisher.send(BINARY, stream);
    assert_eq!(subscriber.stream_until("hi\r\n"), expected);
    // Each byte in a frame of its own, and each byte of those in a write of its own.
    for byte in stream.chunks(1) {
        frame(BINARY, byte).chunks(1).for_each(|byte| publisher.write(byte));
    }
    assert_eq!(subscriber.stream_until("hi\r\n"), expected);
    // One message in fragments, with pings between them and an empty one.
    let (start, end) = stream.split_at(20);
    let fragments = [frame(0x02, start), frame(PING, b"now"), frame(0x00, b""), frame(0x80, end)];
    publisher.write(&fragments.concat());
    assert_eq!(publisher.frame(), (PONG, b"now".to_vec()));
    assert_eq!(subscriber.stream_until("hi\r\n"), expected);
    // Text is taken too.
    publisher.send(TEXT, stream);
    assert_eq!(subscriber.stream_until("hi\r\n"), expected);
}

#[test]
fn a_long_payload_goes_both_ways() {
    let server = server(&[]);
    let mut socket = connect(&server);
    let payload = "0123456789abcdef".repeat(64 * 1024);
    socket.send(BINARY, "SUB long 1\r\n");
    socket.send(BINARY, format!("PUB long {}\r\n{payload}\r\nPING\r\n", payload.len()));
    let received = socket.stream_until("PONG\r\n");
    assert_eq!(received, format!("MSG long 1 {}\r\n{payload}\r\nPONG\r\n", payload.len()));
}

/// How the conversation ends for a client that sends these bytes.
#[track_caller]
fn end_of(socket: &mut WebSocket, bytes: &[u8]) -> u16 {
    socket.write(bytes);
    socket.closed().0
}

#[test]
fn hostile_frames_end_the_conversation_with_a_code() {
    let server = server(&[]);
    for (bytes, code) in [
        (&b"\x82\x05PING\n"[..], 1002),
        (&frame(0xc2, b"PING\r\n"), 1002),
        (&frame(0x83, b""), 1002),
        (&frame(0x80, b""), 1002),
        (&frame(0x09, b""), 1002),
        (&frame(PING, &[b'x'; 126]), 1002),
        (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffMASK", 1002),
        (&frame(CLOSE, b"x"), 1002),
        (&frame(TEXT, b"PUB x 1\r\n\xff\r\n"), 1007),
        (&frame(CLOSE, b""), 1000),
        (&frame(CLOSE, b"\x0f\xa0done"), 4000),
    ] {
        assert_eq!(end_of(&mut connect(&server), bytes), code, "{bytes:?}");
    }
}

#[test]
fn the_inner_conversation_ends_with_a_code_too() {
    let server = server(&["--broker-max-payload", "1kb"]);
    for (operation, error, code) in [
        ("NONSENSE\r\n", "Unknown Protocol Operation", 1002),
        ("PUB x 2000\r\n", "Maximum Payload Violation", 1009),
    ] {
        let mut socket = connect(&server);
        socket.send(BINARY, operation);
        socket.stream_until(&format!("-ERR '{error}'\r\n"));
        assert_eq!(socket.closed(), (code, error.to_owned()));
    }
}

#[test]
fn nothing_behind_a_closing_frame_is_run() {
    let server = server(&[]);
    let mut subscriber = connect(&server);
    subscriber.send(BINARY, "SUB x 1\r\nPING\r\n");
    subscriber.stream_until("PONG\r\n");
    let mut publisher = connect(&server);
    let frames = [frame(BINARY, b"PUB x 1\r\na\r\n"), frame(CLOSE, b""), frame(BINARY, b"PUB x 1\r\nb\r\n")];
    assert_eq!(end_of(&mut publisher, &frames.concat()), 1000);
    connect(&server).send(BINARY, "PUB x 1\r\nc\r\n");
    assert_eq!(subscriber.stream_until("c\r\n"), "MSG x 1 1\r\na\r\nMSG x 1 1\r\nc\r\n");
}

#[test]
fn all_pings_are_answered_however_late_the_answers_are_read() {
    let server = server(&[]);
    let mut socket = connect(&server);
    let mut writer = socket.second_handle();
    let pings = frame(PING, &[b'x'; 125]).repeat(1000);
    std::thread::scope(|scope| {
        // More than the server and both sockets hold.
        scope.spawn(|| (0..200).for_each(|_| writer.write_all(&pings).expect("the server is there")));
        for _ in 0..200_000 {
            assert_eq!(socket.frame().0, PONG);
        }
    });
}

/// A conversation without a socket, to which a client sends pings and whose answers nobody takes.
#[test]
fn a_client_that_reads_no_pongs_is_not_read_from() {
    let services = Arc::new(services(Settings::default(), Clock::machine(), 7));
    let protocol = Protocol::WebSocket(Agreement { subprotocol: Subprotocol::Bytes, has_compression: false });
    let address = ([127, 0, 0, 1], 1).into();
    let client = services.clients.connect(protocol.door(), address, address, 0);
    let mut session = Session::new(protocol, client, true);
    let mut executor = Executor::new(services, 0, Random::with_seed(7));
    let mut scratch = Scratch::default();
    let (pong, most) = (2 + 125, 64 * 1024);
    for count in 1.. {
        let flow = session.receive(&mut frame(PING, &[b'x'; 125]), &mut executor, &mut scratch);
        assert_eq!((flow, scratch.written().len()), (Flow::Continue, count * pong));
        if !session.has_read(0) {
            assert_eq!(count, most / pong + 1);
            break;
        }
    }
    session.note_sent(pong, false);
    assert!(!session.has_read(0));
    session.note_sent(most, true);
    assert!(session.has_read(0));
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Buffer::new();
    plain.extend(bytes);
    Deflater::default().deflate(&plain).expect("it becomes shorter").to_vec()
}

#[test]
fn messages_are_compressed_both_ways() {
    let server = server(&["--websocket-compression", "yes"]);
    let mut socket = open(&server, &[("Sec-WebSocket-Extensions", "permessage-deflate")]);
    // INFO is long enough to be compressed.
    let (first, payload) = socket.frame();
    assert_eq!(first, 0xc2);
    let inflated = Inflater::default().inflate(&payload, 10_000).map(|bytes| bytes.to_vec());
    assert!(inflated.expect("it is compressed").starts_with(b"INFO {"));

    let payload = "wave ".repeat(1000);
    let connect = "CONNECT {\"verbose\":false}\r\nSUB x 1\r\n";
    let operations = format!("{connect}PUB x {}\r\n{payload}\r\n", payload.len());
    socket.send(0xc2, deflate(operations.as_bytes()));
    let (first, message) = socket.frame();
    assert_eq!(first, 0xc2);
    let inflated = Inflater::default().inflate(&message, 10_000).map(|bytes| bytes.to_vec());
    let expected = format!("MSG x 1 {}\r\n{payload}\r\n", payload.len());
    assert_eq!(String::from_utf8(inflated.expect("it is compressed")).as_deref(), Ok(&*expected));

    // Short ones are not, and neither has to be what a client sends.
    socket.send(BINARY, "PING\r\n");
    assert_eq!(socket.frame(), (BINARY, b"PONG\r\n".to_vec()));
    // Fragments of a compressed message, and the rest of an operation that began in another.
    let pub_line = deflate(format!("PUB x 100\r\n{}", "y".repeat(80)).as_bytes());
    let (start, end) = pub_line.split_at(5);
    socket.write(&[frame(0x42, start), frame(PING, b""), frame(0x80, end)].concat());
    assert_eq!(socket.frame().0, PONG);
    socket.send(BINARY, format!("{}\r\nPING\r\n", "y".repeat(20)));
    assert_eq!(socket.frame().0, 0xc2);
}

#[test]
fn a_bomb_ends_the_conversation() {
    let server = server(&["--websocket-compression", "yes"]);
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    for (message, code) in
        [(deflate(&vec![b' '; 64 << 20]), 1009), (b"\xff\xff\xff".to_vec(), 1007), (vec![0; 5 << 20], 1009)]
    {
        let mut socket = open(&server, &offer);
        assert_eq!(socket.frame().0, 0xc2);
        socket.send(BINARY, "CONNECT {\"verbose\":false}\r\n");
        assert_eq!(end_of(&mut socket, &frame(0xc2, &message)), code);
    }
}
