//! Reading records.  Nothing of a message is copied.

use std::borrow::Cow;
use std::fmt;

use roaring::RoaringTreemap;

use super::changes;
use super::fields::Fields;
use super::kind::Kind;
use super::sets::take_set;
use super::write::HASH_BYTES;
use super::{ITEMS_MAX, LeftRecord, Progress, Record, Removal, StreamState};
use crate::stream::consumer::record::OutstandingMessage;
use crate::stream::ingest::{IdMark, KnownId};
use crate::stream::message::StoredMessage;
use crate::stream::segment::FileEntry;

/// Why a record cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is empty.
    Empty,
    /// Its kind has this number, which this version does not know.
    Unknown(u8),
    /// It is malformed for its kind, which has this number.
    Malformed(u8),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Empty => formatter.write_str("a record of the streams is empty"),
            Unreadable::Unknown(number) => write!(
                formatter,
                "a record of the streams is of kind {number}, which this version does not know: \
                 start the version that wrote it, or a later one"
            ),
            Unreadable::Malformed(number) => {
                write!(formatter, "a record of the streams of kind {number} is not as such records are")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

impl<'r> Record<'r> {
    /// Reads a record.
    ///
    /// # Errors
    /// If it is malformed, or of a later version.
    pub fn read(bytes: &'r [u8]) -> Result<Record<'r>, Unreadable> {
        let mut fields = Fields(bytes);
        let number = fields.byte().ok_or(Unreadable::Empty)?;
        let kind = Kind::of(number).ok_or(Unreadable::Unknown(number))?;
        let record = if (kind as u8) < Kind::StreamState as u8 {
            Record::take_change(kind, &mut fields)
        } else {
            Record::take_state(kind, &mut fields)
        };
        record.filter(|_| fields.is_at_end()).ok_or(Unreadable::Malformed(number))
    }

    /// Reads the record of a change.
    fn take_change(kind: Kind, fields: &mut Fields<'r>) -> Option<Record<'r>> {
        let stream = fields.number()?;
        Some(match kind {
            Kind::Defined => Record::Defined {
                stream,
                created: fields.signed()?,
                seed: fields.seed()?,
                definition: fields.rest(),
            },
            Kind::Deleted => Record::Deleted { stream },
            Kind::Stored => return take_stored(stream, fields),
            Kind::Removed => {
                let removal = match fields.byte()? {
                    0 => Removal::Requested,
                    1 => Removal::Ended,
                    _ => return None,
                };
                Record::Removed { stream, sequences: take_sequences(fields)?, removal }
            }
            Kind::Cleared => Record::Cleared { stream, next: fields.number()? },
            Kind::Skipped => Record::Skipped { stream, last: fields.number()? },
            Kind::LastTime => Record::LastTime { stream, time: fields.signed()? },
            Kind::ConsumerDefined => Record::ConsumerDefined {
                stream,
                consumer: fields.number()?,
                created: fields.signed()?,
                name: fields.text()?,
                definition: fields.rest(),
            },
            Kind::ConsumerDeleted => Record::ConsumerDeleted { stream, consumer: fields.number()? },
            Kind::Consumer => {
                let consumer = fields.number()?;
                let changes = take_items(fields, changes::LENGTH_MIN, changes::take)?;
                Record::Consumer { stream, consumer, changes }
            }
            _ => return None,
        })
    }

    /// Reads a record of a snapshot.
    fn take_state(kind: Kind, fields: &mut Fields<'r>) -> Option<Record<'r>> {
        if kind == Kind::Marks {
            return Some(Record::Marks { is_clean: fields.flag()? });
        }
        let stream = fields.number()?;
        Some(match kind {
            Kind::StreamState => Record::StreamState(take_stream_state(stream, fields)?),
            Kind::Files => Record::Files { stream, files: take_items(fields, 5, take_file)? },
            Kind::DeletedSequences => Record::DeletedSequences { stream, sequences: take_sequences(fields)? },
            Kind::Expiry => Record::Expiry { stream, due: take_items(fields, 2, take_due)? },
            Kind::Schedules => Record::Schedules { stream, due: take_items(fields, 2, take_due)? },
            Kind::Lasting => Record::Lasting { stream, sequences: take_sequences(fields)? },
            Kind::Ids => Record::Ids { stream, ids: take_items(fields, HASH_BYTES + 1, take_id)? },
            _ => return Record::take_consumer_state(kind, stream, fields.number()?, fields),
        })
    }

    fn take_consumer_state(
        kind: Kind,
        stream: u64,
        consumer: u64,
        fields: &mut Fields<'r>,
    ) -> Option<Record<'r>> {
        Some(match kind {
            Kind::ConsumerState => Record::ConsumerState {
                stream,
                consumer,
                created: fields.signed()?,
                name: fields.text()?,
                progress: take_progress(fields)?,
                definition: fields.rest(),
            },
            Kind::Outstanding => {
                Record::Outstanding { stream, consumer, messages: take_items(fields, 5, take_outstanding)? }
            }
            Kind::Leaving => {
                Record::Leaving { stream, consumer, messages: take_items(fields, 3, changes::take_leaving)? }
            }
            Kind::Exhausted => {
                Record::Exhausted { stream, consumer, sequences: take_items(fields, 1, Fields::number)? }
            }
            Kind::NextIds => Record::NextIds { stream, consumer },
            _ => return None,
        })
    }
}

fn take_items<'r, T: Clone>(
    fields: &mut Fields<'r>,
    least: usize,
    item: impl FnMut(&mut Fields<'r>) -> Option<T>,
) -> Option<Cow<'r, [T]>> {
    fields.items(least, ITEMS_MAX, item).map(Cow::Owned)
}

fn take_sequences<'r>(fields: &mut Fields<'r>) -> Option<Cow<'r, RoaringTreemap>> {
    take_set(&mut fields.0).map(Cow::Owned)
}

