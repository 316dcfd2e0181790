//! Answers to the operations of a client of the broker, each behind the messages that wait for the client by then.
//!
//! So a client that has an answer has all messages from before it.  If more messages wait than the connection should hold, the
//! answer waits behind them in the outbox.

use std::sync::Arc;

use quartet_protocol::buffer::Buffer;

use crate::command::executor::Publisher;
use crate::delivery::{Outbox, ROOM};

/// While a client has this many bytes of answers to its operations unread, no more of its operations are read.
const UNSENT_MAX: usize = 1024 * 1024;

/// The answers that a client may not have read yet.
#[derive(Default)]
pub(super) struct Answers {
    bytes: usize,
}

impl Answers {
    /// Writes an answer to `output`, or into the outbox.  All messages of the batch were handed over.
    pub(super) fn write(
        &mut self,
        outbox: &Arc<Outbox>,
        publisher: &mut Publisher<'_>,
        output: &mut Buffer,
        write: impl FnOnce(&mut Buffer),
    ) {
        if !outbox.is_empty() {
            outbox.collect(output, ROOM.saturating_sub(outbox.unsent()));
        }
        if outbox.is_empty() {
            let before = output.len();
            write(output);
            self.bytes += output.len() - before;
        } else {
            let mut answer = Buffer::new();
            write(&mut answer);
            self.bytes += answer.len();
            publisher.effects.send(&answer.into_bytes(), outbox, &publisher.services.fan_out);
        }
    }

    /// Notes that so many bytes were written without an outbox.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether the client has read enough for more of its operations to be run.
    pub(super) fn are_read(&self) -> bool {
        self.bytes <= UNSENT_MAX
    }

    /// Whether the client has room for more than so many bytes besides.
    pub(super) fn have_room_for(&self, bytes: usize) -> bool {
        self.bytes + bytes <= UNSENT_MAX
    }

    /// Notes that the client's socket has taken so many bytes, and whether those were all.
    pub(super) fn note_sent(&mut self, bytes: usize, is_all: bool, outbox: &Outbox) {
        // Messages may have gone before the answers, but then they take up the room of answers that wait.
        self.bytes = if is_all && outbox.is_empty() { 0 } else { self.bytes.saturating_sub(bytes) };
    }
}
