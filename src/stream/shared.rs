//! A stream as threads share it: its state behind one lock, with the changes that the disk may not have yet.
//!
//! A change is decided under the lock, appended to the journal, and applied once the disk has it (`settle`).  A message is decided
//! against the state and the messages that are unapplied; every other change waits for those before it
//! ([`Stream::once_settled`]), so that it is decided against the state alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::api::error::ApiError;
use super::api::reply::acknowledgement_begin;
use super::consumers::Consumers;
use super::definition::{PersistMode, Storage, StreamDefinition};
use super::following::Waiting;
use super::hub::Hub;
use super::record::Record;
use super::segment::{Directory, FileId, ReadError};
use super::state::{Data, Missing};
use super::store::refusal;
use super::unapplied::{Change, Continuation, Entry, Then, Unapplied};
use super::upkeep::Upkeep;
use crate::clock::Now;
use crate::delivery::{Crowd, Effects};
use crate::lock_order::{Mutex, rank};
use crate::wait::Position;

/// See the module's text.
pub struct Stream {
    /// A number that no other stream ever has.
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    /// When it was created, in nanoseconds since 1970.
    pub(super) created: i64,
    /// What its message ids are hashed with.
    pub(super) seed: [u64; 2],
    pub(super) hub: Arc<Hub>,
    /// The beginning of the acknowledgements of its messages.
    pub(super) acknowledgement: Box<[u8]>,
    pub(super) state: Mutex<State, { rank::STREAM }>,
    /// So much of it waits for the disk that publishers are to be slowed down.
    pub(super) has_crowd: AtomicBool,
    /// Whether its messages are in memory only, so that no publisher waits for the disk.
    is_in_memory: bool,
    /// When the log said last that a message is not stored whose publisher is not told, in microseconds; zero if it never did.
    pub(super) refusal_logged: AtomicU64,
    /// Whether it is listed among the streams that wait for the disk.
    pub(super) is_listed: AtomicBool,
}

/// The part of a stream that its lock protects.
pub(super) struct State {
    pub(super) data: Data,
    pub(super) unapplied: Unapplied,
    pub(super) consumers: Consumers,
    /// Followers that wait for its next change.
    pub(super) followers: Waiting,
    /// Messages of an `async` stream that count and that the disk may not have, each with its position.
    pub(super) unsynced: VecDeque<(Position, u64)>,
    /// Messages that a consumer is done with, to be removed if no other consumer needs them.
    pub(super) consumed: Vec<u64>,
    pub(super) upkeep: Upkeep,
    /// Definitions that were replaced since the last snapshot, each with the position of the change.
    pub(super) replaced: Vec<(Position, StreamDefinition)>,
    pub(super) life: Life,
    /// A thread settles it, and another thread wants it settled once more.
    pub(super) is_settling: bool,
    pub(super) is_wanted: bool,
    /// Up to where changes were taken to be applied, and up to where what follows from them is done too.
    pub(super) taken_until: Position,
    pub(super) settled_until: Position,
    /// The time at which it has something to do, as the hub has noted it.
    pub(super) deadline: Option<u64>,
}

/// Whether a stream exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// The disk may not have it yet.
    Announced,
    /// It is there.
    There,
    /// It is gone.
    Gone,
}

/// How the changes of a stream are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keeping {
    /// A change counts once the disk has it.
    Synced,
    /// A change counts at once; the journal has it a little later.
    Async,
    /// Nothing outlives the server.
    Memory,
}

