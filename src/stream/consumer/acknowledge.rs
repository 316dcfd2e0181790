//! What receivers say about the messages that they got.

use std::time::Duration;

use super::Consumer;
use super::effect::{Cause, Effect, Told, Turn};
use super::limits::DELAYED_MAX;
use super::outstanding::{Entry, State};
use super::record::Record;
use super::rules::{Acknowledgements, micros};

/// What a receiver says about a message.  `+NXT` is a positive acknowledgement and a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledgement<'a> {
    /// It is done with it: `+ACK`.
    Positive,
    /// It wants it to be delivered again, after a time if there is one: `-NAK`.
    Negative(Option<Duration>),
    /// It needs more time: `+WPI`.
    InProgress,
    /// Nobody shall get it again, for a reason that may be empty: `+TERM`.
    Terminate(&'a [u8]),
}

/// The delivery that a receiver speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryId {
    /// The message.
    pub sequence: u64,
    /// The number of the delivery among all of the consumer, which only advisories repeat.
    pub consumer_sequence: u64,
}

/// Whether a receiver that asked for an answer to its acknowledgement gets one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// As soon as all records so far are on the disk.
    WhenKept,
    /// None: the consumer never delivered that message, or expects no acknowledgements.
    Never,
}

impl Consumer {
    /// Takes an acknowledgement of a message.  One for a message that is not out changes nothing: it was acknowledged
    /// already, or it was removed from the stream.
    pub fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        delivery: DeliveryId,
        said: Acknowledgement<'_>,
    ) -> Confirmation {
        let sequence = delivery.sequence;
        self.used(turn.micros());
        if !self.rules.expects_acknowledgements() || sequence == 0 || sequence > self.position {
            return Confirmation::Never;
        }
        self.acknowledged_at = Some(turn.now.wall_micros());
        if said == Acknowledgement::Positive {
            self.tell_sample(turn, delivery);
        }
        match said {
            Acknowledgement::Positive if self.rules.acknowledgements == Acknowledgements::All => {
                self.acknowledge_through(turn, sequence);
            }
            Acknowledgement::Positive => self.acknowledge_one(turn, sequence),
            Acknowledgement::Negative(after) => self.reject(turn, delivery, after),
            Acknowledgement::InProgress => self.extend(turn, sequence),
            Acknowledgement::Terminate(reason) => self.terminate(turn, delivery, reason),
        }
        Confirmation::WhenKept
    }

    /// Reports how long an acknowledgement took, if this one is among the sampled ones.
    fn tell_sample(&self, turn: &mut Turn<'_>, delivery: DeliveryId) {
        // Every hundred messages have each remainder once, in a mixed order.
        let is_sampled = delivery.sequence.wrapping_mul(37) % 100 < u64::from(self.rules.sampled_percent);
        let Some(entry) = self.outstanding.get(delivery.sequence).filter(|_| is_sampled) else { return };
        let delivered = entry.deadline.saturating_sub(self.rules.wait_micros(entry.deliveries));
        let after = Duration::from_micros(turn.micros().saturating_sub(delivered));
        turn.effects.push(Effect::Acknowledged { told: entry.told(delivery), after });
    }

    fn acknowledge_one(&mut self, turn: &mut Turn<'_>, sequence: u64) {
        // A message that was delivered often enough may be acknowledged late.
        if self.outstanding.remove(sequence).is_some() || self.exhausted.remove(&sequence) {
            self.keep(turn, Record::Acknowledged { sequence });
            self.done(turn, sequence);
        }
    }

    fn acknowledge_through(&mut self, turn: &mut Turn<'_>, sequence: u64) {
        let mut is_changed = false;
        while let Some(entry) = self.outstanding.remove_first_through(sequence) {
            self.done(turn, entry.sequence);
            is_changed = true;
        }
        while let Some(exhausted) = self.exhausted.first().copied().filter(|first| *first <= sequence) {
            self.exhausted.remove(&exhausted);
            self.done(turn, exhausted);
            is_changed = true;
        }
        if is_changed {
            self.keep(turn, Record::AcknowledgedThrough { sequence });
        }
    }

    fn reject(&mut self, turn: &mut Turn<'_>, delivery: DeliveryId, after: Option<Duration>) {
        let sequence = delivery.sequence;
        let Some(entry) = self.outstanding.get(sequence).copied() else { return };
        turn.effects.push(Effect::Rejected(entry.told(delivery)));
        self.give_back(turn, entry, after.map_or(0, micros));
    }

    /// Has a message delivered again after a time, if that is allowed.
    pub(super) fn give_back(&mut self, turn: &mut Turn<'_>, entry: Entry, after: u64) {
        let sequence = entry.sequence;
        if self.rules.is_last_delivery(entry.deliveries) {
            self.exhaust(turn, entry);
            return;
        }
        if after == 0 && entry.state == State::Again {
            return;
        }
        let may_free_slot = self.outstanding.delayed() < DELAYED_MAX;
        let state = match after {
            0 => State::Again,
            _ if may_free_slot => State::Delayed,
            _ => State::Out,
        };
        let deadline = turn.micros().saturating_add(after);
        self.outstanding.change(sequence, |entry| {
            entry.state = state;
            entry.deadline = deadline;
        });
        let due = turn.now.wall_micros().saturating_add_unsigned(after);
        self.keep(turn, Record::Rejected { sequence, deliveries: entry.deliveries, due });
    }

    /// Gives a receiver the time for an acknowledgement anew, also if it was over and nobody else has the message yet.
    fn extend(&mut self, turn: &mut Turn<'_>, sequence: u64) {
        let Some(entry) = self.outstanding.get(sequence).copied() else { return };
        if entry.state == State::Delayed {
            return;
        }
        let deadline = turn.micros().saturating_add(self.rules.wait_micros(entry.deliveries));
        self.outstanding.change(sequence, |entry| {
            entry.state = State::Out;
            entry.deadline = deadline;
        });
    }

    fn terminate(&mut self, turn: &mut Turn<'_>, delivery: DeliveryId, reason: &[u8]) {
        let sequence = delivery.sequence;
        let Some(entry) = self.outstanding.get(sequence).copied() else { return };
        turn.effects.push(Effect::Terminated { told: entry.told(delivery), reason: reason.into() });
        if self.rules.has_dead_letters {
            self.leave(turn, entry, Cause::Terminated);
        } else {
            self.acknowledge_one(turn, sequence);
        }
    }
}

impl Entry {
    fn told(self, delivery: DeliveryId) -> Told {
        Told { delivery, deliveries: self.deliveries }
    }
}
