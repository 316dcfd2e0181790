//! A chapter: what the directory of a file has got since the chapter before, in a file that is still written to.
//!
//! Whoever has added messages ends with a chapter behind them, so a start puts the directory together from the file's chapters
//! and reads no message.  The last one ends where everything ends that counts, and each leads to the one before.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the length of what follows the checksum; of the two top bits only the lower is set, as in no record |
//! | 4 | CRC32C over the file's stream and number, the chapter's place in it and the length word |
//! | 48 | the summary of the whole file up to here, as in a footer |
//! | 16 | where the chapter before begins and ends; zeros if there is none |
//! | 8 + | new subjects: how many, then of each the length of its text (2) and the text |
//! | 8 + | marks: how many, then of each the distance from the first sequence and the place (4 each) |
//! | 16 + | rows: how many messages and bytes, then for each record three numbers of variable length (see [`Directory`]) |
//! | 20 | where the chapter begins (8), CRC32C over the file's stream and number, that place and everything before (4), magic (8) |
//!
//! Subjects are numbered, and sequences counted, through all chapters of a file.  The first checksum is there for those who read
//! messages: they pass over a chapter without reading it.
//!
//! A new chapter also covers the messages of the chapter before it, if these are at most twice as many, and so on.  The earlier chapter
//! stays where it is, and nobody reads it any more.  So a file of n messages has at most log2 n + 1 chapters that count, and no message is
//! covered more than log1.5 n times.
//!
//! [`Directory`]: super::Directory

use std::io;
use std::ops::Range;

use super::contents::{Contents, TRAILER, Trailer, put_marks, put_summary, take_marks, take_summary};
use super::contents::{put_text, take_text, take_words};
use super::file::{self, FileId};
use super::record::{LENGTH_MIN, RECORD_MAX, size_of_record};
use super::segment::FileEntry;
use super::window::OpenFile;
use crate::stream::numbers::take_number;

/// Bytes before what the length counts.
pub(super) const HEAD: usize = 8;

/// The most bytes that a chapter may have.  A file whose next one would be longer is sealed instead.
pub(super) const CHAPTER_MAX: usize = 16 << 20;

/// More chapters than the most messages that a file can have need.
const CHAPTERS_MAX: usize = 64;

/// So much of a file's end is read at once to find its last chapter.  The chapter of a few hundred messages is in it.
const END_BYTES: u64 = 16 << 10;

const IS_CHAPTER: u32 = 1 << 30;

const MAGIC: [u8; 8] = *b"QUARTETC";

/// Where the place of the chapter before stands.
const FORMER_AT: usize = HEAD + 48;

/// Bytes of the shortest chapter.
const CHAPTER_MIN: usize = FORMER_AT + 16 + 8 + 8 + 16 + TRAILER;

const _: () = assert!(CHAPTER_MIN >= LENGTH_MIN && CHAPTER_MAX < IS_CHAPTER as usize);

/// How far the contents of a file go up to some place: how many there are of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reach {
    messages: u64,
    subjects: u32,
    marks: u32,
    /// Bytes of rows.
    rows: u32,
}

impl Reach {
    fn of(Contents { marks, directory, .. }: &Contents) -> Reach {
        Reach {
            messages: directory.count,
            subjects: directory.subjects.len() as u32,
            marks: marks.len() as u32,
            rows: directory.rows.len() as u32,
        }
    }
}

/// A chapter that counts: where it is, and what it covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chapter {
    pub(super) at: u64,
    pub(super) end: u64,
    from: Reach,
    to: Reach,
}

/// Writes the chapter that begins at `at` and covers what none of `chapters` does, and puts it there in the place of those that
/// it takes over.  If there is nothing new, nothing is written.  Returns where the file ends then; nothing if the chapter would
/// be too long.
pub(super) fn write(
    id: FileId,
    at: u64,
    contents: &Contents,
    chapters: &mut Vec<Chapter>,
    into: &mut Vec<u8>,
) -> Option<u64> {
    let to = Reach::of(contents);
    let mut from = chapters.last().map_or(Reach::default(), |last| last.to);
    if from.messages == to.messages {
        return Some(at);
    }
    let mut left = chapters.len();
    while let Some(last) = left.checked_sub(1).map(|last| chapters[last])
        && last.to.messages - last.from.messages <= 2 * (to.messages - from.messages)
    {
        (from, left) = (last.from, left - 1);
    }
    let former = left.checked_sub(1).map_or(0..0, |last| chapters[last].at..chapters[last].end);
    let start = into.len();
    into.extend_from_slice(&[0; HEAD]);
    put_summary(&contents.summary, into);
    [former.start, former.end].iter().for_each(|place| into.extend_from_slice(&place.to_le_bytes()));
    into.extend_from_slice(&u64::from(to.subjects - from.subjects).to_le_bytes());
    (from.subjects..to.subjects).for_each(|subject| put_text(contents.directory.text(subject), into));
    put_marks(&contents.marks[from.marks as usize..], into);
    let rows = &contents.directory.rows[from.rows as usize..];
    into.extend_from_slice(&(to.messages - from.messages).to_le_bytes());
    into.extend_from_slice(&(rows.len() as u64).to_le_bytes());
    into.extend_from_slice(rows);
    let length = into.len() - start + TRAILER;
    if length > CHAPTER_MAX {
        into.truncate(start);
        return None;
    }
    into[start..][..HEAD].copy_from_slice(&head(id, at, length));
    Trailer { id, at, magic: MAGIC }.put_behind(start, into);
    let end = at + length as u64;
    chapters.truncate(left);
    chapters.push(Chapter { at, end, from, to });
    Some(end)
}

