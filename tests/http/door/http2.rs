//! HTTP/2 with prior knowledge, said byte by byte.

use super::{connect, server};
use crate::support::http::Http;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` as HPACK's static table has it.
const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET of a path as an HPACK block: method and scheme by the static table, path and authority as plain text.
fn get(path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| [&[index, text.len() as u8], text.as_bytes()].concat();
    [&[0x82, 0x86][..], &literal(0x04, path), &literal(0x01, "localhost")].concat()
}

/// The kind, the stream and the payload of the next frame.
fn read_frame(http: &mut Http) -> (u8, u32, Vec<u8>) {
    let head = http.read_exact(9);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    (head[3], stream, http.read_exact(length))
}

#[test]
fn requests_of_one_connection_are_answered_side_by_side() {
    let server = server(&[]);
    let mut http = connect(&server);
    let ask = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/health/live"));
    http.write(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &ask(1), &ask(3), &ask(5)].concat());
    let mut answered = Vec::new();
    while answered.len() < 3 {
        let (kind, stream, payload) = read_frame(&mut http);
        assert_ne!(kind, GOAWAY, "{payload:?}");
        if kind == HEADERS {
            assert_eq!(payload[0], STATUS_200);
            answered.push(stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5]);
}

#[test]
fn an_idle_connection_is_closed() {
    let server = server(&["--http-idle-timeout", "1"]);
    let mut http = connect(&server);
    let ask = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/health/live"));
    http.write(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &ask].concat());
    while read_frame(&mut http).0 != HEADERS {}
    http.read_to_end();
}
