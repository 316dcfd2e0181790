//! Clients of NATS with their default settings, against nats-server, which shows that they are right, and Quartet.
//!
//! A client program takes its steps, asks for a restart of the server before the last one, and is to find the server
//! again.

mod async_nats;
mod browser;
mod killed;
pub(super) mod programs;

use std::path::PathBuf;

use crate::support::held_port::HeldPort;
use crate::support::peers;
use crate::support::process::{Folder, Server};

/// The steps of each client, which prints a step's name once it has passed.
const STEPS: [&str; 9] = [
    "connect",
    "publish_and_subscribe",
    "wildcards",
    "queue_groups",
    "request_and_reply",
    "no_responders",
    "headers",
    "burst",
    "drain",
];

/// The line with which a client asks for a restart.
pub(super) const RESTART: &str = "restart";

/// Its last step.
const RECONNECT: &str = "reconnect";

/// A program that serves clients of NATS.
#[derive(Clone)]
pub(super) enum Program {
    /// The newest nats-server.
    Nats(PathBuf),
    /// Quartet.
    Quartet,
}

/// A server that is killed and started again on the same ports.
struct Restartable {
    program: Program,
    port: HeldPort,
    server: Option<Server>,
}

/// Those that are there.
fn programs() -> Vec<Program> {
    peers::nats_server().map(Program::Nats).into_iter().chain([Program::Quartet]).collect()
}

impl Restartable {
    /// Starts one.
    fn start(program: Program) -> Restartable {
        let port = HeldPort::take();
        let server = program.serve(&port, None);
        Restartable { program, port, server: Some(server) }
    }

    /// Kills it, and starts another that listens where it has listened.
    fn restart(&mut self) {
        self.server = None;
        self.server = Some(self.program.serve(&self.port, None));
    }
}

impl Program {
    /// Its name, for the thread of a test that plays to it: a failure says which one failed.
    pub(super) fn name(&self) -> String {
        match self {
            Program::Nats(_) => "nats-server".into(),
            Program::Quartet => "quartet".into(),
        }
    }

    /// Starts it at this port.  What it keeps goes to `folder`.
    pub(super) fn serve(&self, port: &HeldPort, folder: Option<&Folder>) -> Server {
        let kept = folder.map(|folder| folder.path().to_string_lossy());
        match self {
            Program::Nats(program) => {
                let streams = kept.map(|folder| format!("jetstream {{ store_dir: {folder:?} }}"));
                Server::nats(program, port.number(), &streams.unwrap_or_default())
            }
            Program::Quartet => {
                let port = port.number().to_string();
                Server::quartet(&["--broker-port", &port, "--dir", kept.as_deref().unwrap_or_default()])
            }
        }
    }
}
