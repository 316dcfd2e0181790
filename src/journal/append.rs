//! Appending: a service hands over its records, each in one or more pieces, and they are copied once.

use super::record::Tag;
use super::{Journal, Position};

/// Where the records of an operation are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Where the first record begins; it is read back by that.  Each further record begins [`record_length`](super::record_length) behind the one
    /// before.  Records that are nowhere, because the journal has failed or is not made yet, begin at
    /// [`Appended::NOWHERE`].
    pub start: Position,
    /// Where the last one ends: the operation is on the disk when all before this position is.
    pub end: Position,
}

impl Appended {
    /// The position of records that no journal has.  Nothing can be read there.
    pub const NOWHERE: Position = Position(u64::MAX);

    /// The journal has failed: the records never reach the disk.
    pub(super) const FAILED: Appended = Appended { start: Appended::NOWHERE, end: Position(u64::MAX) };
}

impl Journal {
    /// Appends an operation of one record; see [`Journal::append_all`].
    pub fn append(&self, tag: Tag, payload: &[u8]) -> Position {
        self.append_all(tag, [payload])
    }

    /// Appends the records of one operation, none of which is empty or as long as [`RECORD_MAX`](super::RECORD_MAX), however
    /// many there are.  A start after a crash finds all of them or none.  Returns the position that is on the disk when they
    /// are.  A service calls this under its own lock, so that the order is that of its changes; it does not wait for the
    /// disk.
    pub fn append_all<'r>(&self, tag: Tag, records: impl IntoIterator<Item = &'r [u8]>) -> Position {
        self.append_records(tag, records.into_iter().map(|payload| [payload])).end
    }

    /// The same for records that no reply waits for: they are written with the next ones, or after
    /// [`Journal::flush`].
    pub fn append_quietly<'r>(&self, tag: Tag, records: impl IntoIterator<Item = &'r [u8]>) -> Position {
        self.append_records_quietly(tag, records.into_iter().map(|payload| [payload])).end
    }

    /// Appends an operation of one record, whose payload is these parts one after the other; see [`Journal::append_all`].
    pub fn append_parts(&self, tag: Tag, parts: &[&[u8]]) -> Appended {
        self.append_records(tag, [parts])
    }

    /// Appends the records of one operation, each of several parts; see [`Journal::append_all`].
    pub fn append_records<'r, R: AsRef<[&'r [u8]]>>(
        &self,
        tag: Tag,
        records: impl IntoIterator<Item = R>,
    ) -> Appended {
        self.shared.append(tag, records, false)
    }

    /// The same for records that no reply waits for; see [`Journal::append_quietly`].
    pub fn append_records_quietly<'r, R: AsRef<[&'r [u8]]>>(
        &self,
        tag: Tag,
        records: impl IntoIterator<Item = R>,
    ) -> Appended {
        self.shared.append(tag, records, true)
    }
}
