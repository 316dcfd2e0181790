//! A record: one message on the disk.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the length of what follows the checksum; the top bit says that there are headers |
//! | 4 | CRC32C over the file's stream and number, the record's place in it, the length word and what follows |
//! | 8 | sequence |
//! | 8 | time, in nanoseconds since 1970 |
//! | 2 | length of the subject |
//! | 0 or 4 | length of the headers, if there are any |
//! | | subject, headers, payload |
//!
//! All numbers are little endian.  A record is valid in its own place only, so bytes of another file, or of another place in
//! this one, are never taken for it.

use std::ops::RangeInclusive;

use super::chapter;
use super::file::FileId;
use crate::stream::message::StoredMessage;

/// Bytes before what the length counts.
const HEAD: usize = 8;

/// Bytes between that and the length of the headers.
const FIXED: usize = 8 + 8 + 2;

/// Bytes of the shortest record.
pub(super) const LENGTH_MIN: usize = HEAD + FIXED;

/// The most bytes that a record's length may count, as with a record of the journal.
pub const RECORD_MAX: usize = 64 << 20;

/// The longest subject.
pub const SUBJECT_MAX: usize = u16::MAX as usize;

const HAS_HEADERS: u32 = 1 << 31;

/// What a message counts for in a stream's bytes beyond its record.  The sum is as in NATS: 30 and the lengths of subject and
/// payload, and with headers 4 and their length.
const SIZE_BEYOND: u64 = 4;

/// How many bytes a message counts for in its stream.
pub fn message_size(subject: usize, headers: usize, payload: usize) -> u64 {
    record_length(subject, headers, payload) as u64 + SIZE_BEYOND
}

/// How many bytes the message of a record of this length counts for in its stream.
pub(super) fn size_of_record(length: u64) -> u64 {
    length + SIZE_BEYOND
}

/// Bytes of the record of a message.
pub(super) fn record_length(subject: usize, headers: usize, payload: usize) -> usize {
    let headers = if headers == 0 { 0 } else { 4 + headers };
    LENGTH_MIN + subject + headers + payload
}

/// Writes the record of a message that is going to be at `offset` in a file, and says how long it is.  Nothing is written if
/// the message is too long for a record.
pub(super) fn encode(
    id: FileId,
    offset: u64,
    message: &StoredMessage<'_>,
    into: &mut Vec<u8>,
) -> Option<usize> {
    let StoredMessage { sequence, time, subject, headers, payload } = message;
    let length = record_length(subject.len(), headers.len(), payload.len());
    if length - HEAD > RECORD_MAX || subject.len() > SUBJECT_MAX {
        return None;
    }
    let at = into.len();
    into.reserve(length);
    let flag = if headers.is_empty() { 0 } else { HAS_HEADERS };
    into.extend_from_slice(&((length - HEAD) as u32 | flag).to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&sequence.to_le_bytes());
    into.extend_from_slice(&time.to_le_bytes());
    into.extend_from_slice(&(subject.len() as u16).to_le_bytes());
    if !headers.is_empty() {
        into.extend_from_slice(&(headers.len() as u32).to_le_bytes());
    }
    [subject, headers, payload].into_iter().for_each(|part| into.extend_from_slice(part));
    let sum = checksum(id, offset, &into[at..]);
    into[at + 4..at + HEAD].copy_from_slice(&sum.to_le_bytes());
    Some(length)
}

fn checksum(id: FileId, offset: u64, record: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(id.checksum_at(offset), &record[..4]);
    crc32c::crc32c_append(sum, &record[HEAD..])
}

/// How long the record at the start of `bytes` says it is.
pub(super) fn length_at(bytes: &[u8]) -> Option<usize> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    Some((word & !HAS_HEADERS) as usize + HEAD)
}

/// What stands at a place in a file.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Found<'b> {
    /// A record of so many bytes, and its message.
    Record(usize, StoredMessage<'b>),
    /// A chapter of so many bytes, or what is left of one; only its head was looked at.
    Chapter(usize),
    /// What may be a record of so many bytes, if there are more of them.
    Longer(usize),
    /// No record, and why.
    Wrong(&'static str),
}

/// Reads the record at the start of `bytes`, which are at `offset` in a file.
pub(super) fn decode(id: FileId, offset: u64, bytes: &[u8]) -> Found<'_> {
    if bytes.len() < LENGTH_MIN {
        return Found::Longer(LENGTH_MIN);
    }
    if let Some(length) = chapter::length_at(bytes) {
        return if chapter::is_head(id, offset, bytes, length) {
            Found::Chapter(length)
        } else {
            Found::Wrong("the head of a chapter is wrong")
        };
    }
    let word = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let length = (word & !HAS_HEADERS) as usize + HEAD;
    if length < LENGTH_MIN || length - HEAD > RECORD_MAX {
        return Found::Wrong("the length of a record is wrong");
    }
    if bytes.len() < length {
        return Found::Longer(length);
    }
    let record = &bytes[..length];
    if checksum(id, offset, record).to_le_bytes() != record[4..HEAD] {
        return Found::Wrong("the checksum of a record is wrong");
    }
    match message_of(record) {
        Some(message) => Found::Record(length, message),
        None => Found::Wrong("the parts of a record are longer than the record"),
    }
}

