//! The table of all streams: their names, the subjects they keep, and how streams are created and deleted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use super::api::error::{self, ApiError};
use super::definition::{StreamDefinition, collides};
use super::hub::{Hub, Introduction, Surroundings};
use super::persistence::StreamFolder;
use super::record::Record;
use super::requests::{AcknowledgementSink, FlowControlSink, RequestSink};
use super::segment::{FileId, remove_others};
use super::settle::settle_all;
use super::shared::{Life, Stream, nanoseconds};
use super::sink::StreamSink;
use super::store::refusal;
use super::unapplied::{Change, Then};
use crate::clock::Now;
use crate::delivery::{Effects, Sink, SinkId};
use crate::disk::Disk;
use crate::journal::keeper::ServiceJournal;
use crate::lock_order::{Mutex, RwLock, rank};
use crate::random::{Random, machine_seed};
use crate::wait::Lost;

/// The most streams of a server.
pub(super) const STREAMS_MAX: usize = 100_000;

/// Called once a stream exists, or with the reason why it could not be created.
pub(super) type Created = Box<dyn FnOnce(Result<&Arc<Stream>, ApiError>, &mut Effects) + Send>;

/// Called once a stream is deleted.
pub(super) type Deleted = Box<dyn FnOnce(Result<(), ApiError>, &mut Effects) + Send>;

/// See the module's text.
pub struct Streams {
    hub: Arc<Hub>,
    table: RwLock<Table, { rank::STREAM_TABLE }>,
    /// Requests that wait for the journal to be made.
    until_attached: Mutex<Vec<Waiting>, { rank::STREAMS_AWAITED }>,
}

type Waiting = Box<dyn FnOnce(&Streams, Result<(), ApiError>, &mut Effects) + Send>;

#[derive(Default)]
struct Table {
    by_name: BTreeMap<Arc<str>, Listed>,
    by_id: HashMap<u64, Arc<Stream>>,
}

/// A stream in the table.
struct Listed {
    stream: Arc<Stream>,
    /// The patterns of the subjects that it keeps, with their places in the interest.
    subjects: Vec<String>,
    sinks: Vec<SinkId>,
    /// The same for all subjects, so that a message is taken once while they change.
    sink: Arc<StreamSink>,
}

impl Streams {
    /// No streams yet.  They are kept below this directory; in memory if there is none.
    pub fn new(surroundings: Surroundings, directory: Option<PathBuf>) -> Streams {
        let is_kept = directory.is_some();
        Streams::with_folder(surroundings, StreamFolder::in_directory(directory), is_kept)
    }

    /// No streams yet, on a disk that is given.
    pub fn on_disk(surroundings: Surroundings, disk: Arc<dyn Disk>) -> Streams {
        Streams::with_folder(surroundings, StreamFolder::on(disk), true)
    }

    fn with_folder(surroundings: Surroundings, folder: StreamFolder, is_kept: bool) -> Streams {
        let hub = Arc::new(Hub::new(surroundings, folder));
        if is_kept {
            hub.journal.turn_on();
        }
        Streams { hub, table: RwLock::default(), until_attached: Mutex::default() }
    }

    /// Begins to listen for requests of the API.  Called once, when the server has its parts.
    pub fn listen(self: &Arc<Streams>) {
        let streams = Arc::downgrade(self);
        self.hub.belong_to(streams.clone());
        let sinks: [(&[u8], Arc<dyn Sink>); 3] = [
            (b"$JS.API.>", Arc::new(RequestSink(streams.clone()))),
            (b"$JS.ACK.>", Arc::new(AcknowledgementSink(streams.clone()))),
            (b"$JS.FC.>", Arc::new(FlowControlSink(streams))),
        ];
        for (pattern, sink) in sinks {
            // They stay as long as the server.
            let _ = self.hub.fan_out.add_sink(pattern, sink);
        }
    }

