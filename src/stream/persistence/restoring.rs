//! A stream as a snapshot has it, while a start reads the snapshot's records.

use std::io;
use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::allocator;
use crate::clock::Now;
use crate::delivery::Effects;
use crate::disk::Disk;
use crate::random::machine_seed;
use crate::stream::consumer::Consumer;
use crate::stream::consumer::record::Snapshot;
use crate::stream::consumer::rules::Rules;
use crate::stream::consumers::{Defined, Slot};
use crate::stream::definition::{ConsumerDefinition, StreamDefinition};
use crate::stream::index::Index;
use crate::stream::ingest::{IdMark, KnownId};
use crate::stream::record::Record;
use crate::stream::running::settle_consumer;
use crate::stream::segment::{self, Damage, FileEntry, FileId, Opened, Segment, Segments};
use crate::stream::shared::{Keeping, State, Stream};
use crate::stream::state::Data;
use crate::stream::unapplied::{Change, Then};

/// See the module's text.
#[derive(Default)]
pub(super) struct Restoring {
    pub(super) created: i64,
    pub(super) seed: [u64; 2],
    pub(super) definition: StreamDefinition,
    /// The first stored sequence, and the last that the part is about.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) last_time: i64,
    pub(super) last_message_id: Box<[u8]>,
    pub(super) next_file: u64,
    pub(super) files: Vec<FileEntry>,
    pub(super) deleted: RoaringTreemap,
    /// Messages with a time of their own at which they go, or are published, in nanoseconds since 1970.
    pub(super) expiry: Vec<(u64, i64)>,
    pub(super) schedules: Vec<(u64, i64)>,
    pub(super) lasting: RoaringTreemap,
    pub(super) id_marks: Vec<IdMark>,
    pub(super) ids: Vec<KnownId>,
}

impl Restoring {
    /// The state of the stream with this number, with its files open.  Whatever is wrong with them is added to `damages`.
    ///
    /// # Errors
    /// If a file is missing or the disk refuses.
    pub(super) fn open(
        self,
        stream: u64,
        disk: Option<&dyn Disk>,
        damages: &mut Vec<Damage>,
    ) -> io::Result<Data> {
        let mut data = Data::new(self.definition, self.seed);
        let mut index = Index::new(1, data.limits().max_messages_per_subject);
        let range = self.first..=self.last;
        let mut segments = Vec::with_capacity(self.files.len());
        index.restore(self.first, self.last, self.deleted);
        for entry in &self.files {
            let disk = disk.ok_or_else(|| io::Error::other("the folder of the streams is missing"))?;
            let opened = segment::open(disk, stream, entry).map_err(|error| {
                let file = disk.describe(&FileId { stream, number: entry.number }.name());
                io::Error::new(error.kind(), format!("{file}: {error}"))
            });
            let Opened { segment, directory, damages: found } = opened?;
            damages.extend(found);
            let deleted = index.deleted().clone();
            if index.keeps_sequences() {
                let wanted = directory.wanted(|_| true);
                for row in directory.matching(range.clone(), &deleted, &wanted) {
                    index.add_stored(row.sequence, directory.subject_of(row), row.size);
                }
            } else {
                for subject in directory.live(range.clone(), &deleted) {
                    let (first, last) = (subject.first, subject.last);
                    index.add_many(subject.subject, subject.count, first, last, subject.bytes);
                }
            }
            segments.push(segment);
        }
        index.add_unknown(unknown(&index, &segments)?);
        data.contents.segments = Segments::new(segments);
        data.contents.next_file = self.next_file;
        for (sequence, due) in self.expiry {
            data.expiry.add(sequence, due, |sequence| index.is_stored(sequence));
        }
        for (sequence, due) in self.schedules {
            data.schedules.add(sequence, due, |sequence| index.is_stored(sequence));
        }
        self.lasting.iter().for_each(|sequence| data.expiry.add_lasting(sequence));
        data.ids.restore_marks(&self.id_marks);
        self.ids.into_iter().for_each(|id| data.ids.restore(id));
        (data.last_time, data.last_message_id) = (self.last_time, self.last_message_id);
        data.index = index;
        Ok(data)
    }
}

/// The stored messages that no file has: of these, damage has left nothing but the sequences.
fn unknown(index: &Index, segments: &[Arc<Segment>]) -> io::Result<RoaringTreemap> {
    let mut unknown = RoaringTreemap::new();
    let given = (index.last() + 1).saturating_sub(index.first());
    let stored = given - index.deleted().range_cardinality(index.first()..=index.last());
    if stored > index.messages() {
        unknown.insert_range(index.first()..=index.last());
        unknown -= index.deleted();
        for segment in segments {
            let directory = segment.directory().map_err(io::Error::other)?;
            let known: RoaringTreemap = directory.rows().map(|row| row.sequence).collect();
            unknown -= known;
        }
    }
    Ok(unknown)
}

