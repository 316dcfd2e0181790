//! Reading single records of the journal while it is written.
//!
//! Streams keep the newest messages in the journal only, and read them by the positions that their appends returned.  A reader
//! takes no lock while it waits for the disk.  It reads a piece of a segment at once into memory that it uses again and
//! again, so that records that lie near each other come from one read.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::record::{self, RECORD_MAX, Tag};
use super::segments::{OpenSegment, Segment};
use super::shared::Shared;
use crate::lock_order;
use crate::wait::Position;

/// Bytes that are read at once, unless one record is longer.
pub const READ_BYTES: usize = 256 << 10;

/// Bytes that are read at once when nothing is known of a record.
const FIRST_BYTES: usize = 4 << 10;

/// A record that begins no farther behind what is in memory is taken for the next one of a series.
const NEAR_BYTES: u64 = 32 << 10;

/// Why a record cannot be read.  As text it is one line.
#[derive(Debug)]
pub enum ReadError {
    /// It is not on the disk, yet or at all.
    NotSynced {
        /// Where it should begin.
        position: Position,
    },
    /// A snapshot has replaced it and its file was removed.
    Removed {
        /// Where it began.
        position: Position,
    },
    /// The disk refuses.
    Io {
        /// The file.
        file: String,
        /// The disk's reason.
        error: io::Error,
    },
    /// The file is damaged there, or no record of the service begins there.
    Damaged {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// The error there.
        reason: &'static str,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotSynced { position: Position(position) } => {
                write!(formatter, "the journal has nothing on the disk at its position {position}")
            }
            ReadError::Removed { position: Position(position) } => {
                write!(formatter, "a snapshot has replaced what the journal had at its position {position}")
            }
            ReadError::Io { file, error } => write!(formatter, "cannot read {file}: {error}"),
            ReadError::Damaged { file, offset, reason } => {
                write!(formatter, "{file} is damaged at byte {offset}: {reason}")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the records of one service.  A thread that reads has one and keeps it, for its memory and because records that lie beside
/// each other come from one read, even for different streams.
pub struct Reader {
    shared: Arc<Shared>,
    tag: Tag,
    /// The segment that was read last.
    segment: Option<Arc<OpenSegment>>,
    /// A piece of it that is in memory, and where that begins.
    bytes: Vec<u8>,
    start: Position,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, tag: Tag) -> Reader {
        Reader { shared, tag, segment: None, bytes: Vec::new(), start: Position(0) }
    }

    /// The payload of the record that begins at a position, which is on the disk.  `expected` says how many bytes from there
    /// on the caller is going to read: this record ([`record_length`](super::record_length)), and up to the end of the last
    /// one behind it that it wants as well.  So much comes from one read of the disk, up to [`READ_BYTES`].  It may be wrong,
    /// and zero if nothing is known.
    ///
    /// Records of a file that a snapshot has removed can still be read by a reader that has just read in it.  Waits for
    /// the disk: not to be called under a lock.
    ///
    /// # Errors
    /// If the record is not on the disk, or no longer, or is not as it was written; if the disk refuses.
    pub fn read(&mut self, at: Position, expected: usize) -> Result<&[u8], ReadError> {
        self.bring(at, record::HEAD, expected)?;
        let length = record::HEAD + record::length_in(self.rest(at));
        if length > record::HEAD + RECORD_MAX {
            return Err(self.damaged(at, record::TOO_LONG));
        }
        self.bring(at, length, expected)?;
        match record::payload(&self.rest(at)[..length], at).and_then(|bytes| self.of_service(bytes)) {
            Ok(payload) => Ok(payload),
            Err(reason) => Err(self.damaged(at, reason)),
        }
    }

    /// Lets go of the file and the memory.  To be called when nothing more is read for a while: a removed file takes room on
    /// the disk as long as somebody has it.
    pub fn release(&mut self) {
        self.segment = None;
        self.bytes = Vec::new();
    }

    fn of_service<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], &'static str> {
        let (tag, payload) = Tag::split(bytes).ok_or("a record is empty")?;
        if tag == self.tag { Ok(payload) } else { Err("the record is another service's") }
    }

    /// What is in memory from a position on.
    fn rest(&self, at: Position) -> &[u8] {
        let skipped = at.0.checked_sub(self.start.0).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.bytes.get(skipped..)).unwrap_or_default()
    }

    /// Has at least the `needed` bytes from a position on in memory.
    fn bring(&mut self, at: Position, needed: usize, expected: usize) -> Result<(), ReadError> {
        if self.rest(at).len() >= needed {
            return Ok(());
        }
        lock_order::assert_nothing_held("waits for the disk");
        // What is behind may be written just now.
        let synced = self.shared.synced.load(Ordering::Acquire);
        if synced <= at.0 {
            return Err(ReadError::NotSynced { position: at });
        }
        let open = self.segment_of(at)?;
        let left = open.segment.end().0.min(synced) - at.0;
        let length = (needed.max(self.wanted(at, expected)) as u64).min(left) as usize;
        // A single long record does not keep its memory.
        self.bytes.truncate(length);
        self.bytes.shrink_to(length.max(READ_BYTES));
        self.bytes.resize(length, 0);
        let read = open.file.read_at(&mut self.bytes, open.segment.offset_of(at));
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.start = at;
        match read {
            Err(error) => Err(self.failed(&open.segment, error)),
            Ok(_) if self.bytes.len() < needed => Err(self.damaged(at, record::TORN)),
            Ok(_) => Ok(()),
        }
    }

    /// How many bytes are worth reading at once.
    fn wanted(&self, at: Position, expected: usize) -> usize {
        let end = self.start.0 + self.bytes.len() as u64;
        let is_next = !self.bytes.is_empty() && self.start < at && at.0 <= end + NEAR_BYTES;
        match expected {
            _ if is_next => READ_BYTES,
            0 => FIRST_BYTES,
            expected => expected.min(READ_BYTES),
        }
    }

    fn segment_of(&mut self, at: Position) -> Result<Arc<OpenSegment>, ReadError> {
        if let Some(open) = self.segment.as_ref().filter(|open| open.segment.has(at)) {
            return Ok(Arc::clone(open));
        }
        let found = self.shared.segments.open(&*self.shared.disk, at);
        let found = found.map_err(|(segment, error)| self.failed(&segment, error))?;
        let open = found.ok_or(ReadError::Removed { position: at })?;
        self.segment = Some(Arc::clone(&open));
        Ok(open)
    }

    fn failed(&self, segment: &Segment, error: io::Error) -> ReadError {
        ReadError::Io { file: self.shared.disk.describe(&segment.id().name()), error }
    }

    fn damaged(&self, at: Position, reason: &'static str) -> ReadError {
        let Some(OpenSegment { segment, .. }) = self.segment.as_deref() else {
            return ReadError::Removed { position: at };
        };
        let file = self.shared.disk.describe(&segment.id().name());
        ReadError::Damaged { file, offset: segment.offset_of(at), reason }
    }
}