impl Stream {
    pub(super) fn new(
        id: u64,
        created: i64,
        seed: [u64; 2],
        definition: StreamDefinition,
        hub: &Arc<Hub>,
    ) -> Arc<Stream> {
        let name = Arc::from(definition.name.as_str());
        let is_in_memory = definition.storage == Storage::Memory || !hub.is_kept();
        let state = State {
            data: Data::new(definition, seed),
            unapplied: Unapplied::default(),
            consumers: Consumers::default(),
            followers: Waiting::new(),
            unsynced: VecDeque::new(),
            consumed: Vec::new(),
            upkeep: Upkeep::default(),
            replaced: Vec::new(),
            life: Life::Announced,
            is_settling: false,
            is_wanted: false,
            taken_until: Position::default(),
            settled_until: Position::default(),
            deadline: None,
        };
        let (has_crowd, is_listed) = (AtomicBool::new(false), AtomicBool::new(false));
        let hub = Arc::clone(hub);
        let acknowledgement = acknowledgement_begin(&name).into_bytes().into();
        Arc::new(Stream {
            id,
            name,
            created,
            seed,
            hub,
            acknowledgement,
            state: Mutex::new(state),
            has_crowd,
            is_in_memory,
            refusal_logged: AtomicU64::new(0),
            is_listed,
        })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// When it was created, in nanoseconds since 1970.
    pub fn created(&self) -> i64 {
        self.created
    }

    /// Works on the state.  If `work` needs a directory, it is read without the lock, and `work` is called again: so it does
    /// nothing before it has what it needs, or continues where it was.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub(super) fn with<T>(&self, work: impl FnMut(&mut State) -> Result<T, Missing>) -> Result<T, ReadError> {
        self.with_directories(work, Err)
    }

    /// The same for work that must go on: a directory that cannot be read counts as empty, and the log says so.
    pub(super) fn with_readable<T>(&self, work: impl FnMut(&mut State) -> Result<T, Missing>) -> Option<T> {
        let instead = |error| {
            self.log_unreadable(&error);
            Ok(Arc::default())
        };
        self.with_directories(work, instead).ok()
    }

    fn with_directories<T>(
        &self,
        mut work: impl FnMut(&mut State) -> Result<T, Missing>,
        instead: impl Fn(ReadError) -> Result<Arc<Directory>, ReadError>,
    ) -> Result<T, ReadError> {
        let (mut read, mut unreadable) = (Vec::new(), Vec::<FileId>::new());
        loop {
            let mut state = self.state.lock();
            for (id, directory) in read.drain(..) {
                state.data.contents.keep_directory(id, directory);
            }
            match work(&mut state) {
                Ok(done) => {
                    state.data.contents.trim_directories(&unreadable);
                    return Ok(done);
                }
                Err(Missing(segments)) => {
                    drop(state);
                    for segment in segments {
                        let directory = segment.directory().or_else(|error| {
                            unreadable.push(segment.id());
                            instead(error)
                        });
                        read.push((segment.id(), directory?));
                    }
                }
            }
        }
    }

    /// Calls `then` once all changes so far are applied, at once if they are.  Such calls are made one at a time, and the next one sees
    /// what the one before has changed.
    pub(super) fn once_settled(self: &Arc<Stream>, then: Continuation, effects: &mut Effects) {
        {
            let mut state = self.state.lock();
            let end = state.unapplied.end().unwrap_or_default();
            self.push(&mut state, end, Change::Nothing, Then::Decide(then), effects);
        }
        self.settle(effects);
    }

    /// Whether something is still to be applied, or to be told, that was stored up to this position.
    pub(super) fn is_behind(&self, position: Position) -> bool {
        let state = self.state.lock();
        let is_unapplied = state.unapplied.front().is_some_and(|entry| entry.end <= position);
        let may_be_told = state.settled_until < position || state.keeping(&self.hub) != Keeping::Synced;
        is_unapplied || state.is_settling && may_be_told
    }

    /// Calls `then`, which only reads, once all changes so far are applied.
    pub(super) fn once_readable(self: &Arc<Stream>, then: Continuation, effects: &mut Effects) {
        {
            let mut state = self.state.lock();
            self.push(&mut state, Position::default(), Change::Nothing, Then::Read(then), effects);
        }
        self.settle(effects);
    }

    /// Calls `then` once the disk has everything up to `end`, and all changes before are applied.
    /// Returns the position at which that is so.
    pub(super) fn once_synced(
        self: &Arc<Stream>,
        end: Position,
        then: Continuation,
        effects: &mut Effects,
    ) -> Position {
        let mut state = self.state.lock();
        self.push(&mut state, end, Change::Nothing, Then::Call(then), effects)
    }

    /// Appends the record of a change, which was decided against the state, and has it applied.  In a stream in memory it is
    /// applied at once.
    pub(super) fn change(
        self: &Arc<Stream>,
        state: &mut State,
        record: &Record<'_>,
        change: Change,
        then: Then,
        effects: &mut Effects,
    ) {
        // The definition of a stream in memory outlives the server, though its messages do not.
        let is_definition = matches!(record, Record::Defined { .. } | Record::Deleted { .. });
        let is_kept = state.keeping(&self.hub) != Keeping::Memory || is_definition && self.hub.is_kept();
        let end = if is_kept { self.hub.append(record).end } else { Position::default() };
        self.push(state, end, change, then, effects);
    }

