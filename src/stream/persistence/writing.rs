//! Writing a stream's part of a snapshot.

use super::super::hub::TAG;
use super::super::record::{ITEMS_MAX, Named, Record, StreamState, consumer_parts, set_parts};
use super::super::segment::FileId;
use super::super::shared::{Keeping, Life, Stream};
use super::mover::Extent;
use crate::journal::Snapshot;
use crate::wait::Position;

/// Writes the records of a stream, as far as `extent` goes, for a snapshot from the place `cut` in the journal on, and adds its files to `named`.
pub(super) fn write_stream(
    stream: &Stream,
    extent: &Extent,
    cut: Position,
    snapshot: &mut Snapshot,
    named: &mut Vec<FileId>,
) {
    let now = stream.hub.clock.now();
    let mut state = stream.state.lock();
    state.replaced.retain(|(end, _)| *end > cut);
    if state.life == Life::Gone {
        return;
    }
    let (data, id, last) = (&state.data, stream.id, extent.last);
    let definition = state.definition_at(cut).kept();
    let is_kept = state.keeping(&stream.hub) != Keeping::Memory;
    let begin = data.definition().first_sequence.max(1);
    let wall = super::super::shared::nanoseconds(now);
    let mut put = |record: &Record<'_>| snapshot.append(TAG, &record.written());
    put(&Record::StreamState(StreamState {
        stream: id,
        created: stream.created,
        seed: stream.seed,
        first: if is_kept { data.index.first().min(last + 1) } else { begin },
        last: if is_kept { last } else { begin - 1 },
        last_time: if is_kept { data.last_time } else { 0 },
        next_file: data.contents.next_file,
        last_message_id: if is_kept && last == data.index.last() { &data.last_message_id } else { &[] },
        id_marks: if is_kept { data.ids.marks(last, wall).into() } else { Vec::new().into() },
        definition: &definition,
    }));
    if !is_kept {
        return;
    }
    let files = data.contents.segments.entries();
    named.extend(files.iter().map(|file| FileId { stream: id, number: file.number }));
    for files in files.chunks(ITEMS_MAX) {
        put(&Record::Files { stream: id, files: files.into() });
    }
    let mut deleted = data.index.deleted().clone();
    deleted.remove_range(last + 1..);
    for sequences in set_parts(&deleted) {
        put(&Record::DeletedSequences { stream: id, sequences: std::borrow::Cow::Owned(sequences) });
    }
    let is_told = |(sequence, _): &(u64, i64)| *sequence <= last && data.index.is_stored(*sequence);
    let due: Vec<(u64, i64)> = data.expiry.entries().filter(is_told).collect();
    for due in due.chunks(ITEMS_MAX) {
        put(&Record::Expiry { stream: id, due: due.into() });
    }
    let due: Vec<(u64, i64)> = data.schedules.entries().filter(is_told).collect();
    for due in due.chunks(ITEMS_MAX) {
        put(&Record::Schedules { stream: id, due: due.into() });
    }
    let mut lasting = data.expiry.lasting().clone();
    lasting.remove_range(last + 1..);
    for sequences in set_parts(&lasting) {
        put(&Record::Lasting { stream: id, sequences: std::borrow::Cow::Owned(sequences) });
    }
    let ids: Vec<_> = data.ids.known(last, wall).collect();
    for ids in ids.chunks(ITEMS_MAX) {
        put(&Record::Ids { stream: id, ids: ids.into() });
    }
    for slot in state.consumers.in_order().filter(|slot| slot.consumer.rules().is_kept) {
        let definition = slot.definition.kept();
        let consumer = slot.consumer.snapshot(now);
        let whose = Named {
            stream: id,
            consumer: slot.id,
            name: &slot.name,
            created: slot.created,
            definition: &definition,
        };
        consumer_parts(whose, &consumer).for_each(|record| put(&record));
    }
}
