//! What becomes of the connection whose commands ran.

use super::{BlockedCommand, HeldReply};

/// What becomes of the connection whose commands ran: what its session does next, beside writing their replies.
#[derive(Default)]
pub struct Continuation {
    /// Whether it goes on.
    pub flow: Flow,
    /// The command that waits for its reply, with [`Flow::Wait`].
    pub blocked: Option<Box<dyn BlockedCommand>>,
    /// Replies that wait for the disk.
    pub held: Vec<HeldReply>,
}

/// What becomes of a connection after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flow {
    /// It goes on.
    #[default]
    Continue,
    /// It ends once its replies are written.
    Close,
    /// Nothing is read from it or written to it for this long; other connections go on.
    Pause(std::time::Duration),
    /// Its command has no reply yet.
    Wait,
    /// The whole server stops.
    Shutdown,
}
