//! The servers that Quartet is compared with.

use std::net::SocketAddr;
use std::path::Path;

use crate::support::{peers, process::Server};
use crate::transcripts::format::{Peer, Transcript};
use crate::transcripts::frame_socket::FrameTarget;
use crate::transcripts::socket::SocketTarget;
use crate::transcripts::target::Target;

/// What makes a used server as good as new between transcripts.
const RESET: &[&str] = &["FLUSHALL", "CONFIG RESETSTAT", "SLOWLOG RESET", "LATENCY RESET"];

/// Where a nats-server keeps its streams: in its own folder.
const STREAMS: &str = "jetstream { store_dir: streams }\n";

/// A peer that runs until this is dropped.
pub(crate) struct PeerServer(Server);

impl PeerServer {
    /// Starts a peer if its program is installed.
    pub(crate) fn start(peer: Peer) -> Option<PeerServer> {
        let program = match peer {
            Peer::Redis => peers::peer("redis-server"),
            Peer::Valkey => peers::valkey(),
            Peer::Nats => unreachable!("it runs for one transcript at a time"),
        };
        program.map(|program| PeerServer(Server::peer(&program)))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// New connections to the emptied server.
    pub(crate) fn target(&self) -> Target {
        let mut target = SocketTarget::connect(self.0.address());
        for command in RESET {
            target.control(command);
        }
        Target::Socket(target)
    }
}

/// A nats-server that runs for this transcript.
pub(crate) fn nats_target(program: &Path, transcript: &Transcript) -> Target {
    let streams = if transcript.is_of_streams() { STREAMS } else { "" };
    let server = Server::nats(program, 0, &format!("{streams}{}", transcript.nats_configuration));
    let address = server.address();
    Target::Frames(FrameTarget::new(transcript, server, address))
}
