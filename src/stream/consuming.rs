//! Creating, changing and deleting consumers, and handing them what their receivers send.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::api::bodies::Action;
use super::api::error::{self, ApiError};
use super::consumer::effect::{Effect, Turn};
use super::consumer::request::PullRequest;
use super::consumer::rules::{Rules, Start};
use super::consumer::status::{FlowToken, Kind};
use super::consumer::{Acknowledgement, Confirmation, Consumer, DeliveryId};
use super::consumers::{Consumers, Defined, Slot};
use super::definition::{ConsumerDefinition, DeliverInterest};
use super::record::Record;
use super::segment::ReadError;
use super::shared::{Life, State, Stream, nanoseconds};
use super::state::{Ahead, Data, Missing, View};
use super::store::lost;
use super::unapplied::{Change, Then};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::random::{Random, machine_seed};
use crate::wait::{Lost, Position};

/// Called with the name of a consumer once it exists, or with the reason why it could not be created.
pub(super) type ConsumerCreated =
    Box<dyn FnOnce(&Arc<Stream>, Result<Arc<str>, ApiError>, &mut Effects) + Send>;

/// Called once a consumer is deleted.
pub(super) type ConsumerDeleted = Box<dyn FnOnce(&Arc<Stream>, Result<(), ApiError>, &mut Effects) + Send>;

/// Called once an acknowledgement is on the disk.
pub(super) type Answered = Box<dyn FnOnce(&mut Effects) + Send>;

/// The number of letters in a name that the server invents.
const NAME_LENGTH: usize = 8;

/// An acknowledgement, with the request for the next message that may come with it.
#[derive(Clone, Debug)]
pub struct Said<'s> {
    /// The delivery that the receiver speaks of.
    pub delivery: DeliveryId,
    /// What the receiver says about the message.
    pub acknowledgement: Acknowledgement<'s>,
    /// The request of `+NXT`.
    pub next: Option<PullRequest>,
}

