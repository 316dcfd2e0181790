//! Where a new consumer begins, and the special ways in which it goes through what is there already.

use super::effect::Turn;
use super::rules::{Replay, Rules, Start};
use super::{Consumer, VecDeque};

/// The last message of each subject, while a consumer delivers only these.
pub(super) struct Newest {
    /// In ascending order; may name messages that are gone.
    pub(super) sequences: VecDeque<u64>,
    /// Beyond this sequence every message is delivered.
    pub(super) until: u64,
}

impl Newest {
    /// Whether a message that was not delivered yet is to be delivered.
    pub(super) fn wants(&self, sequence: u64) -> bool {
        sequence > self.until || self.sequences.binary_search(&sequence).is_ok()
    }
}

/// How far messages are delivered with the pauses in which they were published.
pub(super) struct Original {
    /// The last of them.
    pub(super) until: u64,
    /// When the one before was stored, in nanoseconds since 1970, and when it was delivered.
    pub(super) before: Option<(i64, u64)>,
}

impl Consumer {
    /// A new consumer of the messages that the turn shows.
    pub fn new(rules: Rules, turn: &mut Turn<'_>) -> Consumer {
        let mut consumer = Consumer::unstarted(rules);
        let messages = turn.messages;
        let (last, filter) = (messages.last(), &consumer.rules.filter);
        consumer.position = match consumer.rules.start {
            Start::All | Start::LastPerSubject => messages.first().saturating_sub(1).min(last),
            Start::Last => messages.last_matching(filter).map_or(last, |sequence| sequence - 1),
            Start::New => last,
            Start::Sequence(_) => consumer.rules.start.passed().max(messages.first().saturating_sub(1)),
            Start::Time(time) => messages.since(time).saturating_sub(1).min(last),
        };
        if consumer.rules.start == Start::LastPerSubject {
            consumer.deliver_newest(turn, last);
        } else {
            consumer.ahead = messages.count(consumer.position + 1, &consumer.rules.filter);
        }
        if consumer.rules.replay == Replay::Original {
            consumer.original = Some(Original { until: last, before: None });
        }
        consumer.used(turn.micros());
        consumer
    }

    /// Goes through the last messages of all subjects up to `until`, then through all behind that.
    pub(super) fn deliver_newest(&mut self, turn: &mut Turn<'_>, until: u64) {
        let is_left = |sequence: &u64| *sequence > self.position && *sequence <= until;
        let newest = turn.messages.last_per_subject(&self.rules.filter).into_iter();
        let sequences: VecDeque<u64> = newest.filter(is_left).collect();
        self.ahead = sequences.len() as u64 + turn.messages.count(until + 1, &self.rules.filter);
        self.newest = Some(Newest { sequences, until });
        self.end_newest_if_through();
    }

    pub(super) fn end_newest_if_through(&mut self) {
        if let Some(newest) = self.newest.take_if(|newest| newest.sequences.is_empty()) {
            self.position = self.position.max(newest.until);
        }
    }

    /// The next message that is to be delivered for the first time.
    pub(super) fn next_new(&mut self, turn: &Turn<'_>) -> Option<u64> {
        if self.ahead == 0 {
            return None;
        }
        if let Some(newest) = &mut self.newest {
            while newest.sequences.front().is_some_and(|&sequence| !turn.messages.holds(sequence)) {
                newest.sequences.pop_front();
            }
            if let Some(&sequence) = newest.sequences.front() {
                return Some(sequence);
            }
            self.end_newest_if_through();
        }
        turn.messages.next(self.position + 1, &self.rules.filter)
    }

    /// The message that [`Consumer::next_new`] named is delivered.
    pub(super) fn pass(&mut self, sequence: u64) {
        self.position = sequence;
        self.ahead = self.ahead.saturating_sub(1);
        if let Some(newest) = &mut self.newest {
            newest.sequences.pop_front();
            self.end_newest_if_through();
        }
    }

    /// Up to which sequence messages come with the pauses in which they were published; none if no more do.
    pub fn original_until(&self) -> Option<u64> {
        self.original.as_ref().map(|original| original.until).filter(|until| self.position < *until)
    }

    /// When a message of a replay with the original pauses is due; none if that is now.
    pub(super) fn original_due(&mut self, turn: &Turn<'_>, sequence: u64) -> Option<u64> {
        let original = self.original.take_if(|original| sequence > original.until);
        if original.is_some() {
            return None;
        }
        let (stored, delivered) = self.original.as_ref()?.before?;
        let pause = turn.messages.time(sequence).saturating_sub(stored).max(0) as u64 / 1000;
        Some(delivered.saturating_add(pause)).filter(|due| *due > turn.micros())
    }

    /// A message of a replay with the original pauses was delivered.
    pub(super) fn original_delivered(&mut self, turn: &Turn<'_>, sequence: u64) {
        if let Some(original) = &mut self.original {
            original.before = Some((turn.messages.time(sequence), turn.micros()));
        }
    }
}
