//! The files of a journal: their names and their heads.
//!
//! A segment holds records in the order in which they were appended; a snapshot holds the state before the first
//! record of the segment with the same number.  A file is written under a draft name and renamed once its head (a
//! snapshot: all of it) is on the disk, so a file with a proper name is never half there.

use std::io::{self, Read};
use std::ops::RangeInclusive;

use crate::disk::{Disk, DiskFile};
use crate::wait::Position;

const MAGIC: [u8; 8] = *b"QUARTETJ";

/// The version of the format.
pub(super) const VERSION: u32 = 3;

/// The versions in which each service had a journal of its own, so that records have no tags.  In the first of them each
/// record is an operation of its own.  They are read to be taken over.
pub(super) const UNTAGGED_VERSIONS: RangeInclusive<u32> = 1..=2;

/// Bytes before the first record: magic, version, kind, sequence, start, checksum.
pub(super) const HEAD: usize = 8 + 4 + 4 + 8 + 8 + 4;

const DRAFT: &str = ".new";

/// The kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum FileKind {
    Snapshot = 1,
    Segment = 2,
}

/// Each kind with the end of its files' names.
const KINDS: &[(FileKind, &str)] = &[(FileKind::Snapshot, "snapshot"), (FileKind::Segment, "segment")];

/// Which file of a journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId {
    pub(super) kind: FileKind,
    /// Segments are numbered from one, without a gap.
    pub(super) sequence: u64,
}

impl FileId {
    pub(super) fn segment(sequence: u64) -> FileId {
        FileId { kind: FileKind::Segment, sequence }
    }

    pub(super) fn snapshot(sequence: u64) -> FileId {
        FileId { kind: FileKind::Snapshot, sequence }
    }

    /// Its name, such that names sort by sequence.
    pub(super) fn name(self) -> String {
        let (_, ending) = KINDS.iter().find(|(kind, _)| *kind == self.kind).expect("every kind has a row");
        format!("{:012}.{ending}", self.sequence)
    }

    /// The file that has this name, if a file of a journal can have it.
    pub(super) fn parse(name: &str) -> Option<FileId> {
        let (number, ending) = name.split_once('.')?;
        let (kind, _) = KINDS.iter().find(|(_, known)| *known == ending)?;
        let id = FileId { kind: *kind, sequence: number.parse().ok()? };
        (id.name() == name).then_some(id)
    }
}

/// True for files that were being written when a server ended.
pub(super) fn is_draft(name: &str) -> bool {
    name.strip_suffix(DRAFT).is_some_and(|name| FileId::parse(name).is_some())
}

/// Makes a file with its head, whole or not at all, and leaves it open at its end.
pub(super) fn create(disk: &dyn Disk, id: FileId, start: Position) -> io::Result<Box<dyn DiskFile>> {
    let file = place(disk, id, start)?;
    disk.sync_names()?;
    Ok(file)
}

/// The same without the last step: the file has its name, which is not on the disk before the names are synced.  An
/// error has changed nothing that counts, so this may be tried again.
pub(super) fn place(disk: &dyn Disk, id: FileId, start: Position) -> io::Result<Box<dyn DiskFile>> {
    let mut file = create_draft(disk, id, start)?;
    name_draft(disk, id, &mut *file)?;
    Ok(file)
}

/// Makes a file with its head under a draft name.
pub(super) fn create_draft(disk: &dyn Disk, id: FileId, start: Position) -> io::Result<Box<dyn DiskFile>> {
    let mut file = disk.create(&draft_name(id))?;
    file.write(&head(id, start, VERSION))?;
    Ok(file)
}

/// Gives a draft that holds all it is to hold its proper name, which is not on the disk before the names are synced.
pub(super) fn name_draft(disk: &dyn Disk, id: FileId, file: &mut dyn DiskFile) -> io::Result<()> {
    file.sync()?;
    disk.rename(&draft_name(id), &id.name())
}

/// The name of a file that is being written.
pub(super) fn draft_name(id: FileId) -> String {
    id.name() + DRAFT
}

fn head(id: FileId, start: Position, version: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(id.kind as u32).to_le_bytes());
    bytes.extend_from_slice(&id.sequence.to_le_bytes());
    bytes.extend_from_slice(&start.0.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// The meaning of a file's head.
pub(super) enum Head {
    /// Where its first record begins.
    Start(Position),
    /// It is of a version that this server does not know.
    OtherVersion(u32),
    /// It is not the head of this file, and why.
    Wrong(&'static str),
}

/// Reads the head of a file, which is to be of one of the `versions`.
pub(super) fn read_head(
    id: FileId,
    versions: &RangeInclusive<u32>,
    source: &mut dyn Read,
) -> io::Result<Head> {
    let mut bytes = Vec::new();
    source.take(HEAD as u64).read_to_end(&mut bytes)?;
    if bytes.len() < HEAD {
        return Ok(Head::Wrong("the file ends within its head"));
    }
    let number = |at: usize| {
        let bytes: [u8; 8] = bytes[at..at + 8].try_into().expect("the head is long enough");
        u64::from_le_bytes(bytes)
    };
    // Version and kind share one word of eight bytes.
    let (version, start) = (number(8) as u32, Position(number(24)));
    if bytes[..8] != MAGIC {
        return Ok(Head::Wrong("it is no file of a journal"));
    }
    if crc32c::crc32c(&bytes[..HEAD - 4]).to_le_bytes() != bytes[HEAD - 4..] {
        return Ok(Head::Wrong("the checksum of its head is wrong"));
    }
    if !versions.contains(&version) {
        return Ok(Head::OtherVersion(version));
    }
    Ok(if bytes == head(id, start, version) {
        Head::Start(start)
    } else {
        Head::Wrong("it is another file renamed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_foreign_ones() {
        for id in [FileId::segment(1), FileId::snapshot(u64::MAX)] {
            assert_eq!(FileId::parse(&id.name()), Some(id));
            assert!(is_draft(&(id.name() + DRAFT)));
        }
        assert_eq!(FileId::segment(7).name(), "000000000007.segment");
        for foreign in ["LOCK", "7.segment", "000000000007.segments", "+00000000007.segment", "x.new"] {
            assert_eq!(FileId::parse(foreign), None);
            assert!(!is_draft(foreign));
        }
    }

    #[test]
    fn a_head_is_of_one_file_only() {
        let id = FileId::segment(3);
        let read = |id, bytes: &[u8]| read_head(id, &(VERSION..=VERSION), &mut &bytes[..]);
        let bytes = head(id, Position(9), VERSION);
        assert!(matches!(read(id, &bytes), Ok(Head::Start(Position(9)))));
        for unknown in [*UNTAGGED_VERSIONS.end(), VERSION + 1] {
            let bytes = head(id, Position(9), unknown);
            assert!(matches!(read(id, &bytes), Ok(Head::OtherVersion(version)) if version == unknown));
        }
        for version in UNTAGGED_VERSIONS {
            let bytes = head(id, Position(9), version);
            let found = read_head(id, &UNTAGGED_VERSIONS, &mut &bytes[..]);
            assert!(matches!(found, Ok(Head::Start(Position(9)))));
        }
        for other in [FileId::segment(4), FileId::snapshot(3)] {
            assert!(matches!(read(other, &bytes), Ok(Head::Wrong(_))));
        }
        for at in 0..HEAD {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(matches!(read(id, &damaged), Ok(Head::Wrong(_))), "damaged at {at}");
            assert!(matches!(read(id, &bytes[..at]), Ok(Head::Wrong(_))), "cut at {at}");
        }
    }
}
