//! The durable state of a stream: its definition, its messages, and what is known of them.
//!
//! Changes are applied when they are durable, in their order (`apply`), so nobody who looks at it sees anything that a crash
//! could take back.  A start applies the records of the journal in the same way.
//!
//! Nothing here reads the disk.  Where an answer depends on the directory of a file that is not in memory, it is [`Missing`]: the
//! caller lets go of the stream's lock, reads the directory, and asks again.

mod apply;
mod contents;
mod gone;
mod look;

mod view;

use crate::stream::definition::{Discard, StreamDefinition};
use crate::stream::index::Index;
use crate::stream::index::expiry::Expiry;
use crate::stream::index::limits::Limits;
use crate::stream::ingest::MessageIds;
use crate::stream::json::Nanoseconds;

pub(super) use apply::{Gone, Storing};
pub(super) use contents::{Contents, Facts, Kept, Missing, Place};
pub(super) use view::{Ahead, View};

/// See the module's text.
pub(super) struct Data {
    definition: StreamDefinition,
    limits: Limits,
    pub(super) index: Index,
    pub(super) contents: Contents,
    /// When the last message was stored, in nanoseconds since 1970; zero if none was yet.
    pub(super) last_time: i64,
    /// The id that the last message came with; empty if it had none.
    pub(super) last_message_id: Box<[u8]>,
    /// The ids of messages within the window.
    pub(super) ids: MessageIds,
    /// The messages that expire at a time of their own.
    pub(super) expiry: Expiry,
    /// The messages that are published at a time of their own.
    pub(super) schedules: Expiry,
    /// The messages that still have to leave because of the one that was stored last.
    trimming: Option<apply::Trimming>,
}

impl Data {
    /// The state of a new stream by a checked definition.  Its message ids are hashed with `seed`.
    pub(super) fn new(definition: StreamDefinition, seed: [u64; 2]) -> Data {
        let limits = Limits::of(&definition);
        let per_subject = limits.max_messages_per_subject;
        Data {
            index: Index::new(definition.first_sequence, per_subject),
            limits,
            contents: Contents::default(),
            last_time: 0,
            last_message_id: Box::default(),
            ids: MessageIds::new(seed, window(definition.duplicate_window)),
            expiry: Expiry::default(),
            schedules: Expiry::default(),
            trimming: None,
            definition,
        }
    }

    /// The definition of the stream.
    pub(super) fn definition(&self) -> &StreamDefinition {
        &self.definition
    }

    /// The limits of its messages.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is known of its messages.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Where its messages are.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Where a stored message is.  It takes no look at the damaged file to know that a message is unknown.
    pub(super) fn place(&self, sequence: u64) -> Place {
        if self.index.unknown().contains(sequence) {
            return Place::Unknown;
        }
        self.contents.place(sequence)
    }

    /// When its last message was stored, in nanoseconds since 1970; zero if none was yet.
    pub(super) fn last_time(&self) -> i64 {
        self.last_time
    }

    /// Its last message was stored at this time, unless a later one is known.
    pub(super) fn note_last_time(&mut self, time: i64) {
        self.last_time = self.last_time.max(time);
    }

    /// Whether it refuses messages instead of dropping old ones.
    pub(super) fn refuses_when_full(&self) -> bool {
        self.limits.discard == Discard::New
    }
}

/// The window of message ids in the unit of the table that keeps them.
fn window(window: Nanoseconds) -> i64 {
    window.0.max(0)
}
