//! A broker's door behind a socket.
//!
//! Most frames are not answered, and other servers have several threads, so after whole frames the target sends a PING
//! of its own: first for the client that sent them, then for all others.  What had to reach a client stands before the
//! answer, which is taken out.  A client that sent raw bytes may be within a frame; what it is to receive is waited for.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::format::Transcript;
use super::frames::{UNASKED, decode, word};
use super::reply::Value;
use super::socket::Connection;
use super::target::{Expected, Received};
use crate::support::process::{self, Server, wait_for};

/// Real time a transcript may let pass at once: settings of a broker count whole seconds.
const ADVANCE_MAX: Duration = Duration::from_secs(4);

/// How long to wait between two looks at what has arrived.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Looks after which a frame is taken to be missing: a second or two.
const LOOKS_MAX: usize = 1_000;

/// The clients of a server that runs for one transcript.
pub(crate) struct FrameTarget {
    address: SocketAddr,
    clients: BTreeMap<char, Client>,
    hidden: Vec<&'static str>,
    server: Server,
}

struct Client {
    connection: Connection,
    received: Vec<Value>,
    state: State,
}

/// What can be asked of a client's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has just sent whole frames.
    Acted,
    /// Whatever it sent before were whole frames.
    BetweenFrames,
    /// Nobody knows where it stands.
    Unknown,
}

impl FrameTarget {
    /// For this transcript, at the door of a server of its own.
    pub(crate) fn new(transcript: &Transcript, server: Server, address: SocketAddr) -> FrameTarget {
        FrameTarget { address, clients: BTreeMap::new(), hidden: hidden(transcript), server }
    }

    /// Connects a client.
    pub(crate) fn connect(&mut self, client: char) {
        let address = self.address;
        self.clients.entry(client).or_insert_with(|| Client {
            connection: Connection::open(address),
            received: Vec::new(),
            state: State::Unknown,
        });
    }

    /// Sends bytes of a client, each piece in a write of its own.
    pub(crate) fn send(&mut self, client: char, pieces: &[&[u8]]) {
        self.connect(client);
        let client = self.clients.get_mut(&client).expect("it was just connected");
        client.state = State::Unknown;
        pieces.iter().for_each(|piece| client.connection.write(piece));
    }

    /// Says that what the client has sent ends with a frame.
    pub(crate) fn finish_frames(&mut self, client: char) {
        self.clients.get_mut(&client).expect("it has sent something").state = State::Acted;
    }

    /// Waits until the server is done and everybody received what is expected.
    pub(crate) fn receive(&mut self, expected: &Expected) -> BTreeMap<char, Vec<Received>> {
        for state in [State::Acted, State::BetweenFrames, State::Unknown] {
            for (letter, client) in self.clients.iter_mut().filter(|(_, client)| client.state == state) {
                let count = expected.get(letter).copied().unwrap_or_default();
                match state {
                    State::Unknown => client.wait_for_frames(count, &self.hidden),
                    _ => client.wait_for_answer(count, &self.hidden),
                }
            }
        }
        let mut all = BTreeMap::new();
        for (&letter, client) in &mut self.clients {
            let mut received: Vec<Received> = client.received.drain(..).map(Received::Value).collect();
            if client.connection.is_closed() {
                received.push(Received::Closed);
            } else if client.state == State::Acted {
                client.state = State::BetweenFrames;
            }
            all.insert(letter, received);
        }
        self.clients.retain(|_, client| !client.connection.is_closed());
        all
    }

    /// Really waits.
    pub(crate) fn advance(&mut self, duration: Duration) {
        process::pause(duration);
    }

    /// Closes a client's connection, once the server has seen that.
    pub(crate) fn disconnect(&mut self, client: char) {
        let Some(mut client) = self.clients.remove(&client) else { return };
        client.connection.finish();
        while client.connection.read(true) {}
    }

    /// Tells the server that it is to end, and waits until it accepts no more clients.
    pub(crate) fn retire(&mut self) {
        kill_process(self.server.process(), Signal::USR2).expect("the process lives");
        wait_for(|| TcpStream::connect(self.address).is_err().then_some(()));
    }

    /// Refuses to wait long.
    pub(crate) fn refuses(transcript: &Transcript) -> Option<String> {
        let longest_advance = transcript.longest_advance();
        (longest_advance > ADVANCE_MAX).then(|| format!("waits {longest_advance:?}"))
    }
}

impl Client {
    /// Waits for the answer to a PING that stands behind so many frames, and takes it out.
    fn wait_for_answer(&mut self, count: usize, hidden: &[&str]) {
        self.connection.write(b"PING\r\n");
        let is_answer = |frame: &Value| word(frame) == "PONG";
        self.wait_until(hidden, |received| received.len() > count && received.iter().any(is_answer));
        // If the server closed the connection instead, each answer is one that was asked for.
        let closed = self.connection.is_closed();
        if let Some(last) = self.received.iter().rposition(is_answer)
            && (!closed || self.received.len() + 1 > count)
        {
            self.received.remove(last);
        }
    }

    /// Waits for so many frames.
    fn wait_for_frames(&mut self, count: usize, hidden: &[&str]) {
        self.wait_until(hidden, |received| received.len() >= count);
    }

    fn wait_until(&mut self, hidden: &[&str], is_done: impl Fn(&[Value]) -> bool) {
        for _ in 0..LOOKS_MAX {
            while self.connection.read(false) {}
            let mut frames = take_frames(&mut self.connection.unread);
            frames.retain(|frame| !hidden.contains(&word(frame)));
            self.received.extend(frames);
            if self.connection.is_closed() || is_done(&self.received) {
                return;
            }
            process::pause(LOOK_INTERVAL);
        }
    }
}

/// The words of frames that are not received in this transcript, since none of its lines has them.
pub(super) fn hidden(transcript: &Transcript) -> Vec<&'static str> {
    UNASKED.iter().copied().filter(|word| !transcript.mentions(word)).collect()
}

/// Takes the whole frames off the front of the bytes a client received.
pub(super) fn take_frames(bytes: &mut Vec<u8>) -> Vec<Value> {
    let mut frames = Vec::new();
    let mut taken = 0;
    while let Some((frame, length)) =
        decode(&bytes[taken..]).unwrap_or_else(|error| panic!("no frame: {error}"))
    {
        frames.push(frame);
        taken += length;
    }
    bytes.drain(..taken);
    frames
}
