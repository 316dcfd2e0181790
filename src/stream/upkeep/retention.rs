//! Streams whose consumers decide when a message is removed: when no consumer needs it.
//!
//! With the retention `interest`, a message that no consumer needs when it is stored is not kept at all.  Otherwise a message is removed
//! when a consumer is done with it and no other one needs it.  When a consumer ends, or wants other subjects, all messages are looked
//! through, some of them at a time.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::together::Step;
use crate::delivery::Effects;
use crate::stream::definition::Retention;
use crate::stream::segment::ReadError;
use crate::stream::shared::{State, Stream};
use crate::stream::state::{Gone, Missing, Storing};
use crate::stream::unapplied::Then;

/// The most messages that are looked at in one turn of a stream; then other streams have theirs.
pub(super) const LOOKED_AT_PER_TURN: usize = 4096;

impl State {
    /// Stores a message, live or at a start.  Called again after an error it continues, and it does nothing
    /// if the message was stored before.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(in crate::stream) fn store(
        &mut self,
        storing: &Storing,
        gone: &mut Vec<Gone>,
    ) -> Result<(), Missing> {
        self.note_sequence_before(storing)?;
        let State { data, consumers, .. } = self;
        if data.store(storing)
            && data.definition().retention == Retention::Interest
            && !consumers.need(storing.sequence, Some(&storing.subject))
        {
            // No consumer was told of it.
            data.remove(storing.sequence, &mut Vec::new())?;
        }
        data.trim(gone)
    }

    /// Begins to look for messages that no consumer needs, if consumers decide.
    pub(in crate::stream) fn look_for_unneeded(&mut self) {
        if self.data.definition().retention != Retention::Limits && self.data.index.messages() > 0 {
            self.upkeep.unneeded_from = Some(self.data.index.first());
        }
    }

    /// Whether no consumer needs a message.
    fn is_unneeded(&self, sequence: u64, subject: &[u8]) -> bool {
        if self.consumers.need(sequence, Some(subject)) {
            return false;
        }
        // In a work queue, a message waits for a consumer.
        self.data.definition().retention == Retention::Interest
            || self.consumers.have_passed(sequence, subject)
    }
}

impl Stream {
    /// Removes messages that consumers are done with, if no other consumer needs them.
    ///
    /// # Errors
    /// If a directory has to be read first; called again, it continues.
    pub(in crate::stream) fn drop_consumed(
        self: &Arc<Stream>,
        state: &mut State,
        effects: &mut Effects,
    ) -> Result<(), Missing> {
        if state.consumed.is_empty() {
            return Ok(());
        }
        let mut sequences = RoaringTreemap::new();
        for &sequence in &state.consumed {
            // An unknown message may be one that somebody else waits for.
            if !state.data.index.is_stored(sequence) || state.data.index.unknown().contains(sequence) {
                continue;
            }
            let facts = state.data.contents.facts(sequence)?;
            let subject = facts.as_ref().map(|facts| &*facts.subject);
            if !state.consumers.need(sequence, subject) {
                sequences.insert(sequence);
            }
        }
        state.consumed.clear();
        if sequences.is_empty() {
            return Ok(());
        }
        let steps = vec![Step::Drop { sequences, is_recorded: true }];
        self.change_together(state, steps, 0, Then::Nothing, effects);
        Ok(())
    }

    /// Continues to look for messages that no consumer needs.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub(super) fn drop_unneeded(self: &Arc<Stream>, effects: &mut Effects) -> Result<(), ReadError> {
        self.with(|state| {
            let mut left = LOOKED_AT_PER_TURN;
            while let Some(from) = state.upkeep.unneeded_from {
                let Some(sequence) = state.data.index.stored_from(from) else {
                    state.upkeep.unneeded_from = None;
                    break;
                };
                if left == 0 {
                    break;
                }
                left -= 1;
                let facts = state.data.contents.facts(sequence)?;
                if facts.is_some_and(|facts| state.is_unneeded(sequence, &facts.subject)) {
                    state.consumed.push(sequence);
                }
                state.upkeep.unneeded_from = Some(sequence + 1);
            }
            self.drop_consumed(state, effects)
        })
    }
}
