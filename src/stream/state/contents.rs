//! Where the messages of a stream are: in memory, in the journal only, or in the stream's own files.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::stream::index::journaled::JournaledMessages;
use crate::stream::message::StoredMessage;
use crate::stream::segment::{Directory, FileId, Segment, Segments, message_size};
use crate::wait::Position;

/// The most directories of sealed files that a stream keeps in memory between two requests.
const DIRECTORIES_KEPT: usize = 8;

/// A message that is kept in memory.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    time: i64,
    subject_end: u32,
    headers_end: u32,
    bytes: Box<[u8]>,
}

impl Kept {
    /// A copy of a message.
    pub(crate) fn new(message: &StoredMessage<'_>) -> Arc<Kept> {
        let StoredMessage { time, subject, headers, payload, .. } = *message;
        let headers_end = (subject.len() + headers.len()) as u32;
        let bytes = [subject, headers, payload].concat().into();
        Arc::new(Kept { time, subject_end: subject.len() as u32, headers_end, bytes })
    }

    /// The message, whose sequence the caller knows.
    pub(crate) fn message(&self, sequence: u64) -> StoredMessage<'_> {
        let (subject_end, headers_end) = (self.subject_end as usize, self.headers_end as usize);
        StoredMessage {
            sequence,
            time: self.time,
            subject: &self.bytes[..subject_end],
            headers: &self.bytes[subject_end..headers_end],
            payload: &self.bytes[headers_end..],
        }
    }
}

/// Where a message can be read.  It stays readable there, whatever happens to the stream meanwhile.
#[derive(Clone)]
pub(crate) enum Place {
    /// In memory.
    Memory(Arc<Kept>),
    /// In the journal: where its record begins, and about how long it is.  If the journal has removed that segment meanwhile, the
    /// message is in a file of the stream.
    Journal(Position, usize),
    /// In a file.
    File(Arc<Segment>),
    /// Nothing is known of it but its sequence.
    Unknown,
    /// Nothing has it.
    Nowhere,
}

impl Place {
    /// Where the message ends in the journal, about, if it is there.
    pub(in crate::stream) fn end_in_journal(&self) -> Option<u64> {
        match self {
            Place::Journal(position, length) => Some(position.0 + *length as u64),
            Place::Memory(_) | Place::File(_) | Place::Unknown | Place::Nowhere => None,
        }
    }

    /// How many bytes of the journal are read from the message on, if they are read up to `end`.
    pub(in crate::stream) fn bytes_until(&self, end: Option<u64>) -> usize {
        match (self, end) {
            (Place::Journal(position, _), Some(end)) => end.saturating_sub(position.0) as usize,
            _ => 0,
        }
    }
}

/// What is known of a message without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// The subject that it was published on.
    pub subject: Box<[u8]>,
    /// The bytes that it counts for.
    pub size: u64,
}

/// The directories of these files have to be read first.
#[derive(Clone)]
pub(crate) struct Missing(pub Vec<Arc<Segment>>);

/// See the module's text.
#[derive(Default)]
pub(crate) struct Contents {
    /// The messages of a stream in memory, or those that the disk does not have yet.
    pub(in crate::stream) memory: BTreeMap<u64, Arc<Kept>>,
    /// The messages that only the journal has.
    pub(in crate::stream) journaled: JournaledMessages,
    pub(in crate::stream) segments: Segments,
    /// The number of the next file that is begun.
    pub(in crate::stream) next_file: u64,
    /// Directories of sealed files, those that were asked for last behind the others.
    directories: VecDeque<(FileId, Arc<Directory>)>,
}

impl Contents {
    /// Where a stored message is that is not unknown.
    pub(super) fn place(&self, sequence: u64) -> Place {
        if let Some(kept) = self.memory.get(&sequence) {
            return Place::Memory(Arc::clone(kept));
        }
        if let Some(message) = self.journaled.get(sequence) {
            let subject = self.journaled.subject_of(message).len();
            let length = subject + message.headers as usize + message.payload as usize;
            return Place::Journal(message.position, length);
        }
        self.segments.at_or_behind(sequence).map_or(Place::Nowhere, Place::File)
    }

    /// What is known of a stored message; none if it is unknown, or the directory that has it is damaged by now.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn facts(&self, sequence: u64) -> Result<Option<Facts>, Missing> {
        if let Some(message) = self.journaled.get(sequence) {
            let subject = self.journaled.subject_of(message);
            let size = message_size(subject.len(), message.headers as usize, message.payload as usize);
            return Ok(Some(Facts { subject: subject.into(), size }));
        }
        let Some(segment) = self.segments.at_or_behind(sequence) else { return Ok(None) };
        let directory = self.directory(&segment)?;
        let row = directory.row(sequence);
        Ok(row.map(|row| Facts { subject: directory.subject_of(row).into(), size: row.size }))
    }

    /// The sequences of some messages of a file from one on, if the file has that, with the lengths of their subjects and the
    /// bytes that they count for.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(crate) fn sizes_from(
        &self,
        sequence: u64,
        most: usize,
        mut see: impl FnMut(u64, usize, u64),
    ) -> Result<(), Missing> {
        let Some(segment) = self.segments.at_or_behind(sequence) else { return Ok(()) };
        let directory = self.directory(&segment)?;
        let rows = directory.rows_behind(sequence).take(most);
        rows.for_each(|row| see(row.sequence, directory.subject_of(row).len(), row.size));
        Ok(())
    }

    /// The directory of a file, if it is in memory.
    ///
    /// # Errors
    /// If it has to be read first.
    pub(crate) fn directory(&self, segment: &Arc<Segment>) -> Result<Arc<Directory>, Missing> {
        if let Some(directory) = segment.directory_in_memory() {
            return Ok(Arc::clone(directory));
        }
        let id = segment.id();
        let kept = self.directories.iter().rev().find(|(kept, _)| *kept == id);
        kept.map(|(_, directory)| Arc::clone(directory)).ok_or_else(|| Missing(vec![Arc::clone(segment)]))
    }

    /// The directory of one of these files, in which a search has come as far as `at`.  If it is not in memory, those of as
    /// many more files are named as the search has behind it: then it seldom has to begin anew.
    ///
    /// # Errors
    /// If directories have to be read first.
    pub(crate) fn directory_at(
        &self,
        segments: &[Arc<Segment>],
        at: usize,
    ) -> Result<Arc<Directory>, Missing> {
        self.directory(&segments[at]).map_err(|Missing(mut missing)| {
            let further = segments.iter().skip(at + 1).take(at);
            missing.extend(further.filter(|segment| self.directory(segment).is_err()).cloned());
            Missing(missing)
        })
    }

    /// Keeps a directory that was read.
    pub(crate) fn keep_directory(&mut self, id: FileId, directory: Arc<Directory>) {
        self.directories.push_back((id, directory));
    }

    /// Drops directories that were only needed for one request, and those of files that cannot be read.
    pub(crate) fn trim_directories(&mut self, unreadable: &[FileId]) {
        if !unreadable.is_empty() {
            self.directories.retain(|(id, _)| !unreadable.contains(id));
        }
        let spare = self.directories.len().saturating_sub(DIRECTORIES_KEPT);
        self.directories.drain(..spare);
    }
}
