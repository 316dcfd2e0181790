//! Writing messages into a stream's files.
//!
//! An appender belongs to one thread, which takes no lock meanwhile.  What it has written counts once it has finished and the
//! segments that it answers with stand in a snapshot.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::chapter::{self, Chapter};
use super::contents::{self, Contents};
use super::file::{FileId, HEAD};
use super::record;
use super::segment::Segment;
use super::window::OpenFile;
use crate::disk::{Disk, DiskFile};
use crate::stream::message::StoredMessage;

/// The size of files of streams without a limit of bytes, and the most that a file should have.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// The least that a file should have, so that small streams do not have many.
pub const SEGMENT_BYTES_MIN: u64 = 8 << 20;

/// A stream with a limit of bytes has about so many files, since it drops whole ones.
const FILES_OF_LIMITED_STREAM: u64 = 8;

/// Records are gathered up to so many bytes before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// So many bytes are written before they are synced.  A sync of a whole file would hold up those of the journal, for which
/// publishers wait, several times as long.
const SYNC_BYTES: usize = 1 << 20;

/// The size of a file of a stream that may have so many bytes.
pub fn segment_bytes(max_bytes: Option<u64>) -> u64 {
    let part = max_bytes.unwrap_or(u64::MAX) / FILES_OF_LIMITED_STREAM;
    part.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
}

/// Why a message was not written.
#[derive(Debug)]
pub enum AppendError {
    /// The disk refuses.
    Io(io::Error),
    /// The message is longer than a record may be, or its subject than a subject may be.
    TooLong {
        /// Its sequence.
        sequence: u64,
    },
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> AppendError {
        AppendError::Io(error)
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Io(error) => write!(formatter, "a file of a stream cannot be written: {error}"),
            AppendError::TooLong { sequence } => {
                write!(
                    formatter,
                    "the message with the sequence {sequence} is too long for a file of a stream"
                )
            }
        }
    }
}

impl std::error::Error for AppendError {}

/// Writes messages into a stream's files.
pub struct Appender {
    disk: Arc<dyn Disk>,
    stream: u64,
    next_number: u64,
    size: u64,
    open: Option<OpenSegment>,
    /// Files that are finished.
    sealed: Vec<Arc<Segment>>,
}

/// The file that is written.
struct OpenSegment {
    file: Box<dyn DiskFile>,
    reads: OpenFile,
    contents: Contents,
    chapters: Vec<Chapter>,
    /// Records and chapters that are not written yet.
    unwritten: Vec<u8>,
    /// Bytes that are written and not synced yet.
    unsynced: usize,
    /// Where the next record begins.
    end: u64,
}

impl Appender {
    /// An appender that begins a new file with this number, and the next ones with the numbers behind it.
    pub fn new(disk: Arc<dyn Disk>, stream: u64, next_number: u64, size: u64) -> Appender {
        Appender { disk, stream, next_number, size, open: None, sealed: Vec::new() }
    }

    /// Goes on at the end of a segment if it has room, and otherwise begins a new file.  One of an earlier version is sealed.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn resume(&mut self, segment: &Segment) -> io::Result<()> {
        let Some(directory) =
            segment.directory.as_ref().filter(|_| !segment.is_sealed && !segment.is_damaged)
        else {
            return Ok(());
        };
        let contents = Contents::of(segment.summary, &segment.marks, directory);
        let file = self.disk.resume(&segment.id().name(), segment.length)?;
        let (reads, chapters, end) = (segment.file.clone(), segment.chapters.to_vec(), segment.length);
        let is_earlier = chapters.is_empty();
        let (unwritten, unsynced) = (Vec::new(), 0);
        self.open = Some(OpenSegment { file, reads, contents, chapters, unwritten, unsynced, end });
        if is_earlier { self.seal() } else { Ok(()) }
    }

    /// Adds a message, whose sequence is behind all others of the file.
    ///
    /// # Errors
    /// If the disk refuses, and then this appender is not used again; or if the message is too long.
    pub fn append(&mut self, message: &StoredMessage<'_>) -> Result<(), AppendError> {
        if self.open.as_ref().is_some_and(|open| !open.has_room(message, self.size)) {
            self.seal()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let result = open.append(message);
        self.open = Some(open);
        result
    }

    fn begin(&mut self) -> io::Result<OpenSegment> {
        let id = FileId { stream: self.stream, number: self.next_number };
        let file = self.disk.create(&id.name())?;
        self.next_number += 1;
        let reads = OpenFile::open(&*self.disk, id)?;
        let (contents, chapters, unwritten) = (Contents::default(), Vec::new(), id.head());
        Ok(OpenSegment { file, reads, contents, chapters, unwritten, unsynced: 0, end: HEAD })
    }

    /// Ends the present file, if it has messages.
    ///
    /// # Errors
    /// If the disk refuses, and then this appender is not used again.
    pub fn seal(&mut self) -> io::Result<()> {
        let Some(mut open) = self.open.take_if(|open| open.contents.summary.messages > 0) else {
            return Ok(());
        };
        let records_end = open.end;
        let before = open.unwritten.len();
        contents::encode_footer(open.reads.id, records_end, &open.contents, &mut open.unwritten);
        let length = records_end + (open.unwritten.len() - before) as u64;
        open.write()?;
        open.file.sync()?;
        self.sealed.push(Arc::new(Segment::sealed(open.reads, &open.contents, records_end, length)));
        Ok(())
    }

    /// Returns once everything that was added is on the disk, with the segments that were written to, and the number of
    /// the next file.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(mut self) -> io::Result<(Vec<Arc<Segment>>, u64)> {
        if !self.open.as_mut().is_none_or(OpenSegment::end_chapter) {
            self.seal()?;
        }
        if let Some(mut open) = self.open.take_if(|open| open.contents.summary.messages > 0) {
            open.write()?;
            open.file.sync()?;
            let OpenSegment { reads, contents, chapters, end, .. } = open;
            self.sealed.push(Arc::new(Segment::unsealed(reads, contents, chapters, end)));
        }
        self.disk.sync_names()?;
        Ok((self.sealed, self.next_number))
    }
}

impl OpenSegment {
    /// Whether a message still belongs into the file.
    fn has_room(&self, message: &StoredMessage<'_>, size: u64) -> bool {
        let distance = message.sequence - self.contents.summary.first;
        self.contents.summary.messages == 0 || (self.end < size && distance <= u64::from(u32::MAX))
    }

    fn append(&mut self, message: &StoredMessage<'_>) -> Result<(), AppendError> {
        debug_assert!(message.sequence > self.contents.summary.last, "messages come in their order");
        let Some(length) = record::encode(self.reads.id, self.end, message, &mut self.unwritten) else {
            return Err(AppendError::TooLong { sequence: message.sequence });
        };
        self.contents.add(message, self.end, length as u64);
        self.end += length as u64;
        if self.unwritten.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// Writes a chapter behind the added messages.  Returns whether there is room for it.
    fn end_chapter(&mut self) -> bool {
        let OpenSegment { reads, contents, chapters, unwritten, end, .. } = self;
        let new_end = chapter::write(reads.id, *end, contents, chapters, unwritten);
        *end = new_end.unwrap_or(*end);
        new_end.is_some()
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write(&self.unwritten)?;
        self.unsynced += self.unwritten.len();
        self.unwritten.clear();
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}
