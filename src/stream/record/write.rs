//! Writing records.

use super::changes;
use super::fields::Writer;
use super::kind::Kind;
use super::sets::put_set;
use super::{ITEMS_MAX, LeftRecord, Progress, Record, Removal, StreamState};
use crate::stream::consumer::record::OutstandingMessage;
use crate::stream::ingest::{IdMark, KnownId};
use crate::stream::message::StoredMessage;
use crate::stream::segment::FileEntry;

/// Bytes of a hash of an id.
pub(super) const HASH_BYTES: usize = 11;

impl Record<'_> {
    /// The record as parts that are written one after the other, so that a message is not copied before.  The first of them is
    /// written to `head`, over what is there.
    pub fn parts<'p>(&'p self, head: &'p mut Vec<u8>) -> [&'p [u8]; 4] {
        head.clear();
        let mut writer = Writer(head);
        writer.byte(self.kind() as u8);
        let [second, third, fourth] = self.put(&mut writer);
        [head, second, third, fourth]
    }

    /// The record in one piece.
    pub fn written(&self) -> Vec<u8> {
        self.parts(&mut Vec::new()).concat()
    }

    fn kind(&self) -> Kind {
        match self {
            Record::Defined { .. } => Kind::Defined,
            Record::Deleted { .. } => Kind::Deleted,
            Record::Stored { .. } => Kind::Stored,
            Record::Removed { .. } => Kind::Removed,
            Record::Cleared { .. } => Kind::Cleared,
            Record::ConsumerDefined { .. } => Kind::ConsumerDefined,
            Record::ConsumerDeleted { .. } => Kind::ConsumerDeleted,
            Record::Consumer { .. } => Kind::Consumer,
            Record::Skipped { .. } => Kind::Skipped,
            Record::LastTime { .. } => Kind::LastTime,
            Record::StreamState(_) => Kind::StreamState,
            Record::Files { .. } => Kind::Files,
            Record::DeletedSequences { .. } => Kind::DeletedSequences,
            Record::Expiry { .. } => Kind::Expiry,
            Record::Schedules { .. } => Kind::Schedules,
            Record::Lasting { .. } => Kind::Lasting,
            Record::Ids { .. } => Kind::Ids,
            Record::ConsumerState { .. } => Kind::ConsumerState,
            Record::Outstanding { .. } => Kind::Outstanding,
            Record::Leaving { .. } => Kind::Leaving,
            Record::Exhausted { .. } => Kind::Exhausted,
            Record::NextIds { .. } => Kind::NextIds,
            Record::Marks { .. } => Kind::Marks,
        }
    }

    /// Writes what comes after the kind, but for what stands at the end and need not be copied.
    fn put(&self, writer: &mut Writer<'_>) -> [&[u8]; 3] {
        let nothing: &[u8] = &[];
        let end: &[u8] = match self {
            Record::Defined { stream, created, seed, definition } => {
                put_seed(writer.number(*stream).signed(*created), *seed);
                definition
            }
            Record::Stored { stream, message, left } => {
                put_stored(*stream, message, *left, writer);
                return [message.subject, message.headers, message.payload];
            }
            Record::ConsumerDefined { stream, consumer, created, name, definition } => {
                writer.number(*stream).number(*consumer).signed(*created).part(name.as_bytes());
                definition
            }
            Record::StreamState(state) => {
                put_stream_state(state, writer);
                state.definition
            }
            Record::ConsumerState { stream, consumer, created, name, progress, definition } => {
                writer.number(*stream).number(*consumer).signed(*created).part(name.as_bytes());
                put_progress(progress, writer);
                definition
            }
            others => {
                others.put_without_end(writer);
                nothing
            }
        };
        [end, nothing, nothing]
    }

    fn put_without_end(&self, writer: &mut Writer<'_>) {
        match self {
            Record::Deleted { stream } => drop(writer.number(*stream)),
            Record::Removed { stream, sequences, removal } => {
                let removal = match removal {
                    Removal::Requested => 0,
                    Removal::Ended => 1,
                };
                put_set(sequences, writer.number(*stream).byte(removal).0);
            }
            Record::Cleared { stream, next } => drop(writer.number(*stream).number(*next)),
            Record::Skipped { stream, last } => drop(writer.number(*stream).number(*last)),
            Record::LastTime { stream, time } => drop(writer.number(*stream).signed(*time)),
            Record::ConsumerDeleted { stream, consumer } => drop(writer.number(*stream).number(*consumer)),
            Record::Consumer { stream, consumer, changes } => {
                put_items(writer.number(*stream).number(*consumer), changes, changes::put);
            }
            Record::Files { stream, files } => put_items(writer.number(*stream), files, put_file),
            Record::DeletedSequences { stream, sequences } | Record::Lasting { stream, sequences } => {
                put_set(sequences, writer.number(*stream).0);
            }
            Record::Expiry { stream, due } | Record::Schedules { stream, due } => {
                put_items(writer.number(*stream), due, |(sequence, due), writer| {
                    writer.number(*sequence).signed(*due);
                });
            }
            Record::Ids { stream, ids } => put_items(writer.number(*stream), ids, put_id),
            Record::Outstanding { stream, consumer, messages } => {
                put_items(writer.number(*stream).number(*consumer), messages, put_outstanding);
            }
            Record::Leaving { stream, consumer, messages } => {
                put_items(writer.number(*stream).number(*consumer), messages, changes::put_leaving);
            }
            Record::Exhausted { stream, consumer, sequences } => {
                put_items(writer.number(*stream).number(*consumer), sequences, |sequence, writer| {
                    writer.number(*sequence);
                });
            }
            Record::NextIds { stream, consumer } => drop(writer.number(*stream).number(*consumer)),
            Record::Marks { is_clean } => drop(writer.byte((*is_clean).into())),
            Record::Defined { .. }
            | Record::Stored { .. }
            | Record::ConsumerDefined { .. }
            | Record::StreamState(_)
            | Record::ConsumerState { .. } => {}
        }
    }
}

