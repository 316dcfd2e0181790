//! Running a consumer: its effects are decided under the stream's lock, and carried out without it.
//!
//! One thread at a time runs a consumer, so that its messages go out in their order; another thread that wants it run sets a flag.

use std::sync::Arc;
use std::time::Duration;

use super::consumer::effect::{Effect, Failure, Turn, Unread};
use super::consumer::status::Kind;
use super::consumers::Slot;
use super::hub::Hub;

use super::record::Record;
use super::segment::Reader;
use super::shared::{Keeping, Life, State, Stream};
use super::state::{Ahead, Data, Missing, Place, View};
use crate::clock::Now;
use crate::delivery::{AfterBatch, Effects, Outbox};
use crate::journal;
use crate::wait::Position;

/// Messages that a consumer delivers in one turn, if they are not long.
pub(super) const MESSAGES_PER_TURN: usize = 256;

/// Messages of files that are read ahead for the times at which they were stored.
const TIMES_PER_READ: usize = 32;

/// Files whose directories are read for a turn that counts bytes.
const FILES_PER_TURN: usize = 2;

/// Bytes that it sends in one turn, about; then they are handed over, and other connections and consumers have theirs.
const BYTES_PER_TURN: usize = 64 << 10;

/// After how long a turn is tried again that came to nothing because a file could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// How long a consumer waits after a receiver has not taken a message.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a consumer waits for one receiver to read before it goes on for all.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where a consumer has read last, so that it continues from there.
#[derive(Default)]
pub(super) struct LastRead {
    /// The file of the stream.
    pub(super) file: Option<Reader>,
    /// The sequence behind the message that was read from it last.
    pub(super) next: u64,
    pub(super) journal: Option<journal::Reader>,
}

/// The effects of one turn of a consumer, in their order.
pub(super) struct Work {
    pub(super) consumer: u64,
    pub(super) name: Arc<str>,
    pub(super) steps: Vec<(Effect, Place)>,
    pub(super) traits: Traits,
    pub(super) reading: LastRead,
    /// Whether there may be more to deliver at once.
    is_more: bool,
}

/// What of a consumer's rules concerns how its messages are sent.
#[derive(Clone, Copy)]
pub(super) struct Traits {
    pub(super) headers_only: bool,
    /// The consumer waits for what the disk refuses to read.
    pub(super) waits_for_disk: bool,
    /// The number of a message that cannot be read goes to the next one: whoever acknowledges nothing takes a gap between numbers for
    /// a loss that reading once more mends.
    pub(super) skips_unreadable: bool,
}

/// The result of carrying out the effects.
#[derive(Default)]
pub(super) struct Done {
    /// Messages that nobody took.
    pub(super) undelivered: Vec<u64>,
    /// Deliveries whose messages cannot be read.
    pub(super) unreadable: Vec<Unread>,
    /// Deliveries from one on whose message the disk has refused to read, while the consumer waits for it.
    pub(super) held: Vec<Unread>,
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// A receiver for which more waits than should.
    pub(super) behind: Option<Arc<Outbox>>,
}

impl Stream {
    /// Gives a consumer its turn.
    pub(super) fn run_consumer(self: &Arc<Stream>, id: u64, effects: &mut Effects) {
        let mut bytes = 0;
        loop {
            let now = self.hub.clock.now();
            self.read_times(id);
            let work = self.with(|state| self.take_turn(state, id, now, effects));
            let mut work = match work {
                Ok(Some(work)) => work,
                Ok(None) => return,
                Err(error) => {
                    self.log_unreadable(&error);
                    self.refuse_requests(id, effects);
                    return self.run_later(id, now, effects);
                }
            };
            let done = self.do_work(&mut work, now, effects);
            bytes += done.bytes;
            if !done.unreadable.is_empty() || !done.held.is_empty() {
                self.tell_consumer_with_id(id, effects, |slot, turn| tell_unread(slot, turn, &done));
            }
            if !self.end_turn(work, &done, bytes, effects) {
                return;
            }
        }
    }

    /// Gives their turns to consumers that would have them at the end of a batch: what is decided now comes behind what they were
    /// asked before.
    pub(super) fn run_queued(self: &Arc<Stream>, effects: &mut Effects) {
        let queued: Vec<u64> = {
            let mut state = self.state.lock();
            let slots = state.consumers.slots_mut();
            slots.filter(|slot| slot.is_queued).map(|slot| slot.id).collect()
        };
        queued.into_iter().for_each(|id| self.run_consumer(id, effects));
    }

