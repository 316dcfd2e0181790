//! Whom a command runs for: a connection, an HTTP request, a script.

use std::net::SocketAddr;

use bytes::Bytes;
use quartet_protocol::resp::{Version, kept_of};

/// What commands know of the client they run for.
///
/// A caller need not be a connection.  A connection has a [`Client`](super::Client) beside it, which only the commands see
/// whose rows ask for it.
#[derive(Clone)]
pub struct Caller {
    /// The number of its connection, if it is one.
    pub connection: Option<u64>,
    /// Its address.
    pub address: SocketAddr,
    /// The selected database.
    pub database: usize,
    /// The version of the protocol in which it gets its replies.
    pub version: Version,
    /// Whether a command may keep it waiting.  Within EXEC and scripts none may, since nothing may come in between.
    pub may_block: bool,
    /// Whether it is a script that runs for the client.
    pub is_script: bool,
    /// Whether its reads count as use of the keys.
    pub leaves_traces: bool,
    /// Why its commands may not simply run.
    pub state: CallerState,
    /// Whether it was sent a message that it had published itself.
    pub has_own_message: bool,
    /// The buffer of its request, if the request has long arguments.
    pub request: Option<LongRequest>,
}

bitflags::bitflags! {
    /// Why commands of a caller may not simply run.  Only connections get into these states; see
    /// [`Client::state`](super::Client::state).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct CallerState: u8 {
        /// It has not given the password.
        const UNAUTHENTICATED = 1;
        /// Its commands are queued for EXEC.
        const IN_TRANSACTION = 1 << 1;
        /// It has subscriptions.
        const SUBSCRIBED = 1 << 2;
        /// It has switched replies off.
        const SILENT = 1 << 3;
    }
}

impl Caller {
    /// A caller that speaks RESP2, uses database 0 and may be kept waiting.
    pub fn new(connection: Option<u64>, address: SocketAddr) -> Caller {
        Caller {
            connection,
            address,
            database: 0,
            version: Version::Resp2,
            may_block: true,
            is_script: false,
            leaves_traces: true,
            state: CallerState::default(),
            has_own_message: false,
            request: None,
        }
    }

    /// Whether it is a RESP2 connection with subscriptions, which may say only a few commands.
    pub fn is_limited_to_subscribing(&self) -> bool {
        self.state.contains(CallerState::SUBSCRIBED) && self.version == Version::Resp2
    }
}

/// The buffer of a request with long arguments, parts of which commands may keep.
#[derive(Clone)]
pub struct LongRequest {
    /// The buffer.
    pub buffer: Bytes,
    /// Long arguments that were copied while later ones were under way, each with its place in the buffer.
    pub copied: Vec<(usize, Bytes)>,
}

impl LongRequest {
    /// An argument to keep: its copy, or a part of the buffer if the argument is nearly all of the buffer.
    pub fn kept(&self, argument: &[u8]) -> Option<Bytes> {
        let start = (argument.as_ptr() as usize).checked_sub(self.buffer.as_ptr() as usize)?;
        match self.copied.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(place) if self.copied[place].1.len() == argument.len() => Some(self.copied[place].1.clone()),
            _ => kept_of(&self.buffer, argument),
        }
    }
}