    /// Has events name the server and its clients.  Called once, before there are requests.
    pub fn introduce(&self, introduction: Introduction) {
        self.hub.introduce(introduction);
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Connects the streams to the journal.
    pub fn journal(&self) -> &ServiceJournal {
        &self.hub.journal
    }

    /// Has this thread settle streams: `waker` is woken when there is something to settle.
    pub fn add_settler(&self, waker: Waker) {
        self.hub.add_settler(waker);
    }

    /// This thread ends, so others settle streams.
    pub fn remove_settler(&self) {
        self.hub.remove_settler();
    }

    /// Applies the changes that the disk has: publishers get their acknowledgements, consumers continue.
    pub fn settle(&self, effects: &mut Effects) {
        self.go_on_if_attached(effects);
        settle_all(self.hub.take_unsettled(), &self.hub, effects);
    }

    /// Does everything that has fallen due.
    pub fn advance(&self, now: Now, effects: &mut Effects) {
        if self.hub.take_resumed() {
            self.begin_upkeep(effects);
        }
        self.go_on_if_attached(effects);
        settle_all(self.hub.take_overdue(), &self.hub, effects);
        let (due, next) = self.hub.due(now.micros());
        let next_timeout = self.hub.timeouts.wake_due(now.micros());
        if let Some(next) = next.into_iter().chain(next_timeout).min() {
            effects.set_deadline(next);
        }
        for (id, consumer) in due {
            let Some(stream) = self.with_id(id) else { continue };
            match consumer {
                0 => stream.advance(now, effects),
                consumer => stream.run_consumer(consumer, effects),
            }
        }
    }

    /// The stream with this name, if the disk has it.
    pub fn find(&self, name: &str) -> Option<Arc<Stream>> {
        let stream = self.table.read().by_name.get(name).map(|listed| Arc::clone(&listed.stream))?;
        let is_there = stream.state.lock().life == Life::There;
        is_there.then_some(stream)
    }

    /// The stream with this number, whether the disk has it or not.
    pub(super) fn with_id(&self, id: u64) -> Option<Arc<Stream>> {
        self.table.read().by_id.get(&id).cloned()
    }

    /// All streams that the disk has, in the order of their names.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        let all: Vec<Arc<Stream>> =
            self.table.read().by_name.values().map(|listed| Arc::clone(&listed.stream)).collect();
        all.into_iter().filter(|stream| stream.state.lock().life == Life::There).collect()
    }

    /// All streams, whether the disk has them or not.
    pub(super) fn all_listed(&self) -> Vec<Arc<Stream>> {
        self.table.read().by_name.values().map(|listed| Arc::clone(&listed.stream)).collect()
    }

    /// Removes all files but these, which a snapshot has named.
    pub(super) fn remove_files_but(&self, named: &[FileId]) {
        if !self.hub.folder.exists() {
            return;
        }
        let named: HashSet<FileId> = named.iter().copied().collect();
        let removed = self.hub.folder.open().and_then(|disk| remove_others(&*disk, |id| named.contains(&id)));
        if let Err(error) = removed {
            tracing::warn!(%error, "files of streams that are not needed any more cannot be removed");
        }
    }

    /// The stream that keeps messages on a subject.
    pub fn keeping(&self, subject: &[u8]) -> Option<Arc<Stream>> {
        self.with_id(self.hub.fan_out.channels.numbered_sink(subject)?)
    }

    /// Whether so much of some streams waits for the disk that their publishers have to wait.
    pub fn are_crowded(&self) -> bool {
        self.hub.are_crowded()
    }

    /// Creates a stream by a definition that is not checked yet, or finds the existing one if it has the same definition.
    pub fn create(
        &self,
        definition: StreamDefinition,
        pedantic: bool,
        now: Now,
        created: Created,
        effects: &mut Effects,
    ) {
        let definition = match definition.checked_for_creation(pedantic) {
            Ok(definition) => definition,
            Err(error) => return created(Err(error), effects),
        };
        if self.hub.is_kept() && !self.hub.is_attached() {
            let retry: Waiting = Box::new(move |streams, made, effects| match made {
                Ok(()) => streams.create_checked(definition, now, created, effects),
                Err(error) => created(Err(error), effects),
            });
            self.until_attached.lock().push(retry);
            return self.hub.wait_until_made();
        }
        self.create_checked(definition, now, created, effects);
    }

