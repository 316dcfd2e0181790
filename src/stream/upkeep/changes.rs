//! What follows when a stream or a consumer is created, deleted, or gets another definition.

use std::sync::Arc;

use super::advisories::Action;
use crate::delivery::Effects;
use crate::stream::consumer::effect::Turn;
use crate::stream::consumer::rules::Rules;
use crate::stream::consumers::Defined;
use crate::stream::definition::{ConsumerDefinition, Retention};
use crate::stream::shared::{Life, State, Stream};
use crate::stream::state::{Ahead, View};
use crate::stream::streams::Streams;

impl Streams {
    /// Resumes the upkeep of all streams, after their state was restored at a start.
    pub(in crate::stream) fn begin_upkeep(&self, effects: &mut Effects) {
        self.all_listed().iter().for_each(|stream| stream.begin_upkeep(effects));
    }
}

impl Stream {
    fn begin_upkeep(self: &Arc<Stream>, effects: &mut Effects) {
        let mut state = self.state.lock();
        // A message may have been acknowledged just before the stop, and not be removed yet.
        state.look_for_unneeded();
        state.consumers.slots_mut().for_each(|slot| slot.queue(effects));
        self.plan(&mut state, effects);
    }

    /// Follows a definition that was applied, the first or another one.
    pub(in crate::stream) fn defined(&self, state: &mut State) {
        state.upkeep.transform = None;
        if state.life == Life::Announced {
            state.life = Life::There;
            return self.note_stream(state, Action::Created);
        }
        self.follow_retention(state);
        self.note_stream(state, Action::Updated);
    }

    /// Prepares the end of the stream and its consumers.
    pub(in crate::stream) fn ended(&self, state: &mut State) {
        state.life = Life::Gone;
    }

    /// The stream and its consumers are gone.
    pub(in crate::stream) fn stream_ended(&self, state: &mut State) {
        self.note_stream(state, Action::Deleted);
    }

    /// Follows the removal of all messages: consumers adjust to an empty stream.
    pub(in crate::stream) fn sweep_consumers(&self, state: &mut State) {
        let State { data, consumers, .. } = state;
        // If messages are left, consumers were told of each that has left.
        if data.index.messages() > 0 {
            return;
        }
        let now = self.hub.clock.now();
        // Of a stream without messages the index knows everything.
        let ahead = Ahead::default();
        let view = View::new(data, &ahead);
        for slot in consumers.slots_mut() {
            let effects = &mut slot.postponed;
            slot.consumer.swept(&mut Turn { now, messages: &view, is_wanted: &|_| true, effects });
        }
    }

    /// Collects what consumers are done with, if the stream's retention now depends on it.
    fn follow_retention(&self, state: &mut State) {
        let stream = state.data.definition().clone();
        let State { data, consumers, .. } = &mut *state;
        let now = self.hub.clock.now();
        let ahead = Ahead::default();
        let view = View::new(data, &ahead);
        let mut is_other = false;
        for slot in consumers.slots_mut() {
            let defined = Rules::defined(&slot.definition, &stream, &slot.name, 0);
            let rules = slot.consumer.rules();
            if rules.retention != defined.retention {
                is_other = true;
                let rules = Rules { retention: defined.retention, ..rules.clone() };
                let effects = &mut slot.postponed;
                slot.consumer
                    .update(&mut Turn { now, messages: &view, is_wanted: &|_| true, effects }, rules);
            }
        }
        if is_other || stream.retention == Retention::Interest {
            state.look_for_unneeded();
        }
    }

    /// A consumer has begun.
    pub(in crate::stream) fn consumer_created(&self, state: &mut State, name: &str) {
        self.note_consumer(state, name, Action::Created);
    }

    /// A consumer has another definition.
    pub(in crate::stream) fn consumer_redefined(
        &self,
        state: &mut State,
        former: &ConsumerDefinition,
        defined: &Defined,
    ) {
        if state.data.definition().retention == Retention::Interest {
            state.look_for_unneeded();
        }
        self.note_redefined(state, former, defined);
    }

    /// A consumer is gone.
    pub(in crate::stream) fn consumer_ended(&self, state: &mut State, name: &str) {
        if state.data.definition().retention == Retention::Interest {
            state.look_for_unneeded();
        }
        self.note_consumer(state, name, Action::Deleted);
    }
}
