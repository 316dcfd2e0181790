//! Tests of whole consumers: a stream in memory, a clock that tests move, and what the consumer said as lines of text.

mod acknowledge;
mod costs;
mod flow;
mod groups;
mod newest;
mod pull;
mod push;
mod random;
mod redelivery;
mod removal;
mod restore;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::effect::{Effect, Target, Turn};
use super::messages::{Messages, Size};
use super::record::Record;
use super::request::PullRequest;
use super::rules::{Mode, Pull, Push, Rules};
use super::{Acknowledgement, Confirmation, Consumer, DeliveryId};
use crate::clock::Now;
use crate::stream::filter::Filter;

/// When tests begin: seconds since the boot and since 1970.
const BOOT_SECONDS: u64 = 1_000;
const WALL_SECONDS: u64 = 1_700_000_000;

/// A stream in memory, as naive as can be.
#[derive(Default, Clone)]
pub(super) struct Memory {
    /// Subject, time in nanoseconds since 1970, and bytes of payload.
    messages: BTreeMap<u64, (Vec<u8>, i64, usize)>,
    last: u64,
}

impl Memory {
    fn matching<'m>(&'m self, from: u64, filter: &'m Filter) -> impl DoubleEndedIterator<Item = u64> + 'm {
        let matches = |(_, (subject, ..)): &(&u64, &(Vec<u8>, i64, usize))| filter.matches(subject);
        self.messages.range(from..).filter(matches).map(|(sequence, _)| *sequence)
    }
}

impl Messages for Memory {
    fn first(&self) -> u64 {
        self.messages.keys().next().copied().unwrap_or(self.last + 1)
    }

    fn last(&self) -> u64 {
        self.last
    }

    fn next(&self, from: u64, filter: &Filter) -> Option<u64> {
        self.matching(from, filter).next()
    }

    fn count(&self, from: u64, filter: &Filter) -> u64 {
        self.matching(from, filter).count() as u64
    }

    fn unknown(&self, _: u64) -> u64 {
        0
    }

    fn last_matching(&self, filter: &Filter) -> Option<u64> {
        self.matching(0, filter).next_back()
    }

    fn last_per_subject(&self, filter: &Filter) -> Vec<u64> {
        let by_subject: BTreeMap<_, _> =
            self.matching(0, filter).map(|sequence| (&self.messages[&sequence].0, sequence)).collect();
        by_subject.into_values().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn since(&self, time: i64) -> u64 {
        let is_since = |(_, (_, stored, _)): &(&u64, &(Vec<u8>, i64, usize))| *stored >= time;
        self.messages.iter().find(is_since).map_or(self.last + 1, |(sequence, _)| *sequence)
    }

    fn holds(&self, sequence: u64) -> bool {
        self.messages.contains_key(&sequence)
    }

    fn time(&self, sequence: u64) -> i64 {
        self.messages[&sequence].1
    }

    fn size(&self, sequence: u64) -> Size {
        let (subject, _, payload) = &self.messages[&sequence];
        Size { subject: subject.len(), headers: 0, payload: *payload }
    }
}

/// A consumer, its stream, and its surroundings.
pub(super) struct Bench {
    memory: Memory,
    consumer: Consumer,
    now: Now,
    /// Targets that nobody wants messages on any more.
    gone: BTreeSet<Vec<u8>>,
    effects: Vec<Effect>,
    /// All records so far.
    records: Vec<Record>,
}

impl Bench {
    /// A consumer of an empty stream.
    pub(super) fn new(rules: Rules) -> Bench {
        Bench::with(rules, &[])
    }

    /// A consumer of a stream that has messages on these subjects already, a second apart.
    pub(super) fn with(rules: Rules, subjects: &[&str]) -> Bench {
        let wall = Duration::from_secs(WALL_SECONDS);
        let mut now = Now::at(Duration::from_secs(BOOT_SECONDS), wall);
        let mut memory = Memory::default();
        for subject in subjects {
            add(&mut memory, now, subject, 10);
            now = now.after(Duration::from_secs(1));
        }
        let mut effects = Vec::new();
        let mut turn = Turn { now, messages: &memory, is_wanted: &|_| true, effects: &mut effects };
        let consumer = Consumer::new(rules, &mut turn);
        Bench { memory, consumer, now, gone: BTreeSet::new(), effects, records: Vec::new() }
    }

