//! One file of a stream, as it is at a moment: what it holds, and how its messages are reached.
//!
//! A segment never changes, so a reader that has one needs no lock.  When the file grows, another value takes its place.

use std::io;
use std::sync::Arc;

use super::chapter::Chapter;
use super::contents::{self, Contents, Mark, Summary, TRAILER};
use super::directory::Directory;
use super::file::{FileId, HEAD};
use super::open::directory_of_records;
use super::reader::{ReadError, Reader};
use super::scan::Damage;
use super::window::OpenFile;
use crate::stream::message::StoredMessage;

/// What a snapshot says of a file.  What a file has beyond that does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// The file's number.
    pub number: u64,
    /// Its bytes that count.
    pub length: u64,
    /// Whether it ends with a footer, so that nothing is ever added.
    pub is_sealed: bool,
    /// The first sequence in it.
    pub first: u64,
    /// The last sequence in it.
    pub last: u64,
}

/// A file of a stream at a moment.
pub struct Segment {
    pub(super) file: OpenFile,
    pub(super) summary: Summary,
    pub(super) marks: Arc<[Mark]>,
    /// Where the records end: what is behind them is a footer or a chapter.
    pub(super) records_end: u64,
    /// Where everything ends that counts.
    pub(super) length: u64,
    /// Whether the file ends with a footer.
    pub(super) is_sealed: bool,
    /// What the file's messages are, unless the file says so at its end.
    pub(super) directory: Option<Arc<Directory>>,
    /// The chapters that count, if the file has no footer.  One without any is of an earlier version, or damaged.
    pub(super) chapters: Box<[Chapter]>,
    /// Whether damage was found when the file was opened; nothing is added to it then.
    pub(super) is_damaged: bool,
}

impl Segment {
    /// A file that has no footer, of which `length` bytes count.
    pub(super) fn unsealed(
        file: OpenFile,
        mut contents: Contents,
        chapters: Vec<Chapter>,
        length: u64,
    ) -> Segment {
        let records_end = chapters.last().filter(|last| last.end == length).map_or(length, |last| last.at);
        let sealed = Segment::sealed(file, &contents, records_end, length);
        contents.directory.shrink_to_fit();
        let (directory, chapters) = (Some(Arc::new(contents.directory)), chapters.into());
        Segment { is_sealed: false, directory, chapters, ..sealed }
    }

    /// A file that has a footer from `records_end` on.
    pub(super) fn sealed(file: OpenFile, contents: &Contents, records_end: u64, length: u64) -> Segment {
        Segment {
            file,
            summary: contents.summary,
            marks: contents.marks.as_slice().into(),
            records_end,
            length,
            is_sealed: true,
            directory: None,
            chapters: Box::default(),
            is_damaged: false,
        }
    }

    /// Which file it is.
    pub fn id(&self) -> FileId {
        self.file.id
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        &self.file.place
    }

    /// The range of its messages.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What a snapshot is to say of it.
    pub fn entry(&self) -> FileEntry {
        let Summary { first, last, .. } = self.summary;
        let (number, length, is_sealed) = (self.file.id.number, self.length, self.is_sealed);
        FileEntry { number, length, is_sealed, first, last }
    }

    /// Whether damage was found when it was opened.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Bytes of memory that it takes while nobody reads it, the directory of a file without a footer included.
    pub fn memory(&self) -> usize {
        let directory = self.directory.as_ref().map_or(0, |directory| directory.memory());
        size_of::<Segment>() + size_of_val(&*self.marks) + size_of_val(&*self.chapters) + directory
    }

    /// What its messages are, if it takes no disk to know: the file is not sealed.
    pub fn directory_in_memory(&self) -> Option<&Arc<Directory>> {
        self.directory.as_ref()
    }