fn take_stored<'r>(stream: u64, fields: &mut Fields<'r>) -> Option<Record<'r>> {
    let (sequence, time) = (fields.number()?, i64::from_le_bytes(fields.eight()?));
    let (subject, headers) = (fields.number()?, fields.number()?);
    let left = match fields.flag()? {
        false => None,
        true => Some(LeftRecord {
            stream: fields.number()?,
            consumer: fields.number()?,
            sequence: fields.number()?,
        }),
    };
    let (subject, headers) = (fields.raw(subject)?, fields.raw(headers)?);
    let message = StoredMessage { sequence, time, subject, headers, payload: fields.rest() };
    Some(Record::Stored { stream, message, left })
}

fn take_stream_state<'r>(stream: u64, fields: &mut Fields<'r>) -> Option<StreamState<'r>> {
    let (created, seed) = (fields.signed()?, fields.seed()?);
    let (first, last) = (fields.number()?, fields.number()?);
    let (last_time, next_file) = (fields.signed()?, fields.number()?);
    let last_message_id = fields.part()?;
    let marks = fields.number()?;
    let id_marks = (0..marks).map(|_| Some(IdMark { time: fields.signed()?, sequence: fields.number()? }));
    let id_marks = Cow::Owned(id_marks.collect::<Option<Vec<_>>>()?);
    let definition = fields.rest();
    Some(StreamState {
        stream,
        created,
        seed,
        first,
        last,
        last_time,
        next_file,
        last_message_id,
        id_marks,
        definition,
    })
}

fn take_progress(fields: &mut Fields<'_>) -> Option<Progress> {
    Some(Progress {
        position: fields.number()?,
        delivered: fields.number()?,
        newest_until: fields.option()?,
        original_until: fields.option()?,
    })
}

fn take_file(fields: &mut Fields<'_>) -> Option<FileEntry> {
    Some(FileEntry {
        number: fields.number()?,
        length: fields.number()?,
        is_sealed: fields.flag()?,
        first: fields.number()?,
        last: fields.number()?,
    })
}

fn take_due(fields: &mut Fields<'_>) -> Option<(u64, i64)> {
    Some((fields.number()?, fields.signed()?))
}

fn take_id(fields: &mut Fields<'_>) -> Option<KnownId> {
    let mut hash = [0; 16];
    hash[..HASH_BYTES].copy_from_slice(&fields.array::<HASH_BYTES>()?);
    Some(KnownId { hash: u128::from_le_bytes(hash), sequence: fields.number()? })
}

fn take_outstanding(fields: &mut Fields<'_>) -> Option<OutstandingMessage> {
    Some(OutstandingMessage {
        sequence: fields.number()?,
        consumer_sequence: fields.number()?,
        deliveries: fields.short()?,
        due: fields.signed()?,
        is_delayed: fields.flag()?,
    })
}
