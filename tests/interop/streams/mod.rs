//! Streams, keys and objects by the clients of NATS, against nats-server, which shows that they are right.
//!
//! A client program does its jobs one after the other, prints the name of each that has passed, goes on after one that
//! has failed, and asks for a restart of the server before the last.

mod async_nats;
mod damaged;
mod programs;

use rustix::process::{Signal, kill_process};

use super::broker::Program;
use crate::support::held_port::HeldPort;
use crate::support::peers;
use crate::support::process::{Folder, Server};

/// A server whose streams outlive it.
struct Keeping {
    program: Program,
    port: HeldPort,
    server: Option<Server>,
    folder: Folder,
}

/// The servers to play to.
fn programs() -> Vec<Program> {
    peers::nats_server().map(Program::Nats).into_iter().chain([Program::Quartet]).collect()
}

impl Keeping {
    /// Starts one with no stream.
    fn start(program: Program) -> Keeping {
        let (folder, port) = (Folder::new(), HeldPort::take());
        let server = program.serve(&port, Some(&folder));
        Keeping { program, port, server: Some(server), folder }
    }

    /// Ends it, and starts another at the same port with the same streams.  Quartet is killed; nats-server is asked, since
    /// one that is killed has forgotten what consumers acknowledged.
    fn restart(&mut self) {
        let mut server = self.server.take().expect("it runs");
        if let Program::Nats(_) = self.program {
            kill_process(server.process(), Signal::TERM).expect("it runs");
            server.wait();
        }
        drop(server);
        self.server = Some(self.program.serve(&self.port, Some(&self.folder)));
    }
}
