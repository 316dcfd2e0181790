//! Descriptions of streams and consumers: their definitions, their contents and their progress.

use std::sync::Arc;

use super::api::reply::{
    ConsumerInfo, DELETED_MAX, Page, PriorityGroup, SUBJECTS_MAX, SequencePair, StreamInfo, StreamState,
};
use super::consumer::Report;
use super::consumers::Slot;
use super::definition::{ConsumerDefinition, StreamDefinition};
use super::index::Index;
use super::json::{Nanoseconds, Time};
use super::running::LastRead;
use super::shared::{State, Stream, nanoseconds};
use super::state::{Data, Place};
use crate::clock::Now;
use crate::delivery::Effects;

/// Called with a consumer, or with nothing if there is none any more.
pub(super) type ConsumerDescribed = Box<dyn FnOnce(Option<ConsumerDescription>, &mut Effects) + Send>;

/// The details to be returned along with a stream's figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details<'d> {
    /// The first [`DELETED_MAX`] sequences of the removed messages between its first and its last.
    pub deleted: bool,
    /// The number of messages of each subject that a pattern matches, without the first so many subjects.
    pub subjects: Option<(&'d str, usize)>,
}

/// A stream at a moment.
#[derive(Debug)]
pub struct StreamDescription {
    /// What it is.
    pub definition: StreamDefinition,
    /// What it has.
    pub state: StreamState,
    /// Which subjects were counted; zeros if none were.
    pub page: Page,
    created: Time,
    at: Time,
}

/// A consumer at a moment.
#[derive(Debug)]
pub struct ConsumerDescription {
    /// Its stream.
    pub stream: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub definition: ConsumerDefinition,
    /// Its figures.
    pub report: Report,
    created: Time,
    at: i64,
}

/// Where the time of a stream's first message is found.
enum First {
    Known(Time),
    Read(u64, Place),
}

impl Stream {
    /// Its definition and figures.  What has to be read from the disk is read without the lock.
    pub fn describe(&self, details: Details<'_>, now: Now) -> StreamDescription {
        let mut counted = Vec::new();
        let (mut description, first, deleted) = {
            let state = self.state.lock();
            let index = state.data.index();
            let mut page = Page::default();
            if let Some((pattern, offset)) = details.subjects {
                (page, counted) = count_subjects(index, pattern, offset);
            }
            let description = StreamDescription {
                definition: state.data.definition().clone(),
                state: StreamState { consumer_count: state.consumers.len(), ..figures(&state.data) },
                page,
                created: Time::from_nanoseconds(self.created),
                at: Time::from_nanoseconds(nanoseconds(now)),
            };
            let most = if details.deleted { DELETED_MAX } else { 0 };
            let deleted: Vec<u64> = index.deleted().iter().take(most).collect();
            (description, first(&state.data), deleted)
        };
        let state = &mut description.state;
        state.first_ts = match first {
            First::Known(time) => time,
            First::Read(sequence, place) => {
                let read = self.read(sequence, &place, 0, &mut LastRead::default(), |message| message.time);
                read.map_or(Time::ZERO, Time::from_nanoseconds)
            }
        };
        state.deleted = deleted;
        let text = |subject: Box<[u8]>| String::from_utf8_lossy(&subject).into_owned();
        state.subjects = counted.into_iter().map(|(subject, count)| (text(subject), count)).collect();
        description
    }

    /// Whether it has a consumer of this name.
    pub fn has_consumer(&self, name: &str) -> bool {
        self.state.lock().consumers.named(name).is_some()
    }

    /// The definition and figures of a consumer; none if it does not exist.
    pub fn describe_consumer(&self, name: &str, now: Now) -> Option<ConsumerDescription> {
        let state = self.state.lock();
        state.consumers.named(name).map(|slot| self.description(slot, &state.data, now))
    }

    /// The descriptions of its consumers in the order of their names, `most` from `offset` on, and how many there are in all.
    pub fn describe_consumers(
        &self,
        offset: usize,
        most: usize,
        now: Now,
    ) -> (Page, Vec<ConsumerDescription>) {
        let state = self.state.lock();
        let (page, range) = Page::of(state.consumers.len(), offset, most);
        let slots = state.consumers.in_order().skip(range.start).take(range.len());
        (page, slots.map(|slot| self.description(slot, &state.data, now)).collect())
    }

    /// The names of its consumers in their order, `most` from `offset` on, and how many there are in all.
    pub fn consumer_names(&self, offset: usize, most: usize) -> (Page, Vec<Arc<str>>) {
        let state = self.state.lock();
        let (page, range) = Page::of(state.consumers.len(), offset, most);
        let slots = state.consumers.in_order().skip(range.start).take(range.len());
        (page, slots.map(|slot| Arc::clone(&slot.name)).collect())
    }

    /// Calls `described` with the consumer of this name: at once, or at the end of the turn that another thread gives it.  So whoever is
    /// told how much is pending has been sent all else.
    pub(super) fn once_described(&self, name: &str, described: ConsumerDescribed, effects: &mut Effects) {
        let now = self.hub.clock.now();
        let description = {
            let state = &mut *self.state.lock();
            let slot = state.consumers.named(name);
            if let Some(slot) = slot.filter(|slot| slot.is_running) {
                let id = slot.id;
                state.consumers.behind_turns.push((id, described));
                return;
            }
            slot.map(|slot| self.description(slot, &state.data, now))
        };
        described(description, effects);
    }

