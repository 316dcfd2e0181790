//! Delivering: which message is next, who gets it, and what is known of it from then on.

use super::Consumer;
use super::effect::{Delivery, Effect, Turn};
use super::messages::Size;
use super::outstanding::{Entry, State};
use super::pin::PinId;
use super::record::Record;
use super::status::Status;
use super::{effect::Target, rules::Acknowledgements};
use crate::stream::header_names;
use crate::stream::reply_subjects::ACKNOWLEDGEMENT_FRAME;

/// Digits of the time in a reply subject, nanoseconds since 1970.
const TIME_DIGITS: usize = 19;

/// Bytes that the header `Nats-Msg-Size` adds to a message without its payload, besides the number.
const SIZE_HEADER: usize = header_names::SIZE.len() + b": \r\n".len();

/// Bytes of a block of headers without headers.
const HEADERS_FRAME: usize = b"NATS/1.0\r\n\r\n".len();

/// A message that could be delivered now.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) sequence: u64,
    /// How often it will have been delivered.
    pub(super) deliveries: u32,
    /// Whether it is taken from the stream, not from what is out; it counts as pending until it is delivered.
    pub(super) is_new: bool,
}

/// Who gets a message.
pub(super) struct Receiver {
    pub(super) target: Target,
    pub(super) pin: Option<PinId>,
    /// The status that it gets after the message.
    pub(super) after: Option<Status>,
}

/// Why no further message is delivered now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// As many were delivered as the turn may.
    Most,
    /// Too many are out without an acknowledgement.
    NoRoom,
    /// There is nothing, nobody to give it to, or it is not yet time.
    Idle,
}

/// First deliveries one after the other, for one record.
#[derive(Default)]
struct Run {
    sequence: u64,
    consumer_sequence: u64,
    count: u32,
}

impl Consumer {
    /// Delivers up to `most` messages, and returns whether there may be more to deliver at once.
    pub fn deliver(&mut self, turn: &mut Turn<'_>, most: usize) -> bool {
        self.turns += 1;
        self.not_before = None;
        self.waiting.forget_filled();
        if self.is_held(turn.now) {
            self.end_no_wait(turn);
            return false;
        }
        let mut run = Run::default();
        let mut delivered = 0;
        let stop = loop {
            if delivered == most {
                break Stop::Most;
            }
            match self.deliver_next(turn, &mut run) {
                Ok(()) => delivered += 1,
                Err(stop) => break stop,
            }
        };
        self.keep_run(turn, &mut run);
        if delivered > 0 && self.rules.pull().is_some() {
            self.used(turn.micros());
        }
        if stop != Stop::Most {
            self.end_no_wait(turn);
        }
        stop == Stop::Most
    }

    /// Whether [`Consumer::deliver`] asks how long messages are.
    pub fn counts_bytes(&self) -> bool {
        let counts = self.rules.push().map(|push| push.flow_control || push.rate_limit.is_some());
        counts.unwrap_or_else(|| self.waiting.counts_bytes())
    }

    /// Whether [`Consumer::deliver`] may find something to do because messages came: somebody waits and there is something.
    pub fn is_ready(&self) -> bool {
        let has_receiver = self.waiting.len() > 0 || self.line.is_bound();
        has_receiver && (self.ahead > 0 || self.outstanding.waiting() > 0 || !self.put_back.is_empty())
    }

    fn deliver_next(&mut self, turn: &mut Turn<'_>, run: &mut Run) -> Result<(), Stop> {
        if !self.is_settled || self.is_paused(turn.now) || !self.may_have_receiver(turn) {
            return Err(Stop::Idle);
        }
        let candidate = self.candidate(turn)?;
        let receiver = self.receiver(turn, candidate).ok_or(Stop::Idle)?;
        if candidate.is_new {
            self.deliver_new(turn, run, candidate.sequence);
        } else if self.rules.expects_acknowledgements() {
            self.keep_run(turn, run);
            self.deliver_again(turn, candidate);
        } else {
            self.put_back.pop_front();
            self.delivered += 1;
            self.note_unsent(candidate.sequence);
        }
        self.delivered_at = Some(turn.now.wall_micros());
        turn.effects.push(Effect::Deliver(Delivery {
            target: receiver.target.clone(),
            sequence: candidate.sequence,
            consumer_sequence: self.delivered,
            deliveries: candidate.deliveries,
            // A receiver that waits for the last message may wait for none that nobody can read.
            pending: self.undelivered_count().saturating_sub(turn.messages.unknown(self.position + 1)),
            pin: receiver.pin,
        }));
        if let Some(status) = receiver.after {
            turn.status(&receiver.target, status);
        }
        self.sent(turn, Candidate { is_new: false, ..candidate });
        Ok(())
    }

