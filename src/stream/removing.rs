//! Removing messages by request: one of them, or those that a purge takes.

use std::borrow::Cow;
use std::sync::Arc;

use quartet_protocol::broker::subject::ALL_TOKENS;
use roaring::RoaringTreemap;

use super::api::bodies::{Purge, PurgeExtent};
use super::api::error::{self, ApiError};
use super::index::purge;
use super::record::{Record, Removal};
use super::shared::{Life, State, Stream};
use super::state::Missing;
use super::store::lost;
use super::unapplied::{Change, Then};
use crate::delivery::Effects;
use crate::wait::Lost;

/// The highest next sequence that a purge can set: no stream ever stores so many messages.
const SEQUENCE_MAX: u64 = 1 << 62;

/// Called once messages are removed, with their number, or with the reason why they stay.
pub type Removed = Box<dyn FnOnce(&Arc<Stream>, Result<u64, ApiError>, &mut Effects) + Send>;

/// Which messages leave.
enum Leaving {
    /// None.
    Nothing,
    /// These.
    These(RoaringTreemap),
    /// All; the next one has this sequence.
    All { count: u64, next: u64 },
}

impl Stream {
    /// Removes the messages that a purge takes.
    pub fn purge(self: &Arc<Stream>, asked: Purge, removed: Removed, effects: &mut Effects) {
        let decide = move |state: &State| {
            if state.data.definition().sealed {
                return Ok(Err(error::STREAM_SEALED.error()));
            }
            if state.data.definition().deny_purge {
                return Ok(Err(error::STREAM_PURGE_FAILED.with("stream purge not permitted")));
            }
            state.taken_by(&asked).map(Ok)
        };
        self.remove_once_settled(decide, removed, effects);
    }

    /// Removes one message.
    pub fn delete_message(self: &Arc<Stream>, sequence: u64, removed: Removed, effects: &mut Effects) {
        let decide = move |state: &State| {
            let (definition, index) = (state.data.definition(), state.data.index());
            let failed = |why: &str| Err(error::MESSAGE_DELETE_FAILED.with(why));
            // An unknown message is no use to anybody.
            let is_kept = !index.unknown().contains(sequence);
            Ok(if definition.sealed && is_kept {
                Err(error::STREAM_SEALED.error())
            } else if definition.deny_delete && is_kept {
                failed("message delete not permitted")
            } else if sequence > index.last() {
                failed("stream store EOF")
            } else if sequence < index.first() {
                failed("no message found")
            } else if !index.is_stored(sequence) {
                Err(error::SEQUENCE_NOT_FOUND.with(sequence))
            } else {
                Ok(Leaving::These(std::iter::once(sequence).collect()))
            })
        };
        self.remove_once_settled(decide, removed, effects);
    }

    fn remove_once_settled(
        self: &Arc<Stream>,
        decide: impl Fn(&State) -> Result<Result<Leaving, ApiError>, Missing> + Send + 'static,
        removed: Removed,
        effects: &mut Effects,
    ) {
        let go_on = move |stream: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| match synced
        {
            Ok(()) => stream.remove_decided(decide, removed, effects),
            Err(Lost) => removed(stream, Err(lost()), effects),
        };
        self.once_settled(Box::new(go_on), effects);
    }

    /// Appends the removal that `decide` returns, and applies it once the disk has it.
    fn remove_decided(
        self: &Arc<Stream>,
        decide: impl Fn(&State) -> Result<Result<Leaving, ApiError>, Missing>,
        removed: Removed,
        effects: &mut Effects,
    ) {
        let mut removed = Some(removed);
        let known = self.with(|state| {
            if state.life == Life::Gone {
                return Ok(Some(Err(error::STREAM_NOT_FOUND.error())));
            }
            if let Err(error) = self.admit(state) {
                return Ok(Some(Err(error)));
            }
            match decide(state)? {
                Err(error) => Ok(Some(Err(error))),
                Ok(Leaving::Nothing) => Ok(Some(Ok(0))),
                Ok(leaving) => {
                    if let Some(removed) = removed.take() {
                        self.remove(state, leaving, removed, effects);
                    }
                    Ok(None)
                }
            }
        });
        let known = known.unwrap_or_else(|error| Some(Err(error::STREAM_GENERAL.with(error))));
        if let (Some(known), Some(removed)) = (known, removed) {
            removed(self, known, effects);
        }
    }

    fn remove(
        self: &Arc<Stream>,
        state: &mut State,
        leaving: Leaving,
        removed: Removed,
        effects: &mut Effects,
    ) {
        let (record, change, count) = match leaving {
            Leaving::Nothing => return,
            Leaving::These(sequences) => {
                let count = sequences.len();
                let record = Record::Removed {
                    stream: self.id,
                    sequences: Cow::Owned(sequences.clone()),
                    removal: Removal::Requested,
                };
                (record, Change::Remove(sequences, Removal::Requested), count)
            }
            Leaving::All { count, next } => {
                self.hub.totals.note_removed(count);
                (Record::Cleared { stream: self.id, next }, Change::ClearBefore(next), count)
            }
        };
        let then = Then::Call(Box::new(move |stream, synced, effects| {
            removed(stream, synced.map(|()| count).map_err(|Lost| lost()), effects);
        }));
        self.change(state, &record, change, then, effects);
    }
}

impl State {
    /// The messages that a purge removes.  Those that the disk does not have yet stay, unless all are removed.
    fn taken_by(&self, asked: &Purge) -> Result<Leaving, Missing> {
        let filter = asked.filter.as_deref().map(str::as_bytes).filter(|filter| *filter != ALL_TOKENS);
        let mut purge = purge::Purge { filter, before: None, keep: None };
        match asked.extent {
            PurgeExtent::All => {}
            PurgeExtent::Before(sequence) => purge.before = Some(sequence),
            PurgeExtent::Keep(count) => purge.keep = Some(count),
        }
        let last = self.last_sequence();
        let takes_all = filter.is_none() && purge.keep.is_none();
        if takes_all && purge.before.is_none_or(|before| before > last) {
            let count = self.data.index().messages() + self.unapplied.stored().0;
            let next = purge.before.unwrap_or(0).min(SEQUENCE_MAX).max(last + 1);
            let is_new = count > 0 || next > last + 1;
            return Ok(if is_new { Leaving::All { count, next } } else { Leaving::Nothing });
        }
        let sequences = self.data.taken_by(&purge)?;
        Ok(if sequences.is_empty() { Leaving::Nothing } else { Leaving::These(sequences) })
    }
}