    /// Those who wait for the end of a consumer's turn, with what they are told.
    pub(super) fn described_behind_turn(
        &self,
        state: &mut State,
        id: u64,
    ) -> Vec<(ConsumerDescribed, Option<ConsumerDescription>)> {
        let State { consumers, data, .. } = state;
        let waiting: Vec<_> = consumers.behind_turns.extract_if(.., |(running, _)| *running == id).collect();
        let now = self.hub.clock.now();
        let told = waiting.into_iter().map(|(_, described)| {
            (described, consumers.get(id).map(|slot| self.description(slot, data, now)))
        });
        told.collect()
    }

    fn description(&self, slot: &Slot, data: &Data, now: Now) -> ConsumerDescription {
        ConsumerDescription {
            stream: Arc::clone(&self.name),
            name: Arc::clone(&slot.name),
            definition: slot.definition.clone(),
            report: slot.report(data),
            created: Time::from_nanoseconds(slot.created),
            at: nanoseconds(now),
        }
    }
}

/// What is known without reading the disk.
fn figures(data: &Data) -> StreamState {
    let index = data.index();
    // A stream that never had a message begins at no sequence.
    let first_seq = if index.last() == 0 { 0 } else { index.first() };
    let last_ts = if data.last_time() == 0 { Time::ZERO } else { Time::from_nanoseconds(data.last_time()) };
    StreamState {
        messages: index.messages(),
        bytes: index.bytes(),
        first_seq,
        last_seq: index.last(),
        last_ts,
        num_subjects: usize::try_from(index.subjects()).unwrap_or(usize::MAX),
        num_deleted: usize::try_from(index.deleted().len()).unwrap_or(usize::MAX),
        ..StreamState::default()
    }
}

fn first(data: &Data) -> First {
    let sequence = data.index().first();
    if data.index().messages() == 0 {
        return First::Known(Time::ZERO);
    }
    if let Some(message) = data.contents().journaled.get(sequence) {
        return First::Known(Time::from_nanoseconds(message.time));
    }
    let known = data.index().known_from(sequence);
    known.map_or(First::Known(Time::ZERO), |known| First::Read(known, data.place(known)))
}

/// Subjects with their numbers of messages.
type Counts = Vec<(Box<[u8]>, u64)>;

/// The subjects that a pattern matches, each with the number of its messages: a page of them from `offset` on.
fn count_subjects(index: &Index, pattern: &str, offset: usize) -> (Page, Counts) {
    let (mut total, mut counted) = (0, Vec::new());
    for (subject, known) in index.matching(pattern.as_bytes()) {
        if total >= offset && counted.len() < SUBJECTS_MAX {
            counted.push((subject.into(), known.count));
        }
        total += 1;
    }
    let page = if total == 0 { Page::default() } else { Page { total, offset, limit: SUBJECTS_MAX } };
    (page, counted)
}

impl StreamDescription {
    /// The reply of the API.
    pub fn info(&self) -> StreamInfo<'_> {
        let StreamDescription { definition, state, created, at, .. } = self;
        StreamInfo { config: definition, created: *created, state, ts: *at }
    }
}

impl ConsumerDescription {
    /// The reply of the API.
    pub fn info(&self) -> ConsumerInfo<'_> {
        let Report { delivered_consumer, delivered_stream, floor_consumer, floor_stream, .. } = self.report;
        let time = |micros: i64| Time::from_nanoseconds(micros.saturating_mul(1000));
        let pause_remaining = self.pause_remaining();
        ConsumerInfo {
            stream_name: &self.stream,
            name: &self.name,
            created: self.created,
            config: &self.definition,
            delivered: SequencePair {
                consumer_seq: delivered_consumer,
                stream_seq: delivered_stream,
                last_active: self.report.delivered_at.map(time),
            },
            ack_floor: SequencePair {
                consumer_seq: floor_consumer,
                stream_seq: floor_stream,
                last_active: self.report.acknowledged_at.map(time),
            },
            num_ack_pending: self.report.ack_pending,
            num_redelivered: self.report.redelivered,
            num_waiting: self.report.waiting,
            num_pending: self.report.pending,
            push_bound: self.report.is_bound,
            paused: pause_remaining > Nanoseconds::ZERO,
            pause_remaining,
            ts: Time::from_nanoseconds(self.at),
            priority_groups: self.groups(),
        }
    }

    /// How much longer it stays paused.
    pub fn pause_remaining(&self) -> Nanoseconds {
        let until = self.definition.pause_until.map_or(i64::MIN, Time::nanoseconds);
        Nanoseconds(until.saturating_sub(self.at).max(0))
    }

    fn groups(&self) -> Vec<PriorityGroup> {
        let groups = self.definition.priority_groups.iter();
        groups
            .map(|group| PriorityGroup {
                group: group.clone(),
                pinned_client_id: self.report.pin.map_or(String::new(), |pin| pin.to_string()),
                pinned_ts: self
                    .report
                    .pinned_at
                    .map_or(Time::ZERO, |micros| Time::from_nanoseconds(micros.saturating_mul(1000))),
            })
            .collect()
    }
}