    fn create_checked(
        &self,
        definition: StreamDefinition,
        now: Now,
        created: Created,
        effects: &mut Effects,
    ) {
        if let Err(reason) = self.hub.admit() {
            return created(Err(refusal(&reason)), effects);
        }
        let mut table = self.table.write();
        if let Some(listed) = table.by_name.get(definition.name.as_str()) {
            let stream = Arc::clone(&listed.stream);
            drop(table);
            return created_again(&stream, definition, created, effects);
        }
        if let Err(error) = table.check(&definition) {
            drop(table);
            return created(Err(error), effects);
        }
        let id = self.hub.last_stream.fetch_add(1, Relaxed) + 1;
        let mut random = Random::with_seed(machine_seed());
        let seed = [random.draw(), random.draw()];
        let stream = Stream::new(id, nanoseconds(now), seed, definition.clone(), &self.hub);
        // No message is appended before the definition.
        let mut state = stream.state.lock();
        self.list(&mut table, &stream, &definition);
        let then = Then::Call(Box::new(move |stream, synced, effects| match synced {
            Ok(()) => created(Ok(stream), effects),
            Err(Lost) => created(Err(super::store::lost()), effects),
        }));
        let json = definition.kept();
        let record = Record::Defined { stream: id, created: stream.created, seed, definition: &json };
        stream.change(&mut state, &record, Change::Define(Box::new(definition)), then, effects);
    }

    /// Adds a stream to the table and makes it take messages.  A later one of its name, which a start may know from a snapshot
    /// that has seen this one go, keeps the name.
    fn list(&self, table: &mut Table, stream: &Arc<Stream>, definition: &StreamDefinition) {
        table.by_id.insert(stream.id, Arc::clone(stream));
        if table.by_name.get(&stream.name).is_some_and(|other| other.stream.id > stream.id) {
            return;
        }
        let subjects = definition.subjects.clone();
        let sink = Arc::new(StreamSink(Arc::clone(stream)));
        let sinks = self.add_sinks(&sink, &subjects);
        let listed = Listed { stream: Arc::clone(stream), subjects, sinks, sink };
        table.by_name.insert(Arc::clone(&stream.name), listed);
    }

    /// Restores a stream at a start.
    pub(super) fn take_back(&self, stream: &Arc<Stream>, definition: &StreamDefinition) {
        self.list(&mut self.table.write(), stream, definition);
    }

    fn add_sinks(&self, sink: &Arc<StreamSink>, subjects: &[String]) -> Vec<SinkId> {
        let add = |pattern: &String| self.hub.fan_out.add_sink(pattern.as_bytes(), Arc::clone(sink) as _);
        subjects.iter().map(add).collect()
    }

    /// Whether a stream with a checked definition may be added to the existing ones.
    pub(super) fn check_new(&self, definition: &StreamDefinition) -> Result<(), ApiError> {
        let table = self.table.read();
        if table.by_name.contains_key(definition.name.as_str()) {
            return Err(error::STREAM_NAME_IN_USE.error());
        }
        table.check(definition)
    }

