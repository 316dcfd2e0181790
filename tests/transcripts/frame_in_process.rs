//! A broker's door in this process, on a clock that moves only when a transcript says so.
//!
//! Nothing has to be waited for: what is on its way arrives before anything else happens.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use quartet::session::Protocol;
use quartet::settings;

use super::format::Transcript;
use super::frame_socket::{hidden, take_frames};
use super::frames::word;
use super::target::Received;
use crate::support::simulated_server::{SimulatedConnection, SimulatedServer};

/// More often than anything is due at one moment.
const RINGS_MAX: usize = 1000;

/// The clients of a server for one transcript.
pub(crate) struct FrameInProcess {
    server: SimulatedServer,
    clients: BTreeMap<char, Client>,
    hidden: Vec<&'static str>,
}

struct Client {
    connection: SimulatedConnection,
    unread: Vec<u8>,
}

impl FrameInProcess {
    /// For this transcript.
    pub(crate) fn new(transcript: &Transcript) -> FrameInProcess {
        let loaded = settings::load(transcript.settings.iter().map(OsString::from), []);
        let settings = loaded.unwrap_or_else(|_| panic!("{}: no such settings", transcript.name)).settings;
        let server = SimulatedServer::new(settings, 1);
        FrameInProcess { server, clients: BTreeMap::new(), hidden: hidden(transcript) }
    }

    /// Connects a client.
    pub(crate) fn connect(&mut self, client: char) {
        if self.clients.contains_key(&client) {
            return;
        }
        let connection = self.server.connect(Protocol::Broker).expect("the door is open");
        self.clients.insert(client, Client { connection, unread: Vec::new() });
        self.settle();
    }

    /// Has the server receive bytes of a client, piece by piece.
    pub(crate) fn send(&mut self, client: char, pieces: &[&[u8]]) {
        self.connect(client);
        for piece in pieces {
            self.clients.get_mut(&client).expect("it is connected").connection.write(piece);
            self.settle();
        }
    }

    /// What all clients have received since the last call.
    pub(crate) fn receive(&mut self) -> BTreeMap<char, Vec<Received>> {
        self.settle();
        let mut all = BTreeMap::new();
        for (&letter, client) in &mut self.clients {
            client.unread.extend(client.connection.read(usize::MAX));
            let mut frames = take_frames(&mut client.unread);
            frames.retain(|frame| !self.hidden.contains(&word(frame)));
            let mut received: Vec<Received> = frames.into_iter().map(Received::Value).collect();
            if client.connection.is_closed() {
                received.push(Received::Closed);
            }
            all.insert(letter, received);
        }
        self.clients.retain(|_, client| !client.connection.is_closed());
        all
    }

    /// Moves the clock, and has done what falls due.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let FrameInProcess { server, clients, .. } = self;
        server.advance(duration, |server| settle(server, clients));
    }

    /// Tells all clients that the server ends.
    pub(crate) fn retire(&mut self) {
        self.server.retire();
    }

    /// Ends a client's connection.
    pub(crate) fn disconnect(&mut self, client: char) {
        if let Some(mut client) = self.clients.remove(&client) {
            self.server.cut(&mut client.connection);
        }
    }

    fn settle(&mut self) {
        settle(&mut self.server, &mut self.clients);
    }
}

/// Turns of all connections, and what is due, until nobody has anything to do.
fn settle(server: &mut SimulatedServer, clients: &mut BTreeMap<char, Client>) {
    for _ in 0..RINGS_MAX {
        let mut turn_all = || {
            let turn = |client: &mut Client| server.turn(&mut client.connection).then_some(());
            clients.values_mut().filter_map(turn).count()
        };
        while turn_all() > 0 {}
        if !server.ring() {
            return;
        }
    }
    panic!("something stays due");
}
