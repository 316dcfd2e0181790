//! What a file's messages are, without their contents: its subjects with count, first and last, and for each record its
//! sequence, its subject and its length in about five bytes.
//!
//! A sealed file has it at its end, and it is read when it is asked for.  Filters are compared with each subject once, and
//! then a million messages are counted or searched in milliseconds without reading any.

use std::ops::RangeInclusive;

use roaring::RoaringTreemap;

use super::record::size_of_record;
use crate::stream::numbers::{put_number, take_number};

/// A subject of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubjectOfFile<'d> {
    /// Its text.
    pub subject: &'d [u8],
    /// Its messages in the file.
    pub count: u64,
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// How many bytes they count for.
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SubjectRow {
    /// Where its text ends; it begins where that of the one before ends.
    pub(super) text_end: u32,
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) bytes: u64,
}

/// A message of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its sequence.
    pub sequence: u64,
    /// How many bytes it counts for in its stream.
    pub size: u64,
    /// Its subject's number in the directory.
    subject: u32,
}

/// Which subjects of a directory are wanted: what a filter says of each, found out once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted(Vec<bool>);

impl Wanted {
    /// Whether no subject is, so that the file has nothing that is wanted.
    pub fn is_nothing(&self) -> bool {
        !self.0.contains(&true)
    }

    fn has(&self, row: &Row) -> bool {
        self.0.get(row.subject as usize).is_some_and(|is_wanted| *is_wanted)
    }
}

/// Rows are marked after so many, so that reading begins near any sequence.
const MARKED_ROWS: u64 = 256;

/// Where a row begins that is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RowMark {
    /// The sequence of the row before it.
    pub(super) before: u64,
    pub(super) at: u32,
}

/// What a file's messages are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Directory {
    pub(super) texts: Vec<u8>,
    pub(super) subjects: Vec<SubjectRow>,
    /// For each record, as numbers of variable length: how far its sequence is behind the one before, the number of its
    /// subject, its length.
    pub(super) rows: Vec<u8>,
    pub(super) row_marks: Vec<RowMark>,
    /// How many rows there are, and the sequence of the last.
    pub(super) count: u64,
    pub(super) last: u64,
}

