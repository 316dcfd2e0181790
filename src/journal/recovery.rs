//! Reading a journal back at the start: the newest snapshot, then every segment after it, in order.
//!
//! The end of the last segment may be torn, since a crash can interrupt a write that was not acknowledged; it is cut off.
//! Anything else that is wrong stops the start, with the file, the place and the remedy.  Nothing is skipped.
//!
//! That holds for a place that the disk refuses to read as well, wherever it is.  Nobody can tell which records were there, of which
//! services, and whether they were acknowledged; and behind a change that is left out, the records that follow may do something
//! else.  So such a place is no torn end either, and nothing is cut off before it: on a disk that reads it again, nothing is lost.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::ops::RangeInclusive;

use super::operations::{Next, OperationReader};
use super::record::{Found, RecordReader, Rest, Tag};
use super::segment::{self, FileId, FileKind, HEAD, Head};
use crate::disk::Disk;
use crate::wait::Position;

/// Bytes read from the disk at once.
const READ_BYTES: usize = 256 << 10;

/// Takes one record back into the service with this tag, or says why it cannot.  The position is where the record begins; for
/// all records of a snapshot it is that of the snapshot, [`Snapshot::start`](super::Snapshot::start).
pub type Replay<'a> = dyn FnMut(Tag, &[u8], Position) -> Result<(), String> + 'a;

/// The same for the bytes of a record with its tag, or of an earlier version without one.
pub(super) type ReplayBytes<'a> = dyn FnMut(&[u8], Position) -> Result<(), String> + 'a;

/// The result of reading a journal back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// Records replayed, those of the snapshot included.
    pub records: u64,
    /// The end of the journal, where the next record begins.
    pub position: Position,
    /// The end that was cut off, if it was torn.
    pub torn: Option<TornEnd>,
    /// The segment that comes next.
    pub(super) sequence: u64,
    /// The segments that have records, and where each of them begins.
    pub(super) segments: Vec<(u64, Position)>,
    /// Bytes of records behind the snapshot.
    pub(super) segment_bytes: u64,
    /// Bytes of the snapshot.
    pub(super) snapshot_bytes: u64,
}

/// The end of the journal, if it is not what was written: a crash interrupted the last write, which then was not
/// acknowledged, or the disk has lost writes that it had confirmed.  The two look the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornEnd {
    /// The file it was cut off.
    pub file: String,
    /// The length in bytes that the file was cut to.
    pub offset: u64,
    /// The error there.
    pub reason: &'static str,
}

