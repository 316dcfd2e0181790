//! The records of streams in the journal: one for each change, and those of a snapshot.
//!
//! A record is a byte that says which kind it is, then numbers of variable length (seven bits a byte, the lowest first), times,
//! and parts with their lengths before them; the last part reaches to the end.  Signed numbers are folded (0, -1, 1, -2 …), and times of
//! messages take eight bytes, which is less.
//!
//! | kind | after the byte |
//! |---|---|
//! | 1 defined | stream, created, seed (twice eight bytes), definition |
//! | 2 deleted | stream |
//! | 3 stored | stream, sequence, time (eight bytes), lengths of subject and headers, `0` or `1` with stream, consumer and sequence of the dead letter, subject, headers, payload |
//! | 4 removed | stream, why, set of sequences |
//! | 5 cleared | stream, next sequence |
//! | 6 consumer defined | stream, consumer, created, name, definition |
//! | 7 consumer deleted | stream, consumer |
//! | 8 consumer | stream, consumer, changes, each a byte and its numbers |
//! | 9 skipped | stream, last sequence |
//! | 10 last time | stream, time |
//! | 32 stream | stream, created, seed, first, last, last time, next file, last message's id, marks of ids, definition |
//! | 33 files | stream, files |
//! | 34 deleted sequences | stream, set of sequences |
//! | 35 expiry, 36 schedules | stream, sequences with times |
//! | 37 lasting | stream, set of sequences |
//! | 38 ids | stream, ids |
//! | 39 consumer | stream, consumer, created, name, progress, definition |
//! | 40 outstanding, 41 leaving, 42 exhausted | stream, consumer, messages |
//! | 43 next ids | stream, consumer |
//! | 44 marks | whether the server stopped cleanly |
//!
//! A set of sequences is in the portable format of Roaring (64 bits).  A definition is the JSON that clients get.
//!
//! **Versions.**  A kind never changes its number or its meaning; a test pins the bytes of each.  What a record has to say in
//! addition becomes a kind of its own.  An unknown kind is an error that names it: the journal is of a later version,
//! and a start that skipped the record would change streams unnoticed.
//!
//! **Limits.**  A record of the journal has 64 MiB at most.  Whatever of a snapshot grows with a stream is therefore in
//! records of [`ITEMS_MAX`] items, or of sets of [`SET_BYTES_MAX`] bytes ([`set_parts`]), as many as it takes.

mod changes;
mod consumer_parts;
mod fields;
mod kind;
mod read;
mod sets;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

use roaring::RoaringTreemap;

use crate::stream::consumer::record::{Leaving, OutstandingMessage, Record as Change, Snapshot};
use crate::stream::ingest::{IdMark, KnownId};
use crate::stream::message::StoredMessage;
use crate::stream::segment::FileEntry;

pub use consumer_parts::{Named, consumer_parts};
pub use read::Unreadable;
pub use sets::{SET_BYTES_MAX, set_parts};

/// Items of a list in one record.
pub const ITEMS_MAX: usize = 1 << 18;

/// Bytes that the record of a message takes beyond its subject, headers and payload, at most.
pub const STORED_HEAD_MAX: usize = 1 + 2 * 10 + 8 + 2 * 10 + 1 + 3 * 10;

/// A dead letter's source: its consumer need not ask for it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeftRecord {
    /// The stream that has the message.
    pub stream: u64,
    /// The consumer that it has left.
    pub consumer: u64,
    /// The message.
    pub sequence: u64,
}

/// Why messages were removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// A client removed them: their ids may be used again.
    Requested,
    /// They expired, or their consumers are done with them: their ids stay known for the window.
    Ended,
}

/// The progress of a consumer, without the messages that wait for their acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The sequence up to which it is done with every message.
    pub position: u64,
    /// The number of its last delivery.
    pub delivered: u64,
    /// Up to which sequence it still delivers only the last message of each subject.
    pub newest_until: Option<u64>,
    /// Up to which sequence it delivers with the original pauses.
    pub original_until: Option<u64>,
}

impl Progress {
    /// The progress of a consumer.
    pub fn of(snapshot: &Snapshot) -> Progress {
        let Snapshot { position, delivered, newest_until, original_until, .. } = *snapshot;
        Progress { position, delivered, newest_until, original_until }
    }

