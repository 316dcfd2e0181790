//! The consumers of a stream, behind the stream's lock, and when each of them has something to do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use super::consumer::effect::Effect;
use super::consumer::{Consumer, Report};
use super::definition::ConsumerDefinition;
use super::describe::ConsumerDescribed;
use super::running::{LastRead, MESSAGES_PER_TURN};
use super::shared::Stream;
use super::state::Data;
use crate::delivery::{AfterBatch, Effects, FanOut, Watch};

/// A definition of a consumer, as the journal has it.
pub(super) struct Defined {
    /// A number that no other consumer ever has.
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    /// When it was created, in nanoseconds since 1970.
    pub(super) created: i64,
    pub(super) definition: ConsumerDefinition,
    /// The first message stored at or after the time at which it begins, if it begins at one.
    pub(super) since: Option<u64>,
}

/// A consumer with what belongs to it.
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    /// When it was created, in nanoseconds since 1970.
    pub(super) created: i64,
    pub(super) definition: ConsumerDefinition,
    pub(super) consumer: Consumer,
    /// The work that runs it at the end of a thread's batch.
    pub(super) runner: Arc<Runner>,
    /// Runs it when somebody subscribes to, or unsubscribes from, the subject that it pushes messages to.
    watch: Option<Watch>,
    /// Some thread's batch is going to run it.
    pub(super) is_queued: bool,
    /// A thread runs it, and another one wants it run once more.
    pub(super) is_running: bool,
    pub(super) is_wanted: bool,
    /// Messages that it delivers in one turn, by the length of the last ones.
    pub(super) messages_per_turn: usize,
    /// What its next turn does before anything else.
    pub(super) postponed: Vec<Effect>,
    /// The time at which it has something to do, as the hub has noted it.
    pub(super) deadline: Option<u64>,
    /// When the next messages were stored that it delivers with their pauses, if those are in files.
    pub(super) times: BTreeMap<u64, i64>,
    /// Where its last message was read, unless a thread runs it.
    pub(super) reading: Option<LastRead>,
    /// It has read since the last housekeeping.
    pub(super) has_read: bool,
}

/// The consumers of a stream.
#[derive(Default)]
pub(super) struct Consumers {
    slots: HashMap<u64, Slot>,
    by_name: BTreeMap<Arc<str>, u64>,
    /// Those who are told of a consumer at the end of the turn that it has, with its number.
    pub(super) behind_turns: Vec<(u64, ConsumerDescribed)>,
}

/// Runs a consumer at the end of a batch.
pub(super) struct Runner {
    stream: Weak<Stream>,
    id: u64,
}

impl AfterBatch for Runner {
    fn run(self: Arc<Self>, effects: &mut Effects) {
        if let Some(stream) = self.stream.upgrade() {
            stream.run_consumer(self.id, effects);
        }
    }
}

impl Slot {
    /// A consumer that is new or was restored at a start.
    pub(super) fn new(defined: &Defined, consumer: Consumer, stream: &Arc<Stream>) -> Slot {
        let mut slot = Slot {
            id: defined.id,
            name: Arc::clone(&defined.name),
            created: defined.created,
            definition: defined.definition.clone(),
            consumer,
            runner: Arc::new(Runner { stream: Arc::downgrade(stream), id: defined.id }),
            watch: None,
            is_queued: false,
            is_running: false,
            is_wanted: false,
            messages_per_turn: MESSAGES_PER_TURN,
            postponed: Vec::new(),
            deadline: None,
            times: BTreeMap::new(),
            reading: None,
            has_read: false,
        };
        slot.watch_receivers(&stream.hub.fan_out);
        slot
    }

    /// Its figures, without the unknown messages that it has yet to come to.  While it cannot look at its messages, as the disk refuses, it has as many to deliver as there may be.
    pub(super) fn report(&self, data: &Data) -> Report {
        let mut report = self.consumer.report();
        if !self.consumer.is_settled() {
            let filter = &self.consumer.rules().filter;
            report.pending = data.index().most_from(report.delivered_stream + 1, filter);
        }
        let unknown = data.index().unknown().range_cardinality(report.delivered_stream + 1..);
        report.pending = report.pending.saturating_sub(unknown);
        report
    }

    /// Gives it another definition.
    pub(super) fn define(&mut self, definition: &ConsumerDefinition, fan_out: &FanOut) {
        self.definition.clone_from(definition);
        // They are of the messages that the consumer wanted before.
        self.times.clear();
        self.watch_receivers(fan_out);
    }

    fn watch_receivers(&mut self, fan_out: &FanOut) {
        let subject = self.definition.deliver_subject.as_bytes();
        let is_push = self.definition.is_push();
        self.watch = is_push.then(|| fan_out.watch(subject, Arc::clone(&self.runner) as _));
    }

    /// Runs it at the end of this thread's batch.
    pub(super) fn queue(&mut self, effects: &mut Effects) {
        if !std::mem::replace(&mut self.is_queued, true) {
            effects.after_batch(Arc::clone(&self.runner) as _);
        }
    }
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    /// The consumer with this name.
    pub(super) fn named(&self, name: &str) -> Option<&Slot> {
        self.slots.get(self.by_name.get(name)?)
    }

    pub(super) fn named_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.slots.get_mut(self.by_name.get(name)?)
    }

    /// Adds a consumer, or puts it in the place of the one with its number.  A later one of its name, which a start may know
    /// from a snapshot, keeps the name.
    pub(super) fn insert(&mut self, slot: Slot) {
        let named = self.by_name.entry(Arc::clone(&slot.name)).or_insert(slot.id);
        *named = slot.id.max(*named);
        self.slots.insert(slot.id, slot);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        if self.by_name.get(&slot.name) == Some(&id) {
            self.by_name.remove(&slot.name);
        }
        Some(slot)
    }

    /// All of them, in the order of their names.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Slot> {
        self.by_name.values().filter_map(|id| self.slots.get(id))
    }

    /// All of them, in no order.
    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.values_mut()
    }

    /// Calls `see` with each of them.
    pub(super) fn each(&mut self, mut see: impl FnMut(&mut Consumer)) {
        self.slots.values_mut().for_each(|slot| see(&mut slot.consumer));
    }

    /// Their names and definitions, in the order of their names.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&str, &ConsumerDefinition)> {
        self.in_order().map(|slot| (&*slot.name, &slot.definition))
    }

    /// Whether one of them wanted a message and is done with it.
    pub(super) fn have_passed(&self, sequence: u64, subject: &[u8]) -> bool {
        let has_passed = |slot: &Slot| {
            let consumer = &slot.consumer;
            sequence <= consumer.report().delivered_stream && consumer.rules().filter.matches(subject)
        };
        self.slots.values().any(has_passed)
    }

    /// Whether one of them still needs a message.  If nobody knows its subject, it may be on any.
    pub(super) fn need(&self, sequence: u64, subject: Option<&[u8]>) -> bool {
        self.slots.values().any(|slot| slot.consumer.needs(sequence, subject))
    }
}