/// The head of a chapter of so many bytes.
fn head(id: FileId, at: u64, length: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let word = ((length - HEAD) as u32 | IS_CHAPTER).to_le_bytes();
    head[..4].copy_from_slice(&word);
    head[4..].copy_from_slice(&crc32c::crc32c_append(id.checksum_at(at), &word).to_le_bytes());
    head
}

/// How long the chapter at the start of `bytes` says it is, if it can be one.
pub(super) fn length_at(bytes: &[u8]) -> Option<usize> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    let length = (word ^ IS_CHAPTER) as usize;
    (CHAPTER_MIN - HEAD..=CHAPTER_MAX - HEAD).contains(&length).then_some(length + HEAD)
}

/// Whether the first bytes of `bytes`, which are at `at` in a file, are the head of a chapter of so many bytes.
pub(super) fn is_head(id: FileId, at: u64, bytes: &[u8], length: usize) -> bool {
    bytes.starts_with(&head(id, at, length))
}

/// The last sequence before the chapter that may begin at the start of `bytes`.
pub(super) fn last_before(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(HEAD + 8..)?.first_chunk()?))
}

/// What the chapters of a file say.
pub(super) struct Read {
    pub(super) contents: Contents,
    /// Those that count, in their order.
    pub(super) chapters: Vec<Chapter>,
}

/// Reads the chapters of a file that has no footer.  If they are not as they were written, says where.
///
/// # Errors
/// If the disk refuses.
pub(super) fn read(file: &OpenFile, entry: &FileEntry) -> io::Result<Result<Read, Range<u64>>> {
    let trailer = entry.length.saturating_sub(TRAILER as u64)..entry.length;
    let end_at = entry.length.saturating_sub(END_BYTES).max(file::HEAD);
    let (read_at, mut bytes) = match read_range(file, end_at..entry.length) {
        Ok(bytes) => (end_at, bytes),
        // A sector before the chapter may be what the disk refuses.
        Err(_) => (trailer.start, read_range(file, trailer.clone())?),
    };
    let is_there = read_at + bytes.len() as u64 == entry.length;
    let ending = bytes.len().checked_sub(TRAILER).filter(|_| is_there).map(|at| &bytes[at..]);
    let at = ending.and_then(|ending| Trailer::start(MAGIC, ending, entry.length));
    let Some(at) = at.filter(|at| entry.length - at <= CHAPTER_MAX as u64) else { return Ok(Err(trailer)) };
    let mut place = at..entry.length;
    match at.checked_sub(read_at) {
        Some(before) => drop(bytes.drain(..before as usize)),
        None => bytes = read_range(file, place.clone())?,
    }
    let mut found = Vec::new();
    loop {
        let Some(former) = former_of(file.id, &place, &bytes).filter(|_| found.len() < CHAPTERS_MAX) else {
            return Ok(Err(place));
        };
        found.push((place, bytes));
        if former == (0..0) {
            break;
        }
        bytes = read_range(file, former.clone())?;
        place = former;
    }
    let mut read = Read { contents: Contents::default(), chapters: Vec::with_capacity(found.len()) };
    for (place, bytes) in found.into_iter().rev() {
        let from = Reach::of(&read.contents);
        if add(&mut read.contents, &bytes).is_none() {
            return Ok(Err(place));
        }
        let to = Reach::of(&read.contents);
        read.chapters.push(Chapter { at: place.start, end: place.end, from, to });
    }
    let Contents { summary, marks, .. } = &read.contents;
    let is_whole = (summary.first, summary.last) == (entry.first, entry.last);
    let is_sorted = marks.is_sorted_by_key(|mark| (mark.offset, mark.distance));
    let is_inside = marks.last().is_some_and(|mark| u64::from(mark.offset) < at);
    Ok(if is_whole && is_sorted && is_inside { Ok(read) } else { Err(at..entry.length) })
}

fn read_range(file: &OpenFile, range: Range<u64>) -> io::Result<Vec<u8>> {
    let (at, length) = (range.start, range.end.saturating_sub(range.start));
    file.read(at, length as usize).map_err(|error| {
        io::Error::new(error.kind(), format!("its directory at byte {at} cannot be read: {error}"))
    })
}

