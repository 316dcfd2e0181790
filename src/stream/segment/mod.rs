//! A stream's own files: where its messages are once they have left the journal.
//!
//! A file holds messages in the order of their sequences.  One thread writes ([`Appender`]) and many read ([`Reader`]), and
//! none of them holds the stream's lock meanwhile: under it stands only the list of [`Segments`], from which a reader takes
//! the file that it wants.  A full file is sealed with a footer, which lists its messages.  A file that
//! is still written to lists them in chapters, each behind its own messages.  So a start reads no message.
//!
//! A snapshot names the files and how much of them counts ([`FileEntry`]).  Whatever else lies there was being written when
//! the server ended, and [`open()`] and [`remove_others`] take it away.  What counts and is not as it was written is damage:
//! it is reported with file and place, the messages that it concerns are answered by an error, and all others are read.
//! Who reads a message finds its damage; a start finds damage in what a file says of itself, and goes through the messages then.
//! So a damaged message keeps its subject and counts, unless both are damaged.
//!
//! A file is removed or written anew as a whole, and only after a snapshot no longer names it.

mod appender;
mod batch;
mod chapter;
mod contents;
mod directory;
mod file;
mod open;
mod reader;
mod record;
mod rewrite;
mod scan;
pub mod search;
#[allow(clippy::module_inception, reason = "the file is named after what it has")]
mod segment;
mod window;

pub use appender::{AppendError, Appender, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, segment_bytes};
pub use batch::{Batch, BatchLimits};
pub use contents::Summary;
pub use directory::{Directory, Row, SubjectOfFile, Wanted};
pub use file::FileId;
pub use open::open;
pub use reader::{Reached, ReadError, Reader};
pub use record::{RECORD_MAX, SUBJECT_MAX, message_size};
pub use rewrite::{RewriteError, rewrite};
pub use scan::Damage;
pub use segment::{FileEntry, Opened, Segment};
pub use window::READ_BYTES;

use std::io;
use std::sync::Arc;

use crate::disk::Disk;
use roaring::RoaringTreemap;

/// The files of a stream, in the order of their sequences.  Nothing here touches the disk.
#[derive(Default)]
pub struct Segments(Vec<Arc<Segment>>);

impl Segments {
    /// The files that were opened at a start.
    pub fn new(mut segments: Vec<Arc<Segment>>) -> Segments {
        segments.sort_by_key(|segment| segment.summary.first);
        Segments(segments)
    }

    /// The first file that has this sequence or one behind it.
    pub fn at_or_behind(&self, sequence: u64) -> Option<Arc<Segment>> {
        self.0.get(self.place_of(sequence)).cloned()
    }

    /// All files with this sequence or sequences behind it.
    pub fn from(&self, sequence: u64) -> Vec<Arc<Segment>> {
        self.0[self.place_of(sequence)..].to_vec()
    }

    /// All files with this sequence or sequences before it.
    pub fn until(&self, sequence: u64) -> Vec<Arc<Segment>> {
        let end = self.0.partition_point(|segment| segment.summary.first <= sequence);
        self.0[..end].to_vec()
    }

    fn place_of(&self, sequence: u64) -> usize {
        self.0.partition_point(|segment| segment.summary.last < sequence)
    }

    /// The last file.
    pub fn last(&self) -> Option<&Arc<Segment>> {
        self.0.last()
    }

    /// What an appender has written.  A segment takes the place of the one of the same file.
    pub fn install(&mut self, written: Vec<Arc<Segment>>) {
        for segment in written {
            self.0.retain(|former| former.id() != segment.id());
            let place = self.0.partition_point(|other| other.summary.first < segment.summary.first);
            self.0.insert(place, segment);
        }
    }

    /// What has been written anew takes the place of a file, which may be removed once a snapshot no longer names it.
    pub fn replace(&mut self, former: FileId, written: Vec<Arc<Segment>>) {
        self.0.retain(|segment| segment.id() != former);
        self.install(written);
    }

    /// Takes out the files with nothing from `first` on.  They may be removed once a snapshot no longer names them.
    pub fn take_before(&mut self, first: u64) -> Vec<FileId> {
        let gone = self.place_of(first);
        self.0.drain(..gone).map(|segment| segment.id()).collect()
    }

    /// The sealed files of which more than half is gone, where `first` is the first stored sequence.
    pub fn worth_rewriting(&self, first: u64, deleted: &RoaringTreemap) -> Vec<Arc<Segment>> {
        let is_worth = |segment: &&Arc<Segment>| {
            let Summary { first: own, last, messages, .. } = segment.summary;
            let range = own.max(first)..=last;
            let stored = (last + 1).saturating_sub(*range.start()) - deleted.range_cardinality(range);
            segment.is_sealed && !segment.is_damaged && 2 * stored < messages
        };
        self.0.iter().filter(is_worth).cloned().collect()
    }

    /// What a snapshot is to say.
    pub fn entries(&self) -> Vec<FileEntry> {
        self.0.iter().map(|segment| segment.entry()).collect()
    }

    /// Bytes of memory that all of it takes.
    pub fn memory(&self) -> usize {
        self.0.iter().map(|segment| segment.memory()).sum()
    }
}

/// Removes the files of streams that do not count: at a start those that no snapshot names, after a snapshot those that it
/// no longer names.  Says which.
///
/// # Errors
/// If the disk refuses.
pub fn remove_others(disk: &dyn Disk, is_named: impl Fn(FileId) -> bool) -> io::Result<Vec<FileId>> {
    let found = disk.list()?;
    let others: Vec<_> =
        found.iter().filter_map(|name| FileId::parse(name)).filter(|id| !is_named(*id)).collect();
    for id in &others {
        disk.remove(&id.name())?;
    }
    if !others.is_empty() {
        disk.sync_names()?;
    }
    Ok(others)
}