/// Why a journal cannot be opened.  As text it is one line, with the remedy.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    Owned {
        /// The folder.
        folder: String,
    },
    /// The disk refuses.
    Io {
        /// The action that failed.
        what: String,
        /// The disk's reason.
        error: io::Error,
    },
    /// A file is not as it was written, or a service does not understand its records.
    Damaged {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// The reason.
        reason: String,
        /// The folder.
        folder: String,
    },
    /// The disk refuses to read a part of a file.
    Unreadable {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// The disk's reason.
        error: io::Error,
        /// The folder.
        folder: String,
    },
    /// A file is missing.
    Missing {
        /// The file.
        file: String,
        /// The folder.
        folder: String,
    },
    /// Services have former folders of their own and records in the journal.
    TwoJournals {
        /// The former folders.
        former: Vec<String>,
        /// The folder of the journal.
        folder: String,
    },
    /// The journal was made by another server after this one had started without it.
    Appeared {
        /// The folder.
        folder: String,
    },
    /// A file is of a version that this server does not know.
    OtherVersion {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Owned { folder } => write!(
                formatter,
                "another server uses {folder}: stop that one, or choose another directory with --dir"
            ),
            OpenError::Io { what, error } => write!(
                formatter,
                "cannot {what}: {error}; mend that, choose another directory with --dir, or keep nothing on disk with \
                 --dir \"\""
            ),
            OpenError::Damaged { file, offset, reason, folder } => write!(
                formatter,
                "{file} is damaged at byte {offset}: {reason}; restore {folder} from a copy, or move it away to \
                 start without what it holds"
            ),
            OpenError::Unreadable { file, offset, error, folder } => write!(
                formatter,
                "cannot read {file} from byte {offset} on: {error}; if the disk does not read it later, restore {folder} \
                 from a copy, or move it away to start without what it holds"
            ),
            OpenError::Missing { file, folder } => write!(
                formatter,
                "{file} is missing; restore {folder} from a copy, or move it away to start without what it holds"
            ),
            OpenError::TwoJournals { former, folder } => write!(
                formatter,
                "{} and {folder} both hold data, because an earlier version of the server has run since its data was \
                 taken over: move away what is not to count",
                former.join(", ")
            ),
            OpenError::Appeared { folder } => write!(
                formatter,
                "{folder} was made by another server since this one was started: start this one anew to take over \
                 what it holds, or choose another directory with --dir"
            ),
            OpenError::OtherVersion { file, version } => write!(
                formatter,
                "{file} is of version {version} of the format, which this server does not know: start the version \
                 of the server that wrote it"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Replays all records on the disk, which are in one of the `versions` of the format, cuts a torn end off, and removes files
/// that are not needed any more.
pub(super) fn recover(
    disk: &dyn Disk,
    versions: RangeInclusive<u32>,
    replay: &mut ReplayBytes<'_>,
) -> Result<Recovered, OpenError> {
    let names = disk.list().map_err(|error| reading(disk, "", error))?;
    let mut files: Vec<FileId> = names.iter().filter_map(|name| FileId::parse(name)).collect();
    files.sort_unstable_by_key(|file| (file.sequence, file.kind));
    // A snapshot comes before the segment with its number.
    let begin = files.iter().rposition(|file| file.kind == FileKind::Snapshot).unwrap_or(0);
    let mut recovery = Recovery { disk, versions, replay, state: Recovered::new() };
    let (snapshot, segments) = match files[begin..].split_first() {
        Some((first, rest)) if first.kind == FileKind::Snapshot => (Some(first), rest),
        _ => (None, &files[begin..]),
    };
    if let Some(&snapshot) = snapshot {
        recovery.read_snapshot(snapshot)?;
        if segments.is_empty() {
            return Err(missing(disk, FileId::segment(snapshot.sequence)));
        }
    }
    for (index, &segment) in segments.iter().enumerate() {
        recovery.read_segment(segment, index + 1 == segments.len())?;
    }
    let state = recovery.state;
    let outdated = files[..begin].iter().map(|file| file.name());
    let drafts = names.iter().filter(|name| segment::is_draft(name)).cloned();
    for name in drafts.chain(outdated) {
        disk.remove(&name).map_err(|error| failed(disk, "remove", &name, error))?;
    }
    Ok(state)
}

impl Recovered {
    /// Says in the log that the end of a journal was cut off, if it was.
    pub(super) fn warn_of_torn_end(&self, journal: &str) {
        if let Some(TornEnd { file, offset, reason }) = &self.torn {
            tracing::warn!(
                journal,
                file,
                offset,
                reason,
                "cut off the end of the journal, which is not as it was written.  A crash in the last write leaves \
                 that, and such a write was not acknowledged; but if the disk has lost writes that it had confirmed, \
                 acknowledged operations are gone with them"
            );
        }
    }

    fn new() -> Recovered {
        Recovered {
            records: 0,
            position: Position(0),
            torn: None,
            sequence: 1,
            segments: Vec::new(),
            segment_bytes: 0,
            snapshot_bytes: 0,
        }
    }
}

struct Recovery<'a, 'b> {
    disk: &'a dyn Disk,
    versions: RangeInclusive<u32>,
    replay: &'a mut ReplayBytes<'b>,
    state: Recovered,
}

impl Recovery<'_, '_> {
    fn read_snapshot(&mut self, id: FileId) -> Result<(), OpenError> {
        let (mut reader, start) = self.open(id)?;
        let mut is_whole = false;
        loop {
            let at = reader.position();
            let found = match reader.next() {
                Ok(found) => found,
                Err(error) => {
                    return Err(unreadable(self.disk, id, offset_of(start, reader.read_until()), error));
                }
            };
            let damage = match found {
                // An empty record is the end of a snapshot.
                Found::Record([], _) if !is_whole => {
                    is_whole = true;
                    continue;
                }
                Found::End if is_whole => break,
                Found::Record(payload, _) if !is_whole => match (self.replay)(payload, start) {
                    Ok(()) => {
                        self.state.records += 1;
                        continue;
                    }
                    Err(reason) => reason,
                },
                Found::Record(..) => "it goes on behind its end".to_owned(),
                Found::End => "its end is missing".to_owned(),
                Found::Wrong(reason) => reason.to_owned(),
            };
            return Err(damaged(self.disk, id, start, at, damage));
        }
        self.state.snapshot_bytes = reader.position().0 - start.0;
        self.state.position = start;
        self.state.sequence = id.sequence;
        Ok(())
    }

    fn read_segment(&mut self, id: FileId, is_last: bool) -> Result<(), OpenError> {
        if id.sequence != self.state.sequence {
            return Err(missing(self.disk, FileId::segment(self.state.sequence)));
        }
        let (reader, start) = self.open(id)?;
        let name = id.name();
        if start != self.state.position {
            let reason = format!("it begins at {} and not at {}", start.0, self.state.position.0);
            return Err(damaged(self.disk, id, start, start, reason));
        }
        let mut operations = OperationReader::new(reader);
        let end = loop {
            let next = operations.next();
            let refused = |error| unreadable(self.disk, id, offset_of(start, operations.read_until()), error);
            let next = next.map_err(refused)?;
            let at = operations.start();
            match next {
                Next::End => break at,
                Next::Operation => {
                    for (record, position) in operations.records() {
                        (self.replay)(record, position)
                            .map_err(|reason| damaged(self.disk, id, start, at, reason))?;
                    }
                    self.state.records += operations.count() as u64;
                    continue;
                }
                Next::Wrong(_, Rest::Blank) => {}
                // A later segment was begun only after all before had been synced, so its end is not torn.
                Next::Wrong(reason, Rest::Torn) if is_last => {
                    let (file, offset) = (self.disk.describe(&name), offset_of(start, at));
                    self.state.torn = Some(TornEnd { file, offset, reason });
                }
                Next::Wrong(reason, Rest::Torn | Rest::Written) => {
                    return Err(damaged(self.disk, id, start, operations.position(), reason.to_owned()));
                }
            }
            break at;
        };
        if is_last {
            // The replayed records count from now on, so they have to be on the disk, also if only the server before
            // ended and the system did not.
            self.disk
                .truncate(&name, offset_of(start, end))
                .map_err(|error| failed(self.disk, "cut and sync", &name, error))?;
        }
        self.state.segment_bytes += end.0 - start.0;
        self.state.position = end;
        // A segment without records is made anew.
        if end > start {
            self.state.segments.push((id.sequence, start));
            self.state.sequence += 1;
        }
        Ok(())
    }

    fn open(&self, id: FileId) -> Result<(RecordReader<impl Read + use<>>, Position), OpenError> {
        let (disk, name) = (self.disk, id.name());
        let source = disk.read(&name).map_err(|error| reading(disk, &name, error))?;
        let mut source = BufReader::with_capacity(READ_BYTES, source);
        let head = segment::read_head(id, &self.versions, &mut source);
        match head.map_err(|error| unreadable(disk, id, 0, error))? {
            Head::Start(start) => Ok((RecordReader::new(source, start), start)),
            Head::OtherVersion(version) => {
                Err(OpenError::OtherVersion { file: disk.describe(&name), version })
            }
            Head::Wrong(reason) => Err(OpenError::Damaged {
                file: disk.describe(&name),
                offset: 0,
                reason: reason.to_owned(),
                folder: disk.describe(""),
            }),
        }
    }
}

/// The place in its file of the position `at`.
fn offset_of(start: Position, at: Position) -> u64 {
    HEAD as u64 + (at.0 - start.0)
}

fn damaged(disk: &dyn Disk, id: FileId, start: Position, at: Position, reason: String) -> OpenError {
    OpenError::Damaged {
        file: disk.describe(&id.name()),
        offset: offset_of(start, at),
        reason,
        folder: disk.describe(""),
    }
}

fn unreadable(disk: &dyn Disk, id: FileId, offset: u64, error: io::Error) -> OpenError {
    OpenError::Unreadable { file: disk.describe(&id.name()), offset, error, folder: disk.describe("") }
}

fn missing(disk: &dyn Disk, id: FileId) -> OpenError {
    OpenError::Missing { file: disk.describe(&id.name()), folder: disk.describe("") }
}

fn reading(disk: &dyn Disk, name: &str, error: io::Error) -> OpenError {
    failed(disk, "read", name, error)
}

pub(super) fn failed(disk: &dyn Disk, what: &str, name: &str, error: io::Error) -> OpenError {
    OpenError::Io { what: format!("{what} {}", disk.describe(name)), error }
}