/// Where the chapter before this one is, or an empty range at zero.  Nothing if these bytes are no chapter of that place.
fn former_of(id: FileId, place: &Range<u64>, bytes: &[u8]) -> Option<Range<u64>> {
    let length = length_at(bytes)?;
    let is_whole = bytes.len() == length
        && place.end - place.start == length as u64
        && is_head(id, place.start, bytes, length)
        && (Trailer { id, at: place.start, magic: MAGIC }).is_behind(bytes);
    let [start, end] = take_words(&mut bytes.get(FORMER_AT..).filter(|_| is_whole)?)?;
    let is_before = file::HEAD <= start && start < end && end <= place.start;
    let is_short = end.saturating_sub(start) <= CHAPTER_MAX as u64;
    ((start, end) == (0, 0) || is_before && is_short).then_some(start..end)
}

/// Adds what a chapter covers, whose checksum is right, behind what the ones before it cover.
fn add(contents: &mut Contents, chapter: &[u8]) -> Option<()> {
    let mut rest = chapter.get(HEAD..chapter.len().checked_sub(TRAILER)?)?;
    let summary = take_summary(&mut rest)?;
    let [_, _, subjects] = take_words(&mut rest)?;
    for _ in 0..subjects {
        contents.directory.add_subject(take_text(&mut rest)?);
    }
    take_marks(&mut rest, &mut contents.marks)?;
    let [messages, length] = take_words(&mut rest)?;
    let mut bytes = contents.summary.bytes;
    if rest.len() as u64 != length {
        return None;
    }
    let directory = &mut contents.directory;
    let mut first = contents.summary.first;
    for _ in 0..messages {
        let distance = take_number(&mut rest).filter(|distance| *distance > 0)?;
        let subject = take_number(&mut rest).filter(|number| *number < directory.subjects.len() as u64)?;
        let length = take_number(&mut rest).filter(|length| *length <= (RECORD_MAX + LENGTH_MIN) as u64)?;
        let sequence = directory.last.checked_add(distance)?;
        if directory.count == 0 {
            first = sequence;
        }
        directory.add(sequence, subject as u32, length);
        bytes += size_of_record(length);
    }
    let counted = (first, directory.last, directory.count, bytes);
    contents.summary = summary;
    let said = (summary.first, summary.last, summary.messages, summary.bytes);
    (rest.is_empty() && said == counted).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::message::StoredMessage;

    const ID: FileId = FileId { stream: 7, number: 3 };

    fn add_messages(contents: &mut Contents, count: u64) {
        for sequence in contents.summary.last + 1..=contents.summary.last + count {
            let subject = format!("orders.{}", sequence % 7);
            let subject = subject.as_bytes();
            let message = StoredMessage { sequence, time: 5, subject, headers: b"", payload: b"" };
            contents.add(&message, file::HEAD + 100 * sequence, 100);
        }
    }

    #[test]
    fn a_chapter_takes_over_those_that_cover_at_most_twice_as_much() {
        let (mut contents, mut chapters, mut bytes) = (Contents::default(), Vec::new(), Vec::new());
        let mut at = 10_000;
        let steps: [(u64, &[u64]); 7] = [
            (9, &[9]),
            (4, &[9, 4]),
            (1, &[9, 4, 1]),
            (1, &[15]),
            (7, &[15, 7]),
            (1, &[15, 7, 1]),
            (1, &[15, 7, 2]),
        ];
        for (count, covered) in steps {
            add_messages(&mut contents, count);
            bytes.clear();
            let end = write(ID, at, &contents, &mut chapters, &mut bytes).expect("it is short");
            assert_eq!(end, at + bytes.len() as u64);
            let covers = |chapter: &Chapter| chapter.to.messages - chapter.from.messages;
            assert_eq!(chapters.iter().map(covers).collect::<Vec<_>>(), covered);
            assert!(chapters.is_sorted_by(|one, next| one.to == next.from && one.end <= next.at));
            assert_eq!(length_at(&bytes), Some(bytes.len()));
            let former = chapters.len().checked_sub(2).map_or(0..0, |at| chapters[at].at..chapters[at].end);
            assert_eq!(former_of(ID, &(at..end), &bytes), Some(former));
            at = end;
        }
        bytes.clear();
        assert_eq!(write(ID, at, &contents, &mut chapters, &mut bytes), Some(at));
        assert!(bytes.is_empty(), "nothing is new");
    }

    #[test]
    fn a_chapter_counts_in_its_place_only_and_whole() {
        let (mut contents, mut bytes) = (Contents::default(), Vec::new());
        add_messages(&mut contents, 300);
        let end = write(ID, 5000, &contents, &mut Vec::new(), &mut bytes).expect("it is short");
        let mut found = Contents::default();
        assert_eq!(add(&mut found, &bytes), Some(()));
        assert_eq!((found.summary, &found.marks), (contents.summary, &contents.marks));
        assert_eq!(found.directory, contents.directory);
        assert_eq!(former_of(ID, &(5001..end + 1), &bytes), None);
        assert_eq!(former_of(FileId { number: 4, ..ID }, &(5000..end), &bytes), None);
        for at in 0..bytes.len() {
            assert_eq!(former_of(ID, &(5000..end), &bytes[..at]), None);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert_eq!(former_of(ID, &(5000..end), &flipped), None, "byte {at}");
            // Whatever stands there, it is no reason to panic.
            add(&mut Contents::default(), &flipped);
            add(&mut Contents::default(), &bytes[..at]);
        }
    }
}
