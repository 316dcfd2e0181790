//! One consumer of a stream: which messages it has delivered to whom, which were acknowledged, and what is due.
//!
//! It is a state machine.  It does no I/O, reads no clock and has no lock: each call gets a [`Turn`] with the time and the
//! stream's messages, and adds [`Effect`]s that its owner carries out in their order.  After any call that may have changed what can
//! be delivered (a request, an acknowledgement, messages that came or went, interest, other rules, the time of
//! [`Consumer::next_action`]) the owner calls [`Consumer::deliver`].
//!
//! What it promises: a message goes to one receiver at a time, new ones in the order of their sequences; none is left while
//! somebody waits for it and may have it; the number of pending messages is exact at every moment; and what was
//! acknowledged on the disk is not delivered again.

mod acknowledge;
mod defined;
mod deliver;
pub mod effect;
pub mod limits;
pub mod messages;
mod outstanding;
mod patience;
pub mod pin;
mod pull;
mod push;
pub mod record;
mod redelivery;
mod removal;
mod report;
pub mod request;
mod restore;
pub mod rules;
mod sent;
mod start;
pub mod status;
#[cfg(test)]
mod tests;
mod time;
mod unreadable;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use self::acknowledge::{Acknowledgement, Confirmation, DeliveryId};
pub use self::report::Report;

use self::effect::{Effect, Turn};
use self::outstanding::Outstanding;
use self::patience::Patience;
use self::pin::Pin;
use self::push::Line;
use self::record::{Leaving, Record};
use self::rules::{Retention, Rules};
use self::start::{Newest, Original};
use self::waiting::Waiting;

/// See the module's text.
pub struct Consumer {
    rules: Rules,
    /// Every message up to this sequence was delivered or passed over.
    position: u64,
    /// The number of the last delivery.
    delivered: u64,
    /// Messages that are to be delivered for the first time.
    ahead: u64,
    /// Where it delivers only the last message of each subject.
    newest: Option<Newest>,
    /// Where it delivers with the original pauses.
    original: Option<Original>,
    outstanding: Outstanding,
    /// Messages that nobody is to acknowledge and that the disk has refused to read, with those that came behind them in their turn.
    put_back: VecDeque<u64>,
    /// Messages that nobody is to acknowledge and that this turn delivers: it is not known yet whether they could be read.
    unsent: VecDeque<u64>,
    /// Such messages that this turn has passed over because they cannot be read.
    passed_over: Vec<u64>,
    patience: Patience,
    /// Until when nothing is delivered because the disk refuses to read.
    held_until: Option<u64>,
    leaving: BTreeMap<u64, Leaving>,
    /// Messages that are delivered no more and that the stream keeps for this consumer.
    exhausted: BTreeSet<u64>,
    waiting: Waiting,
    pin: Pin,
    line: Line,
    /// When it ends unless somebody uses it.
    inactive_at: Option<u64>,
    /// When the next message may be delivered, if that is not now.
    not_before: Option<u64>,
    /// When it delivered last and was acknowledged last, in microseconds since 1970.
    delivered_at: Option<i64>,
    acknowledged_at: Option<i64>,
    /// How often it was asked to deliver.
    turns: u64,
    /// Whether it has looked at its messages since it was restored.  Until then it delivers nothing.
    is_settled: bool,
}

impl Consumer {
    /// Its definition's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether it has looked at its messages since it was restored: [`Consumer::settle`] does.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    fn unstarted(rules: Rules) -> Consumer {
        let line = Line::of(&rules);
        Consumer {
            rules,
            position: 0,
            delivered: 0,
            ahead: 0,
            newest: None,
            original: None,
            outstanding: Outstanding::default(),
            put_back: VecDeque::new(),
            unsent: VecDeque::new(),
            passed_over: Vec::new(),
            patience: Patience::default(),
            held_until: None,
            leaving: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            waiting: Waiting::default(),
            pin: Pin::default(),
            line,
            inactive_at: None,
            not_before: None,
            delivered_at: None,
            acknowledged_at: None,
            turns: 0,
            is_settled: true,
        }
    }

    /// Goes on by other rules.  What is out stays out, with the deadlines that it has.  If the subject of a push consumer is
    /// another one, nobody subscribes to it until [`Consumer::interest_changed`] says so.
    pub fn update(&mut self, turn: &mut Turn<'_>, rules: Rules) {
        let is_other_filter = rules.filter != self.rules.filter;
        let is_other_line = rules.push() != self.rules.push();
        self.rules = rules;
        if is_other_filter {
            self.newest = None;
            self.ahead = turn.messages.count(self.position + 1, &self.rules.filter);
        }
        if is_other_line {
            self.line = Line::of(&self.rules);
        }
        self.not_before = None;
        self.used(turn.micros());
    }

    /// Whether the stream has to keep a message for this consumer.
    pub fn needs(&self, sequence: u64, subject: Option<&[u8]>) -> bool {
        if subject.is_some_and(|subject| !self.rules.filter.matches(subject)) {
            return false;
        }
        if sequence > self.position {
            return self.newest.as_ref().is_none_or(|newest| newest.wants(sequence));
        }
        self.outstanding.get(sequence).is_some()
            || self.exhausted.contains(&sequence)
            || self.is_unsent(sequence)
            || self.leaving.contains_key(&sequence)
    }

    fn keep(&self, turn: &mut Turn<'_>, record: Record) {
        if self.rules.is_kept {
            turn.effects.push(Effect::Keep(record));
        }
    }

    fn done(&self, turn: &mut Turn<'_>, sequence: u64) {
        if self.rules.retention == Retention::Consumed {
            turn.effects.push(Effect::Done { sequence });
        }
    }
}