    /// The message that is next: what is to be delivered again goes first.
    fn candidate(&mut self, turn: &Turn<'_>) -> Result<Candidate, Stop> {
        if let Some(entry) = self.outstanding.next_again() {
            let (sequence, deliveries) = (entry.sequence, entry.deliveries.saturating_add(1));
            return Ok(Candidate { sequence, deliveries, is_new: false });
        }
        if let Some(&sequence) = self.put_back.front() {
            return Ok(Candidate { sequence, deliveries: 1, is_new: false });
        }
        let sequence = self.next_new(turn).ok_or(Stop::Idle)?;
        if !self.has_room() {
            return Err(Stop::NoRoom);
        }
        if let Some(due) = self.original_due(turn, sequence) {
            self.not_before = Some(due);
            return Err(Stop::Idle);
        }
        Ok(Candidate { sequence, deliveries: 1, is_new: true })
    }

    /// Whether another message may be out.  One that was put off does not count.
    fn has_room(&self) -> bool {
        !self.rules.expects_acknowledgements()
            || self.outstanding.len() - self.outstanding.delayed() < self.rules.outstanding_max()
    }

    fn deliver_new(&mut self, turn: &mut Turn<'_>, run: &mut Run, sequence: u64) {
        self.delivered += 1;
        self.pass(sequence);
        self.original_delivered(turn, sequence);
        if self.rules.acknowledgements == Acknowledgements::None {
            return self.note_unsent(sequence);
        }
        self.outstanding.add(Entry {
            sequence,
            consumer: self.delivered,
            deadline: turn.micros().saturating_add(self.rules.wait_micros(1)),
            deliveries: 1,
            state: State::Out,
        });
        if !self.rules.is_kept {
            return;
        }
        let follows = run.count > 0 && run.sequence + u64::from(run.count) == sequence;
        if follows {
            run.count += 1;
            return;
        }
        self.keep_run(turn, run);
        *run = Run { sequence, consumer_sequence: self.delivered, count: 1 };
    }

    fn deliver_again(&mut self, turn: &mut Turn<'_>, candidate: Candidate) {
        let Candidate { sequence, deliveries, .. } = candidate;
        self.delivered += 1;
        let deadline = turn.micros().saturating_add(self.rules.wait_micros(deliveries));
        self.outstanding.change(sequence, |entry| {
            entry.state = State::Out;
            entry.deadline = deadline;
            entry.deliveries = deliveries;
        });
        let at = turn.now.wall_micros();
        let consumer_sequence = self.delivered;
        self.keep(turn, Record::Redelivered { sequence, consumer_sequence, deliveries, at });
    }

    /// Ends a run of first deliveries with its record.
    fn keep_run(&self, turn: &mut Turn<'_>, run: &mut Run) {
        let Run { sequence, consumer_sequence, count } = std::mem::take(run);
        if count == 0 {
            return;
        }
        let at = turn.now.wall_micros();
        self.keep(turn, Record::Delivered { sequence, consumer_sequence, count, at });
    }

    /// A message did not reach the receiver that it was delivered to, so it counts as not delivered.
    pub fn undelivered(&mut self, sequence: u64) {
        self.outstanding.change(sequence, |entry| {
            if entry.state == State::Out {
                entry.state = State::Again;
                entry.deliveries -= 1;
            }
        });
    }

    /// Messages that are to be delivered for the first time.
    pub(super) fn undelivered_count(&self) -> u64 {
        self.ahead + self.put_back.len() as u64
    }

    fn may_have_receiver(&mut self, turn: &Turn<'_>) -> bool {
        match self.rules.pull() {
            Some(_) => self.waiting.len() > 0,
            None => self.may_push(turn),
        }
    }

    fn receiver(&mut self, turn: &mut Turn<'_>, candidate: Candidate) -> Option<Receiver> {
        match self.rules.pull() {
            Some(_) => self.requester(turn, candidate),
            None => Some(Receiver { target: self.line.target.clone(), pin: None, after: None }),
        }
    }

    /// Bytes of a message as its receiver counts them: with its own subject and the reply subject, which has the number of
    /// the delivery.
    pub(super) fn message_bytes(&self, turn: &Turn<'_>, candidate: Candidate, number: u64) -> usize {
        let Size { subject, headers, payload } = turn.messages.size(candidate.sequence);
        let content = if !self.rules.headers_only {
            headers + payload
        } else {
            headers.max(HEADERS_FRAME) + SIZE_HEADER + digits(payload as u64)
        };
        let pending = self.ahead.saturating_sub(u64::from(candidate.is_new));
        let numbers = digits(u64::from(candidate.deliveries))
            + digits(candidate.sequence)
            + digits(number)
            + digits(pending);
        subject + content + ACKNOWLEDGEMENT_FRAME + self.rules.name_bytes + numbers + TIME_DIGITS
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
