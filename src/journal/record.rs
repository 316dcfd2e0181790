//! A record on the disk: a word with its length, the CRC32C, its bytes.  The first byte is the tag of its service.
//!
//! The checksum covers the record's position as well, so that a record is valid in its own place only.  The top bit
//! of the length says that the record is the first of a batch.  A batch is written after all before it was synced:
//! wherever such a record is found, everything before it had been on the disk, and an error there is damage, not
//! the torn end of a write.
//!
//! The bit below says that the next record belongs to the same operation: the records of one operation count together or
//! not at all, however many there are and whichever services they belong to.

use std::io::{self, Read};
use std::ops::Range;

use crate::wait::Position;

/// Longest record in bytes with its tag: room for the payload of the largest message and its frame.
pub const RECORD_MAX: usize = 64 << 20;

/// Bytes before the payload: the length and the checksum.
pub(super) const HEAD: usize = 8;

const FIRST_OF_BATCH: u32 = 1 << 31;
const IS_CONTINUED: u32 = 1 << 30;

/// The rest of the word is the length.
const LENGTH: u32 = IS_CONTINUED - 1;

/// Bytes read at once, unless one record is longer.
const READ_BYTES: usize = 256 << 10;

/// At most this many bytes are checksummed to find out whether a batch follows a record that is wrong.  The end of a
/// file that holds so many things that look like records is no torn end.
const SEARCH_MAX: usize = 4 << 30;

/// What can be wrong with a record.
pub(super) const TORN: &str = "the file ends within a record";
pub(super) const TOO_LONG: &str = "the length of a record is out of range";
const WRONG_SUM: &str = "the checksum of a record is wrong";

/// Which service a record belongs to.  Tags are stored, so a tag is never given to another service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub u8);

impl Tag {
    /// Divides the bytes of a record into its tag and the service's payload.
    pub(super) fn split(bytes: &[u8]) -> Option<(Tag, &[u8])> {
        let (&tag, record) = bytes.split_first()?;
        Some((Tag(tag), record))
    }
}

/// How a record belongs to those around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Links {
    /// It is the first of a batch: all before it is on the disk.  Others are written together with the one before.
    pub(super) is_first_of_batch: bool,
    /// The next record is of the same operation.
    pub(super) is_continued: bool,
}

impl Links {
    fn of(word: [u8; 4]) -> Links {
        let word = u32::from_le_bytes(word);
        Links { is_first_of_batch: word & FIRST_OF_BATCH != 0, is_continued: word & IS_CONTINUED != 0 }
    }

    fn bits(self) -> u32 {
        let first = if self.is_first_of_batch { FIRST_OF_BATCH } else { 0 };
        first | if self.is_continued { IS_CONTINUED } else { 0 }
    }
}

/// How far a record with a payload of so many bytes reaches in the journal, with its head and its tag.
pub fn record_length(payload: usize) -> u64 {
    (HEAD + 1 + payload) as u64
}

/// Writes a record of a service that begins at `position`; its payload is these parts one after the other.  Returns how many
/// bytes it takes.
pub(super) fn encode(tag: Tag, parts: &[&[u8]], position: Position, links: Links, into: &mut Vec<u8>) -> u64 {
    let at = into.len();
    into.extend_from_slice(&[0; HEAD]);
    into.push(tag.0);
    parts.iter().for_each(|part| into.extend_from_slice(part));
    let length = into.len() - at - HEAD;
    debug_assert!(length > 1, "a record says something");
    debug_assert!(length <= RECORD_MAX, "services keep their records below the limit");
    seal(&mut into[at..], length, position, links);
    (HEAD + length) as u64
}

/// Writes the empty record that ends a snapshot.
pub(super) fn encode_end(position: Position, into: &mut Vec<u8>) {
    let at = into.len();
    into.extend_from_slice(&[0; HEAD]);
    seal(&mut into[at..], 0, position, Links::default());
}

/// Changes how the record at the start of `bytes`, which is at `position`, belongs to those around it.
pub(super) fn relink(bytes: &mut [u8], position: Position, change: impl FnOnce(&mut Links)) {
    let Some((word, _)) = split_head(bytes) else { return };
    let mut links = Links::of(word);
    change(&mut links);
    seal(bytes, (u32::from_le_bytes(word) & LENGTH) as usize, position, links);
}

