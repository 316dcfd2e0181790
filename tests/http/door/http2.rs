//! HTTP/2 with prior knowledge, said byte by byte.

use super::{connect, server};
use crate::support::http::Http;
use crate::support::process::Server;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame that every server takes.
const FRAME_LENGTH_MAX: usize = 16 * 1024;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` as HPACK's static table has it.
pub(super) const STATUS_200: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A short text as HPACK has it, not compressed.
fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// A connection.
pub(super) struct Http2(Http);

impl Http2 {
    /// Begins to talk to the server; if `window` is given, each response may be so long at first.
    pub(super) fn connect(server: &Server, window: Option<u32>) -> Http2 {
        let mut http = connect(server);
        let window = window.map(|window| [&[0, 4][..], &window.to_be_bytes()].concat());
        http.write(&[PREFACE, &frame(SETTINGS, 0, 0, &window.unwrap_or_default())].concat());
        Http2(http)
    }

    /// Asks for a path on each of these streams at once.
    pub(super) fn get(&mut self, path: &str, streams: &[u32]) {
        // Method and scheme by the static table, path and authority as plain text.
        let block = [&[0x82, 0x86, 0x04], &text(path)[..], &[0x01], &text("localhost")].concat();
        let ask = |&stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
        self.0.write(&streams.iter().flat_map(ask).collect::<Vec<_>>());
    }

    /// Begins a PUT whose body is to be so long, of bytes that are stored as they are.
    pub(super) fn put(&mut self, path: &str, length: usize, stream: u32) {
        self.begin("PUT", path, length, "application/octet-stream", stream);
    }

    /// Asks with a POST and JSON.
    pub(super) fn post(&mut self, path: &str, json: &serde_json::Value, stream: u32) {
        let body = json.to_string();
        self.begin("POST", path, body.len(), "application/json", stream);
        for (number, piece) in body.as_bytes().chunks(FRAME_LENGTH_MAX).enumerate() {
            let is_last = (number + 1) * FRAME_LENGTH_MAX >= body.len();
            self.send(piece, if is_last { END_STREAM } else { 0 }, stream);
        }
    }

    fn begin(&mut self, method: &str, path: &str, length: usize, content_type: &str, stream: u32) {
        let block = [
            &[0x86, 0x04],
            &text(path)[..],
            &[0x01],
            &text("localhost"),
            // Method, content-length and content-type by the names of the static table.
            &[0x02],
            &text(method),
            &[0x0f, 0x0d],
            &text(&length.to_string()),
            &[0x0f, 0x10],
            &text(content_type),
        ];
        self.0.write(&frame(HEADERS, END_HEADERS, stream, &block.concat()));
    }

    /// Sends a part of a body.
    pub(super) fn send(&mut self, bytes: &[u8], flags: u8, stream: u32) {
        self.0.write(&frame(DATA, flags, stream, bytes));
    }

    /// Lets a stream, or all of them if it is 0, have so many bytes more.
    pub(super) fn widen(&mut self, bytes: u32, stream: u32) {
        self.0.write(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()));
    }

    /// The kind, the stream and the payload of the next frame that is about a stream.
    pub(super) fn read(&mut self) -> (u8, u32, Vec<u8>) {
        loop {
            let head = self.0.read_exact(9);
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let payload = self.0.read_exact(length);
            assert_ne!(head[3], GOAWAY, "{payload:?}");
            if stream > 0 && head[3] != WINDOW_UPDATE {
                return (head[3], stream, payload);
            }
        }
    }

    /// Reads so many heads of responses; the streams that were answered with 200, and the others.
    pub(super) fn read_heads(&mut self, count: usize) -> (Vec<u32>, Vec<u32>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        while good.len() + bad.len() < count {
            let (kind, stream, payload) = self.read();
            if kind == HEADERS {
                if payload[0] == STATUS_200 { &mut good } else { &mut bad }.push(stream);
            }
        }
        good.sort_unstable();
        bad.sort_unstable();
        (good, bad)
    }

    /// Whatever comes until the server closes the connection.
    fn read_to_end(&mut self) -> Vec<u8> {
        self.0.read_to_end()
    }
}

#[test]
fn requests_of_one_connection_are_answered_side_by_side() {
    let server = server(&[]);
    let mut http = Http2::connect(&server, None);
    http.get("/health/live", &[1, 3, 5]);
    assert_eq!(http.read_heads(3), (vec![1, 3, 5], vec![]));
}

#[test]
fn an_idle_connection_is_closed() {
    let server = server(&["--http-idle-timeout", "1"]);
    let mut http = Http2::connect(&server, None);
    http.get("/health/live", &[1]);
    http.read_heads(1);
    http.read_to_end();
}
