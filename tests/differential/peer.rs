//! The servers that Quartet is compared with.

use crate::support::{peers, process::Server};
use crate::transcripts::format::Peer;
use crate::transcripts::socket::SocketTarget;
use crate::transcripts::target::Target;

/// What makes a used server as good as new between transcripts.
const RESET: &[&str] = &["FLUSHALL", "CONFIG RESETSTAT", "SLOWLOG RESET", "LATENCY RESET"];

/// A peer that runs until this is dropped.
pub(crate) struct PeerServer(Server);

impl PeerServer {
    /// Starts a peer if its program is installed.
    pub(crate) fn start(peer: Peer) -> Option<PeerServer> {
        let program = match peer {
            Peer::Redis => peers::peer("redis-server"),
            Peer::Valkey => peers::valkey(),
        };
        program.map(|program| PeerServer(Server::peer(&program)))
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
