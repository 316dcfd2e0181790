//! Reading a stream on from a place, and waiting for what comes next.
//!
//! A follower reads when its receiver has room, from where it was, so nothing is kept for one that is slow.  It sees messages in
//! their order, and every hole between them: messages that were removed before it came to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use super::api::get::MessageGet;
use super::definition::StreamDefinition;
use super::filter::Filter;
use super::index::Index;
use super::message::StoredMessage;
use super::reading::ReadError;
use super::running::LastRead;
use super::shared::{Keeping, Life, State, Stream};
use super::state::{Missing, Place};

/// The most followers at a time, of all streams together.
pub const FOLLOWERS_MAX: usize = 10_000;

/// The wakers of followers that wait for the next change of a stream, by the followers' numbers.
pub(super) type Waiting = HashMap<u64, Waker>;

/// Sequences of which nothing is left to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hole {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// How many of them had a message that is gone.  Where only some subjects are read, it may have been on another one.
    pub removed: u64,
}

/// What a follower finds next.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'m> {
    /// A message.
    Message(&'m StoredMessage<'m>),
    /// Messages that were removed.
    Hole(Hole),
    /// A stored message that cannot be read.
    Unreadable(u64),
}

/// How much is read at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Portion {
    /// Messages.
    pub messages: usize,
    /// Bytes, which one message may exceed.
    pub bytes: usize,
}

/// A reader of a stream: which messages it wants, and its position.
pub struct Follower {
    stream: Arc<Stream>,
    id: u64,
    filter: Filter,
    next: u64,
    /// Up to this sequence, only the last message of each subject is wanted, and holes are not reported.
    latest_until: u64,
    reading: LastRead,
}

/// What is read next, as it was found under the lock.
struct Found {
    steps: Vec<Step>,
    /// Where the follower continues after all of them.
    next: u64,
    is_end: bool,
}

/// One step of a follower.
enum Step {
    Hole(Hole),
    Message(u64, Place),
}

impl Follower {
    /// A reader that begins at `next`; none if there are too many.
    pub fn new(stream: &Arc<Stream>, filter: Filter, next: u64) -> Option<Follower> {
        let hub = &stream.hub;
        if hub.followers.fetch_add(1, Relaxed) >= FOLLOWERS_MAX {
            hub.followers.fetch_sub(1, Relaxed);
            return None;
        }
        let id = hub.last_follower.fetch_add(1, Relaxed) + 1;
        let stream = Arc::clone(stream);
        Some(Follower { stream, id, filter, next, latest_until: 0, reading: LastRead::default() })
    }

    /// Makes it skip all messages up to `until` except the last of each subject.
    #[must_use]
    pub fn with_latest(mut self, until: u64) -> Follower {
        self.latest_until = until;
        self
    }

