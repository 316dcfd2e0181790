//! Messages that cannot be read when they are to be delivered.
//!
//! Whoever asked for such a message is not told in its place: clients take a status that they do not know for the end of
//! their request, and lose the messages behind it.  The request waits for another message instead.  Damage is reported by
//! an advisory and, if the consumer has a dead-letter subject, by a dead letter.
//!
//! What the disk refuses may be there a moment later.  So the consumer first waits for it, with all that comes behind; when the
//! disk goes on refusing, the consumer passes over the message.

use super::Consumer;
use super::deliver::Candidate;
use super::effect::{Cause, Effect, Failure, Turn, Unread};
use super::limits::HOLD_MICROS;
use super::record::Record;
use crate::clock::Now;

/// Why a message that cannot be read is delivered no more, as its advisory says it.
const REASON: &[u8] = b"the message cannot be read";

impl Consumer {
    /// Whether it waits when the disk refuses to read the next message: then the turn ends there, and
    /// [`Consumer::hold`] follows.
    pub fn waits_for_disk(&self, now: Now) -> bool {
        self.patience.is_left(now.micros())
    }

    /// A turn has read messages, after all that it has refused was told.
    pub fn was_read(&mut self) {
        self.patience.was_read();
    }

    /// A turn has read nothing, and the disk refuses.  The next one comes later.
    pub fn pause(&mut self, turn: &Turn<'_>) {
        self.held_until = Some(turn.micros().saturating_add(HOLD_MICROS));
    }

    /// The disk has refused to read the first of these messages.  They are delivered again in a moment, before all others and
    /// in their order, as if they had not been.
    pub fn hold(&mut self, turn: &mut Turn<'_>, unread: &[Unread]) {
        let Some(first) = unread.first() else { return };
        self.patience.wait(turn.micros(), first.told.delivery.sequence);
        self.pause(turn);
        let expects_acknowledgements = self.rules.expects_acknowledgements();
        for unread in unread.iter().rev() {
            self.return_place(turn, unread);
            let sequence = unread.told.delivery.sequence;
            if expects_acknowledgements {
                self.outstanding.put_back(sequence);
            } else if turn.messages.holds(sequence) {
                self.put_back.push_front(sequence);
            }
        }
        if !expects_acknowledgements {
            self.delivered -= unread.len() as u64;
            // A turn ends with what is held.
            self.unsent.truncate(self.unsent.len().saturating_sub(unread.len()));
        }
        self.end_no_wait(turn);
    }

    /// A message could not be read, so its receiver did not get it.  One that is damaged is delivered no more, and stays in its
    /// stream.  One that the disk refuses counts as given back for the time of an acknowledgement, so that it takes nobody's
    /// place meanwhile.
    pub fn unreadable(&mut self, turn: &mut Turn<'_>, unread: &Unread) {
        let Unread { told, failure, .. } = unread;
        self.return_place(turn, unread);
        let sequence = told.delivery.sequence;
        self.patience.give_up(sequence);
        let terminated = Effect::Terminated { told: *told, reason: REASON.into() };
        if !self.rules.expects_acknowledgements() {
            self.pass_over(sequence);
            turn.effects.push(terminated);
            return;
        }
        let Some(entry) = self.outstanding.get(sequence).copied() else { return };
        match failure {
            Failure::Damage => {
                turn.effects.push(terminated);
                if self.rules.has_dead_letters {
                    return self.leave(turn, entry, Cause::Damaged);
                }
                self.outstanding.remove(sequence);
                self.set_exhausted(sequence);
                self.keep(turn, Record::Exhausted { sequence });
            }
            Failure::Refusal => {
                let wait = self.rules.wait_micros(entry.deliveries);
                self.give_back(turn, entry, wait);
            }
        }
    }

    /// The request that has taken a message waits for another one.
    fn return_place(&mut self, turn: &Turn<'_>, Unread { target, told, .. }: &Unread) {
        let (delivery, deliveries) = (told.delivery, told.deliveries);
        let candidate = Candidate { sequence: delivery.sequence, deliveries, is_new: false };
        let is_counted = self.waiting.counts_bytes_of(target) && turn.messages.holds(delivery.sequence);
        let bytes =
            if is_counted { self.message_bytes(turn, candidate, delivery.consumer_sequence) } else { 0 };
        self.waiting.give_back(target, bytes);
    }
}
