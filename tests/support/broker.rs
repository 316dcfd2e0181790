//! A client of the broker's protocol that says and sees every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub(crate) use super::delivered::Delivered;
use crate::transcripts::frames::{decode, word};

/// How long a read waits before the test fails: far longer than anything takes on a busy machine.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// What a narrow socket holds, about.
const NARROW: usize = 4096;

impl Delivered {
    /// Takes the message that these bytes begin with, once it is whole, and the pings of the server before it.
    pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Delivered> {
        while bytes.starts_with(b"PING\r\n") {
            bytes.drain(..b"PING\r\n".len());
        }
        let (delivered, length) = Delivered::read(bytes)?;
        bytes.drain(..length);
        Some(delivered)
    }
}

/// A connection to the broker's port.
pub(crate) struct BrokerClient {
    stream: TcpStream,
    /// Bytes that were read and not asked for.
    read: Vec<u8>,
}

impl BrokerClient {
    /// Connects and reads INFO.
    pub(crate) fn connect(address: SocketAddr) -> (BrokerClient, serde_json::Value) {
        let mut client = BrokerClient::connect_silently(address);
        let info = client.read_info();
        (client, info)
    }

    /// Connects and reads nothing.
    pub(crate) fn connect_silently(address: SocketAddr) -> BrokerClient {
        BrokerClient::over(TcpStream::connect(address).expect("the server listens"))
    }

    /// The same with a socket that holds little of what it has not read.
    pub(crate) fn connect_narrowly(address: SocketAddr) -> BrokerClient {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there are sockets");
        socket.set_recv_buffer_size(NARROW).expect("it may be small");
        socket.connect(&address.into()).expect("the server listens");
        BrokerClient::over(socket.into())
    }

    fn over(stream: TcpStream) -> BrokerClient {
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a time-out can be set");
        stream.set_nodelay(true).expect("the option exists");
        BrokerClient { stream, read: Vec::new() }
    }

    /// Connects as the client libraries do: without acknowledgements, with headers and news of requests that nobody receives.
    pub(crate) fn quiet(address: SocketAddr) -> BrokerClient {
        let (mut client, _) = BrokerClient::connect(address);
        client.write(
            r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"name":"test"}"#,
        );
        client.write("\r\n");
        client
    }

    /// Reads one INFO.
    pub(crate) fn read_info(&mut self) -> serde_json::Value {
        let line = self.read_line();
        let json = line.strip_prefix("INFO ").unwrap_or_else(|| panic!("no INFO: {line}"));
        serde_json::from_str(json).expect("INFO is JSON")
    }

    /// Sends bytes.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// The same to a server that may have closed the connection, which shows when reading.
    pub(crate) fn write_anyway(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends text and reads exactly this answer.
    #[track_caller]
    pub(crate) fn check(&mut self, text: &str, expected: &str) {
        self.write(text);
        self.expect(expected);
    }

    /// Reads exactly this.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        while self.read.len() < expected.len() && self.fill() {}
        let length = expected.len().min(self.read.len());
        let found: Vec<u8> = self.read.drain(..length).collect();
        assert_eq!(String::from_utf8_lossy(&found), expected);
    }

    /// Shows that all earlier operations are done, and that nothing has come before the answer.
    #[track_caller]
    pub(crate) fn flush(&mut self) {
        assert_eq!(self.answers_to(""), "");
    }

    /// Sends text; what comes back until a PONG shows that it was taken.  Pings of the server are left out.
    pub(crate) fn answers_to(&mut self, text: &str) -> String {
        self.write(text);
        self.write("PING\r\n");
        let read = self.read_until("PONG\r\n").replace("PING\r\n", "");
        read.strip_suffix("PONG\r\n").unwrap_or_else(|| panic!("it has ended: {read}")).to_owned()
    }

    /// The frames that come before the answer to a PING, as transcripts write them; pings of the server are left out.
    pub(crate) fn frames_before_pong(&mut self) -> Vec<String> {
        self.write("PING\r\n");
        let mut frames = Vec::new();
        loop {
            while let Some((frame, length)) = decode(&self.read).unwrap_or_else(|error| panic!("{error}")) {
                self.read.drain(..length);
                match word(&frame) {
                    "PONG" => return frames,
                    "PING" => {}
                    _ => frames.extend(frame.lines()),
                }
            }
            assert!(self.fill(), "the connection has ended");
        }
    }

    /// The next message; pings of the server before it are passed over.
    #[track_caller]
    pub(crate) fn delivered(&mut self) -> Delivered {
        loop {
            if let Some(delivered) = Delivered::take(&mut self.read) {
                return delivered;
            }
            assert!(self.fill(), "the connection has ended");
        }
    }

    /// The next message; none if the server is gone.
    pub(crate) fn delivered_or_end(&mut self) -> Option<Delivered> {
        loop {
            if let Some(delivered) = Delivered::take(&mut self.read) {
                return Some(delivered);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads one byte.
    pub(crate) fn read_byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the connection stays");
        byte[0]
    }

    /// The same connection for another thread, which writes while this one reads.
    pub(crate) fn another_end(&self) -> BrokerClient {
        BrokerClient::over(self.stream.try_clone().expect("the socket is open"))
    }

    /// Has the connection reset when it is dropped.
    pub(crate) fn reset_at_end(&mut self) {
        let stream = self.stream.try_clone().expect("the socket is open");
        Socket::from(stream).set_linger(Some(Duration::ZERO)).expect("the option exists");
    }

    /// Reads one line, without its end.
    pub(crate) fn read_line(&mut self) -> String {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            assert!(self.fill(), "the connection has ended");
        }
    }

    /// Reads everything up to the end of `text`, or until the server closes the connection.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut searched: usize = 0;
        loop {
            let window = &self.read[searched.saturating_sub(text.len())..];
            let found = window.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = found {
                let end = searched.saturating_sub(text.len()) + at + text.len();
                let read: Vec<u8> = self.read.drain(..end).collect();
                return String::from_utf8_lossy(&read).into_owned();
            }
            searched = self.read.len();
            if !self.fill() {
                return self.read_to_end();
            }
        }
    }

    /// Reads everything until the server closes the connection.
    pub(crate) fn read_to_end(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Its own address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    /// Reads once; false at the end.
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.read.extend_from_slice(&bytes[..length]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came: {error}; so far: {}", String::from_utf8_lossy(&self.read)),
        }
    }
}