    /// Finds out when the next messages were stored that a consumer delivers with their pauses.  Messages in files tell that only
    /// when they are read.
    fn read_times(self: &Arc<Stream>, id: u64) {
        let wanted = self.with_readable(|state| {
            let Some(slot) = state.consumers.get_mut(id) else { return Ok(Vec::new()) };
            let Some(until) = slot.consumer.original_until() else { return Ok(Vec::new()) };
            let from = slot.consumer.report().delivered_stream + 1;
            slot.times.retain(|sequence, _| *sequence >= from && state.data.index.is_stored(*sequence));
            if !slot.times.is_empty() {
                return Ok(Vec::new());
            }
            let filter = &slot.consumer.rules().filter;
            let mut sequences = state.data.next_many(from, until, filter, TIMES_PER_READ)?;
            sequences.retain(|sequence| state.data.contents.journaled.get(*sequence).is_none());
            Ok(sequences)
        });
        let wanted = wanted.unwrap_or_default();
        if wanted.is_empty() {
            return;
        }
        let times: Vec<Option<i64>> =
            wanted.iter().map(|sequence| self.read_one(*sequence, |message| message.time).ok()).collect();
        let mut state = self.state.lock();
        // One that cannot be read comes with the one before it.
        let mut last = times.iter().find_map(|time| *time).unwrap_or(state.data.last_time);
        let Some(slot) = state.consumers.get_mut(id) else { return };
        for (sequence, time) in wanted.into_iter().zip(times) {
            last = time.unwrap_or(last);
            slot.times.insert(sequence, last);
        }
    }

    /// Tells whoever waits for messages of a consumer that the stream cannot be read.
    fn refuse_requests(self: &Arc<Stream>, id: u64, effects: &mut Effects) {
        let state = &mut *self.state.lock();
        if let Some(slot) = state.consumers.get_mut(id) {
            self.end_requests(&state.data, slot, Kind::StreamUnreadable, effects);
        }
    }

    /// Has a consumer run again after a while, because its turn came to nothing.
    pub(super) fn run_later(&self, id: u64, now: Now, effects: &mut Effects) {
        if let Some(slot) = self.state.lock().consumers.get_mut(id) {
            let next = Some(now.after(RETRY).micros());
            self.hub.set_deadline((self.id, id), &mut slot.deadline, next, effects);
        }
    }