    /// Runs one call of the consumer, then lets it deliver.
    fn turn<R>(&mut self, call: impl FnOnce(&mut Consumer, &mut Turn<'_>) -> R) -> R {
        let result = self.only(call);
        self.only(|consumer, turn| while consumer.deliver(turn, 3) {});
        self.consumer.turn_sent(&mut self.effects);
        result
    }

    /// Runs one call of the consumer.
    fn only<R>(&mut self, call: impl FnOnce(&mut Consumer, &mut Turn<'_>) -> R) -> R {
        let gone = &self.gone;
        let is_wanted = |target: &[u8]| !gone.contains(target);
        let effects = &mut self.effects;
        let mut turn = Turn { now: self.now, messages: &self.memory, is_wanted: &is_wanted, effects };
        call(&mut self.consumer, &mut turn)
    }

    /// Publishes a message of ten bytes on each subject.
    pub(super) fn publish(&mut self, subjects: &[&str]) {
        for subject in subjects {
            self.publish_sized(subject, 10);
        }
    }

    pub(super) fn publish_sized(&mut self, subject: &str, payload: usize) {
        add(&mut self.memory, self.now, subject, payload);
        let sequence = self.memory.last;
        self.turn(|consumer, _| consumer.published(sequence, subject.as_bytes()));
    }

    /// Removes a message from the stream.
    pub(super) fn remove(&mut self, sequence: u64) {
        let (subject, ..) = self.memory.messages.remove(&sequence).expect("the message is there");
        self.turn(|consumer, _| consumer.removed(sequence, Some(&subject)));
    }

    pub(super) fn ask(&mut self, target: &str, batch: u32) {
        self.request(PullRequest::plain(named(target), batch));
    }

    pub(super) fn request(&mut self, request: PullRequest) {
        self.turn(|consumer, turn| consumer.request(turn, request));
    }

    pub(super) fn ack(&mut self, sequence: u64) -> Confirmation {
        self.say(sequence, Acknowledgement::Positive)
    }

    pub(super) fn nak(&mut self, sequence: u64) -> Confirmation {
        self.say(sequence, Acknowledgement::Negative(None))
    }

    pub(super) fn nak_after(&mut self, sequence: u64, seconds: u64) -> Confirmation {
        self.say(sequence, Acknowledgement::Negative(Some(Duration::from_secs(seconds))))
    }

    pub(super) fn say(&mut self, sequence: u64, said: Acknowledgement<'_>) -> Confirmation {
        let delivery = DeliveryId { sequence, consumer_sequence: 0 };
        self.turn(|consumer, turn| consumer.acknowledge(turn, delivery, said))
    }

    /// Lets time pass, with each action at its time.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(due) = self.consumer.next_action(self.now).filter(|due| *due <= end.micros()) {
            let left = due.saturating_sub(self.now.micros());
            self.now = self.now.after(Duration::from_micros(left));
            self.turn(|consumer, turn| consumer.act(turn));
            let next = self.consumer.next_action(self.now);
            assert!(next.is_none_or(|next| next > self.now.micros()), "something stays due");
        }
        self.now = end;
    }

    pub(super) fn pass_seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// What the consumer said since the last time, without records and advisories of negative acknowledgements.
    #[track_caller]
    pub(super) fn check(&mut self, expected: &[&str]) {
        let said: Vec<String> = self.take_effects().iter().filter_map(text).collect();
        assert_eq!(said, expected);
    }

    /// The effects since the last time; the records among them are noted.
    fn take_effects(&mut self) -> Vec<Effect> {
        let effects = std::mem::take(&mut self.effects);
        self.records.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Keep(record) => Some(*record),
            _ => None,
        }));
        effects
    }

    /// Pending, without an acknowledgement, delivered more than once, and waiting requests.
    #[track_caller]
    pub(super) fn counts(&self, pending: u64, ack_pending: usize, redelivered: usize, waiting: usize) {
        let report = self.consumer.report();
        let counts = (report.pending, report.ack_pending, report.redelivered, report.waiting);
        assert_eq!(counts, (pending, ack_pending, redelivered, waiting));
    }

    /// The floor: consumer and stream sequence.
    #[track_caller]
    pub(super) fn floor(&self, consumer: u64, stream: u64) {
        let report = self.consumer.report();
        assert_eq!((report.floor_consumer, report.floor_stream), (consumer, stream));
    }
}

fn add(memory: &mut Memory, now: Now, subject: &str, payload: usize) {
    memory.last += 1;
    let stored = (subject.as_bytes().to_vec(), now.wall_micros() * 1000, payload);
    memory.messages.insert(memory.last, stored);
}

pub(super) fn named(target: &str) -> Target {
    Arc::from(target.as_bytes())
}

/// Rules of a pull consumer of which some are different.
pub(super) fn pulling(change: impl FnOnce(&mut Pull)) -> Rules {
    let mut pull = Pull::default();
    change(&mut pull);
    Rules { mode: Mode::Pull(pull), ..Rules::default() }
}

/// Rules of a push consumer to the subject `line` of which some are different.
pub(super) fn pushing(change: impl FnOnce(&mut Push)) -> Rules {
    let mut push = Push {
        subject: b"line"[..].into(),
        group: None,
        idle_heartbeat: None,
        flow_control: false,
        rate_limit: None,
    };
    change(&mut push);
    Rules { mode: Mode::Push(push), ..Rules::default() }
}

/// A short text of an effect; none for records and advisories of negative acknowledgements.
fn text(effect: &Effect) -> Option<String> {
    let name = |target: &Target| String::from_utf8_lossy(target).into_owned();
    Some(match effect {
        Effect::Deliver(delivery) => {
            let times = match delivery.deliveries {
                1 => String::new(),
                deliveries => format!(" x{deliveries}"),
            };
            format!("{}: {}{times}", name(&delivery.target), delivery.sequence)
        }
        Effect::Status { target, status } => {
            let numbers: Vec<_> = status.headers().map(|(_, value)| value.to_string()).collect();
            let numbers =
                if numbers.is_empty() { String::new() } else { format!(" ({})", numbers.join(", ")) };
            format!("{}: {} {}{numbers}", name(target), status.code(), status.description())
        }
        Effect::Keep(_) | Effect::Rejected(_) => return None,
        Effect::Done { sequence } => format!("done {sequence}"),
        Effect::Acknowledged { told, after } => {
            format!("acknowledged {} after {after:?}", told.delivery.sequence)
        }
        Effect::MaxDeliveries { sequence, deliveries } => format!("max {sequence} x{deliveries}"),
        Effect::DeadLetter(dead) => {
            let repeated = if dead.is_repeated { " repeated" } else { "" };
            format!("dead {} x{} {}{repeated}", dead.sequence, dead.deliveries, dead.cause.text())
        }
        Effect::Terminated { told, reason } => {
            format!("terminated {} {}", told.delivery.sequence, String::from_utf8_lossy(reason))
        }
        Effect::Pinned { .. } => "pinned".to_owned(),
        Effect::Unpinned { cause } => format!("unpinned {cause:?}"),
        Effect::Inactive => "inactive".to_owned(),
    })
}