/// A consumer as a snapshot has it.
pub(super) struct RestoringConsumer {
    pub(super) name: Arc<str>,
    pub(super) created: i64,
    pub(super) definition: ConsumerDefinition,
    pub(super) snapshot: Snapshot,
}

impl Stream {
    /// Restores a consumer.  It takes records until the stream resumes.
    pub(super) fn restore_consumer(self: &Arc<Stream>, id: u64, restoring: RestoringConsumer, now: Now) {
        let RestoringConsumer { name, created, definition, snapshot } = restoring;
        self.hub.note_consumer(id);
        let mut state = self.state.lock();
        let rules = Rules::defined(&definition, state.data.definition(), &name, machine_seed());
        let consumer = Consumer::restore(rules, &snapshot, now);
        let defined = Defined { id, name, created, definition, since: None };
        let slot = Slot::new(&defined, consumer, self);
        state.consumers.insert(slot);
    }

    /// All records were taken back: consumers look at what there is.  One for which the disk refuses a directory would pass over
    /// messages for good, so it tries again later and delivers nothing before.
    pub(super) fn resume(self: &Arc<Stream>, now: Now) {
        let consumers: Vec<u64> = self.state.lock().consumers.slots_mut().map(|slot| slot.id).collect();
        for id in consumers {
            let settled = self.with(|State { data, consumers, .. }| match consumers.get_mut(id) {
                Some(slot) => settle_consumer(slot, data, now),
                None => Ok(()),
            });
            if let Err(error) = settled {
                self.log_unreadable(&error);
                if let Some(slot) = self.state.lock().consumers.get_mut(id) {
                    slot.consumer.put_off_settling();
                }
                // Whoever looks after the streams first learns of the time.
                self.run_later(id, now, &mut Effects::default());
            }
        }
        let state = self.state.lock();
        let (index, consumers) = (&state.data.index, state.consumers.len());
        tracing::info!(
            stream = &*self.name,
            messages = index.messages(),
            bytes = index.bytes(),
            first = index.first(),
            last = index.last(),
            consumers,
            "opened a stream"
        );
    }
}

impl Stream {
    /// A stream that may have lost acknowledged messages gives their sequences to no others.  That is recorded
    /// before the next message counts, even after a clean stop: the next server cannot see messages that this one loses.
    pub(super) fn skip_what_may_be_lost(self: &Arc<Stream>, was_in_order: bool) {
        let mut state = self.state.lock();
        if state.keeping(&self.hub) != Keeping::Async {
            return;
        }
        let last = state.data.index.last() + if was_in_order { 0 } else { SKIPPED };
        let record = Record::Skipped { stream: self.id, last };
        // It is applied when the server looks after its streams for the first time.
        self.change(&mut state, &record, Change::Skip(last), Then::Nothing, &mut Effects::default());
    }
}

/// More messages than fit into the bytes that the journal lets wait for the disk, so more than can be lost.
const SKIPPED: u64 = 1 << 22;

/// The states of streams, by their numbers, and what is wrong with their files.
pub(super) type OpenedStreams = (Vec<(u64, Data)>, Vec<Damage>);

/// Opens the files of many streams, on several threads.
///
/// # Errors
/// If a file is missing or the disk refuses.
pub(super) fn open_all(
    restoring: Vec<(u64, Restoring)>,
    disk: Option<&Arc<dyn Disk>>,
) -> io::Result<OpenedStreams> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(restoring.len()).max(1);
    let mut parts: Vec<Vec<(u64, Restoring)>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, stream) in restoring.into_iter().enumerate() {
        parts[number % threads].push(stream);
    }
    let open_part = |part: Vec<(u64, Restoring)>| -> io::Result<OpenedStreams> {
        let mut damages = Vec::new();
        let open = |(id, stream): (u64, Restoring)| {
            stream.open(id, disk.map(|disk| &**disk), &mut damages).map(|data| (id, data))
        };
        let opened = part.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        allocator::purge();
        Ok((opened, damages))
    };
    let (mut opened, mut damages) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| open_part(part))).collect();
        for thread in threads {
            let part =
                thread.join().map_err(|_| io::Error::other("a thread that opens files has panicked"))?;
            let (streams, found) = part?;
            opened.extend(streams);
            damages.extend(found);
        }
        Ok::<(), io::Error>(())
    })?;
    Ok((opened, damages))
}