    /// What its messages are.  This reads the disk if the file is sealed: its footer, or all records if that is damaged.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn directory(&self) -> Result<Arc<Directory>, ReadError> {
        if let Some(directory) = &self.directory {
            return Ok(Arc::clone(directory));
        }
        let directory = match self.read_footer() {
            Ok(Some(contents)) => Ok(contents.directory),
            Ok(None) => {
                tracing::error!(damage = %self.footer_damage(), "a file of a stream is damaged: all of it is read for its directory");
                directory_of_records(&self.file, &self.entry())
            }
            Err(error) => Err(error),
        };
        directory.map(Arc::new).map_err(|error| ReadError::io(&self.file, error))
    }

    fn read_footer(&self) -> io::Result<Option<Contents>> {
        let bytes = self.file.read(self.records_end, (self.length - self.records_end) as usize)?;
        Ok(contents::decode_footer(self.file.id, self.records_end, &bytes))
    }

    fn footer_damage(&self) -> Damage {
        Damage {
            file: self.file.place.to_string(),
            offset: self.records_end,
            end: self.length,
            reason: "the footer is not as it was written",
            after: self.summary.last,
            before: self.summary.last + 1,
        }
    }

    /// Where reading begins to find a sequence: the place of a record of that sequence or before it, and the sequence behind
    /// which that record is.
    pub(super) fn start_for(&self, sequence: u64) -> (u64, u64) {
        let distance = sequence.saturating_sub(self.summary.first);
        let behind = self.marks.partition_point(|mark| u64::from(mark.distance) <= distance);
        self.start_of(behind.checked_sub(1))
    }

    /// The same for a mark, or for the file's start.
    fn start_of(&self, mark: Option<usize>) -> (u64, u64) {
        let before = self.summary.first.saturating_sub(1);
        let mark = mark.and_then(|at| self.marks.get(at));
        mark.map_or((HEAD, before), |mark| (u64::from(mark.offset), before + u64::from(mark.distance)))
    }

    /// The first message of at least this time, if times never fall from one message to the next.  This reads the disk.
    ///
    /// # Errors
    /// If the disk refuses, or a message is damaged that may be the first.
    pub fn sequence_at_time(self: &Arc<Segment>, time: i64) -> Result<Option<u64>, ReadError> {
        if self.summary.messages == 0 || self.summary.last_time < time {
            return Ok(None);
        }
        let mut reader = self.reader_before(time, Reader::next_of_all)?;
        while let Some(message) = reader.next_of_all()? {
            if message.time >= time {
                return Ok(Some(message.sequence));
            }
        }
        Ok(None)
    }

    /// The last message before this time that can be read, under the same condition.  This reads the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn readable_before_time(self: &Arc<Segment>, time: i64) -> Result<Option<u64>, ReadError> {
        let mut reader = self.reader_before(time, Reader::next_readable)?;
        let mut last = None;
        while let Some(message) = reader.next_readable()?.filter(|message| message.time < time) {
            last = Some(message.sequence);
        }
        Ok(last)
    }

    /// A reader at the last marked record before a time, or at the first record.
    fn reader_before(self: &Arc<Segment>, time: i64, next: Next) -> Result<Reader, ReadError> {
        let (mut low, mut high) = (0, self.marks.len());
        while high - low > 1 {
            let middle = (low + high) / 2;
            let mut reader = Reader::at(Arc::clone(self), self.start_of(Some(middle)));
            match next(&mut reader)? {
                Some(message) if message.time < time => low = middle,
                _ => high = middle,
            }
        }
        Ok(Reader::at(Arc::clone(self), self.start_of(Some(low))))
    }
}

/// How a reader comes to the next message.
type Next = fn(&mut Reader) -> Result<Option<StoredMessage<'_>>, ReadError>;

/// A file as it was found at a start.
pub struct Opened {
    /// The file.
    pub segment: Arc<Segment>,
    /// What its messages are, for the index.
    pub directory: Arc<Directory>,
    /// What is wrong with it.
    pub damages: Vec<Damage>,
}

/// Where the footer of a sealed file begins, and what it says.
pub(super) fn footer_of(file: &OpenFile, length: u64) -> io::Result<Option<(u64, Contents)>> {
    let Some(trailer_at) = length.checked_sub(TRAILER as u64) else { return Ok(None) };
    let trailer = file.read(trailer_at, TRAILER)?;
    let Some(start) = contents::footer_start(&trailer, length) else { return Ok(None) };
    let bytes = file.read(start, (length - start) as usize)?;
    Ok(contents::decode_footer(file.id, start, &bytes).map(|contents| (start, contents)))
}