    /// Slows the publisher of the last message down if too much waits.
    pub(super) fn slow_down_if_crowded(self: &Arc<Stream>, effects: &mut Effects) {
        if self.is_crowded() {
            effects.slow_down(Arc::clone(self) as _);
        }
    }

    /// Whether so much waits for the disk that what comes is to be slowed down.
    fn is_half_full(&self) -> bool {
        !self.is_in_memory && (self.has_crowd.load(Ordering::Relaxed) || self.hub.is_behind())
    }

    /// Whether as much waits for the disk as may, so that nothing more may wait with it.
    pub(super) fn is_full(&self) -> bool {
        self.is_half_full() && (self.hub.is_full() || self.state.lock().unapplied.is_full())
    }

    /// Updates the flag that tells publishers whether too much waits.  It is written only when it changes, since all look at it.
    pub(super) fn note_crowd(&self, state: &State) {
        let has_crowd = state.unapplied.is_half_full();
        if self.has_crowd.load(Ordering::Relaxed) == has_crowd {
            return;
        }
        self.has_crowd.store(has_crowd, Ordering::Relaxed);
        match has_crowd {
            true => self.hub.crowded.fetch_add(1, Ordering::Relaxed),
            false => self.hub.crowded.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Whether a change may be appended.  What is in memory only does not depend on the disk.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn admit(&self, state: &State) -> Result<(), ApiError> {
        if state.keeping(&self.hub) == Keeping::Memory {
            return Ok(());
        }
        self.hub.admit().map_err(|reason| refusal(&reason))
    }

    /// Adds a change behind the others.  It is applied when the stream is settled, at the end of the batch or later.  Returns from
    /// which position on the disk has it and all before it.
    pub(super) fn push(
        self: &Arc<Stream>,
        state: &mut State,
        end: Position,
        change: Change,
        then: Then,
        effects: &mut Effects,
    ) -> Position {
        let end = end.max(state.unapplied.end().unwrap_or_default());
        state.unapplied.push(Entry { end, change, then });
        self.note_crowd(state);
        if self.hub.is_synced(end) {
            effects.after_batch(Arc::clone(self) as _);
        } else {
            self.hub.list_until(self, end);
        }
        end
    }
}

impl Crowd for Stream {
    /// While the disk takes nothing, publishers are told so at once.
    fn is_crowded(&self) -> bool {
        self.is_half_full() && !self.hub.is_stalled()
    }
}

impl State {
    /// Notes that another definition is about to replace this one, with the change that ends at `position`.
    pub(super) fn note_replaced(&mut self, position: Position) {
        let is_noted = self.replaced.last().is_some_and(|(last, _)| *last == position);
        if self.life == Life::There && !is_noted {
            self.replaced.push((position, self.data.definition().clone()));
        }
    }

    /// The definition that held at a place in the journal.  A snapshot from there on has to name that one: messages behind the place are
    /// stored once more by its limits, until the change comes.
    pub(super) fn definition_at(&self, position: Position) -> &StreamDefinition {
        let replaced = self.replaced.iter().find(|(end, _)| *end > position);
        replaced.map_or(self.data.definition(), |(_, former)| former)
    }

    /// From which position on the disk has the next thing that is to be done; none if nothing is.
    pub(super) fn unsettled(&self) -> Option<Position> {
        let unsynced = self.unsynced.back().map(|(end, _)| *end);
        self.unapplied.front().map(|entry| entry.end).into_iter().chain(unsynced).min()
    }

    pub(super) fn keeping(&self, hub: &Hub) -> Keeping {
        let definition = self.data.definition();
        if definition.storage == Storage::Memory || !hub.is_kept() {
            Keeping::Memory
        } else if definition.persist_mode == PersistMode::Async {
            Keeping::Async
        } else {
            Keeping::Synced
        }
    }
}

/// The time in nanoseconds since 1970.
pub(super) fn nanoseconds(now: Now) -> i64 {
    now.wall_micros().saturating_mul(1000)
}
