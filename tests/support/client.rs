//! A small blocking RESP client that decodes with `redis-protocol`, so that no code of ours judges our replies.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use redis_protocol::resp2;
use redis_protocol::resp3::decode::complete::decode;
use redis_protocol::resp3::types::{OwnedFrame, Resp3Frame};
use socket2::{Domain, Socket, Type};

/// A server that is silent for so long hangs; it bounds a broken run, no working one depends on it.
const HANG_GUARD: Duration = Duration::from_secs(120);

const READ_SIZE: usize = 16 * 1024;

/// One connection to a server, in RESP2 until [`Client::hello`] says otherwise.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    progress: Progress,
    resp3: bool,
}

/// How much of a reply has come, so that a long one is decoded once and not each time that more of it comes.
struct Progress {
    /// Bytes of values that are whole.
    whole: usize,
    /// Values that are missing.
    missing: usize,
}

impl Progress {
    const NOTHING: Progress = Progress { whole: 0, missing: 1 };

    /// Whether a reply of RESP2 is whole, as far as its lengths tell.
    fn is_over(&mut self, bytes: &[u8]) -> bool {
        while self.missing > 0 {
            let rest = &bytes[self.whole..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return false };
            let line = rest.get(1..end).and_then(|line| str::from_utf8(line).ok());
            let length = line.and_then(|line| line.trim().parse::<i64>().ok());
            let length = usize::try_from(length.unwrap_or(0)).ok();
            let (bytes, values) = match (rest[0], length) {
                (b'$', Some(length)) => (length + 2, 0),
                (b'*', Some(count)) => (0, count),
                _ => (0, 0),
            };
            if rest.len() < end + 1 + bytes {
                return false;
            }
            self.whole += end + 1 + bytes;
            self.missing += values;
            self.missing -= 1;
        }
        true
    }
}

impl Client {
    /// Connects without delaying small writes.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).expect("the server listens"))
    }

    /// Connects from another address of the machine.
    pub(crate) fn connect_from(source: IpAddr, address: SocketAddr) -> Client {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there are sockets");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("the address is the machine's");
        socket.connect(&address.into()).expect("the server listens");
        Client::over(socket.into())
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("the socket is open");
        stream.set_read_timeout(Some(HANG_GUARD)).expect("the time is not zero");
        Client { stream, received: Vec::new(), progress: Progress::NOTHING, resp3: false }
    }

    /// Switches the connection to RESP3.
    pub(crate) fn hello(&mut self) {
        self.write(&request(&["HELLO", "3"]));
        self.resp3 = true;
        let reply = self.read().expect("HELLO is answered");
        assert!(matches!(reply, OwnedFrame::Map { .. }), "HELLO 3 answers a map, not {reply:?}");
    }

    /// Sends the words of `line` as one command; its one reply as [`text`].
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        text(&self.call(&words))
    }

    /// A number of INFO.
    #[track_caller]
    pub(crate) fn figure(&mut self, name: &str) -> u64 {
        let page = self.ask("INFO everything");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("INFO has no {name}"));
        value.trim().parse().unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    }

    /// Sends one command and reads its one reply.
    pub(crate) fn call(&mut self, arguments: &[impl AsRef<[u8]>]) -> OwnedFrame {
        self.write(&request(arguments));
        self.read().expect("the server closed the connection instead of answering")
    }

    /// Writes `bytes` as they are; a server that closed meanwhile shows when reading.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next reply, or nothing once the server closed the connection.
    pub(crate) fn read(&mut self) -> Option<OwnedFrame> {
        loop {
            if let Some((frame, length)) = self.decode() {
                self.received.drain(..length);
                self.progress = Progress::NOTHING;
                return Some(frame);
            }
            let mut chunk = [0; READ_SIZE];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                // A process that was stopped and goes on finds its read interrupted.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the server was silent for {HANG_GUARD:?}")
                }
                Err(_) => return None,
            }
        }
    }

    /// The next reply as [`text`], or nothing once the server closed the connection.
    pub(crate) fn read_text(&mut self) -> Option<String> {
        self.read().as_ref().map(text)
    }

    /// Whether bytes of a reply have come, without waiting for them.
    pub(crate) fn has_answer(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("the socket is open");
        let has_come = !self.received.is_empty() || self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).expect("the socket is open");
        has_come
    }

    /// The same connection for another thread, which writes while this one reads.
    pub(crate) fn another_end(&self) -> Client {
        let stream = self.stream.try_clone().expect("the socket is open");
        Client { stream, received: Vec::new(), progress: Progress::NOTHING, resp3: self.resp3 }
    }

    /// Says that nothing more will be sent; the server answers what it has and closes.
    pub(crate) fn finish(&mut self) {
        // A server that has closed already needs no telling.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn decode(&mut self) -> Option<(OwnedFrame, usize)> {
        if self.resp3 {
            return decode(&self.received).expect("the server sends RESP3");
        }
        if self.progress.is_over(&self.received) { decode_resp2(&self.received) } else { None }
    }
}

/// The first reply of these bytes in RESP2 and its length, if it is whole.
pub(crate) fn decode_resp2(bytes: &[u8]) -> Option<(OwnedFrame, usize)> {
    let decoded = resp2::decode::decode(bytes).expect("the server sends RESP2");
    decoded.map(|(frame, length)| (as_resp3(frame), length))
}

/// The same reply in the words of RESP3; the library's own conversion takes some arrays for pushes.
fn as_resp3(frame: resp2::types::OwnedFrame) -> OwnedFrame {
    match frame {
        resp2::types::OwnedFrame::Array(items) => {
            OwnedFrame::Array { data: items.into_iter().map(as_resp3).collect(), attributes: None }
        }
        other => other.into_resp3(),
    }
}

/// A command as a client library writes it.
pub(crate) fn request(arguments: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A reply on one line: strings as they are, `-ERR ..`, numbers in digits, `(nil)`, `[a, b]` and `{k: v}`.
pub(crate) fn text(frame: &OwnedFrame) -> String {
    let all = |frames: &[OwnedFrame]| frames.iter().map(text).collect::<Vec<_>>().join(", ");
    match frame {
        OwnedFrame::Null => "(nil)".to_owned(),
        OwnedFrame::SimpleError { data, .. } => format!("-{data}"),
        OwnedFrame::Array { data, .. } | OwnedFrame::Push { data, .. } => format!("[{}]", all(data)),
        OwnedFrame::Set { data, .. } => format!("[{}]", all(&data.iter().cloned().collect::<Vec<_>>())),
        OwnedFrame::Map { data, .. } => {
            let pairs: Vec<_> =
                data.iter().map(|(key, value)| format!("{}: {}", text(key), text(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string().unwrap_or_else(|| format!("{other:?}")),
    }
}

#[test]
fn replies_on_one_line() {
    let Some(program) = crate::support::peers::peer("redis-server") else { return };
    let server = crate::support::process::Server::peer(&program);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET key value"), "OK");
    assert_eq!(client.ask("GET absent"), "(nil)");
    assert_eq!(
        client.ask("LPUSH key a"),
        "-WRONGTYPE Operation against a key holding the wrong kind of value"
    );
    assert_eq!(client.ask("MGET key absent"), "[value, (nil)]");
    client.hello();
    assert_eq!(client.ask("CONFIG GET port"), format!("{{port: {}}}", server.port()));
    client.finish();
    assert_eq!(client.read_text(), None);
}