/// Writes the head of the record at the start of `bytes`.
fn seal(bytes: &mut [u8], length: usize, position: Position, links: Links) {
    let (head, payload) = bytes.split_at_mut(HEAD);
    let word = (length as u32 | links.bits()).to_le_bytes();
    let sum = checksum(position, word, &payload[..length]);
    head[..4].copy_from_slice(&word);
    head[4..].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(position: Position, word: [u8; 4], payload: &[u8]) -> u32 {
    let mut start = [0; 12];
    start[..8].copy_from_slice(&position.0.to_le_bytes());
    start[8..].copy_from_slice(&word);
    crc32c::crc32c_append(crc32c::crc32c(&start), payload)
}

/// The length that the head at the start of `bytes`, which is there, says of its record: its tag and its payload.
pub(super) fn length_in(bytes: &[u8]) -> usize {
    split_head(bytes).map_or(0, |(word, _)| (u32::from_le_bytes(word) & LENGTH) as usize)
}

/// The tag and the payload of the record that `bytes` are, which is to be at `position`, or what is wrong with it.
pub(super) fn payload(bytes: &[u8], position: Position) -> Result<&[u8], &'static str> {
    let Some((word, sum)) = split_head(bytes) else { return Err(TORN) };
    let payload = &bytes[HEAD..];
    if checksum(position, word, payload) == sum { Ok(payload) } else { Err(WRONG_SUM) }
}

/// The next thing in a file.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Found<'a> {
    /// A record's payload, and how it belongs to those around it.
    Record(&'a [u8], Links),
    /// The file ends here.
    End,
    /// No record, and why.
    Wrong(&'static str),
}

/// The rest of a file, from a wrong record on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// Zeros, laid out for records that were never written.
    Blank,
    /// The torn end of a write that was not acknowledged.
    Torn,
    /// A batch begins behind it: it had been on the disk, and is damaged.
    Written,
}

/// Reads the records of a file one after the other.
pub(super) struct RecordReader<R> {
    source: R,
    /// Where the next record begins.
    position: Position,
    /// A part of the file.
    bytes: Vec<u8>,
    /// Where in it the next record begins.
    at: usize,
    /// Where in it the payload of the last record is.
    last: Range<usize>,
}

impl<R: Read> RecordReader<R> {
    /// Reads from `source`, whose first record begins at `position`.
    pub(super) fn new(source: R, position: Position) -> RecordReader<R> {
        RecordReader { source, position, bytes: Vec::new(), at: 0, last: 0..0 }
    }

    /// Where the next record begins; after a wrong one, where that begins.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Up to where the file was read: after an error of the disk, where that refuses.
    pub(super) fn read_until(&self) -> Position {
        Position(self.position.0 + (self.bytes.len() - self.at) as u64)
    }

    /// The payload of the last record.
    pub(super) fn last(&self) -> &[u8] {
        &self.bytes[self.last.clone()]
    }

    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Found<'_>> {
        self.last = 0..0;
        let bytes = self.bring(HEAD)?;
        if bytes.is_empty() {
            return Ok(Found::End);
        }
        let Some((word, sum)) = split_head(bytes) else {
            return Ok(Found::Wrong(TORN));
        };
        let length = (u32::from_le_bytes(word) & LENGTH) as usize;
        if length > RECORD_MAX {
            return Ok(Found::Wrong(TOO_LONG));
        }
        let position = self.position;
        let Some(payload) = self.bring(HEAD + length)?.get(HEAD..HEAD + length) else {
            return Ok(Found::Wrong(TORN));
        };
        if checksum(position, word, payload) != sum {
            return Ok(Found::Wrong(WRONG_SUM));
        }
        self.last = self.at + HEAD..self.at + HEAD + length;
        self.at = self.last.end;
        self.position.0 += (HEAD + length) as u64;
        Ok(Found::Record(self.last(), Links::of(word)))
    }

    /// The bytes from the next record on: at least the `needed`, unless the file ends before.
    fn bring(&mut self, needed: usize) -> io::Result<&[u8]> {
        while self.bytes.len() - self.at < needed {
            self.bytes.drain(..self.at);
            self.at = 0;
            self.bytes.reserve(READ_BYTES);
            // No more is allocated than the file has.
            let read = self.source.by_ref().take(READ_BYTES as u64).read_to_end(&mut self.bytes)?;
            if read == 0 {
                break;
            }
        }
        Ok(&self.bytes[self.at..])
    }

    /// After a wrong record: the kind of the rest.
    pub(super) fn rest(&mut self) -> io::Result<Rest> {
        self.source.read_to_end(&mut self.bytes)?;
        let rest = &self.bytes[self.at..];
        if rest.iter().all(|&byte| byte == 0) {
            return Ok(Rest::Blank);
        }
        Ok(if self.begins_batch(rest) { Rest::Written } else { Rest::Torn })
    }

    /// Whether a batch begins somewhere in the rest of the file.
    fn begins_batch(&self, rest: &[u8]) -> bool {
        let mut left = SEARCH_MAX;
        for at in 1..rest.len() {
            let Some((word, sum)) = split_head(&rest[at..]) else { break };
            let length = (u32::from_le_bytes(word) & LENGTH) as usize;
            let payload = rest.get(at + HEAD..at + HEAD + length);
            let Some(payload) = payload.filter(|_| Links::of(word).is_first_of_batch) else {
                continue;
            };
            if checksum(Position(self.position.0 + at as u64), word, payload) == sum {
                return true;
            }
            let Some(less) = left.checked_sub(length) else { return true };
            left = less;
        }
        false
    }
}

