//! The streams as a service that the keeper keeps.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::consumer::record::Snapshot as ConsumerSnapshot;
use super::super::definition::{ConsumerDefinition, StreamDefinition};
use super::super::hub::TAG;
use super::super::record::{Progress, Record};
use super::super::segment::{FileId, remove_others};
use super::super::streams::Streams;
use super::restoring::{Restoring, RestoringConsumer, open_all};
use super::writing::write_stream;
use crate::allocator;
use crate::clock::Now;
use crate::journal::keeper::{Interrupted, Persistent, Rest};
use crate::journal::{Snapshot, Tag};
use crate::wait::Position;

/// See the module's text.
struct PersistentStreams {
    streams: Arc<Streams>,
    /// The streams and consumers of the snapshot that is being read, by their numbers; none once their files are open.
    restoring: Option<BTreeMap<u64, Restoring>>,
    consumers: BTreeMap<(u64, u64), RestoringConsumer>,
    was_in_order: bool,
}

impl Streams {
    /// The keeper's end.
    pub fn persistent(self: &Arc<Streams>) -> Box<dyn Persistent> {
        Box::new(PersistentStreams {
            streams: Arc::clone(self),
            restoring: Some(BTreeMap::new()),
            consumers: BTreeMap::new(),
            was_in_order: true,
        })
    }
}

impl PersistentStreams {
    /// Takes a part of a snapshot; gives the record back if it is a change.
    fn read_part<'r>(&mut self, record: Record<'r>) -> Result<Option<Record<'r>>, String> {
        let Some(streams) = &mut self.restoring else { return Ok(Some(record)) };
        match record {
            Record::StreamState(state) => {
                let restoring = Restoring {
                    created: state.created,
                    seed: state.seed,
                    definition: StreamDefinition::read_kept(state.definition)?,
                    first: state.first,
                    last: state.last,
                    last_time: state.last_time,
                    last_message_id: state.last_message_id.into(),
                    next_file: state.next_file,
                    id_marks: state.id_marks.into_owned(),
                    ..Restoring::default()
                };
                streams.insert(state.stream, restoring);
            }
            Record::Files { stream: id, files } => part_of(streams, id)?.files.extend_from_slice(&files),
            Record::DeletedSequences { stream: id, sequences } => {
                part_of(streams, id)?.deleted |= &*sequences
            }
            Record::Expiry { stream: id, due } => part_of(streams, id)?.expiry.extend_from_slice(&due),
            Record::Schedules { stream: id, due } => part_of(streams, id)?.schedules.extend_from_slice(&due),
            Record::Lasting { stream: id, sequences } => part_of(streams, id)?.lasting |= &*sequences,
            Record::Ids { stream: id, ids } => part_of(streams, id)?.ids.extend_from_slice(&ids),
            Record::ConsumerState { stream, consumer, created, name, progress, definition } => {
                let definition = ConsumerDefinition::read_kept(definition)?;
                let (name, snapshot) = (name.into(), Progress::snapshot(progress));
                let restoring = RestoringConsumer { name, created, definition, snapshot };
                self.consumers.insert((stream, consumer), restoring);
            }
            Record::Outstanding { stream, consumer, messages } => {
                self.consumer(stream, consumer)?.outstanding.extend_from_slice(&messages);
            }
            Record::Leaving { stream, consumer, messages } => {
                self.consumer(stream, consumer)?.leaving.extend_from_slice(&messages);
            }
            Record::Exhausted { stream, consumer, sequences } => {
                self.consumer(stream, consumer)?.exhausted.extend_from_slice(&sequences);
            }
            Record::NextIds { stream, consumer } => {
                self.streams.hub().note_stream(stream.saturating_sub(1));
                self.streams.hub().note_consumer(consumer.saturating_sub(1));
            }
            Record::Marks { .. } => {}
            change => return Ok(Some(change)),
        }
        Ok(None)
    }

    fn consumer(&mut self, stream: u64, consumer: u64) -> Result<&mut ConsumerSnapshot, String> {
        let consumer = self.consumers.get_mut(&(stream, consumer));
        let consumer = consumer.ok_or_else(|| "a part of a consumer comes before the consumer".to_owned())?;
        Ok(&mut consumer.snapshot)
    }

    /// Opens the files of the streams of the snapshot, once all of its parts were read.
    fn open_files(&mut self, now: Now) -> Result<(), String> {
        let Some(streams) = self.restoring.take() else { return Ok(()) };
        let folder = &self.streams.hub().folder;
        let disk =
            if folder.exists() { Some(folder.open().map_err(|error| error.to_string())?) } else { None };
        if let Some(disk) = &disk {
            let is_named = |id: FileId| {
                let stream = streams.get(&id.stream);
                stream.is_some_and(|stream| stream.files.iter().any(|file| file.number == id.number))
            };
            remove_others(&**disk, is_named).map_err(|error| format!("the files of streams: {error}"))?;
        }
        let facts: HashMap<_, _> =
            streams.iter().map(|(id, stream)| (*id, (stream.created, stream.seed))).collect();
        let opened = open_all(streams.into_iter().collect(), disk.as_ref());
        let (opened, damages) = opened.map_err(|error| format!("the files of streams: {error}"))?;
        for damage in damages {
            tracing::error!(%damage, "a file of a stream is damaged: what it has lost is answered by an error");
        }
        for (id, data) in opened {
            let Some((created, seed)) = facts.get(&id) else { continue };
            self.streams.restore(id, *created, data, *seed);
        }
        for ((stream, consumer), restoring) in std::mem::take(&mut self.consumers) {
            if let Some(stream) = self.streams.with_id(stream) {
                stream.restore_consumer(consumer, restoring, now);
            }
        }
        Ok(())
    }
}

