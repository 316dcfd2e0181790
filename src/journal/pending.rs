//! What was appended and is not yet written: bytes, and the places where a new segment begins.

use super::record::{self, Links};
use crate::wait::Position;

/// What waits for the writer.
pub(super) struct Pending {
    /// Records of one or more segments.
    pub(super) bytes: Vec<u8>,
    /// Where in `bytes` a new segment begins.
    pub(super) cuts: Vec<Cut>,
    /// How many operations there are in `bytes`.
    pub(super) operations: usize,
    /// The end of all that was appended.
    pub(super) position: Position,
    /// The segment that the next record goes to.
    sequence: u64,
    /// Bytes of records in that segment.
    segment_bytes: u64,
    /// Bytes appended since the last snapshot.
    pub(super) since_snapshot: u64,
}

/// The begin of a new segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Bytes of the pending ones that belong to earlier segments.
    pub(super) at: usize,
    pub(super) sequence: u64,
    pub(super) position: Position,
}

impl Pending {
    /// Nothing pending at `position`, where the empty segment `sequence` begins.
    pub(super) fn new(position: Position, sequence: u64, since_snapshot: u64) -> Pending {
        Pending {
            bytes: Vec::new(),
            cuts: Vec::new(),
            operations: 0,
            position,
            sequence,
            segment_bytes: 0,
            since_snapshot,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cuts.is_empty()
    }

    /// Appends the records of an operation, to a new segment if this one has `segment_max` bytes.  All of them go to
    /// the same.
    pub(super) fn append<'r>(&mut self, records: impl IntoIterator<Item = &'r [u8]>, segment_max: u64) {
        if self.segment_bytes >= segment_max {
            self.cut();
        }
        // What begins the buffer or a segment is written after all before it was synced.
        let group_start = self.cuts.last().map_or(0, |cut| cut.at);
        let mut records = records.into_iter().peekable();
        while let Some(payload) = records.next() {
            debug_assert!(!payload.is_empty(), "a record says something");
            let links = Links {
                is_first_of_group: self.bytes.len() == group_start,
                is_continued: records.peek().is_some(),
            };
            record::encode(payload, self.position, links, &mut self.bytes);
            let length = record::length_of(payload);
            self.position.0 += length;
            self.segment_bytes += length;
            self.since_snapshot += length;
        }
        self.operations += 1;
    }

    /// Begins a new segment, unless this one is empty; the segment that the next record goes to.
    pub(super) fn cut(&mut self) -> u64 {
        if self.segment_bytes > 0 {
            self.sequence += 1;
            self.segment_bytes = 0;
            let cut = Cut { at: self.bytes.len(), sequence: self.sequence, position: self.position };
            self.cuts.push(cut);
        }
        self.sequence
    }
}
