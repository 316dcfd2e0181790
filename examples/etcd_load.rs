//! Locks of etcd, which `quartet bench` does not speak to: clients that send a request, wait for its answer and send the next.
//!
//! `benches/locks.py durable` runs it: a generator in Python would be slower than the server.  It reads JSON from standard
//! input: the port, the protocol (`http` or `grpc`), the number of connections that the clients share, how often each client
//! repeats its requests, and the requests, each a path and the bytes of a body.  It prints the seconds taken.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quartet::clock::Clock;
use serde::Deserialize;

/// Read at once; more than is in flight on one connection.
const BUFFER_LENGTH: usize = 256 * 1024;

#[derive(Deserialize)]
struct Load {
    port: u16,
    protocol: Protocol,
    connections: usize,
    turns: usize,
    /// The requests of each client.
    clients: Vec<Vec<(String, Vec<u8>)>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    /// Without pipelining: a connection for each client.
    Http,
    /// Over HTTP/2 without TLS, as RFC 9113 and the gRPC protocol have it.
    Grpc,
}

/// An answer found in the input: its length, and of which stream it is the end, if it is.
enum Found {
    Answer(usize),
    Part(usize),
    EndOfStream(usize, u32),
    Ping(usize),
    Nothing,
}

struct Connection {
    protocol: Protocol,
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Clients whose requests are on their way, in their order.
    in_order: VecDeque<usize>,
    /// The same by the stream, with whether there was a message.
    by_stream: HashMap<u32, (usize, bool)>,
    last_stream: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let load: Load = serde_json::from_reader(std::io::stdin())?;
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(load.connections);
    for number in 0..load.connections {
        let mut connection = Connection::open(load.port, load.protocol)?;
        poll.registry().register(&mut connection.stream, Token(number), Interest::READABLE)?;
        connections.push(connection);
    }
    let mut sent = vec![0; load.clients.len()];
    let clock = Clock::machine();
    let began = clock.now().micros();
    for (client, requests) in load.clients.iter().enumerate() {
        connections[client % load.connections].add(client, &requests[0]);
    }
    connections.iter_mut().try_for_each(Connection::send)?;
    let mut events = Events::with_capacity(load.connections);
    let (mut busy, mut answered) = (load.clients.len(), Vec::new());
    // All connections share one buffer: the load runs on the same cores as the server.
    let mut buffer = vec![0; BUFFER_LENGTH];
    while busy > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let connection = &mut connections[event.token().0];
            connection.receive(&mut buffer, &mut answered)?;
            for client in answered.drain(..) {
                sent[client] += 1;
                let requests = &load.clients[client];
                if sent[client] == load.turns * requests.len() {
                    busy -= 1;
                } else {
                    connection.add(client, &requests[sent[client] % requests.len()]);
                }
            }
            connection.send()?;
        }
    }
    println!("{}", (clock.now().micros() - began) as f64 / 1e6);
    Ok(())
}

impl Connection {
    fn open(port: u16, protocol: Protocol) -> std::io::Result<Connection> {
        let stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut connection = Connection {
            protocol,
            stream: TcpStream::from_std(stream),
            input: Vec::new(),
            output: Vec::new(),
            in_order: VecDeque::new(),
            by_stream: HashMap::new(),
            last_stream: 0,
        };
        if matches!(protocol, Protocol::Grpc) {
            connection.output.extend_from_slice(http2::PREFACE);
            http2::frame(&mut connection.output, http2::SETTINGS, 0, 0, &[]);
            // As much as a connection may be sent without another word.
            let window = (i32::MAX as u32 - 65_535).to_be_bytes();
            http2::frame(&mut connection.output, http2::WINDOW_UPDATE, 0, 0, &window);
        }
        Ok(connection)
    }

