//! Taking a consumer's state down, and making a consumer from what was taken down and the records since.

use super::Consumer;
use super::effect::{DeadLetter, Effect, Turn};
use super::outstanding::{Entry, State};
use super::record::{OutstandingMessage, Record, Snapshot};
use super::rules::Rules;
use super::start::{Newest, Original};
use crate::clock::Now;

impl Consumer {
    /// The state at this moment.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let due = |entry: &Entry| match entry.state {
            State::Again => now.wall_micros(),
            _ => wall(now, entry.deadline),
        };
        let outstanding = self.outstanding.iter().map(|entry| OutstandingMessage {
            sequence: entry.sequence,
            consumer_sequence: entry.consumer,
            deliveries: entry.deliveries,
            due: due(entry),
            is_delayed: entry.state == State::Delayed,
        });
        let (position, delivered) = self.sent_through();
        Snapshot {
            position,
            delivered,
            newest_until: self.newest.as_ref().map(|newest| newest.until),
            original_until: self.original.as_ref().map(|original| original.until),
            outstanding: outstanding.collect(),
            leaving: self.leaving.values().copied().collect(),
            exhausted: self.exhausted.iter().copied().collect(),
        }
    }

    /// A consumer as it was.  It takes records until [`Consumer::settle`], and delivers nothing before.
    pub fn restore(rules: Rules, snapshot: &Snapshot, now: Now) -> Consumer {
        let mut consumer = Consumer::unstarted(rules);
        consumer.is_settled = false;
        consumer.position = snapshot.position;
        consumer.delivered = snapshot.delivered;
        let newest = snapshot.newest_until.map(|until| Newest { sequences: Default::default(), until });
        consumer.newest = newest;
        consumer.original = snapshot.original_until.map(|until| Original { until, before: None });
        for message in &snapshot.outstanding {
            consumer.outstanding.add(Entry {
                sequence: message.sequence,
                consumer: message.consumer_sequence,
                deadline: boot(now, message.due),
                deliveries: message.deliveries,
                state: if message.is_delayed { State::Delayed } else { State::Out },
            });
        }
        consumer.leaving = snapshot.leaving.iter().map(|leaving| (leaving.sequence, *leaving)).collect();
        consumer.exhausted = snapshot.exhausted.iter().copied().collect();
        consumer
    }

    /// Applies a record.  Records come in their order; the state may have seen them already, and later ones too.
    pub fn replay(&mut self, record: Record, now: Now) {
        match record {
            Record::Delivered { sequence, consumer_sequence, count, at } => {
                for step in 0..u64::from(count) {
                    self.replay_delivered(sequence + step, consumer_sequence + step, at, now);
                }
            }
            Record::Passed { sequence, consumer_sequence } => self.replay_passed(sequence, consumer_sequence),
            Record::Redelivered { sequence, consumer_sequence, deliveries, at } => {
                self.delivered = self.delivered.max(consumer_sequence);
                let deadline = boot(now, at).saturating_add(self.rules.wait_micros(deliveries));
                self.outstanding.change(sequence, |entry| {
                    if entry.deliveries < deliveries {
                        *entry = Entry { deliveries, deadline, state: State::Out, ..*entry };
                    }
                });
            }
            Record::Acknowledged { sequence } => self.forget(sequence),
            Record::AcknowledgedThrough { sequence } => {
                while self.outstanding.remove_first_through(sequence).is_some() {}
                self.exhausted.retain(|exhausted| *exhausted > sequence);
            }
            Record::Rejected { sequence, deliveries, due } => {
                let deadline = boot(now, due);
                let state = if deadline > now.micros() { State::Delayed } else { State::Again };
                self.outstanding.change(sequence, |entry| {
                    if entry.deliveries == deliveries {
                        *entry = Entry { deadline, state, ..*entry };
                    }
                });
            }
            Record::Exhausted { sequence } => {
                if self.outstanding.remove(sequence).is_some() || !self.rules.expects_acknowledgements() {
                    self.set_exhausted(sequence);
                }
            }
            Record::Leaving(leaving) => {
                let is_out = self.outstanding.remove(leaving.sequence).is_some();
                if is_out || self.leaving.contains_key(&leaving.sequence) {
                    self.leaving.insert(leaving.sequence, leaving);
                }
            }
            Record::Left { sequence } => drop(self.take_left(sequence)),
        }
    }

    /// All records are replayed, and its messages cannot be looked at: it delivers nothing before [`Consumer::settle`].
    pub fn put_off_settling(&mut self) {
        self.is_settled = false;
    }

    /// All records are replayed: looks at what the stream has by now, and asks once more for dead letters that may be
    /// missing.
    pub fn settle(&mut self, turn: &mut Turn<'_>) {
        self.is_settled = true;
        // A stream in memory only may have begun anew.
        self.position = self.position.min(turn.messages.last().max(self.rules.start.passed()));
        if let Some(until) = self.newest.take().map(|newest| newest.until) {
            self.deliver_newest(turn, until);
        }
        self.swept(turn);
        for leaving in self.leaving.values() {
            let (sequence, deliveries, cause) = (leaving.sequence, leaving.deliveries, leaving.cause);
            turn.effects.push(Effect::DeadLetter(DeadLetter {
                sequence,
                deliveries,
                cause,
                is_repeated: true,
            }));
        }
        self.used(turn.micros());
    }

    fn replay_delivered(&mut self, sequence: u64, consumer_sequence: u64, at: i64, now: Now) {
        if sequence <= self.position {
            return;
        }
        self.replay_passed(sequence, consumer_sequence);
        self.outstanding.add(Entry {
            sequence,
            consumer: consumer_sequence,
            deadline: boot(now, at).saturating_add(self.rules.wait_micros(1)),
            deliveries: 1,
            state: State::Out,
        });
    }

    fn replay_passed(&mut self, sequence: u64, consumer_sequence: u64) {
        self.position = self.position.max(sequence);
        self.delivered = self.delivered.max(consumer_sequence);
    }

    fn forget(&mut self, sequence: u64) {
        self.outstanding.remove(sequence);
        self.exhausted.remove(&sequence);
    }
}

/// The wall time of a deadline.
fn wall(now: Now, deadline: u64) -> i64 {
    now.wall_micros().saturating_add_unsigned(deadline).saturating_sub_unsigned(now.micros())
}

/// The deadline at a wall time; the time of the boot if it was before.
fn boot(now: Now, wall: i64) -> u64 {
    let after = i128::from(wall) - i128::from(now.wall_micros()) + i128::from(now.micros());
    u64::try_from(after.max(0)).unwrap_or(u64::MAX)
}
