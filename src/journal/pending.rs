//! Records that were appended and are not written yet: their bytes, the places where a new segment begins, and an open
//! group.

use super::record::{self, Links, Tag};
use crate::wait::Position;

/// The records that wait for the writer.
pub(super) struct Pending {
    /// Records of one or more segments.
    pub(super) bytes: Vec<u8>,
    /// Where in `bytes` a new segment begins.
    cuts: Vec<Cut>,
    /// How many whole operations there are in `bytes`.
    pub(super) operations: usize,
    /// The end of all that was appended.
    pub(super) position: Position,
    /// The records at the end of `bytes` that count together with the next one.
    group: Option<OpenGroup>,
    /// The segment that the next record goes to.
    sequence: u64,
    /// Bytes of records in that segment.
    segment_bytes: u64,
    /// Bytes appended since the last snapshot.
    pub(super) since_snapshot: u64,
}

/// The beginning of a new segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Bytes of the pending ones that belong to earlier segments.
    pub(super) at: usize,
    pub(super) sequence: u64,
    pub(super) position: Position,
}

/// A group that is not whole yet.
#[derive(Clone, Copy)]
struct OpenGroup {
    first: Place,
    last: Place,
}

/// Where a record begins, among the pending bytes and in the journal.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    position: Position,
}

/// The records that the writer takes at once.
pub(super) struct Taken {
    pub(super) bytes: Vec<u8>,
    pub(super) cuts: Vec<Cut>,
    pub(super) operations: usize,
    /// The end of these bytes in the journal.
    pub(super) end: Position,
}

impl Pending {
    /// Nothing pending at `position`, where the empty segment `sequence` begins.
    pub(super) fn new(position: Position, sequence: u64, since_snapshot: u64) -> Pending {
        Pending {
            bytes: Vec::new(),
            cuts: Vec::new(),
            operations: 0,
            position,
            group: None,
            sequence,
            segment_bytes: 0,
            since_snapshot,
        }
    }

    /// True if there is something that the writer can take.
    pub(super) fn is_ready(&self) -> bool {
        self.ready_bytes() > 0 || !self.cuts.is_empty()
    }

    /// Bytes before the open group.
    fn ready_bytes(&self) -> usize {
        self.group.map_or(self.bytes.len(), |group| group.first.at)
    }

    /// Takes all but the open group, and goes on with the buffer `spare`, which is empty.
    pub(super) fn take(&mut self, spare: &mut Vec<u8>) -> Option<Taken> {
        if !self.is_ready() {
            return None;
        }
        let mut bytes = std::mem::replace(&mut self.bytes, std::mem::take(spare));
        let mut end = self.position;
        if let Some(group) = &mut self.group {
            let start = group.first.at;
            self.bytes.extend_from_slice(&bytes[start..]);
            bytes.truncate(start);
            // It is written after all before it was synced.
            record::relink(&mut self.bytes, group.first.position, |links| links.is_first_of_batch = true);
            group.first.at = 0;
            group.last.at -= start;
            end = group.first.position;
        }
        let (cuts, operations) = (std::mem::take(&mut self.cuts), std::mem::take(&mut self.operations));
        Some(Taken { bytes, cuts, operations, end })
    }

    /// Appends the records of an operation, to a new segment if this one has `segment_max` bytes.  All of them go to
    /// the same, one behind the other.  If `is_grouped`, they count together with the next ones.
    pub(super) fn append<'r, R: AsRef<[&'r [u8]]>>(
        &mut self,
        tag: Tag,
        records: impl IntoIterator<Item = R>,
        segment_max: u64,
        is_grouped: bool,
    ) {
        if self.group.is_none() && self.segment_bytes >= segment_max {
            self.cut();
        }
        // The first record of the buffer or of a segment is written after all before it was synced.
        let batch_start = self.cuts.last().map_or(0, |cut| cut.at);
        let mut records = records.into_iter().peekable();
        let mut group = self.group.take();
        while let Some(parts) = records.next() {
            let place = Place { at: self.bytes.len(), position: self.position };
            let links = Links {
                is_first_of_batch: place.at == batch_start,
                is_continued: is_grouped || records.peek().is_some(),
            };
            let length = record::encode(tag, parts.as_ref(), self.position, links, &mut self.bytes);
            self.position.0 += length;
            self.segment_bytes += length;
            self.since_snapshot += length;
            group.get_or_insert(OpenGroup { first: place, last: place }).last = place;
        }
        if is_grouped {
            self.group = group;
        } else {
            self.operations += 1;
        }
    }

    /// True while a group is open.
    pub(super) fn has_group(&self) -> bool {
        self.group.is_some()
    }

    /// Makes the open group whole, if there is one.
    pub(super) fn close_group(&mut self) {
        if let Some(OpenGroup { last, .. }) = self.group.take() {
            record::relink(&mut self.bytes[last.at..], last.position, |links| links.is_continued = false);
            self.operations += 1;
        }
    }

    /// Begins a new segment, unless this one is empty; the segment that the next record goes to.  No group is open.
    pub(super) fn cut(&mut self) -> u64 {
        debug_assert!(self.group.is_none(), "a group lies in one segment");
        if self.segment_bytes > 0 {
            self.sequence += 1;
            self.segment_bytes = 0;
            let cut = Cut { at: self.bytes.len(), sequence: self.sequence, position: self.position };
            self.cuts.push(cut);
        }
        self.sequence
    }

    /// Forgets everything: the journal has failed.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.cuts.clear();
        self.operations = 0;
        self.group = None;
    }
}