fn put_items<T>(writer: &mut Writer<'_>, items: &[T], put: impl Fn(&T, &mut Writer<'_>)) {
    debug_assert!(items.len() <= ITEMS_MAX, "{} items are too many for a record", items.len());
    items.iter().for_each(|item| put(item, writer));
}

fn put_seed(writer: &mut Writer<'_>, seed: [u64; 2]) {
    writer.eight(seed[0].to_le_bytes()).eight(seed[1].to_le_bytes());
}

fn put_stored(stream: u64, message: &StoredMessage<'_>, left: Option<LeftRecord>, writer: &mut Writer<'_>) {
    let StoredMessage { sequence, time, subject, headers, payload: _ } = message;
    writer.number(stream).number(*sequence).eight(time.to_le_bytes());
    writer.number(subject.len() as u64).number(headers.len() as u64);
    match left {
        None => drop(writer.byte(0)),
        Some(LeftRecord { stream, consumer, sequence }) => {
            writer.byte(1).number(stream).number(consumer).number(sequence);
        }
    }
}

fn put_stream_state(state: &StreamState<'_>, writer: &mut Writer<'_>) {
    put_seed(writer.number(state.stream).signed(state.created), state.seed);
    writer.number(state.first).number(state.last).signed(state.last_time).number(state.next_file);
    writer.part(state.last_message_id).number(state.id_marks.len() as u64);
    for IdMark { time, sequence } in &*state.id_marks {
        writer.signed(*time).number(*sequence);
    }
}

fn put_progress(progress: &Progress, writer: &mut Writer<'_>) {
    let Progress { position, delivered, newest_until, original_until } = *progress;
    writer.number(position).number(delivered).option(newest_until).option(original_until);
}

fn put_file(file: &FileEntry, writer: &mut Writer<'_>) {
    let FileEntry { number, length, is_sealed, first, last } = *file;
    writer.number(number).number(length).byte(is_sealed.into()).number(first).number(last);
}

fn put_id(id: &KnownId, writer: &mut Writer<'_>) {
    writer.raw(&id.hash.to_le_bytes()[..HASH_BYTES]).number(id.sequence);
}

fn put_outstanding(message: &OutstandingMessage, writer: &mut Writer<'_>) {
    let OutstandingMessage { sequence, consumer_sequence, deliveries, due, is_delayed } = *message;
    writer.number(sequence).number(consumer_sequence).number(deliveries.into());
    writer.signed(due).byte(is_delayed.into());
}