impl Stream {
    /// Creates a consumer by a definition that is not checked yet, or changes the one of that name.
    pub fn define_consumer(
        self: &Arc<Stream>,
        definition: ConsumerDefinition,
        action: Action,
        pedantic: bool,
        created: ConsumerCreated,
        effects: &mut Effects,
    ) {
        let decide = move |stream: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
            if synced.is_err() {
                return created(stream, Err(lost()), effects);
            }
            match stream.decide_consumer(definition, action, pedantic) {
                Ok((defined, true)) => stream.keep_consumer(defined, created, effects),
                Ok((defined, false)) => created(stream, Ok(defined.name), effects),
                Err(error) => created(stream, Err(error), effects),
            }
        };
        self.once_settled(Box::new(decide), effects);
    }

    /// The definition that a consumer is about to have, and whether the consumer is new.
    fn decide_consumer(
        self: &Arc<Stream>,
        definition: ConsumerDefinition,
        action: Action,
        pedantic: bool,
    ) -> Result<(Defined, bool), ApiError> {
        let state = self.state.lock();
        self.admit(&state)?;
        if state.life == Life::Gone {
            return Err(error::STREAM_NOT_FOUND.error());
        }
        let stream = state.data.definition();
        let definition = definition.checked(stream, pedantic)?;
        let asked = definition.asked_name().to_owned();
        let others = |except: Option<u64>| {
            let others = state.consumers.in_order().filter(move |slot| Some(slot.id) != except);
            others.map(|slot| &slot.definition)
        };
        let former = state.consumers.named(&asked);
        let definition = definition.with_end(former.map(|slot| &slot.definition));
        if let Some(slot) = former {
            let is_same = slot.definition.is_same_as(&definition);
            if action == Action::Create && !is_same {
                return Err(error::CONSUMER_ALREADY_EXISTS.error());
            }
            let is_bound = slot.consumer.report().is_bound;
            let interest = if is_bound { DeliverInterest::Bound } else { DeliverInterest::Unbound };
            let definition = if is_same {
                slot.definition.clone()
            } else {
                slot.definition.updated(definition, interest, stream, others(Some(slot.id)))?
            };
            let defined = Defined {
                id: slot.id,
                name: Arc::clone(&slot.name),
                created: slot.created,
                definition,
                since: None,
            };
            return Ok((defined, !is_same));
        }
        if action == Action::Update {
            return Err(error::CONSUMER_DOES_NOT_EXIST.error());
        }
        definition.check_beside(stream, others(None))?;
        let name = if asked.is_empty() { invented_name() } else { asked };
        let id = self.hub.last_consumer.fetch_add(1, Relaxed) + 1;
        let created = nanoseconds(self.hub.clock.now());
        // A name that the server invents is no part of the definition.
        let mut definition = definition;
        if definition.is_durable() {
            definition.name.clone_from(&name);
        }
        Ok((Defined { id, name: name.into(), created, definition, since: None }, true))
    }

    /// Appends the definition of a consumer to the journal, and applies it once the disk has it.
    pub(super) fn keep_consumer(
        self: &Arc<Stream>,
        mut defined: Defined,
        created: ConsumerCreated,
        effects: &mut Effects,
    ) {
        let start = match self.find_start(&mut defined) {
            Ok(start) => start,
            Err(error) => return created(self, Err(error::CONSUMER_CREATE.with(error)), effects),
        };
        let name = Arc::clone(&defined.name);
        let then = Then::Call(Box::new(move |stream, synced, effects| match synced {
            Ok(()) => created(stream, Ok(name), effects),
            Err(Lost) => created(stream, Err(lost()), effects),
        }));
        let mut state = self.state.lock();
        if let Some(time) = start {
            // None of those that are on their way is passed over.
            defined.since = defined.since.or_else(|| Some(state.unapplied_since(time)));
        }
        if defined.definition.memory_storage {
            let change = Change::DefineConsumer(Arc::new(defined));
            self.push(&mut state, Position::default(), change, then, effects);
            return;
        }
        let json = defined.definition.kept();
        let name = Arc::clone(&defined.name);
        let record = Record::ConsumerDefined {
            stream: self.id,
            consumer: defined.id,
            created: defined.created,
            name: &name,
            definition: &json,
        };
        self.change(&mut state, &record, Change::DefineConsumer(Arc::new(defined)), then, effects);
    }

    /// Finds the first message of a consumer that begins at a time, and returns that time.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn find_start(self: &Arc<Stream>, defined: &mut Defined) -> Result<Option<i64>, ReadError> {
        let rules = {
            let state = self.state.lock();
            Rules::defined(&defined.definition, state.data.definition(), &defined.name, 0)
        };
        let Start::Time(time) = rules.start else { return Ok(None) };
        defined.since = self.sequence_at(time)?;
        Ok(Some(time))
    }

    /// The same while the journal is replayed, when nobody is there to be told of damage: the consumer then begins at the first
    /// message that may be meant.
    pub(super) fn find_start_anyway(self: &Arc<Stream>, defined: &mut Defined) {
        if let Err(error) = self.find_start(defined) {
            self.log_unreadable(&error);
            defined.since = Some(self.state.lock().data.index.first());
        }
    }

    /// Applies the definition of a consumer: it begins, or continues by other rules.
    pub(super) fn apply_consumer(
        self: &Arc<Stream>,
        state: &mut State,
        defined: &Defined,
        now: Now,
    ) -> Result<(), Missing> {
        let State { data, consumers, .. } = state;
        let seed = machine_seed();
        let rules = Rules::defined(&defined.definition, data.definition(), &defined.name, seed);
        let ahead = Ahead { since: defined.since, ..Ahead::default() };
        let view = View::new(data, &ahead);
        let is_wanted = |target: &[u8]| self.hub.fan_out.channels.has_subscriber(target);
        let mut wanted = Vec::new();
        let mut turn = Turn { now, messages: &view, is_wanted: &is_wanted, effects: &mut wanted };
        if let Some(slot) = consumers.get_mut(defined.id) {
            data.count(slot.consumer.report().delivered_stream + 1, &rules.filter)?;
            slot.consumer.update(&mut turn, rules);
            let former = slot.definition.clone();
            slot.define(&defined.definition, &self.hub.fan_out);
            self.consumer_redefined(state, &former, defined);
            return Ok(());
        }
        let consumer = Consumer::new(rules, &mut turn);
        view.missing().map_or(Ok(()), Err)?;
        let slot = Slot::new(defined, consumer, self);
        consumers.insert(slot);
        self.consumer_created(state, &defined.name);
        Ok(())
    }

    /// Deletes a consumer, if it exists.
    pub(super) fn delete_consumer(
        self: &Arc<Stream>,
        id: u64,
        deleted: Option<ConsumerDeleted>,
        effects: &mut Effects,
    ) {
        let mut state = self.state.lock();
        let is_kept = state.consumers.get(id).is_some_and(|slot| slot.consumer.rules().is_kept);
        let then = match deleted {
            None => Then::Nothing,
            Some(deleted) => Then::Call(Box::new(move |stream, synced, effects| {
                deleted(stream, synced.map_err(|Lost| lost()), effects);
            })),
        };
        if is_kept {
            let record = Record::ConsumerDeleted { stream: self.id, consumer: id };
            self.change(&mut state, &record, Change::DeleteConsumer(id), then, effects);
        } else {
            self.push(&mut state, Position::default(), Change::DeleteConsumer(id), then, effects);
        }
    }

    /// Follows the end of a consumer: answers its waiting requests, and removes messages that only it needed.
    pub(super) fn consumer_deleted(self: &Arc<Stream>, state: &mut State, id: u64, effects: &mut Effects) {
        let State { data, consumers, .. } = state;
        let Some(mut slot) = consumers.remove(id) else { return };
        self.end_requests(data, &mut slot, Kind::ConsumerDeleted, effects);
        self.hub.forget_deadline((self.id, id), &mut slot.deadline);
        self.consumer_ended(state, &slot.name);
    }

    /// Tells all who wait for messages of a consumer that they get none.
    pub(super) fn end_requests(&self, data: &Data, slot: &mut Slot, kind: Kind, effects: &mut Effects) {
        let ahead = Ahead::default();
        let view = View::new(data, &ahead);
        let mut wanted = Vec::new();
        let is_wanted = |_: &[u8]| true;
        let mut turn =
            Turn { now: self.hub.clock.now(), messages: &view, is_wanted: &is_wanted, effects: &mut wanted };
        slot.consumer.end_requests(&mut turn, kind);
        for effect in wanted {
            if let Effect::Status { target, status } = effect {
                self.send_status(&slot.name, &target, &status, effects);
            }
        }
    }

    /// Ends all consumers of a stream that is deleted.
    pub(super) fn end_consumers(self: &Arc<Stream>, effects: &mut Effects) {
        let mut state = self.state.lock();
        let ids: Vec<u64> = state.consumers.slots_mut().map(|slot| slot.id).collect();
        for id in ids {
            self.consumer_deleted(&mut state, id, effects);
        }
        self.hub.forget_deadline((self.id, 0), &mut state.deadline);
        self.stream_ended(&mut state);
        drop(state);
        self.tell_events(effects);
    }

    /// Takes a request for messages; false if there is no such consumer.
    pub fn request(self: &Arc<Stream>, consumer: &str, request: PullRequest, effects: &mut Effects) -> bool {
        self.tell_consumer(consumer, effects, |slot, turn| slot.consumer.request(turn, request)).is_some()
    }

    /// Takes an acknowledgement.  `answered` is called once it is on the disk, if an answer is due.  While as much waits for the
    /// disk as may, it is not taken, and its message is delivered again.
    pub fn acknowledge_delivery(
        self: &Arc<Stream>,
        consumer: &str,
        said: Said<'_>,
        answered: Option<Answered>,
        effects: &mut Effects,
    ) -> bool {
        if self.is_full() {
            return self.has_consumer(consumer);
        }
        let told = self.tell_consumer(consumer, effects, |slot, turn| {
            let answer = slot.consumer.acknowledge(turn, said.delivery, said.acknowledgement);
            if let Some(next) = said.next {
                slot.consumer.request(turn, next);
            }
            answer
        });
        let Some((answer, end)) = told else { return false };
        if let (Confirmation::WhenKept, Some(answered)) = (answer, answered) {
            let then = Box::new(|_: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
                if synced.is_ok() {
                    answered(effects);
                }
            });
            // The message leaves before the answer is sent; if a directory is missing, it leaves in the next turn.
            let _ = self.drop_consumed(&mut self.state.lock(), effects);
            let end = self.once_synced(end, then, effects);
            effects.note_stored(end);
        }
        true
    }

    /// A receiver has answered a question of flow control; false if there is no such consumer.
    pub fn flow_answered(
        self: &Arc<Stream>,
        consumer: &str,
        token: FlowToken,
        effects: &mut Effects,
    ) -> bool {
        self.tell_consumer(consumer, effects, |slot, turn| slot.consumer.flow_answered(turn, token)).is_some()
    }

    /// Changes a consumer, and runs it at the end of the batch.  Returns the answer, and from which position on the
    /// disk has what changed; nothing if there is no such consumer.
    pub(super) fn tell_consumer<T>(
        self: &Arc<Stream>,
        name: &str,
        effects: &mut Effects,
        tell: impl FnOnce(&mut Slot, &mut Turn<'_>) -> T,
    ) -> Option<(T, Position)> {
        self.tell_slot(|consumers| consumers.named_mut(name), effects, tell)
    }

    /// The same for the consumer with this number.
    pub(super) fn tell_consumer_with_id<T>(
        self: &Arc<Stream>,
        id: u64,
        effects: &mut Effects,
        tell: impl FnOnce(&mut Slot, &mut Turn<'_>) -> T,
    ) -> Option<(T, Position)> {
        self.tell_slot(|consumers| consumers.get_mut(id), effects, tell)
    }

    fn tell_slot<T>(
        self: &Arc<Stream>,
        find: impl for<'c> FnOnce(&'c mut Consumers) -> Option<&'c mut Slot>,
        effects: &mut Effects,
        tell: impl FnOnce(&mut Slot, &mut Turn<'_>) -> T,
    ) -> Option<(T, Position)> {
        let now = self.hub.clock.now();
        let (mut wanted, mut statuses) = (Vec::new(), Vec::new());
        let (answer, end, name);
        {
            let mut state = self.state.lock();
            let keeping = state.keeping(&self.hub);
            let State { data, consumers, consumed, .. } = &mut *state;
            let slot = find(consumers)?;
            let ahead = Ahead::default();
            let view = View::new(data, &ahead);
            let is_wanted = |target: &[u8]| self.hub.fan_out.channels.has_subscriber(target);
            let mut turn = Turn { now, messages: &view, is_wanted: &is_wanted, effects: &mut wanted };
            answer = tell(slot, &mut turn);
            end = self.hub.keep(self.id, slot.id, &wanted, keeping);
            for effect in wanted {
                match effect {
                    Effect::Keep(_) => {}
                    Effect::Done { sequence } => consumed.push(sequence),
                    Effect::Status { .. } => statuses.push(effect),
                    // Everything else is done in the consumer's turn, in its order.
                    other => slot.postponed.push(other),
                }
            }
            slot.queue(effects);
            name = Arc::clone(&slot.name);
        }
        for effect in statuses {
            if let Effect::Status { target, status } = effect {
                self.send_status(&name, &target, &status, effects);
            }
        }
        Some((answer, end))
    }
}

/// A name for a consumer that was created without one.
fn invented_name() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = Random::with_seed(machine_seed());
    (0..NAME_LENGTH).map(|_| char::from(LETTERS[random.below(LETTERS.len())])).collect()
}