impl Directory {
    /// Bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.texts.capacity()
            + self.subjects.capacity() * size_of::<SubjectRow>()
            + self.rows.capacity()
            + self.row_marks.capacity() * size_of::<RowMark>()
    }

    /// Gives back the room for more.
    pub(super) fn shrink_to_fit(&mut self) {
        self.texts.shrink_to_fit();
        self.subjects.shrink_to_fit();
        self.rows.shrink_to_fit();
        self.row_marks.shrink_to_fit();
    }

    pub(super) fn text(&self, subject: u32) -> &[u8] {
        let start = match subject.checked_sub(1) {
            Some(before) => self.subjects.get(before as usize).map_or(0, |row| row.text_end),
            None => 0,
        };
        let end = self.subjects.get(subject as usize).map_or(start, |row| row.text_end);
        self.texts.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The subject of a message.
    pub fn subject_of(&self, row: Row) -> &[u8] {
        self.text(row.subject)
    }

    /// Adds a subject, and says its number.
    pub(super) fn add_subject(&mut self, text: &[u8]) -> u32 {
        self.texts.extend_from_slice(text);
        let text_end = self.texts.len() as u32;
        self.subjects.push(SubjectRow { text_end, count: 0, first: 0, last: 0, bytes: 0 });
        self.subjects.len() as u32 - 1
    }

    /// Adds a record of a subject, behind all others.
    pub(super) fn add(&mut self, sequence: u64, subject: u32, length: u64) {
        if self.count.is_multiple_of(MARKED_ROWS) {
            self.row_marks.push(RowMark { before: self.last, at: self.rows.len() as u32 });
        }
        put_number(sequence - self.last, &mut self.rows);
        put_number(u64::from(subject), &mut self.rows);
        put_number(length, &mut self.rows);
        (self.count, self.last) = (self.count + 1, sequence);
        let row = &mut self.subjects[subject as usize];
        if row.count == 0 {
            row.first = sequence;
        }
        row.count += 1;
        row.last = sequence;
        row.bytes += size_of_record(length);
    }

    /// All subjects, in the order of their first messages.
    pub fn subjects(&self) -> impl Iterator<Item = SubjectOfFile<'_>> {
        self.subjects.iter().enumerate().map(|(number, row)| SubjectOfFile {
            subject: self.text(number as u32),
            count: row.count,
            first: row.first,
            last: row.last,
            bytes: row.bytes,
        })
    }

    /// All messages, in the order of their sequences.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows_from(RowMark::default())
    }

    /// The messages from a mark on.
    fn rows_from(&self, mark: RowMark) -> impl Iterator<Item = Row> {
        let (mut rest, mut sequence) = (self.rows.get(mark.at as usize..).unwrap_or_default(), mark.before);
        std::iter::from_fn(move || {
            sequence = sequence.saturating_add(take_number(&mut rest)?);
            let subject = u32::try_from(take_number(&mut rest)?).ok()?;
            Some(Row { sequence, subject, size: size_of_record(take_number(&mut rest)?) })
        })
    }

    /// Compares each subject with what is wanted.
    pub fn wanted(&self, mut is_wanted: impl FnMut(&[u8]) -> bool) -> Wanted {
        Wanted((0..self.subjects.len()).map(|number| is_wanted(self.text(number as u32))).collect())
    }

    /// The message with a sequence; none if the file does not have it.
    pub fn row(&self, sequence: u64) -> Option<Row> {
        self.rows_behind(sequence).next().filter(|row| row.sequence == sequence)
    }

    /// The messages from a sequence on.  Reaching the first takes much longer than each of the next.
    pub fn rows_behind(&self, sequence: u64) -> impl Iterator<Item = Row> {
        let behind = self.row_marks.partition_point(|mark| mark.before < sequence);
        let mark = behind.checked_sub(1).map_or(RowMark::default(), |at| self.row_marks[at]);
        self.rows_from(mark).skip_while(move |row| row.sequence < sequence)
    }

    /// The messages in a range of sequences that are wanted and not deleted.  To come to the first of the range costs little.
    pub fn matching<'d>(
        &'d self,
        range: RangeInclusive<u64>,
        deleted: &'d RoaringTreemap,
        wanted: &'d Wanted,
    ) -> impl Iterator<Item = Row> {
        let (start, end) = range.into_inner();
        let is_any_wanted = !wanted.is_nothing();
        let behind = self.row_marks.partition_point(|mark| mark.before < start);
        let mark = behind.checked_sub(1).map_or(RowMark::default(), |at| self.row_marks[at]);
        let rows = self.rows_from(mark).skip_while(move |row| row.sequence < start);
        let rows = rows.take_while(move |row| is_any_wanted && row.sequence <= end);
        rows.filter(move |row| wanted.has(row) && !deleted.contains(row.sequence))
    }

    /// The last message up to a sequence that is wanted and not deleted.
    pub fn last_matching(&self, until: u64, deleted: &RoaringTreemap, wanted: &Wanted) -> Option<Row> {
        if wanted.is_nothing() {
            return None;
        }
        let (behind, mut end) = (self.row_marks.partition_point(|mark| mark.before < until), until);
        for mark in self.row_marks[..behind].iter().rev() {
            let last = self.matching(mark.before + 1..=end, deleted, wanted).last();
            if last.is_some() {
                return last;
            }
            end = mark.before;
        }
        None
    }

    /// The live messages of each subject: what an index takes over at a start.  Rows are read only if some of the file's
    /// messages are outside the range or deleted.
    pub fn live(&self, range: RangeInclusive<u64>, deleted: &RoaringTreemap) -> Vec<SubjectOfFile<'_>> {
        let first = self.subjects.iter().map(|row| row.first).min().unwrap_or(1);
        let is_whole = range.contains(&first)
            && range.contains(&self.last)
            && deleted.range_cardinality(first..=self.last) == 0;
        if is_whole {
            return self.subjects().collect();
        }
        let mut live: Vec<_> = self.subjects().collect();
        live.iter_mut().for_each(|subject| (subject.count, subject.bytes) = (0, 0));
        for row in self.matching(range, deleted, &self.wanted(|_| true)) {
            let subject = &mut live[row.subject as usize];
            if subject.count == 0 {
                subject.first = row.sequence;
            }
            subject.count += 1;
            subject.last = row.sequence;
            subject.bytes += row.size;
        }
        live.retain(|subject| subject.count > 0);
        live
    }
}
