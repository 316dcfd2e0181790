//! What is known of a file while it is written or scanned, and the footer that says it to the next start.
//!
//! | bytes | what |
//! |---|---|
//! | 48 | the summary: first and last sequence, messages, bytes, first and last time |
//! | 8 + | subjects: how many, then of each the length of its text (2), the text, count, first, last, bytes (8 each) |
//! | 8 + | marks: how many, then of each the distance from the first sequence and the place (4 each) |
//! | 16 + | marks of rows: how many rows and marks, then of each mark the sequence before (8) and its place in the rows (4) |
//! | 8 + | rows: how many bytes, then for each record three numbers of variable length (see [`Directory`]) |
//! | 20 | where the footer begins (8), CRC32C over the file's stream and number, that place and the footer (4), magic (8) |

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::directory::{Directory, RowMark, SubjectRow};
use super::file::{FileId, HEAD};
use super::record::{SUBJECT_MAX, size_of_record};
use crate::stream::message::StoredMessage;

/// A record is marked if it begins this many bytes behind the last that is.  Marks stay in memory, and who looks for a record
/// reads more than this at once, so closer ones would only cost memory.
pub(super) const MARK_BYTES: u64 = 16 << 10;

const MAGIC: [u8; 8] = *b"QUARTETF";

/// Bytes at the end of a footer: where it begins, its checksum, the magic.
pub(super) const TRAILER: usize = 8 + 4 + 8;

/// The range of a file's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// The first sequence.
    pub first: u64,
    /// The last sequence; none if there are no messages.
    pub last: u64,
    /// How many messages there are.
    pub messages: u64,
    /// How many bytes they count for.
    pub bytes: u64,
    /// The time of the first.
    pub first_time: i64,
    /// The time of the last.
    pub last_time: i64,
}

/// Where a record begins: how far its sequence is behind the first of the file, and its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) distance: u32,
    pub(super) offset: u32,
}

/// What is known of a file's messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) summary: Summary,
    pub(super) marks: Vec<Mark>,
    pub(super) directory: Directory,
    /// Where the last record ends that was added; zero if none was since the file was opened.
    records_end: u64,
    by_text: HashTable<u32>,
    hasher: FixedState,
}

impl Contents {
    /// What is known of a file that is going to be written on.
    pub(super) fn of(summary: Summary, marks: &[Mark], directory: &Directory) -> Contents {
        let (marks, directory) = (marks.to_vec(), directory.clone());
        let mut contents = Contents { summary, marks, directory, ..Contents::default() };
        let Contents { directory, by_text, hasher, .. } = &mut contents;
        let hash = |number: &u32| hasher.hash_one(directory.text(*number));
        (0..directory.subjects.len() as u32).for_each(|number| {
            by_text.insert_unique(hash(&number), number, hash);
        });
        contents
    }

    /// A record of `length` bytes stands at `offset`, behind all others.
    pub(super) fn add(&mut self, message: &StoredMessage<'_>, offset: u64, length: u64) {
        let summary = &mut self.summary;
        if summary.messages == 0 {
            (summary.first, summary.first_time) = (message.sequence, message.time);
        }
        summary.messages += 1;
        summary.bytes += size_of_record(length);
        (summary.last, summary.last_time) = (message.sequence, message.time);
        // Behind a chapter a reader need not come past what the disk may refuse of that.
        let is_behind_chapter = offset != self.records_end;
        self.records_end = offset + length;
        if is_behind_chapter
            || self.marks.last().is_none_or(|mark| offset - u64::from(mark.offset) >= MARK_BYTES)
        {
            let distance = (message.sequence - summary.first) as u32;
            self.marks.push(Mark { distance, offset: offset as u32 });
        }
        let subject = self.subject(message.subject);
        self.directory.add(message.sequence, subject, length);
    }

    fn subject(&mut self, text: &[u8]) -> u32 {
        let Contents { directory, by_text, hasher, .. } = self;
        let hash = hasher.hash_one(text);
        if let Some(found) = by_text.find(hash, |number| directory.text(*number) == text) {
            return *found;
        }
        let number = directory.add_subject(text);
        by_text.insert_unique(hash, number, |number| hasher.hash_one(directory.text(*number)));
        number
    }
}

/// What stands at the end of a footer or a chapter that begins at `at`.
pub(super) struct Trailer {
    pub(super) id: FileId,
    pub(super) at: u64,
    pub(super) magic: [u8; 8],
}

impl Trailer {
    /// Ends what stands from `start` on in `into`.
    pub(super) fn put_behind(&self, start: usize, into: &mut Vec<u8>) {
        let sum = crc32c::crc32c_append(self.id.checksum_at(self.at), &into[start..]);
        into.extend_from_slice(&self.at.to_le_bytes());
        into.extend_from_slice(&sum.to_le_bytes());
        into.extend_from_slice(&self.magic);
    }

