//! Several changes as one operation of the journal: a start after a crash finds all of them or none.

use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::delivery::Effects;
use crate::journal::{Appended, record_length};
use crate::stream::message::StoredMessage;
use crate::stream::record::{Record, Removal};
use crate::stream::shared::{Keeping, State, Stream};
use crate::stream::state::{Kept, Storing};
use crate::stream::unapplied::{Change, Then};
use crate::wait::Position;

/// A change that a stream makes by itself.
pub(super) enum Step<'m> {
    /// Messages are removed.  If that is not recorded, a start finds out by itself that they have to be.
    Drop { sequences: RoaringTreemap, is_recorded: bool },
    /// A message is stored, on the terms that its headers say.
    Store { subject: &'m [u8], headers: &'m [u8], payload: &'m [u8] },
}

impl Stream {
    /// Appends changes as one operation, and applies them one after the other.  `then` comes after the last.
    pub(super) fn change_together(
        self: &Arc<Stream>,
        state: &mut State,
        steps: Vec<Step<'_>>,
        time: i64,
        then: Then,
        effects: &mut Effects,
    ) {
        let keeping = state.keeping(&self.hub);
        let messages = self.messages_of(state, &steps, time);
        let appended = self.append_steps(&steps, &messages, keeping);
        let mut messages = messages.into_iter();
        let mut changes: Vec<Change> = Vec::with_capacity(steps.len());
        let mut position = appended.start;
        for (step, length) in steps.into_iter().zip(appended.lengths) {
            let at = position;
            if let (Some(length), true) = (length, position != Appended::NOWHERE) {
                position = Position(position.0 + record_length(length));
            }
            changes.push(match step {
                Step::Drop { sequences, .. } => Change::Remove(sequences, Removal::Ended),
                Step::Store { .. } => {
                    let Some(message) = messages.next() else { continue };
                    self.storing(state, &message, at, appended.end, keeping)
                }
            });
        }
        // A change that counts at once waits only for the changes before it.
        let end = if keeping == Keeping::Async { Position::default() } else { appended.end };
        let last = changes.pop();
        for change in changes {
            self.push(state, end, change, Then::Nothing, effects);
        }
        self.push(state, end, last.unwrap_or(Change::Nothing), then, effects);
    }

    /// The messages among the steps, with their sequences.
    fn messages_of<'m>(&self, state: &State, steps: &[Step<'m>], time: i64) -> Vec<StoredMessage<'m>> {
        let time = time.max(state.last_time());
        let mut sequence = state.last_sequence();
        let mut messages = Vec::new();
        for step in steps {
            if let Step::Store { subject, headers, payload } = *step {
                sequence += 1;
                messages.push(StoredMessage { sequence, time, subject, headers, payload });
            }
        }
        messages
    }

    fn append_steps(&self, steps: &[Step<'_>], messages: &[StoredMessage<'_>], keeping: Keeping) -> Steps {
        let mut messages = messages.iter();
        let mut records: Vec<Vec<u8>> = Vec::with_capacity(steps.len());
        let mut lengths = Vec::with_capacity(steps.len());
        for step in steps {
            let record = match step {
                Step::Drop { is_recorded: false, .. } => None,
                Step::Drop { sequences, .. } => {
                    let sequences = std::borrow::Cow::Borrowed(sequences);
                    Some(Record::Removed { stream: self.id, sequences, removal: Removal::Ended }.written())
                }
                Step::Store { .. } => messages.next().map(|message| {
                    Record::Stored { stream: self.id, message: *message, left: None }.written()
                }),
            };
            lengths.push(record.as_ref().map(Vec::len));
            records.extend(record);
        }
        if keeping == Keeping::Memory || records.is_empty() {
            return Steps { start: Appended::NOWHERE, end: Position::default(), lengths };
        }
        let Appended { start, end } =
            self.hub.journal.append_records(records.iter().map(|record| [&record[..]]));
        Steps { start, end, lengths }
    }

    fn storing(
        self: &Arc<Stream>,
        state: &mut State,
        message: &StoredMessage<'_>,
        position: Position,
        end: Position,
        keeping: Keeping,
    ) -> Change {
        let definition = state.data.definition();
        let is_kept = keeping != Keeping::Synced || definition.republish.is_some();
        let kept = is_kept.then(|| Kept::new(message));
        let storing = Storing { kept, ..Storing::replayed(message, position) };
        if keeping == Keeping::Async {
            state.unsynced.push_back((end, message.sequence));
            self.hub.list_until(self, end);
        }
        Change::Store(Box::new(storing))
    }
}

/// Where the records of an operation are.
struct Steps {
    start: Position,
    end: Position,
    /// The length of each step's record, if it has one.
    lengths: Vec<Option<usize>>,
}