    /// Gives a stream another definition, which is not checked yet.
    pub fn update(
        self: &Arc<Streams>,
        stream: &Arc<Stream>,
        definition: StreamDefinition,
        pedantic: bool,
        updated: Created,
        effects: &mut Effects,
    ) {
        let streams = Arc::clone(self);
        let decide = move |stream: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
            let decided = match synced {
                Ok(()) => streams.decide_update(stream, definition, pedantic),
                Err(Lost) => Err(super::store::lost()),
            };
            match decided {
                Ok(definition) => stream.define(definition, updated, effects),
                Err(error) => updated(Err(error), effects),
            }
        };
        stream.once_settled(Box::new(decide), effects);
    }

    fn decide_update(
        &self,
        stream: &Arc<Stream>,
        definition: StreamDefinition,
        pedantic: bool,
    ) -> Result<StreamDefinition, ApiError> {
        let mut table = self.table.write();
        let definition = {
            let state = stream.state.lock();
            if state.life == Life::Gone {
                return Err(error::STREAM_NOT_FOUND.error());
            }
            let former = state.data.definition();
            let definition = former.updated(definition, pedantic)?;
            former.check_consumers(&definition, state.consumers.definitions())?;
            definition
        };
        table.check(&definition)?;
        if let Some(listed) = table.by_name.get_mut(&stream.name)
            && listed.subjects != definition.subjects
        {
            let former = std::mem::take(&mut listed.sinks);
            listed.sinks = self.add_sinks(&listed.sink, &definition.subjects);
            former.into_iter().for_each(|sink| self.hub.fan_out.remove_sink(sink));
            listed.subjects.clone_from(&definition.subjects);
        }
        Ok(definition)
    }

    /// Deletes a stream.  `deleted` is called once that is on the disk.
    pub fn delete(self: &Arc<Streams>, stream: &Arc<Stream>, deleted: Deleted, effects: &mut Effects) {
        let streams = Arc::clone(self);
        let then = Then::Call(Box::new(move |stream, synced, effects| match synced {
            Ok(()) => {
                streams.unlist(stream);
                stream.end_consumers(effects);
                deleted(Ok(()), effects);
            }
            Err(Lost) => deleted(Err(super::store::lost()), effects),
        }));
        let mut state = stream.state.lock();
        stream.change(&mut state, &Record::Deleted { stream: stream.id }, Change::Delete, then, effects);
    }

    /// Takes a stream out of the table.
    pub(super) fn unlist(&self, stream: &Arc<Stream>) {
        let mut table = self.table.write();
        table.by_id.remove(&stream.id);
        let is_it = table.by_name.get(&stream.name).is_some_and(|listed| Arc::ptr_eq(&listed.stream, stream));
        if is_it && let Some(listed) = table.by_name.remove(&stream.name) {
            listed.sinks.into_iter().for_each(|sink| self.hub.fan_out.remove_sink(sink));
        }
    }

    /// Continues the requests that waited for the journal, once it is made or cannot be.
    fn go_on_if_attached(&self, effects: &mut Effects) {
        let made = match (self.hub.is_attached(), self.hub.admit()) {
            (true, _) => Ok(()),
            (false, Err(reason)) => Err(refusal(&reason)),
            (false, Ok(())) => return,
        };
        let waiting = std::mem::take(&mut *self.until_attached.lock());
        waiting.into_iter().for_each(|go_on| go_on(self, made.clone(), effects));
    }

    /// The journal has the state of all streams from now on.
    pub(super) fn attach(&self) {
        self.hub.attach();
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // The interest would keep the streams alive, and they the interest.
        for (_, listed) in std::mem::take(&mut self.table.write().by_name) {
            listed.sinks.into_iter().for_each(|sink| self.hub.fan_out.remove_sink(sink));
        }
    }
}

impl Table {
    /// Whether a stream may have these subjects beside the others.
    fn check(&self, definition: &StreamDefinition) -> Result<(), ApiError> {
        let mut others = self.by_name.iter().filter(|(name, _)| ***name != *definition.name);
        if others.any(|(_, listed)| collides(&listed.subjects, &definition.subjects)) {
            return Err(error::STREAM_SUBJECTS_OVERLAP.error());
        }
        if self.by_name.len() >= STREAMS_MAX && !self.by_name.contains_key(definition.name.as_str()) {
            return Err(error::MAXIMUM_STREAMS.error());
        }
        Ok(())
    }
}

/// Answers a request to create a stream that exists already.
fn created_again(
    stream: &Arc<Stream>,
    definition: StreamDefinition,
    created: Created,
    effects: &mut Effects,
) {
    let compare = move |stream: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
        let (life, is_same) = {
            let state = stream.state.lock();
            (state.life, state.data.definition().is_same_as(&definition))
        };
        match (synced, life, stream.hub.streams()) {
            (Err(Lost), ..) => created(Err(super::store::lost()), effects),
            // It has been deleted meanwhile, so this is the next one of its name.
            (Ok(()), Life::Gone, Some(streams)) => {
                streams.create_checked(definition, stream.hub.clock.now(), created, effects);
            }
            (Ok(()), Life::There, _) if is_same => created(Ok(stream), effects),
            _ => created(Err(error::STREAM_NAME_IN_USE.error()), effects),
        }
    };
    stream.once_settled(Box::new(compare), effects);
}

impl Stream {
    /// Appends a checked definition, and applies it once the disk has it.
    fn define(self: &Arc<Stream>, definition: StreamDefinition, updated: Created, effects: &mut Effects) {
        let then = Then::Call(Box::new(move |stream, synced, effects| match synced {
            Ok(()) => updated(Ok(stream), effects),
            Err(Lost) => updated(Err(super::store::lost()), effects),
        }));
        let json = definition.kept();
        let record =
            Record::Defined { stream: self.id, created: self.created, seed: self.seed, definition: &json };
        let mut state = self.state.lock();
        self.change(&mut state, &record, Change::Define(Box::new(definition)), then, effects);
    }
}
