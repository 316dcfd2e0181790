//! A server behind a socket.
//!
//! A client cannot know by itself that nothing more will come.  A second PING on a control connection, sent after the
//! answer to the first, is answered by a single-threaded server only when everything that had reached it before was
//! done and its output written.  Bytes may be under way, though, and other servers have several threads, so as long as
//! something promised is missing there are more rounds of PING.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::reply::{Value, decode};
use super::target::{Expected, Received, take_values};
use crate::support::process;

/// Real time a transcript may let pass at once.
pub(crate) const ADVANCE_MAX: Duration = Duration::from_secs(1);

/// Rounds of PING after which a reply is taken to be missing: some tenths of a second.
const ROUNDS_MAX: usize = 2_000;

/// The clients of a server.
pub(crate) struct SocketTarget {
    address: SocketAddr,
    control: Connection,
    clients: BTreeMap<char, Connection>,
}

/// A client's end of a connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// What arrived and was not taken yet.
    pub(super) unread: Vec<u8>,
    closed: bool,
}

impl SocketTarget {
    /// Connects the control connection.
    pub(crate) fn connect(address: SocketAddr) -> SocketTarget {
        SocketTarget { address, control: Connection::open(address), clients: BTreeMap::new() }
    }

    /// Sends bytes of a client, each piece in a write of its own.
    pub(crate) fn send(&mut self, client: char, pieces: &[&[u8]]) {
        let address = self.address;
        let connection = self.clients.entry(client).or_insert_with(|| Connection::open(address));
        for piece in pieces {
            connection.write(piece);
        }
    }

    /// Waits until the server is done and everybody received what is expected.
    pub(crate) fn receive(&mut self, expected: &Expected) -> BTreeMap<char, Vec<Received>> {
        let mut received: BTreeMap<char, Vec<Received>> = BTreeMap::new();
        for _ in 0..ROUNDS_MAX {
            self.control.ping();
            self.control.ping();
            let mut complete = true;
            for (&client, connection) in &mut self.clients {
                while connection.read(false) {}
                let values = received.entry(client).or_default();
                values.extend(take_values(&mut connection.unread));
                complete &=
                    connection.closed || values.len() >= expected.get(&client).copied().unwrap_or_default();
            }
            if complete {
                break;
            }
        }
        let closed = self.clients.iter().filter(|(_, connection)| connection.closed);
        closed.for_each(|(client, _)| received.entry(*client).or_default().push(Received::Closed));
        self.clients.retain(|_, connection| !connection.closed);
        received
    }

    /// Really waits.
    pub(crate) fn advance(&mut self, duration: Duration) {
        process::pause(duration);
    }

    /// Closes a client's connection.
    pub(crate) fn disconnect(&mut self, client: char) {
        let Some(connection) = self.clients.remove(&client) else { return };
        let address = connection.stream.local_addr().expect("the socket is open").to_string();
        drop(connection);
        while String::from_utf8_lossy(&self.control.ask("CLIENT LIST")).contains(&address) {}
    }

    /// Refuses to wait long.
    pub(crate) fn refuses(&self, longest_advance: Duration) -> Option<String> {
        (longest_advance > ADVANCE_MAX).then(|| format!("waits {longest_advance:?}"))
    }

    /// Has the server do a command that must succeed, outside of any transcript.
    pub(crate) fn control(&mut self, command: &str) -> Value {
        let (value, _) = decode(&self.control.ask(command)).ok().flatten().expect("a whole reply was read");
        assert!(!matches!(value, Value::Error(_)), "{command}: {value:?}");
        value
    }
}

impl Connection {
    /// Connects without delaying small writes.
    pub(super) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        stream.set_nodelay(true).expect("the socket is open");
        Connection { stream, unread: Vec::new(), closed: false }
    }

    /// Writes; a server that closed its side is found when reading.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let result = self.stream.set_nonblocking(false).and_then(|()| self.stream.write_all(bytes));
        if let Err(error) = result {
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind());
            assert!(gone, "a client cannot write: {error}");
        }
    }

    /// Reads what is there, waiting for it if asked; false if there was nothing.
    pub(super) fn read(&mut self, wait: bool) -> bool {
        let mut buffer = [0; 1 << 16];
        let result = self.stream.set_nonblocking(!wait).and_then(|()| self.stream.read(&mut buffer));
        let read = match result {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("a client cannot read: {error}"),
        };
        self.closed |= read == 0;
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Whether the server has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&mut self) {
        // A server that has closed already needs no telling.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn ping(&mut self) {
        self.ask("PING");
    }

    fn ask(&mut self, command: &str) -> Vec<u8> {
        self.write(format!("{command}\r\n").as_bytes());
        let mut answer = Vec::new();
        while decode(&answer) == Ok(None) {
            assert!(self.read(true), "the server went away");
            answer.append(&mut self.unread);
        }
        answer
    }
}
