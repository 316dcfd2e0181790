//! A small blocking WebSocket client, so that tests see and say every frame.

#[path = "../../protocol/tests/websocket/client_frame.rs"]
mod client_frame;

use std::net::{SocketAddr, TcpStream};

use super::broker::Delivered;
use super::http::{Http, Response};

pub(crate) use client_frame::frame;

/// A key and its answer (RFC 6455, section 1.3).
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// First bytes of frames that are whole messages.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// One connection.
pub(crate) struct WebSocket {
    http: Http,
    /// The response with which it became a WebSocket.
    pub(crate) response: Response,
    /// Bytes of the stream that came and were not read.
    stream: Vec<u8>,
}

impl WebSocket {
    /// Connects to `/ws`; the response if it does not become a WebSocket.
    pub(crate) fn open(address: SocketAddr, headers: &[(&str, &str)]) -> Result<WebSocket, Response> {
        WebSocket::open_with(address, headers, b"")
    }

    /// The same at another path.
    pub(crate) fn open_at(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<WebSocket, Response> {
        WebSocket::begin(address, request(path, headers))
    }

    /// The same, sending further bytes before the response is read.
    pub(crate) fn open_with(
        address: SocketAddr,
        headers: &[(&str, &str)],
        early: &[u8],
    ) -> Result<WebSocket, Response> {
        WebSocket::begin(address, [request("/ws", headers).as_bytes(), early].concat())
    }

    fn begin(address: SocketAddr, sent: impl AsRef<[u8]>) -> Result<WebSocket, Response> {
        let mut http = Http::connect(address);
        http.write(sent.as_ref());
        let response = http.read("GET").expect("it is answered");
        if response.status != 101 {
            return Err(response);
        }
        Ok(WebSocket { http, response, stream: Vec::new() })
    }

    /// The socket once more, to be written to by another thread.
    pub(crate) fn second_handle(&self) -> TcpStream {
        self.http.second_handle()
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.http.write(bytes);
    }

    /// Sends a frame that is a whole message.
    pub(crate) fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.write(&frame(first, payload.as_ref()));
    }

    /// The first byte and the payload of the next frame.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.http.read_exact(2);
        let length = match head[1] {
            126 => self.http.read_exact(2).iter().fold(0, |length, &byte| length << 8 | usize::from(byte)),
            127 => self.http.read_exact(8).iter().fold(0, |length, &byte| length << 8 | usize::from(byte)),
            short => usize::from(short),
        };
        (head[0], self.http.read_exact(length))
    }

    /// The next bytes of a stream in binary frames, up to the end of `text`.
    pub(crate) fn stream_until(&mut self, text: &str) -> String {
        loop {
            let found = self.stream.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let rest = self.stream.split_off(at + text.len());
                let read = std::mem::replace(&mut self.stream, rest);
                return String::from_utf8(read).expect("it is text");
            }
            let (first, payload) = self.frame();
            assert_eq!(first, BINARY, "{payload:?}");
            self.stream.extend(payload);
        }
    }

    /// The next message of a stream in binary frames; pings of the server before it are passed over.
    pub(crate) fn delivered(&mut self) -> Delivered {
        loop {
            if let Some(delivered) = Delivered::take(&mut self.stream) {
                return delivered;
            }
            let (first, payload) = self.frame();
            assert_eq!(first, BINARY, "{payload:?}");
            self.stream.extend(payload);
        }
    }

    /// The code and the reason of the closing frame, which comes next, and after which nothing comes.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame();
        assert_eq!(first, CLOSE, "{}", String::from_utf8_lossy(&payload));
        assert_eq!(self.http.read_to_end(), b"", "something came behind the end");
        let (code, reason) = payload.split_first_chunk().expect("it has a code");
        (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("it is text"))
    }
}

/// The head of a request for a WebSocket, with these headers instead of those of every request; an empty one is left out.
fn request(path: &str, headers: &[(&str, &str)]) -> String {
    const ALWAYS: [(&str, &str); 5] = [
        ("Host", "localhost"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let mut head = format!("GET {path} HTTP/1.1\r\n");
    let is_given = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let always = ALWAYS.iter().filter(|(name, _)| !is_given(name));
    for (name, value) in always.chain(headers).filter(|(_, value)| !value.is_empty()) {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}
