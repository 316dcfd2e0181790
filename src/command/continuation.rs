//! How a connection goes on after its commands.

use std::any::Any;

use super::{BlockedCommand, HeldReply};
use crate::clock::Now;
use crate::random::Random;

/// How a connection goes on after its commands: its session's next steps, beside writing the replies.
#[derive(Default)]
pub struct Continuation {
    /// Whether it goes on.
    pub flow: Flow,
    /// The command that waits for its reply, with [`Flow::Wait`].
    pub blocked: Option<Box<dyn BlockedCommand>>,
    /// The command has undone what it did, and is to be run again with the store alone.
    pub restart: Option<Restart>,
    /// When the command began that runs a script, also if it is run again.
    pub began: Option<Now>,
    /// A script has written errors as its reply, and counted them.
    pub has_answered_error: bool,
    /// What the command has found that is held up, for when it is run again.  The caller keeps it until then.
    pub so_far: Option<SoFar>,
    /// How often the command was held up before.
    pub attempts: u32,
    /// Replies that wait for the disk.
    pub held: Vec<HeldReply>,
}

/// What a command that is held up has found so far; only that command knows what it is.
pub type SoFar = Box<dyn Any + Send>;

/// What a command that is run again finds as it was the first time.
pub struct Restart {
    /// The thread's source of randomness.
    pub random: Random,
}

/// How a connection goes on after a command.
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
    /// Its last request was not run and is to be run again: another thread's command holds what it needs for long.
    HeldUp {
        /// How often what is held had changed before the command was tried, for [`LongHolds::park`](crate::store::LongHolds::park).
        seen: u64,
    },
    /// The whole server stops.
    Shutdown,
}

impl Continuation {
    /// No command is held up.
    #[inline]
    pub fn end_attempts(&mut self) {
        self.attempts = 0;
        self.so_far = None;
    }
}

impl Flow {
    /// Whether the last request is to be run again.
    pub fn is_held_up(self) -> bool {
        matches!(self, Flow::HeldUp { .. })
    }
}