fn split_head(bytes: &[u8]) -> Option<([u8; 4], u32)> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, _) = rest.split_first_chunk::<4>()?;
    Some((*word, u32::from_le_bytes(*sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_batches() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (payload, is_first_of_batch) in [("first", true), ("second", false), ("third", true)] {
            let position = Position(100 + bytes.len() as u64);
            let links = Links { is_first_of_batch, is_continued: !is_first_of_batch };
            encode(Tag(b'#'), &[payload.as_bytes()], position, links, &mut bytes);
        }
        bytes
    }

    fn payloads(bytes: &[u8], position: u64) -> (Vec<String>, Option<Rest>) {
        let mut reader = RecordReader::new(bytes, Position(position));
        let mut payloads = Vec::new();
        loop {
            match reader.next().expect("memory can be read") {
                Found::Record(payload, _) => payloads.push(String::from_utf8_lossy(payload).into_owned()),
                Found::End => return (payloads, None),
                Found::Wrong(_) => {
                    return (payloads, Some(reader.rest().expect("memory can be read")));
                }
            }
        }
    }

    #[test]
    fn records_are_read_in_their_own_place_only() {
        let bytes = two_batches();
        assert_eq!(payloads(&bytes, 100), (vec!["#first".into(), "#second".into(), "#third".into()], None));
        assert_eq!(payloads(&bytes, 101), (vec![], Some(Rest::Torn)));
    }

    #[test]
    fn a_record_is_linked_anew_in_its_place() {
        let mut bytes = two_batches();
        let second = HEAD + "#first".len();
        relink(&mut bytes[second..], Position(100 + second as u64), |links| links.is_first_of_batch = true);
        assert_eq!(payloads(&bytes, 100).1, None);
        bytes[0] ^= 1;
        assert_eq!(payloads(&bytes[..bytes.len() - 1], 100).1, Some(Rest::Written));
    }

    #[test]
    fn a_torn_end_is_told_from_damage() {
        let bytes = two_batches();
        let third = bytes.len() - HEAD - "#third".len();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let rest = if at < third { Rest::Written } else { Rest::Torn };
            assert_eq!(payloads(&damaged, 100).1, Some(rest), "damaged at {at}");
            let torn = payloads(&bytes[..at], 100).1;
            assert!(torn != Some(Rest::Written), "cut at {at}");
        }
    }

    #[test]
    fn zeros_behind_the_records_are_the_end() {
        let bytes = two_batches();
        for zeros in [1, HEAD - 1, HEAD, 100] {
            let mut laid_out = bytes.clone();
            laid_out.resize(bytes.len() + zeros, 0);
            assert_eq!(payloads(&laid_out, 100), (payloads(&bytes, 100).0, Some(Rest::Blank)));
            // A record that was written in part only, before the zeros, is torn.
            laid_out[bytes.len() - 1] = 0;
            assert_eq!(payloads(&laid_out, 100).1, Some(Rest::Torn));
        }
    }
}