/// The message of a whole record, whose checksum is known to be right.
pub(super) fn message_of(record: &[u8]) -> Option<StoredMessage<'_>> {
    let word = u32::from_le_bytes(*record.first_chunk()?);
    message_in(record, word & HAS_HEADERS != 0)
}

fn message_in(record: &[u8], has_headers: bool) -> Option<StoredMessage<'_>> {
    let (sequence, rest) = record.get(HEAD..)?.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (subject_length, mut rest) = rest.split_first_chunk()?;
    let mut headers_length = 0;
    if has_headers {
        let (length, behind) = rest.split_first_chunk()?;
        (headers_length, rest) = (u32::from_le_bytes(*length) as usize, behind);
    }
    let (subject, rest) = rest.split_at_checked(u16::from_le_bytes(*subject_length) as usize)?;
    let (headers, payload) = rest.split_at_checked(headers_length)?;
    let (sequence, time) = (u64::from_le_bytes(*sequence), i64::from_le_bytes(*time));
    Some(StoredMessage { sequence, time, subject, headers, payload })
}

/// The bytes whose checksum tells whether a record or a chapter begins at the start of `bytes`, if one may by what can be told
/// without it: a record's sequence is one of `sequences`, the last before a chapter is one or the one before them, and there are
/// at most `rest` bytes.
pub(super) fn plausible_length(bytes: &[u8], rest: u64, sequences: &RangeInclusive<u64>) -> Option<u64> {
    let (head, _) = bytes.split_first_chunk::<LENGTH_MIN>()?;
    if let Some(length) = chapter::length_at(head) {
        let last = chapter::last_before(head)?;
        let is_plausible =
            length as u64 <= rest && (sequences.start() - 1..=*sequences.end()).contains(&last);
        return is_plausible.then_some(chapter::HEAD as u64);
    }
    let word = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
    let length = (word & !HAS_HEADERS) as usize;
    let sequence = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
    let subject = usize::from(u16::from_le_bytes([head[24], head[25]]));
    let is_plausible = (FIXED + subject..=RECORD_MAX).contains(&length)
        && (length + HEAD) as u64 <= rest
        && sequences.contains(&sequence);
    is_plausible.then_some((length + HEAD) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: FileId = FileId { stream: 7, number: 3 };

    fn message<'m>(headers: &'m [u8], payload: &'m [u8]) -> StoredMessage<'m> {
        StoredMessage { sequence: 5, time: -9, subject: b"orders.eu", headers, payload }
    }

    #[test]
    fn a_record_is_read_back_in_its_place_only() {
        for message in [message(b"", b""), message(b"", b"payload"), message(b"NATS/1.0\r\n\r\n", b"x")] {
            let mut bytes = Vec::new();
            let length = encode(ID, 100, &message, &mut bytes).expect("it is short");
            assert_eq!(length, bytes.len());
            assert_eq!(decode(ID, 100, &bytes), Found::Record(length, message));
            let rest = length as u64;
            assert_eq!(plausible_length(&bytes, rest, &(5..=5)), Some(rest));
            assert_eq!(plausible_length(&bytes, rest - 1, &(5..=5)), None);
            assert_eq!(plausible_length(&bytes, rest, &(6..=9)), None);
            assert_eq!(message_of(&bytes), Some(message));
            assert!(matches!(decode(ID, 101, &bytes), Found::Wrong(_)));
            assert!(matches!(decode(FileId { number: 4, ..ID }, 100, &bytes), Found::Wrong(_)));
            assert!(matches!(decode(FileId { stream: 8, ..ID }, 100, &bytes), Found::Wrong(_)));
            for end in 0..length {
                assert!(matches!(decode(ID, 100, &bytes[..end]), Found::Longer(needed) if needed > end));
            }
            for at in 0..length {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                assert!(!matches!(decode(ID, 100, &flipped), Found::Record(..)), "byte {at}");
            }
        }
    }

    #[test]
    fn a_message_counts_for_as_many_bytes_as_in_nats() {
        assert_eq!(message_size(3, 0, 10), 22 + 3 + 10 + 8);
        assert_eq!(message_size(3, 12, 10), 22 + 3 + 4 + 12 + 10 + 8);
        let mut bytes = Vec::new();
        let length = encode(ID, 0, &message(b"h", b"p"), &mut bytes).expect("it is short");
        assert_eq!(size_of_record(length as u64), message_size(9, 1, 1));
    }

    #[test]
    fn messages_that_are_too_long_are_not_written() {
        let mut bytes = Vec::new();
        let payload = vec![0; RECORD_MAX - FIXED - 9];
        assert!(encode(ID, 0, &message(b"", &payload), &mut bytes).is_some());
        assert!(matches!(decode(ID, 0, &bytes), Found::Record(..)));
        bytes.clear();
        assert_eq!(encode(ID, 0, &message(b"h", &payload), &mut bytes), None);
        let subject = vec![b's'; SUBJECT_MAX + 1];
        assert_eq!(
            encode(ID, 0, &StoredMessage { subject: &subject, ..message(b"", b"") }, &mut bytes),
            None
        );
        let longest = StoredMessage { subject: &subject[1..], ..message(b"", b"") };
        assert!(bytes.is_empty() && encode(ID, 0, &longest, &mut bytes).is_some());
    }
}
