//! Reading messages of a file, one after the other, from a sequence on.
//!
//! A reader has a segment and needs no lock.  It reads 256 KiB at once into a buffer that it keeps; behind the end of its
//! segment it goes on with the next one that it is given.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::batch::{Batch, BatchLimits};
use super::scan::{Damage, Scan, Step};
use super::segment::Segment;
use super::window::{OpenFile, Window};
use crate::stream::message::StoredMessage;

/// Why a message cannot be read.  As text it is one line.
#[derive(Debug)]
pub enum ReadError {
    /// The disk refuses.
    Io {
        /// The file.
        file: String,
        /// The disk's reason.
        error: io::Error,
    },
    /// The file is not as it was written.
    Damaged(Damage),
}

impl ReadError {
    pub(super) fn io(file: &OpenFile, error: io::Error) -> ReadError {
        ReadError::Io { file: file.place.to_string(), error }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io { file, error } => write!(formatter, "cannot read {file}: {error}"),
            ReadError::Damaged(damage) => write!(formatter, "{damage}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the messages of a segment in their order.
pub struct Reader {
    segment: Arc<Segment>,
    scan: Scan,
    /// Messages before it are passed over.
    from: u64,
}

/// What a reader has come to.
#[derive(PartialEq, Eq, Debug)]
pub enum Reached {
    /// The end of the segment; the next one has sequences behind it.
    End,
    /// As many messages or bytes as were wanted, or what one read of the disk brought.
    Limit,
}

impl Reader {
    /// Begins at the first message whose sequence is `from` or behind it.
    pub fn new(segment: Arc<Segment>, from: u64) -> Reader {
        Reader::resumed(segment, from, Window::default())
    }

    fn resumed(segment: Arc<Segment>, from: u64, window: Window) -> Reader {
        let start = segment.start_for(from);
        Reader { scan: scan_of(&segment, start, window), segment, from }
    }

    /// Begins at the record at a place, which is behind a sequence.
    pub(super) fn at(segment: Arc<Segment>, start: (u64, u64)) -> Reader {
        Reader { scan: scan_of(&segment, start, Window::default()), segment, from: 0 }
    }

    /// Goes on in another segment, with the same buffer.
    pub fn go_on(self, segment: Arc<Segment>, from: u64) -> Reader {
        Reader::resumed(segment, from, self.scan.into_window())
    }

    /// Goes on from a sequence that is not before what it has read.
    pub fn go_on_from(&mut self, from: u64) {
        self.from = self.from.max(from);
    }

    /// The segment that it reads.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The next message; nothing at the end of the segment.  Behind an error, the next call goes on.
    ///
    /// # Errors
    /// If the disk refuses, or messages are damaged that may have been wanted.
    pub fn next_message(&mut self) -> Result<Option<StoredMessage<'_>>, ReadError> {
        let Some((offset, length)) = self.next_record()? else { return Ok(None) };
        Ok(self.scan.message(offset, length))
    }

    /// The same past damage that concerns no message.
    ///
    /// # Errors
    /// As of the other.
    pub(super) fn next_of_all(&mut self) -> Result<Option<StoredMessage<'_>>, ReadError> {
        self.next_past(Damage::concerns_none)
    }

    /// The same past any damage.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) fn next_readable(&mut self) -> Result<Option<StoredMessage<'_>>, ReadError> {
        self.next_past(|_| true)
    }

    fn next_past(
        &mut self,
        is_passed: impl Fn(&Damage) -> bool,
    ) -> Result<Option<StoredMessage<'_>>, ReadError> {
        let next = loop {
            match self.next_record() {
                Err(ReadError::Damaged(damage)) if is_passed(&damage) => {}
                other => break other?,
            }
        };
        Ok(next.and_then(|(offset, length)| self.scan.message(offset, length)))
    }

    /// The place and the length of the next record that is wanted.
    fn next_record(&mut self) -> Result<Option<(u64, usize)>, ReadError> {
        loop {
            match self.scan.step() {
                Ok(Step::Record { sequence, .. }) if sequence < self.from => {}
                Ok(Step::Record { offset, length, .. }) => return Ok(Some((offset, length))),
                Ok(Step::Damage(damage)) if damage.before <= self.from => {}
                Ok(Step::Damage(damage)) => return Err(ReadError::Damaged(damage)),
                Ok(Step::End) => return Ok(None),
                Err(_) if self.scan.pass_refused(self.from) => {}
                Err(error) => return Err(ReadError::io(&self.segment.file, error)),
            }
        }
    }

    /// Adds messages that are wanted to a batch, up to its limits and from one read of the disk.  Damage is added to it as
    /// well, and reading goes on behind it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn read_batch(
        &mut self,
        batch: &mut Batch,
        limits: &BatchLimits,
        mut is_wanted: impl FnMut(&StoredMessage<'_>) -> bool,
    ) -> Result<Reached, ReadError> {
        let mut reads = 0;
        loop {
            // The first read of a batch may be needed to reach its first message at all.
            reads += u32::from(!self.scan.is_in_memory());
            if reads > 1 || batch.is_full(limits) {
                return Ok(Reached::Limit);
            }
            match self.next_record() {
                Ok(Some((offset, length))) => {
                    let message = self.scan.message(offset, length);
                    message.filter(&mut is_wanted).into_iter().for_each(|message| batch.push(&message));
                }
                Ok(None) => return Ok(Reached::End),
                Err(ReadError::Damaged(damage)) => batch.push_damage(damage),
                Err(error) => return Err(error),
            }
        }
    }
}

fn scan_of(segment: &Segment, (at, last_seen): (u64, u64), window: Window) -> Scan {
    Scan::new(segment.file.clone(), window, at, segment.records_end, last_seen, segment.summary.last)
}

impl Segment {
    /// One message; nothing if the file does not have it.  `batch` is emptied, and lends its memory.
    ///
    /// # Errors
    /// If the disk refuses, or the message may have been where the file is damaged.
    pub fn read_message<'b>(
        self: &Arc<Segment>,
        sequence: u64,
        batch: &'b mut Batch,
    ) -> Result<Option<StoredMessage<'b>>, ReadError> {
        batch.clear();
        if !(self.summary.first..=self.summary.last).contains(&sequence) {
            return Ok(None);
        }
        let mut reader = Reader::new(Arc::clone(self), sequence);
        match reader.next_message() {
            Ok(Some(message)) if message.sequence == sequence => batch.push(&message),
            Ok(_) => {}
            Err(ReadError::Damaged(damage)) if !damage.concerns(sequence) => {
                // The next record behind the damage is the one that is asked for.
                let next = reader.next_message()?.filter(|message| message.sequence == sequence);
                next.into_iter().for_each(|message| batch.push(&message));
            }
            Err(error) => return Err(error),
        }
        Ok(batch.messages().next())
    }
}
