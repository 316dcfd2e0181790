//! Applying the records of the journal at a start, as their changes were applied before.

use std::sync::Arc;

use super::super::consumers::Defined;
use super::super::definition::{ConsumerDefinition, StreamDefinition};
use super::super::message::StoredMessage;
use super::super::record::{LeftRecord, Record};
use super::super::shared::{Life, State, Stream};
use super::super::state::{Data, Missing, Storing};
use super::super::streams::Streams;
use super::super::unapplied::Change;
use crate::clock::Now;
use crate::wait::Position;

impl Streams {
    /// Applies a record of a change.
    ///
    /// # Errors
    /// Why it cannot be applied.
    pub(in crate::stream) fn replay(
        &self,
        record: Record<'_>,
        position: Position,
        now: Now,
    ) -> Result<(), String> {
        match record {
            Record::Defined { stream, created, seed, definition } => {
                let definition = StreamDefinition::read_kept(definition)?;
                match self.with_id(stream) {
                    Some(stream) => stream.replay_change(&Change::Define(Box::new(definition)), now),
                    None => {
                        self.restore(stream, created, Data::new(definition, seed), seed);
                        Ok(())
                    }
                }
            }
            Record::Deleted { stream } => {
                self.with_id(stream).iter().for_each(|stream| self.unlist(stream));
                Ok(())
            }
            Record::Stored { stream, message, left } => {
                self.replay_left(left, now);
                self.with_id(stream).map_or(Ok(()), |stream| stream.replay_stored(&message, position))
            }
            Record::Removed { stream, sequences, removal } => self.with_id(stream).map_or(Ok(()), |stream| {
                stream.replay_change(&Change::Remove(sequences.into_owned(), removal), now)
            }),
            Record::Cleared { stream, next } => self
                .with_id(stream)
                .map_or(Ok(()), |stream| stream.replay_change(&Change::ClearBefore(next), now)),
            Record::Skipped { stream, last } => {
                self.with_id(stream).map_or(Ok(()), |stream| stream.replay_change(&Change::Skip(last), now))
            }
            Record::LastTime { stream, time } => {
                let stream = self.with_id(stream);
                stream.iter().for_each(|stream| stream.state.lock().data.note_last_time(time));
                Ok(())
            }
            Record::ConsumerDefined { stream, consumer, created, name, definition } => {
                let Some(stream) = self.with_id(stream) else { return Ok(()) };
                let definition = ConsumerDefinition::read_kept(definition)?;
                let mut defined =
                    Defined { id: consumer, name: name.into(), created, definition, since: None };
                stream.find_start_anyway(&mut defined);
                self.hub().note_consumer(consumer);
                stream.replay_change(&Change::DefineConsumer(Arc::new(defined)), now)
            }
            Record::ConsumerDeleted { stream, consumer } => {
                let stream = self.with_id(stream);
                stream.iter().for_each(|stream| drop(stream.state.lock().consumers.remove(consumer)));
                Ok(())
            }
            Record::Consumer { stream, consumer, changes } => {
                if let Some(stream) = self.with_id(stream)
                    && let Some(slot) = stream.state.lock().consumers.get_mut(consumer)
                {
                    changes.iter().for_each(|change| slot.consumer.replay(*change, now));
                }
                Ok(())
            }
            _ => Err("a part of a snapshot stands behind it".to_owned()),
        }
    }

    /// Adds a stream that the journal or a snapshot has.
    pub(super) fn restore(&self, id: u64, created: i64, data: Data, seed: [u64; 2]) -> Arc<Stream> {
        let definition = data.definition().clone();
        let stream = Stream::new(id, created, seed, definition.clone(), self.hub());
        {
            let mut state = stream.state.lock();
            (state.data, state.life) = (data, Life::There);
        }
        self.hub().note_stream(id);
        self.take_back(&stream, &definition);
        stream
    }

    /// The copy of a dead letter is in the journal, so its message has left its consumer.
    fn replay_left(&self, left: Option<LeftRecord>, now: Now) {
        let Some(LeftRecord { stream, consumer, sequence }) = left else { return };
        let Some(stream) = self.with_id(stream) else { return };
        if let Some(slot) = stream.state.lock().consumers.get_mut(consumer) {
            slot.consumer.replay(super::super::consumer::record::Record::Left { sequence }, now);
        }
    }
}

impl Stream {
    fn replay_stored(&self, message: &StoredMessage<'_>, position: Position) -> Result<(), String> {
        self.replay_with(|state| {
            let storing = Storing::replayed(message, position);
            if storing.sequence > state.data.index.last() && !storing.message_id.is_empty() {
                state.data.ids.insert(&storing.message_id, storing.sequence, storing.time);
            }
            state.store(&storing, &mut Vec::new())
        })
    }

    fn replay_change(self: &Arc<Stream>, change: &Change, now: Now) -> Result<(), String> {
        self.replay_with(|state| self.apply_change(state, change, &mut Vec::new(), now))
    }

    fn replay_with(&self, apply: impl FnMut(&mut State) -> Result<(), Missing>) -> Result<(), String> {
        self.with(apply).map_err(|error| error.to_string())
    }
}