    /// A consumer with this progress, before the messages that wait for their acknowledgement are added.
    pub fn snapshot(self) -> Snapshot {
        let Progress { position, delivered, newest_until, original_until } = self;
        Snapshot { position, delivered, newest_until, original_until, ..Snapshot::default() }
    }
}

/// The first record of a stream in a snapshot; other records have the parts that grow with the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamState<'r> {
    /// The stream.
    pub stream: u64,
    /// When it was created, in nanoseconds since 1970.
    pub created: i64,
    /// What its message ids are hashed with.
    pub seed: [u64; 2],
    /// The first stored sequence; the one behind `last` if there is none.
    pub first: u64,
    /// The last sequence that the snapshot is about.
    pub last: u64,
    /// When that message was stored, in nanoseconds since 1970.
    pub last_time: i64,
    /// The number of the next file.
    pub next_file: u64,
    /// The id of the message `last`; empty if it had none.
    pub last_message_id: &'r [u8],
    /// The marks of the message ids.
    pub id_marks: Cow<'r, [IdMark]>,
    /// Its definition as JSON.
    pub definition: &'r [u8],
}

/// One record.  `stream` and `consumer` are numbers that are never used again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the members are explained where their types are")]
pub enum Record<'r> {
    /// A stream was created, or has another definition: its JSON.
    Defined { stream: u64, created: i64, seed: [u64; 2], definition: &'r [u8] },
    /// A stream is deleted.
    Deleted { stream: u64 },
    /// A message is stored; if it is a dead letter, the record also says that its source has left the consumer.
    Stored { stream: u64, message: StoredMessage<'r>, left: Option<LeftRecord> },
    /// Messages are removed.
    Removed { stream: u64, sequences: Cow<'r, RoaringTreemap>, removal: Removal },
    /// All messages are removed, and the next sequence is this one at least.
    Cleared { stream: u64, next: u64 },
    /// A consumer was created, or has another definition: its JSON.
    ConsumerDefined { stream: u64, consumer: u64, created: i64, name: &'r str, definition: &'r [u8] },
    /// A consumer is deleted.
    ConsumerDeleted { stream: u64, consumer: u64 },
    /// Changes of a consumer, in their order.
    Consumer { stream: u64, consumer: u64, changes: Cow<'r, [Change]> },
    /// Sequences up to this one are not used again.
    Skipped { stream: u64, last: u64 },
    /// When the last message was stored, which is not in the journal.
    LastTime { stream: u64, time: i64 },
    /// Snapshot: a stream.  Its other records follow.
    StreamState(StreamState<'r>),
    /// Snapshot: files of a stream.
    Files { stream: u64, files: Cow<'r, [FileEntry]> },
    /// Snapshot: sequences between the first and the last that are not stored.
    DeletedSequences { stream: u64, sequences: Cow<'r, RoaringTreemap> },
    /// Snapshot: messages that expire at a time of their own, in nanoseconds since 1970.
    Expiry { stream: u64, due: Cow<'r, [(u64, i64)]> },
    /// Snapshot: messages that are published at a time of their own, in nanoseconds since 1970.
    Schedules { stream: u64, due: Cow<'r, [(u64, i64)]> },
    /// Snapshot: messages that stay whatever their age.
    Lasting { stream: u64, sequences: Cow<'r, RoaringTreemap> },
    /// Snapshot: message ids that are known.
    Ids { stream: u64, ids: Cow<'r, [KnownId]> },
    /// Snapshot: a consumer.  Its messages without an acknowledgement follow.
    ConsumerState {
        stream: u64,
        consumer: u64,
        created: i64,
        name: &'r str,
        progress: Progress,
        definition: &'r [u8],
    },
    /// Snapshot: messages without an acknowledgement, in ascending order.
    Outstanding { stream: u64, consumer: u64, messages: Cow<'r, [OutstandingMessage]> },
    /// Snapshot: messages that are to be stored as dead letters, in ascending order.
    Leaving { stream: u64, consumer: u64, messages: Cow<'r, [Leaving]> },
    /// Snapshot: messages that are delivered no more and stay in the stream, in ascending order.
    Exhausted { stream: u64, consumer: u64, sequences: Cow<'r, [u64]> },
    /// Snapshot: the numbers that the next stream and the next consumer get.
    NextIds { stream: u64, consumer: u64 },
    /// Whether the server that wrote it stopped cleanly.
    Marks { is_clean: bool },
}
