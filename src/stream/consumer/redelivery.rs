//! What becomes of messages that were not acknowledged in time.

use super::Consumer;
use super::effect::{Cause, DeadLetter, Effect, Turn};
use super::limits::EXPIRED_PER_TURN;
use super::outstanding::{Entry, State};
use super::record::{Leaving, Record};
use super::rules::Retention;

impl Consumer {
    /// Marks what is to be delivered again, and ends what was delivered often enough.
    pub(super) fn expire_outstanding(&mut self, turn: &mut Turn<'_>) {
        for _ in 0..EXPIRED_PER_TURN {
            let Some(entry) = self.outstanding.expired(turn.micros()) else { return };
            if self.rules.is_last_delivery(entry.deliveries) {
                self.exhaust(turn, entry);
            } else {
                self.outstanding.change(entry.sequence, |entry| entry.state = State::Again);
            }
        }
    }

    /// A message was delivered as often as the definition allows.
    pub(super) fn exhaust(&mut self, turn: &mut Turn<'_>, entry: Entry) {
        let Entry { sequence, deliveries, .. } = entry;
        turn.effects.push(Effect::MaxDeliveries { sequence, deliveries });
        if self.rules.has_dead_letters {
            self.leave(turn, entry, Cause::MaxDeliveries);
            return;
        }
        self.outstanding.remove(sequence);
        self.set_exhausted(sequence);
        self.keep(turn, Record::Exhausted { sequence });
    }

    /// Remembers a message that the stream is to keep though nobody gets it any more.
    pub(super) fn set_exhausted(&mut self, sequence: u64) {
        if self.rules.retention == Retention::Consumed {
            self.exhausted.insert(sequence);
        }
    }

    /// Sends a message to the dead letters.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, entry: Entry, cause: Cause) {
        let Entry { sequence, deliveries, .. } = entry;
        let leaving = Leaving { sequence, deliveries, cause };
        self.outstanding.remove(sequence);
        self.leaving.insert(sequence, leaving);
        self.keep(turn, Record::Leaving(leaving));
        turn.effects.push(Effect::DeadLetter(DeadLetter { sequence, deliveries, cause, is_repeated: false }));
    }

    /// The dead letter of a message is going to be stored without what was in it, or not at all.  So the message is to stay in its
    /// stream.
    pub fn leaves_copy_behind(&mut self, turn: &mut Turn<'_>, sequence: u64) {
        let Some(leaving) = self.leaving.get_mut(&sequence).filter(|leaving| leaving.cause != Cause::Damaged)
        else {
            return;
        };
        leaving.cause = Cause::Damaged;
        let leaving = *leaving;
        self.keep(turn, Record::Leaving(leaving));
    }

    /// The dead letter of a message is stored, or cannot be because the message is gone.
    pub fn left(&mut self, turn: &mut Turn<'_>, sequence: u64) {
        let Some(leaving) = self.take_left(sequence) else { return };
        self.keep(turn, Record::Left { sequence });
        if leaving.cause != Cause::Damaged {
            self.done(turn, sequence);
        }
    }

    /// The dead letter of a message is stored.  A damaged message stays in its stream, since its letter has no payload.
    pub(super) fn take_left(&mut self, sequence: u64) -> Option<Leaving> {
        let leaving = self.leaving.remove(&sequence)?;
        if leaving.cause == Cause::Damaged {
            self.set_exhausted(sequence);
        }
        Some(leaving)
    }
}
