//! The target of a transcript: a server behind a socket, or Quartet's sessions in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use super::format::{Stop, Transcript};
use super::frame_in_process::FrameInProcess;
use super::frame_socket::FrameTarget;
use super::in_process::InProcessTarget;
use super::reply::{Value, decode};
use super::socket::SocketTarget;

/// How many replies and messages each client is to receive.
pub(crate) type Expected = BTreeMap<char, usize>;

/// Something a client received.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Received {
    /// A reply or a message.
    Value(Value),
    /// The end of its connection.
    Closed,
}

/// Where bytes of clients go and come from.
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub(crate) enum Target {
    /// A server behind a socket, a peer or a Quartet process.
    Socket(SocketTarget),
    /// A broker's door behind a socket, of a peer or a Quartet process.
    Frames(FrameTarget),
    /// A broker's door in this process.
    FramesInProcess(FrameInProcess),
    /// Quartet in this process.
    InProcess(InProcessTarget),
}

impl Target {
    /// Sends bytes of a client in these pieces; the first bytes of a letter connect it.
    pub(crate) fn send(&mut self, client: char, pieces: &[&[u8]]) {
        match self {
            Target::Socket(target) => target.send(client, pieces),
            Target::Frames(target) => target.send(client, pieces),
            Target::FramesInProcess(target) => target.send(client, pieces),
            Target::InProcess(target) => target.send(client, pieces),
        }
    }

    /// Connects a client that sends nothing yet.
    pub(crate) fn connect(&mut self, client: char) {
        match self {
            Target::Frames(target) => target.connect(client),
            Target::FramesInProcess(target) => target.connect(client),
            Target::Socket(_) | Target::InProcess(_) => unreachable!("only the broker greets its clients"),
        }
    }

    /// Says that what the client has sent so far ends with a frame.
    pub(crate) fn finish_frames(&mut self, client: char) {
        if let Target::Frames(target) = self {
            target.finish_frames(client);
        }
    }

    /// The replies and messages of all clients, once the server has handled all input.
    pub(crate) fn receive(&mut self, expected: &Expected) -> BTreeMap<char, Vec<Received>> {
        match self {
            Target::Socket(target) => target.receive(expected),
            Target::Frames(target) => target.receive(expected),
            Target::FramesInProcess(target) => target.receive(),
            Target::InProcess(target) => target.receive(),
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, duration: Duration) {
        match self {
            Target::Socket(target) => target.advance(duration),
            Target::Frames(target) => target.advance(duration),
            Target::FramesInProcess(target) => target.advance(duration),
            Target::InProcess(target) => target.advance(duration),
        }
    }

    /// Closes the connection of a client.
    pub(crate) fn disconnect(&mut self, client: char) {
        match self {
            Target::Socket(target) => target.disconnect(client),
            Target::Frames(target) => target.disconnect(client),
            Target::FramesInProcess(target) => target.disconnect(client),
            Target::InProcess(target) => target.disconnect(client),
        }
    }

    /// Ends the server and starts another on its data.  All connections end.
    pub(crate) fn restart(&mut self, stop: Stop) {
        match self {
            Target::InProcess(target) => target.restart(stop),
            _ => unreachable!("they refuse transcripts that restart it"),
        }
    }

    /// Tells the server that it is to end.
    pub(crate) fn retire(&mut self) {
        match self {
            Target::Frames(target) => target.retire(),
            Target::FramesInProcess(target) => target.retire(),
            Target::Socket(_) | Target::InProcess(_) => unreachable!("only the broker tells its clients"),
        }
    }

    /// Why a transcript cannot be played here.
    pub(crate) fn refuses(&self, transcript: &Transcript) -> Option<String> {
        match self {
            Target::InProcess(_) => None,
            _ if transcript.restarts() => Some("restarts its server".to_owned()),
            Target::Socket(target) => target.refuses(transcript.longest_advance()),
            Target::Frames(_) => FrameTarget::refuses(transcript),
            Target::FramesInProcess(_) => None,
        }
    }
}

/// Takes the whole values off the front of the bytes a client received.
pub(crate) fn take_values(bytes: &mut Vec<u8>) -> Vec<Received> {
    let mut received = Vec::new();
    let mut taken = 0;
    loop {
        match decode(&bytes[taken..]) {
            Ok(Some((value, length))) => {
                received.push(Received::Value(value));
                taken += length;
            }
            Ok(None) => break,
            Err(error) => panic!("not the Redis protocol: {error}"),
        }
    }
    bytes.drain(..taken);
    received
}