    /// Decides what a consumer does now; nothing if another thread runs it or it is gone.
    fn take_turn(
        self: &Arc<Stream>,
        state: &mut State,
        id: u64,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Option<Work>, Missing> {
        if let Some(slot) = state.consumers.get_mut(id) {
            slot.is_queued = false;
        }
        self.drop_consumed(state, effects)?;
        let keeping = state.keeping(&self.hub);
        let State { data, consumers, consumed, life, .. } = state;
        let Some(slot) = consumers.get_mut(id).filter(|_| *life == Life::There) else { return Ok(None) };
        if slot.is_running {
            slot.is_wanted = true;
            return Ok(None);
        }
        if !slot.consumer.is_settled() {
            settle_consumer(slot, data, now)?;
        }
        let ahead = look_ahead(slot, data)?;
        let view = View::new(data, &ahead);
        let is_wanted = |target: &[u8]| self.hub.fan_out.channels.has_subscriber(target);
        let mut wanted = std::mem::take(&mut slot.postponed);
        let mut turn = Turn { now, messages: &view, is_wanted: &is_wanted, effects: &mut wanted };
        let target = slot.definition.deliver_subject.as_bytes();
        if !target.is_empty() {
            // nats-server waits for a member of the group that the definition names, and if it names none, for a subscriber
            // that is in no group.
            let group = &slot.definition.deliver_group;
            let group = (!group.is_empty()).then_some(group.as_bytes());
            let is_bound = self.hub.fan_out.channels.has_subscriber_in(group, target);
            slot.consumer.interest_changed(&mut turn, is_bound);
        }
        if slot.consumer.next_action(now).is_some_and(|due| due <= now.micros()) {
            slot.consumer.act(&mut turn);
        }
        // Its records would gather in memory while the disk takes nothing.
        let is_held_up = keeping != Keeping::Memory && self.hub.is_full();
        // One that has left since would let another pass whose time is not known.
        slot.times.retain(|sequence, _| data.index.is_stored(*sequence));
        let timed = slot.times.len();
        let most = if timed == 0 { slot.messages_per_turn } else { timed.min(slot.messages_per_turn) };
        let is_more = !is_held_up && slot.consumer.deliver(&mut turn, most);
        slot.is_running = true;
        let retry = is_held_up.then(|| now.after(PATIENCE).micros());
        // The end of a pause that has come has been waited for, and what comes of it has to wait for the disk.
        let next = slot.consumer.next_action(now).filter(|next| !is_held_up || *next > now.micros());
        let next = next.into_iter().chain(retry).min();
        self.hub.set_deadline((self.id, id), &mut slot.deadline, next, effects);
        self.hub.keep(self.id, slot.id, &wanted, keeping);
        let mut steps = Vec::with_capacity(wanted.len());
        for effect in wanted {
            let place = match &effect {
                Effect::Done { sequence } => {
                    consumed.push(*sequence);
                    continue;
                }
                Effect::Keep(_) => continue,
                Effect::Deliver(delivery) => data.place(delivery.sequence),
                _ => Place::Nowhere,
            };
            steps.push((effect, place));
        }
        let work = Work {
            consumer: id,
            name: Arc::clone(&slot.name),
            steps,
            traits: Traits {
                headers_only: slot.definition.headers_only,
                waits_for_disk: slot.consumer.waits_for_disk(now),
                skips_unreadable: !slot.consumer.rules().expects_acknowledgements(),
            },
            reading: slot.reading.take().unwrap_or_default(),
            is_more,
        };
        // Consumed messages leave now, or in the next turn if a directory is missing.
        let _ = self.drop_consumed(state, effects);
        Ok(Some(work))
    }

    /// Ends a turn; true if the next one may follow at once.
    fn end_turn(self: &Arc<Stream>, work: Work, done: &Done, bytes: usize, effects: &mut Effects) -> bool {
        // Whoever sees what this turn has decided must get its answers after the turn's messages.
        effects.hand_over();
        let (is_next, told) = {
            let mut state = self.state.lock();
            let id = work.consumer;
            let is_next = self.end_turn_in(&mut state, work, done, bytes, effects);
            (is_next, self.described_behind_turn(&mut state, id))
        };
        told.into_iter().for_each(|(described, consumer)| described(consumer, effects));
        is_next
    }

    fn end_turn_in(
        self: &Arc<Stream>,
        state: &mut State,
        work: Work,
        done: &Done,
        bytes: usize,
        effects: &mut Effects,
    ) -> bool {
        self.note_sent(state, work.consumer, effects);
        let Some(slot) = state.consumers.get_mut(work.consumer) else { return false };
        slot.is_running = false;
        (slot.reading, slot.has_read) = (Some(work.reading), true);
        for sequence in &done.undelivered {
            slot.consumer.undelivered(*sequence);
        }
        if done.messages > 0 && done.held.is_empty() {
            slot.consumer.was_read();
        }
        let is_wanted = std::mem::take(&mut slot.is_wanted) || work.is_more || !done.undelivered.is_empty();
        if !is_wanted {
            return false;
        }
        if let Some(average) = done.bytes.checked_div(done.messages) {
            slot.messages_per_turn = (BYTES_PER_TURN / average.max(1)).clamp(1, MESSAGES_PER_TURN);
        }
        if !done.undelivered.is_empty() {
            let next = Some(self.hub.clock.now().after(PAUSE).micros());
            self.hub.set_deadline((self.id, slot.id), &mut slot.deadline, next, effects);
            return false;
        }
        let runner: Arc<dyn AfterBatch> = Arc::clone(&slot.runner) as _;
        if done.behind.as_ref().is_some_and(|receiver| receiver.once_taken(&runner)) {
            // A receiver that does not read must not stop the others for good.
            let next = Some(self.hub.clock.now().after(PATIENCE).micros());
            self.hub.set_deadline((self.id, slot.id), &mut slot.deadline, next, effects);
            return false;
        }
        if bytes < BYTES_PER_TURN {
            return true;
        }
        slot.queue(effects);
        false
    }

    /// What the latest turn of a consumer delivers was sent.
    fn note_sent(self: &Arc<Stream>, state: &mut State, id: u64, effects: &mut Effects) {
        let keeping = state.keeping(&self.hub);
        let mut wanted = Vec::new();
        let Some(slot) = state.consumers.get_mut(id) else { return };
        slot.consumer.turn_sent(&mut wanted);
        if wanted.is_empty() {
            return;
        }
        self.hub.keep(self.id, id, &wanted, keeping);
        let done = wanted.into_iter().filter_map(|effect| match effect {
            Effect::Done { sequence } => Some(sequence),
            _ => None,
        });
        state.consumed.extend(done);
        // They leave now, or in the next turn if a directory is missing.
        let _ = self.drop_consumed(state, effects);
    }

    /// Runs the consumers that have something to deliver.
    pub(super) fn wake_consumers(&self, state: &mut State, effects: &mut Effects) {
        for slot in state.consumers.slots_mut() {
            if slot.consumer.is_ready() {
                slot.queue(effects);
            }
        }
    }
}

/// Tells a consumer which messages of its turn could not be read.
fn tell_unread(slot: &mut Slot, turn: &mut Turn<'_>, done: &Done) {
    done.unreadable.iter().for_each(|unread| slot.consumer.unreadable(turn, unread));
    if done.messages > 0 {
        slot.consumer.was_read();
    } else if done.unreadable.iter().any(|unread| unread.failure == Failure::Refusal) {
        slot.consumer.pause(turn);
    }
    slot.consumer.hold(turn, &done.held);
}

/// Has a consumer that was restored look at what there is.
pub(super) fn settle_consumer(slot: &mut Slot, data: &Data, now: Now) -> Result<(), Missing> {
    let filter = &slot.consumer.rules().filter;
    data.count(slot.consumer.report().delivered_stream + 1, filter)?;
    data.last_of_each(filter)?;
    let ahead = Ahead::default();
    let view = View::new(data, &ahead);
    let is_wanted = |_: &[u8]| false;
    let effects = &mut slot.postponed;
    slot.consumer.settle(&mut Turn { now, messages: &view, is_wanted: &is_wanted, effects });
    Ok(())
}

/// Finds out what the turn of a consumer is going to ask for.
fn look_ahead(slot: &Slot, data: &Data) -> Result<Ahead, Missing> {
    let filter = &slot.consumer.rules().filter;
    let times = slot.times.iter().map(|(sequence, time)| (*sequence, *time)).collect();
    let mut ahead = Ahead { times, ..Ahead::default() };
    if slot.consumer.is_ready() && slot.consumer.counts_bytes() {
        let from = slot.consumer.report().delivered_stream + 1;
        // A turn's messages are seldom in more files.
        for segment in data.contents.segments.from(from).iter().take(FILES_PER_TURN) {
            data.contents.directory(segment)?;
        }
    }
    if !filter.is_all() && slot.consumer.is_ready() {
        let from = slot.consumer.report().delivered_stream + 1;
        ahead.sequences = data.next_many(from, u64::MAX, filter, MESSAGES_PER_TURN + 1)?;
    }
    Ok(ahead)
}

impl Hub {
    /// Appends the records of a consumer's turn as one operation, for which nobody need wait.  Returns the position at which the
    /// disk has all that the consumer has changed so far.
    pub(super) fn keep(&self, stream: u64, consumer: u64, effects: &[Effect], keeping: Keeping) -> Position {
        if keeping == Keeping::Memory {
            return Position::default();
        }
        let changes: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Keep(change) => Some(*change),
                _ => None,
            })
            .collect();
        if changes.is_empty() {
            // It may have been changed before.
            return self.appended();
        }
        self.append_quietly(&Record::Consumer { stream, consumer, changes: changes.into() })
    }

    /// Appends a record for which nobody waits.
    pub(super) fn append_quietly(&self, record: &Record<'_>) -> Position {
        self.journal.append_records_quietly([record.parts(&mut Vec::new())]).end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Alarm;
    use crate::stream::requests::tests::Server;

    /// A client that is told that nothing is pending has been sent the messages: nats.py and nats.js take a bucket for empty otherwise.
    #[test]
    fn a_consumer_is_described_after_the_messages_of_the_turn_that_another_thread_gives_it() {
        let update = r#"{"stream_name": "S", "config": {"name": "c", "deliver_subject": "box"}}"#;
        for (question, body) in [("CONSUMER.INFO.S.c", "{}"), ("CONSUMER.CREATE.S.c", update)] {
            let mut server = Server::with(r#"{"name": "S", "subjects": ["s"], "storage": "memory"}"#);
            server.json(
                "CONSUMER.CREATE.S.c",
                r#"{"stream_name": "S", "config": {"name": "c", "deliver_subject": "box"}}"#,
            );
            server.store(&["s", "s"]);
            server.subscribe("box");

            let mut other = Effects::default();
            let stream = server.streams.find("S").expect("it was created");
            let id = stream.state.lock().consumers.named("c").expect("it was created").id;
            let now = server.clock.now();
            let work = stream.with(|state| stream.take_turn(state, id, now, &mut other));
            let mut work = work.expect("it is in memory").expect("nobody runs it");

            assert_eq!(server.ask(question, body), []);
            let done = stream.do_work(&mut work, now, &mut other);
            stream.end_turn(work, &done, done.bytes, &mut other);
            other.deliver(&Alarm::default());

            let got = server.got();
            let [first, second, answer] = &got[..] else { panic!("{question}: {got:?}") };
            assert_eq!((&*first.payload, &*second.payload), ("m1", "m2"));
            assert!(answer.payload.contains(r#""num_pending":0"#), "{answer:?}");
        }
    }
}
