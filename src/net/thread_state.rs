//! The state that a worker lends to one connection after the other.

use tokio_util::sync::CancellationToken;

use crate::allocator::Purge;
use crate::command::executor::Executor;
use crate::session::Scratch;

/// Bytes read at once.
const INPUT_LENGTH: usize = 64 * 1024;

/// See the module's text.  All connections of a worker share one input buffer, so that an idle connection has none.
pub(super) struct ThreadState {
    /// Runs commands.
    pub(super) executor: Executor,
    /// Where input is read to.
    pub(super) input: Box<[u8]>,
    /// Where sessions write their replies.
    pub(super) scratch: Scratch,
    /// Memory that the thread is to give back.
    pub(super) purge: Purge,
    /// Cancelled by SHUTDOWN: the server is to stop.
    pub(super) shutdown: CancellationToken,
}

impl ThreadState {
    /// The state of the thread whose commands `executor` runs.
    pub(super) fn new(executor: Executor, shutdown: CancellationToken) -> ThreadState {
        let (scratch, purge) = (Scratch::default(), Purge::default());
        ThreadState { executor, input: vec![0; INPUT_LENGTH].into(), scratch, purge, shutdown }
    }
}