/// The stream that a part belongs to.
fn part_of(streams: &mut BTreeMap<u64, Restoring>, id: u64) -> Result<&mut Restoring, String> {
    streams.get_mut(&id).ok_or_else(|| "a part of a stream comes before the stream".to_owned())
}

impl Persistent for PersistentStreams {
    fn tag(&self) -> Tag {
        TAG
    }

    fn replay(&mut self, record: &[u8], position: Position, now: Now) -> Result<(), String> {
        let record = Record::read(record).map_err(|error| error.to_string())?;
        if let Some(change) = self.read_part(record)? {
            self.open_files(now)?;
            self.streams.replay(change, position, now)?;
        }
        Ok(())
    }

    fn end_replay(&mut self, now: Now) -> Result<(), String> {
        self.open_files(now)?;
        self.streams.all().iter().for_each(|stream| stream.resume(now));
        Ok(())
    }

    fn note_last_stop(&mut self, was_in_order: bool) {
        self.was_in_order = was_in_order;
    }

    fn resume(&mut self, _now: Now) -> bool {
        false
    }

    fn attach(&mut self, _is_new: bool) {
        // No stream is created before there is a journal, so the journal has all of them.
        self.streams.attach();
        self.streams.all().iter().for_each(|stream| stream.skip_what_may_be_lost(self.was_in_order));
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        let streams = Arc::clone(&self.streams);
        let cut = snapshot.start();
        Ok(Some(Box::new(move |snapshot| {
            let failed = |error: std::io::Error| {
                tracing::warn!(%error, "the messages of a stream cannot be moved out of the journal");
                Interrupted
            };
            let mut named = Vec::new();
            for stream in streams.all_listed() {
                if let Some(extent) = stream.move_before(cut).map_err(failed)? {
                    write_stream(&stream, &extent, cut, snapshot, &mut named);
                    snapshot.spill();
                }
            }
            // What was known of the messages that have moved is free now, in pieces that threads would keep.
            allocator::ask_for_purge();
            allocator::purge();
            let (stream, consumer) = streams.hub().next_ids();
            let ids = Record::NextIds { stream, consumer };
            snapshot.append(TAG, &ids.written());
            snapshot.on_finished(move || streams.remove_files_but(&named));
            Ok(())
        })))
    }
}