    /// Whether these bytes end with it, and are as they were written.
    pub(super) fn is_behind(&self, bytes: &[u8]) -> bool {
        let Some((bytes, trailer)) = bytes.len().checked_sub(TRAILER).map(|at| bytes.split_at(at)) else {
            return false;
        };
        let sum = crc32c::crc32c_append(self.id.checksum_at(self.at), bytes);
        sum.to_le_bytes() == trailer[8..12]
            && self.at.to_le_bytes() == trailer[..8]
            && self.magic == trailer[12..]
    }

    /// Where that begins which ends with this trailer, in a file of `length` bytes.
    pub(super) fn start(magic: [u8; 8], trailer: &[u8], length: u64) -> Option<u64> {
        let (at, rest) = trailer.split_first_chunk()?;
        let at = u64::from_le_bytes(*at);
        (rest.len() == 12 && rest[4..] == magic && (HEAD..length - TRAILER as u64).contains(&at))
            .then_some(at)
    }
}

pub(super) fn put_summary(summary: &Summary, into: &mut Vec<u8>) {
    let Summary { first, last, messages, bytes, first_time, last_time } = *summary;
    for number in [first, last, messages, bytes, first_time as u64, last_time as u64] {
        into.extend_from_slice(&number.to_le_bytes());
    }
}

pub(super) fn take_summary(bytes: &mut &[u8]) -> Option<Summary> {
    let [first, last, messages, bytes, first_time, last_time] = take_words(bytes)?;
    let (first_time, last_time) = (first_time as i64, last_time as i64);
    Some(Summary { first, last, messages, bytes, first_time, last_time })
}

pub(super) fn put_text(text: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(text.len() as u16).to_le_bytes());
    into.extend_from_slice(text);
}

