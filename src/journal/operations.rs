//! Reading the records of a segment back, an operation of the service at a time.

use std::io::{self, Read};

use super::record::{self, Found, RecordReader, Rest};
use crate::wait::Position;

/// The next thing in a segment.
pub(super) enum Next {
    /// An operation; [`OperationReader::records`] has its records.
    Operation,
    /// The segment ends here.
    End,
    /// No whole operation: the reason, and the kind of the rest of the segment.
    Wrong(&'static str, Rest),
}

/// Reads the operations of a segment one after the other.
pub(super) struct OperationReader<R> {
    records: RecordReader<R>,
    /// Where the operation begins that was read last or is being read.
    start: Position,
    /// The payloads of its records before the last one, one after the other, which were all in the memory of the server that
    /// wrote them.  Most operations have one record, which is not copied.
    payloads: Vec<u8>,
    /// Where in them each record ends.
    ends: Vec<usize>,
}

impl<R: Read> OperationReader<R> {
    pub(super) fn new(records: RecordReader<R>) -> OperationReader<R> {
        OperationReader { start: records.position(), records, payloads: Vec::new(), ends: Vec::new() }
    }

    /// Where the operation that was read last begins; after a wrong one, where that begins.
    pub(super) fn start(&self) -> Position {
        self.start
    }

    /// Where the next record begins; after a wrong one, where that begins.
    pub(super) fn position(&self) -> Position {
        self.records.position()
    }

    /// Up to where the segment was read: after an error of the disk, where that refuses.
    pub(super) fn read_until(&self) -> Position {
        self.records.read_until()
    }

    /// How many records the operation has that was read last.
    pub(super) fn count(&self) -> usize {
        self.ends.len() + 1
    }

    /// The records of the operation that was read last, each with the position where it begins.
    pub(super) fn records(&self) -> impl Iterator<Item = (&[u8], Position)> {
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let position = move |index: usize, start: usize| {
            let before = start + index * record::HEAD;
            Position(self.start.0 + before as u64)
        };
        let before_last = self.ends.iter().enumerate().map(move |(index, &end)| {
            let start = start(index);
            (&self.payloads[start..end], position(index, start))
        });
        let last = (self.records.last(), position(self.ends.len(), self.payloads.len()));
        before_last.chain([last])
    }

    /// The next operation.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.start = self.records.position();
        self.payloads.clear();
        self.ends.clear();
        loop {
            let is_begun = !self.ends.is_empty();
            let wrong = match self.records.next()? {
                Found::End if is_begun => {
                    return Ok(Next::Wrong("the file ends within an operation", Rest::Torn));
                }
                Found::End => return Ok(Next::End),
                Found::Record([], _) => "a record is empty",
                Found::Record(_, links) if is_begun && links.is_first_of_batch => {
                    // An operation is written at once, so the missing records had been on the disk.
                    return Ok(Next::Wrong("the rest of an operation is missing", Rest::Written));
                }
                Found::Record(_, links) if !links.is_continued => return Ok(Next::Operation),
                Found::Record(payload, _) => {
                    self.payloads.extend_from_slice(payload);
                    self.ends.push(self.payloads.len());
                    continue;
                }
                Found::Wrong(reason) => reason,
            };
            let rest = match self.records.rest()? {
                Rest::Blank if is_begun => Rest::Torn,
                rest => rest,
            };
            return Ok(Next::Wrong(wrong, rest));
        }
    }
}
