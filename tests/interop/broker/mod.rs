//! Clients of NATS with their default settings, against nats-server, which shows that they are right, and Quartet.
//!
//! A client program takes its steps, asks for a restart of the server before the last one, and is to find the server
//! again.

mod async_nats;
mod browser;
mod killed;
mod programs;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::support::peers;
use crate::support::process::Server;

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
const RESTART: &str = "restart";

/// Its last step.
const RECONNECT: &str = "reconnect";

/// A program that serves clients of NATS.
#[derive(Clone)]
enum Program {
    /// The newest nats-server.
    Nats(PathBuf),
    /// Quartet.
    Quartet,
}

/// A server that is killed and started again on the same ports.
struct Restartable {
    program: Program,
    address: SocketAddr,
    server: Option<Server>,
}

/// Those that are there.
fn programs() -> Vec<Program> {
    peers::nats_server().map(Program::Nats).into_iter().chain([Program::Quartet]).collect()
}

impl Restartable {
    /// Starts one.
    fn start(program: Program) -> Restartable {
        let server = program.serve(0);
        Restartable { program, address: server.broker_address(), server: Some(server) }
    }

    /// Kills it, and starts another that listens where it has listened.
    fn restart(&mut self) {
        self.server = None;
        self.server = Some(self.program.serve(self.address.port()));
    }
}

impl Program {
    fn serve(&self, port: u16) -> Server {
        match self {
            Program::Nats(program) => Server::nats(program, port, ""),
            Program::Quartet => Server::quartet(&["--broker-port", &port.to_string()]),
        }
    }
}
