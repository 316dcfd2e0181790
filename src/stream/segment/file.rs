//! The files of streams: their names and their heads.
//!
//! All streams share a folder, so that one sync of its names serves them all.  A file belongs to one stream and has a number
//! that this stream never uses again.

use std::ops::RangeInclusive;

const MAGIC: [u8; 8] = *b"QUARTETS";

/// The version of the format.
pub(super) const VERSION: u32 = 2;

/// The versions that this server reads.
const VERSIONS: RangeInclusive<u32> = WITHOUT_CHAPTERS..=VERSION;

/// The version whose files have no chapters.
const WITHOUT_CHAPTERS: u32 = 1;

/// Bytes before the first record: magic, version, stream, number, checksum.
pub(super) const HEAD: u64 = 8 + 4 + 8 + 8 + 4;

/// How the names of files end.
const ENDING: &str = "messages";

/// Which file of which stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId {
    /// The stream's number, which no other stream ever has.
    pub stream: u64,
    /// Files of a stream are numbered in the order in which they were begun.
    pub number: u64,
}

impl FileId {
    /// Its name.
    pub fn name(self) -> String {
        format!("{:010}-{:010}.{ENDING}", self.stream, self.number)
    }

    /// The file that has this name, if a file of a stream can have it.
    pub fn parse(name: &str) -> Option<FileId> {
        let (stream, number) = name.strip_suffix(ENDING)?.strip_suffix('.')?.split_once('-')?;
        let id = FileId { stream: stream.parse().ok()?, number: number.parse().ok()? };
        (id.name() == name).then_some(id)
    }

    /// The head of the file.
    pub(super) fn head(self) -> Vec<u8> {
        head(self, VERSION)
    }

    /// What is wrong with the head of this file.
    pub(super) fn fault_of(self, head: &[u8]) -> Option<&'static str> {
        if head.len() < HEAD as usize {
            return Some("the file ends within its head");
        }
        let version = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
        if head[..8] != MAGIC {
            Some("it is no file of a stream")
        } else if head != self::head(self, version) {
            Some("its head is not the head of this file")
        } else if !VERSIONS.contains(&version) {
            Some("it is of a version that this server does not know")
        } else {
            None
        }
    }

    /// Whether a file with this head, which has no fault, has chapters.
    pub(super) fn has_chapters(head: &[u8]) -> bool {
        head[8..12] != WITHOUT_CHAPTERS.to_le_bytes()
    }

    /// What a checksum begins with, so that bytes count in this file and at this place only.
    pub(super) fn checksum_at(self, offset: u64) -> u32 {
        let mut place = [0; 24];
        place[..8].copy_from_slice(&self.stream.to_le_bytes());
        place[8..16].copy_from_slice(&self.number.to_le_bytes());
        place[16..].copy_from_slice(&offset.to_le_bytes());
        crc32c::crc32c(&place)
    }
}

fn head(id: FileId, version: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD as usize);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&id.stream.to_le_bytes());
    bytes.extend_from_slice(&id.number.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_no_others() {
        for id in [FileId { stream: 1, number: 2 }, FileId { stream: u64::MAX, number: u64::MAX }] {
            assert_eq!(FileId::parse(&id.name()), Some(id));
        }
        assert_eq!(FileId { stream: 12, number: 3 }.name(), "0000000012-0000000003.messages");
        for name in
            ["LOCK", "1-2.messages", "0000000012-0000000003.segment", "0000000012.messages", ".messages"]
        {
            assert_eq!(FileId::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_head_is_that_of_one_file() {
        let id = FileId { stream: 1, number: 2 };
        assert_eq!(id.fault_of(&id.head()), None);
        assert_eq!(id.head().len() as u64, HEAD);
        assert!(FileId { stream: 2, number: 2 }.fault_of(&id.head()).is_some());
        assert!(id.fault_of(&id.head()[1..]).is_some());
        assert!(id.fault_of(&head(id, VERSION + 1)).is_some());
        assert_eq!(id.fault_of(&head(id, WITHOUT_CHAPTERS)), None);
        assert!(FileId::has_chapters(&id.head()) && !FileId::has_chapters(&head(id, WITHOUT_CHAPTERS)));
    }
}