    /// Adds a request to the bytes to be sent next.
    fn add(&mut self, client: usize, (path, body): &(String, Vec<u8>)) {
        match self.protocol {
            Protocol::Http => {
                let length = body.len();
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Content-Length: {length}\r\n\r\n"
                );
                self.output.extend_from_slice(head.as_bytes());
                self.output.extend_from_slice(body);
            }
            Protocol::Grpc => {
                self.last_stream = if self.last_stream == 0 { 1 } else { self.last_stream + 2 };
                http2::call(&mut self.output, self.last_stream, path, body);
                self.by_stream.insert(self.last_stream, (client, false));
                return;
            }
        }
        self.in_order.push_back(client);
    }

    /// Sends the requests added, which fit into the buffer of the socket.
    fn send(&mut self) -> std::io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads once and says which clients were answered.
    fn receive(&mut self, buffer: &mut [u8], answered: &mut Vec<usize>) -> Result<(), Box<dyn Error>> {
        match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        let mut done = 0;
        loop {
            let rest = &self.input[done..];
            let found = match self.protocol {
                Protocol::Http => response(rest)?.map_or(Found::Nothing, Found::Answer),
                Protocol::Grpc => http2::next(rest, &mut self.by_stream)?,
            };
            done += match found {
                Found::Answer(length) => {
                    answered.push(self.in_order.pop_front().ok_or("an answer to nothing")?);
                    length
                }
                Found::Part(length) => length,
                Found::EndOfStream(length, stream) => {
                    let (client, has_message) = self.by_stream.remove(&stream).ok_or("an unknown stream")?;
                    if !has_message {
                        return Err("a call was refused".into());
                    }
                    answered.push(client);
                    length
                }
                Found::Ping(length) => {
                    let payload: &[u8] = &rest[http2::HEAD_LENGTH..length];
                    http2::frame(&mut self.output, http2::PING, http2::ACK, 0, payload);
                    length
                }
                Found::Nothing => break,
            };
        }
        self.input.drain(..done);
        Ok(())
    }
}

fn not_wanted(answer: &[u8]) -> Box<dyn Error> {
    format!("not the answer: {}", String::from_utf8_lossy(&answer[..answer.len().min(500)])).into()
}

/// The length of the response in HTTP/1.1 that the input begins with, if it is whole: it says how long it is, or comes in chunks.
fn response(input: &[u8]) -> Result<Option<usize>, Box<dyn Error>> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else { return Ok(None) };
    if !input.starts_with(b"HTTP/1.1 200 ") {
        return Err(not_wanted(input));
    }
    let (head, body) = (String::from_utf8_lossy(&input[..end]).to_ascii_lowercase(), &input[end + 4..]);
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let is_whole = length.map_or_else(|| body.ends_with(b"0\r\n\r\n"), |length| body.len() >= length);
    Ok(is_whole.then_some(input.len()))
}

/// As much of HTTP/2 (RFC 9113) as a call of gRPC takes.
mod http2 {
    use super::{Error, Found, HashMap};

    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub(super) const HEAD_LENGTH: usize = 9;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const ACK: u8 = 1;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    /// Appends a frame.
    pub(super) fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        output.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        output.extend_from_slice(&[kind, flags]);
        output.extend_from_slice(&stream.to_be_bytes());
        output.extend_from_slice(payload);
    }

    /// Appends a call: its fields as literals that are not indexed (RFC 7541, 6.2.2), and its one message.
    pub(super) fn call(output: &mut Vec<u8>, stream: u32, path: &str, message: &[u8]) {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(text.len() as u8);
                block.extend_from_slice(text.as_bytes());
            }
        }
        frame(output, HEADERS, END_HEADERS, stream, &block);
        let mut data = vec![0];
        data.extend_from_slice(&(message.len() as u32).to_be_bytes());
        data.extend_from_slice(message);
        frame(output, DATA, END_STREAM, stream, &data);
    }

    /// Looks at the frame that the input begins with, and notes to which stream it brings a message.
    pub(super) fn next(
        input: &[u8],
        calls: &mut HashMap<u32, (usize, bool)>,
    ) -> Result<Found, Box<dyn Error>> {
        let Some(&[a, b, c, kind, flags, e, f, g, h]) = input.first_chunk() else {
            return Ok(Found::Nothing);
        };
        let length = HEAD_LENGTH + u32::from_be_bytes([0, a, b, c]) as usize;
        if input.len() < length {
            return Ok(Found::Nothing);
        }
        let stream = u32::from_be_bytes([e, f, g, h]);
        match kind {
            GOAWAY | RST_STREAM => return Err("the server gave up a call".into()),
            PING if flags & ACK == 0 => return Ok(Found::Ping(length)),
            DATA => {
                if let Some((_, has_message)) = calls.get_mut(&stream) {
                    *has_message |= length > HEAD_LENGTH;
                }
            }
            _ => {}
        }
        let is_end = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        Ok(if is_end { Found::EndOfStream(length, stream) } else { Found::Part(length) })
    }
}