pub(super) fn take_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::from(u16::from_le_bytes(*take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

pub(super) fn put_marks(marks: &[Mark], into: &mut Vec<u8>) {
    into.extend_from_slice(&(marks.len() as u64).to_le_bytes());
    for mark in marks {
        into.extend_from_slice(&mark.distance.to_le_bytes());
        into.extend_from_slice(&mark.offset.to_le_bytes());
    }
}

/// Adds the marks that stand at the start of `bytes`.
pub(super) fn take_marks(bytes: &mut &[u8], marks: &mut Vec<Mark>) -> Option<()> {
    let [count] = take_words(bytes)?;
    marks.reserve(usize::try_from(count).ok()?.min(bytes.len() / 8));
    for _ in 0..count {
        let (distance, offset) = (u32::from_le_bytes(*take(bytes)?), u32::from_le_bytes(*take(bytes)?));
        marks.push(Mark { distance, offset });
    }
    Some(())
}

/// Writes the footer that begins at `offset`.
pub(super) fn encode_footer(id: FileId, offset: u64, contents: &Contents, into: &mut Vec<u8>) {
    let at = into.len();
    let Contents { summary, marks, directory, .. } = contents;
    put_summary(summary, into);
    into.extend_from_slice(&(directory.subjects.len() as u64).to_le_bytes());
    for (number, row) in directory.subjects.iter().enumerate() {
        put_text(directory.text(number as u32), into);
        for number in [row.count, row.first, row.last, row.bytes] {
            into.extend_from_slice(&number.to_le_bytes());
        }
    }
    put_marks(marks, into);
    into.extend_from_slice(&directory.count.to_le_bytes());
    into.extend_from_slice(&(directory.row_marks.len() as u64).to_le_bytes());
    for mark in &directory.row_marks {
        into.extend_from_slice(&mark.before.to_le_bytes());
        into.extend_from_slice(&mark.at.to_le_bytes());
    }
    into.extend_from_slice(&(directory.rows.len() as u64).to_le_bytes());
    into.extend_from_slice(&directory.rows);
    Trailer { id, at: offset, magic: MAGIC }.put_behind(at, into);
}

/// Where the footer begins that ends with these bytes, in a file of `length` bytes.
pub(super) fn footer_start(trailer: &[u8], length: u64) -> Option<u64> {
    Trailer::start(MAGIC, trailer, length)
}

/// Reads a footer that begins at `offset`, its trailer included.  Only whole footers with the right checksum are read.
pub(super) fn decode_footer(id: FileId, offset: u64, bytes: &[u8]) -> Option<Contents> {
    if !(Trailer { id, at: offset, magic: MAGIC }).is_behind(bytes) {
        return None;
    }
    let mut rest = &bytes[..bytes.len() - TRAILER];
    let summary = take_summary(&mut rest)?;
    let mut directory = Directory { last: summary.last, ..Directory::default() };
    let [subjects] = take_words(&mut rest)?;
    for _ in 0..subjects {
        directory.texts.extend_from_slice(take_text(&mut rest)?);
        let text_end = u32::try_from(directory.texts.len()).ok()?;
        let [count, first, last, bytes] = take_words(&mut rest)?;
        directory.subjects.push(SubjectRow { text_end, count, first, last, bytes });
    }
    let mut marks = Vec::new();
    take_marks(&mut rest, &mut marks)?;
    let [rows, row_marks] = take_words(&mut rest)?;
    directory.count = rows;
    for _ in 0..row_marks {
        let [before] = take_words(&mut rest)?;
        directory.row_marks.push(RowMark { before, at: u32::from_le_bytes(*take(&mut rest)?) });
    }
    let [length] = take_words(&mut rest)?;
    directory.rows = rest.to_vec();
    (rest.len() as u64 == length).then_some(Contents { summary, marks, directory, ..Contents::default() })
}

fn take<'b, const LENGTH: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; LENGTH]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

pub(super) fn take_words<const COUNT: usize>(bytes: &mut &[u8]) -> Option<[u64; COUNT]> {
    let mut words = [0; COUNT];
    for word in &mut words {
        *word = u64::from_le_bytes(*take(bytes)?);
    }
    Some(words)
}

const _: () = assert!(SUBJECT_MAX <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use roaring::RoaringTreemap;

    const ID: FileId = FileId { stream: 7, number: 3 };

    fn contents() -> Contents {
        let mut contents = Contents::default();
        let mut offset = HEAD;
        for sequence in 1..200_u64 {
            let subject = format!("orders.{}", sequence % 7);
            let subject = subject.as_bytes();
            let message =
                StoredMessage { sequence: 3 * sequence, time: 5, subject, headers: b"", payload: b"" };
            contents.add(&message, offset, 100);
            offset += 100;
        }
        contents
    }

    #[test]
    fn a_footer_is_read_back_and_only_whole() {
        let contents = contents();
        let mut bytes = Vec::new();
        encode_footer(ID, 5000, &contents, &mut bytes);
        let length = 5000 + bytes.len() as u64;
        assert_eq!(footer_start(&bytes[bytes.len() - TRAILER..], length), Some(5000));
        let found = decode_footer(ID, 5000, &bytes).expect("it is whole");
        assert_eq!((found.summary, &found.marks), (contents.summary, &contents.marks));
        assert_eq!(found.directory, contents.directory);
        assert_eq!(contents.marks.len(), 2);
        assert!(decode_footer(ID, 5001, &bytes).is_none());
        assert!(decode_footer(FileId { number: 4, ..ID }, 5000, &bytes).is_none());
        for at in 0..bytes.len() {
            assert!(decode_footer(ID, 5000, &bytes[at + 1..]).is_none());
            assert!(decode_footer(ID, 5000, &bytes[..at]).is_none());
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode_footer(ID, 5000, &flipped).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_directory_counts_and_finds() {
        let directory = contents().directory;
        let deleted = [30, 33].into_iter().collect();
        let matching = |range, subject: &[u8]| -> Vec<u64> {
            let wanted = directory.wanted(|text| text == subject);
            directory.matching(range, &deleted, &wanted).map(|row| row.sequence).collect()
        };
        assert_eq!(matching(20..=100, b"orders.3"), [51, 72, 93]);
        assert_eq!(matching(93..=93, b"orders.3"), [93]);
        assert_eq!(matching(0..=u64::MAX, b"other"), [0_u64; 0]);
        let bytes_each = directory.rows.len() as f64 / 199.0;
        assert!(bytes_each <= 4.0, "{bytes_each}");
        let all: u64 =
            directory.live(0..=u64::MAX, &RoaringTreemap::new()).iter().map(|subject| subject.count).sum();
        assert_eq!(all, 199);
        let live = directory.live(30..=u64::MAX, &deleted);
        assert_eq!(live.iter().map(|subject| subject.count).sum::<u64>(), 188);
        let third = live.iter().find(|subject| subject.subject == b"orders.3").expect("it is there");
        assert_eq!((third.first, third.last, third.bytes), (51, 3 * 199, 27 * 104));
    }

    #[test]
    fn a_directory_is_entered_anywhere() {
        let (mut contents, mut offset) = (Contents::default(), HEAD);
        for sequence in (10..5000_u64).filter(|sequence| sequence % 5 != 0) {
            let subject: &[u8] = if sequence % 1000 == 1 { b"rare" } else { b"common" };
            contents.add(
                &StoredMessage { sequence, time: 5, subject, headers: b"", payload: b"" },
                offset,
                100,
            );
            offset += 100;
        }
        let (directory, deleted) = (contents.directory, [2001].into_iter().collect());
        assert_eq!(directory.row_marks.len(), 16);
        let (all, rare) = (directory.wanted(|_| true), directory.wanted(|text| text == b"rare"));
        let nothing = directory.wanted(|text| text == b"other");
        assert!(nothing.is_nothing() && !rare.is_nothing());
        for from in 0..5100 {
            let next =
                |wanted| directory.matching(from..=u64::MAX, &deleted, wanted).next().map(|row| row.sequence);
            let last = |wanted| directory.last_matching(from, &deleted, wanted).map(|row| row.sequence);
            let is_there = |at: &u64| *at >= 10 && *at < 5000 && !at.is_multiple_of(5) && *at != 2001;
            assert_eq!(next(&all), (from..5000).find(is_there));
            assert_eq!(last(&all), (0..=from).rev().find(is_there));
            let rares = [1001, 3001, 4001];
            assert_eq!(next(&rare), rares.into_iter().find(|at| *at >= from));
            assert_eq!(last(&rare), rares.into_iter().rev().find(|at| *at <= from));
            assert_eq!((next(&nothing), last(&nothing)), (None, None));
        }
    }
}