    /// Its stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The sequence that it looks at next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Reads on, and shows what it finds.  True if it has reached the end of the stream.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn read_on(&mut self, portion: Portion, mut see: impl FnMut(Seen<'_>)) -> Result<bool, ReadError> {
        let stream = Arc::clone(&self.stream);
        let found = stream.with(|state| self.find(state, portion.messages))?;
        let Found { steps, next, is_end } = found;
        let (mut bytes, mut left) = (0, expected(&steps));
        for step in steps {
            let (sequence, place) = match step {
                Step::Hole(hole) => {
                    see(Seen::Hole(hole));
                    self.next = hole.to + 1;
                    continue;
                }
                Step::Message(sequence, place) => (sequence, place),
            };
            let length = length(&place);
            let read = stream.read(sequence, &place, left.min(portion.bytes), &mut self.reading, |message| {
                bytes += message.subject.len() + message.headers.len() + message.payload.len();
                see(Seen::Message(message));
            });
            match read {
                Ok(()) => {}
                Err(ReadError::Gone) => {
                    see(Seen::Hole(Hole { from: sequence, to: sequence, removed: 1 }));
                }
                Err(error) => {
                    tracing::error!(stream = &**stream.name(), sequence, %error, "a message cannot be read");
                    see(Seen::Unreadable(sequence));
                }
            }
            left = left.saturating_sub(length);
            self.next = sequence + 1;
            if bytes >= portion.bytes {
                return Ok(is_end && self.next == next);
            }
        }
        self.next = next;
        if is_end {
            // An open file would take room on the disk though it was removed.
            self.reading = LastRead::default();
        }
        Ok(is_end)
    }

    /// Finds what comes next.
    fn find(&self, state: &mut State, most: usize) -> Result<Found, Missing> {
        let data = &state.data;
        let index = data.index();
        let (mut at, mut steps) = (self.next, Vec::new());
        let sequences = data.next_many(at, u64::MAX, &self.filter, most)?;
        let is_end = sequences.len() < most;
        for sequence in sequences {
            let is_wanted = sequence > self.latest_until || is_last_of_subject(state, sequence)?;
            steps.extend(self.hole(index, at, sequence - 1).map(Step::Hole));
            at = sequence + 1;
            if is_wanted {
                steps.push(Step::Message(sequence, data.place(sequence)));
            }
        }
        if is_end && at <= index.last() {
            steps.extend(self.hole(index, at, index.last()).map(Step::Hole));
            at = index.last() + 1;
        }
        Ok(Found { steps, next: at, is_end })
    }

    /// The hole within these sequences, if there is one to report.
    fn hole(&self, index: &Index, from: u64, to: u64) -> Option<Hole> {
        let from = from.max(self.latest_until + 1);
        let removed = if from <= to { removed_within(index, from, to) } else { 0 };
        (removed > 0).then_some(Hole { from, to, removed })
    }

    /// Ready once there may be more to read: true then, and false if its stream has ended.  Until then `waker` is woken when the
    /// stream changes.
    pub fn poll_more(&self, waker: &Waker) -> Poll<bool> {
        let mut state = self.stream.state.lock();
        if state.data.index().last() >= self.next {
            return Poll::Ready(true);
        }
        if state.life == Life::Gone {
            return Poll::Ready(false);
        }
        state.followers.insert(self.id, waker.clone());
        Poll::Pending
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stream.state.lock().followers.remove(&self.id);
        self.stream.hub.followers.fetch_sub(1, Relaxed);
    }
}

impl Stream {
    /// Which stream of this name it is.  Sequences of one epoch never mean another message.
    pub fn epoch(&self) -> String {
        let is_kept = self.state.lock().keeping(&self.hub) != Keeping::Memory;
        // One in memory begins anew with each start of the server.
        let created = self.created / 1000;
        let began = if is_kept { created } else { created.max(self.hub.started) };
        format!("{began:x}")
    }

    /// Shows the message with a sequence; none if it is not there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn message<T>(
        &self,
        sequence: u64,
        see: impl FnOnce(&StoredMessage<'_>) -> T,
    ) -> Result<Option<T>, ReadError> {
        self.get(&MessageGet::At(sequence), see)
    }

    /// Its definition.
    pub fn definition(&self) -> StreamDefinition {
        self.state.lock().data.definition().clone()
    }

    /// The first sequence that it has, and the last that it has given.
    pub fn range(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.data.index().first(), state.data.index().last())
    }
}

/// How many of these sequences had a message and have none any more.
fn removed_within(index: &Index, from: u64, to: u64) -> u64 {
    let before = index.first().saturating_sub(from).min(to - from + 1);
    let from = from.max(index.first());
    let within = if from <= to { index.deleted().range_cardinality(from..=to) } else { 0 };
    before + within
}

fn is_last_of_subject(state: &State, sequence: u64) -> Result<bool, Missing> {
    let data = &state.data;
    let Some(facts) = data.contents().facts(sequence)? else { return Ok(true) };
    Ok(data.last_known(u64::MAX, &Filter::of([facts.subject]))? == Some(sequence))
}

fn length(place: &Place) -> usize {
    match place {
        Place::Journal(_, length) => *length,
        Place::Memory(_) | Place::File(_) | Place::Unknown | Place::Nowhere => 0,
    }
}

/// The bytes of the journal that are going to be read.
fn expected(steps: &[Step]) -> usize {
    let length = |step: &Step| match step {
        Step::Message(_, place) => length(place),
        Step::Hole(_) => 0,
    };
    steps.iter().map(length).sum()
}
