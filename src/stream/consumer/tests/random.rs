//! Random lives of consumers against a naive twin.
//!
//! The twin knows what was published, delivered and said, as plain sets.  It looks at every effect in its order and, after every
//! step, at the figures: each message goes to the request whose turn it is, new ones in order, old ones only when they are
//! due; what is pending is exact; nothing waits that somebody waiting may have; and a restart from any snapshot with the records
//! since changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::{Bench, Effect, named, pulling};
use crate::stream::consumer::Acknowledgement;
use crate::stream::consumer::effect::Delivery;
use crate::stream::consumer::messages::Messages;
use crate::stream::consumer::record::{Record, Snapshot};
use crate::stream::consumer::request::PullRequest;
use crate::stream::consumer::rules::{Acknowledgements, Retention, Rules};
use crate::stream::consumer::status::Kind;
use crate::stream::filter::Filter;

const SUBJECTS: [&str; 3] = ["a", "b", "c"];

const ACK_WAIT_SECONDS: u64 = 7;

const WAITING_MAX: usize = 3;

/// One step of a life.  Places are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Remove(usize),
    Purge(usize),
    Ask { batch: u32, no_wait: bool, expires: Option<u64> },
    Leave(usize),
    Acknowledge(usize),
    Reject(usize, Option<u64>),
    Terminate(usize),
    Progress(usize),
    StoreDeadLetters,
    Pass(u64),
    Snapshot,
    Restart { replays_all: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0_usize..1000;
    let ask = (1_u32..6, any::<bool>(), proptest::option::of(1_u64..20));
    prop_oneof![
        8 => (0..SUBJECTS.len()).prop_map(Step::Publish),
        2 => place.clone().prop_map(Step::Remove),
        1 => place.clone().prop_map(Step::Purge),
        6 => ask.prop_map(|(batch, no_wait, expires)| Step::Ask { batch, no_wait, expires }),
        1 => place.clone().prop_map(Step::Leave),
        5 => place.clone().prop_map(Step::Acknowledge),
        4 => (place.clone(), proptest::option::of(0_u64..15)).prop_map(|(place, after)| Step::Reject(place, after)),
        1 => place.clone().prop_map(Step::Terminate),
        1 => place.prop_map(Step::Progress),
        1 => Just(Step::StoreDeadLetters),
        3 => (1_u64..10).prop_map(Step::Pass),
        1 => Just(Step::Snapshot),
        1 => any::<bool>().prop_map(|replays_all| Step::Restart { replays_all }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let filters =
        prop_oneof![Just(Filter::all()), Just(Filter::of([&b"a"[..]])), Just(Filter::of([&b"a"[..], b"b"]))];
    let policies = prop_oneof![
        6 => Just(Acknowledgements::Explicit),
        2 => Just(Acknowledgements::All),
        1 => Just(Acknowledgements::None)
    ];
    let max = proptest::option::of(1_usize..4);
    (filters, policies, max, proptest::option::of(1_u32..4), any::<bool>(), any::<bool>()).prop_map(
        |(filter, acknowledgements, max_ack_pending, max_deliver, has_dead_letters, is_consumed)| Rules {
            filter,
            acknowledgements,
            max_ack_pending,
            max_deliver,
            has_dead_letters,
            ack_wait: Duration::from_secs(ACK_WAIT_SECONDS),
            retention: if is_consumed { Retention::Consumed } else { Retention::Limits },
            ..pulling(|pull| pull.max_waiting = WAITING_MAX)
        },
    )
}

/// A message that is out, as the twin sees it.
#[derive(Clone, PartialEq, Debug)]
struct Out {
    consumer_sequence: u64,
    deliveries: u32,
    /// When it may be delivered again.
    due: u64,
    is_delayed: bool,
    /// Whether its receiver got more time, which is not kept over a restart.
    is_extended: bool,
}

struct Asked {
    target: Vec<u8>,
    left: u32,
    expires: Option<u64>,
}

struct Twin {
    bench: Bench,
    /// The last message that was delivered for the first time.
    position: u64,
    delivered: u64,
    out: BTreeMap<u64, Out>,
    done: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// Dead letters in the order in which they were asked for.
    letters: Vec<u64>,
    queue: VecDeque<Asked>,
    asked: u64,
    snapshots: Vec<(Snapshot, usize)>,
}

impl Twin {
    fn new(rules: Rules) -> Twin {
        let bench = Bench::new(rules);
        let snapshots = vec![(bench.consumer.snapshot(bench.now), 0)];
        Twin {
            bench,
            position: 0,
            delivered: 0,
            out: BTreeMap::new(),
            done: BTreeSet::new(),
            dead: BTreeSet::new(),
            letters: Vec::new(),
            queue: VecDeque::new(),
            asked: 0,
            snapshots,
        }
    }

    fn rules(&self) -> Rules {
        self.bench.consumer.rules().clone()
    }

    fn now(&self) -> u64 {
        self.bench.now.micros()
    }

    /// Where messages are that were not delivered yet.
    fn ahead(&self) -> Vec<u64> {
        let rules = self.rules();
        self.bench.memory.matching(self.position + 1, &rules.filter).collect()
    }

    fn has_room(&self) -> bool {
        let rules = self.rules();
        let slots = self.out.values().filter(|out| !(out.is_delayed && out.due > self.now())).count();
        rules.acknowledgements == Acknowledgements::None || slots < rules.outstanding_max()
    }

    /// A message that was delivered, some of the time one that is no longer out.
    fn delivered_at(&self, place: usize) -> Option<u64> {
        let out: Vec<u64> = self.out.keys().copied().collect();
        match out.is_empty() || place.is_multiple_of(7) {
            true => (self.position > 0).then(|| 1 + place as u64 % self.position),
            false => Some(out[place % out.len()]),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Publish(subject) => self.bench.publish(&[SUBJECTS[subject]]),
            Step::Remove(place) => self.remove(place),
            Step::Purge(place) => self.purge(place),
            Step::Ask { batch, no_wait, expires } => self.ask(batch, no_wait, expires),
            Step::Leave(place) if !self.queue.is_empty() => {
                let target = self.queue[place % self.queue.len()].target.clone();
                self.bench.gone.insert(target);
            }
            Step::Leave(_) => {}
            Step::Acknowledge(place) => self.acknowledge(place),
            Step::Reject(place, after) => self.reject(place, after),
            Step::Terminate(place) => self.terminate(place),
            Step::Progress(place) => self.progress(place),
            Step::StoreDeadLetters => self.store_dead_letters(),
            Step::Pass(seconds) => {
                for _ in 0..seconds {
                    self.bench.pass_seconds(1);
                    self.look();
                }
            }
            Step::Snapshot => {
                let snapshot = self.bench.consumer.snapshot(self.bench.now);
                self.snapshots.push((snapshot, self.bench.records.len()));
            }
            Step::Restart { replays_all } => self.restart(replays_all),
        }
        self.look();
    }

    fn remove(&mut self, place: usize) {
        let there: Vec<u64> = self.bench.memory.messages.keys().copied().collect();
        if let Some(&sequence) = there.get(place % there.len().max(1)) {
            self.out.remove(&sequence);
            self.bench.remove(sequence);
        }
    }

    fn purge(&mut self, place: usize) {
        let until = place as u64 % (self.bench.memory.last + 1);
        self.bench.memory.messages.retain(|sequence, _| *sequence > until);
        self.out.retain(|sequence, _| *sequence > until);
        self.bench.turn(|consumer, turn| consumer.swept(turn));
    }

    fn ask(&mut self, batch: u32, no_wait: bool, expires: Option<u64>) {
        self.asked += 1;
        let name = format!("r{}", self.asked);
        let expires = expires.map(Duration::from_secs);
        self.queue.push_back(Asked {
            target: name.clone().into_bytes(),
            left: batch,
            expires: expires.map(|span| self.now() + span.as_micros() as u64),
        });
        self.bench.request(PullRequest { no_wait, expires, ..PullRequest::plain(named(&name), batch) });
    }

    fn acknowledge(&mut self, place: usize) {
        let Some(sequence) = self.delivered_at(place) else { return };
        match self.rules().acknowledgements {
            Acknowledgements::Explicit => drop(self.out.remove(&sequence)),
            Acknowledgements::All => self.out.retain(|out, _| *out > sequence),
            Acknowledgements::None => {}
        }
        self.bench.ack(sequence);
    }

    fn reject(&mut self, place: usize, after: Option<u64>) {
        let Some(sequence) = self.delivered_at(place) else { return };
        let now = self.now();
        let max = self.rules().max_deliver;
        if let Some(out) = self.out.get_mut(&sequence)
            && max.is_none_or(|max| out.deliveries < max)
        {
            let after = after.unwrap_or(0);
            if after > 0 || out.due > now {
                out.due = now + after * 1_000_000;
                out.is_delayed = after > 0;
                out.is_extended = false;
            }
        }
        self.bench.say(sequence, Acknowledgement::Negative(after.map(Duration::from_secs)));
    }

    fn terminate(&mut self, place: usize) {
        let Some(sequence) = self.delivered_at(place) else { return };
        if !self.rules().has_dead_letters {
            self.out.remove(&sequence);
        }
        self.bench.say(sequence, Acknowledgement::Terminate(b""));
    }

    fn progress(&mut self, place: usize) {
        let Some(sequence) = self.delivered_at(place) else { return };
        let now = self.now();
        if let Some(out) = self.out.get_mut(&sequence)
            && (!out.is_delayed || out.due <= now)
        {
            out.due = now + ACK_WAIT_SECONDS * 1_000_000;
            out.is_delayed = false;
            out.is_extended = true;
        }
        self.bench.say(sequence, Acknowledgement::InProgress);
    }

    fn store_dead_letters(&mut self) {
        for sequence in std::mem::take(&mut self.dead) {
            self.bench.turn(|consumer, turn| consumer.left(turn, sequence));
        }
    }

    /// The server is killed and starts again, from the latest snapshot or from another one with all records since the beginning.
    fn restart(&mut self, replays_all: bool) {
        let records: Vec<Record> = self.bench.records.clone();
        let (snapshot, seen) = self.snapshots.last().expect("the first one is there");
        let (snapshot, since) = (snapshot.clone(), if replays_all { 0 } else { *seen });
        self.queue.clear();
        self.bench.restart(&snapshot, &records[since..]);
        self.bench.turn(|consumer, turn| consumer.act(turn));
        // Dead letters that were not stored are asked for once more, and no others.
        let effects = self.bench.effects.clone();
        let repeated: BTreeSet<u64> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::DeadLetter(dead) if dead.is_repeated => Some(dead.sequence),
                _ => None,
            })
            .collect();
        assert_eq!(repeated, self.dead);
        self.bench.effects.retain(|effect| !matches!(effect, Effect::DeadLetter(dead) if dead.is_repeated));
        let now = self.bench.now;
        for message in self.bench.consumer.snapshot(now).outstanding {
            let Some(out) = self.out.get_mut(&message.sequence) else { continue };
            let due = now.micros().saturating_add_signed(message.due - now.wall_micros());
            if !out.is_extended {
                assert_eq!(due.max(now.micros()), out.due.max(now.micros()), "{}", message.sequence);
            }
            (out.due, out.is_delayed) = (due, message.is_delayed);
        }
    }

    /// Looks at what the consumer said, then at its figures.
    fn look(&mut self) {
        for effect in self.bench.take_effects() {
            match effect {
                Effect::Deliver(delivery) => self.look_at_delivery(&delivery),
                Effect::Status { target, status } if status.kind != Kind::IdleHeartbeat => {
                    let before = self.queue.len();
                    self.queue.retain(|asked| *asked.target != *target);
                    assert_eq!(self.queue.len() + 1, before, "one request ends: {status:?}");
                }
                Effect::Done { sequence } => {
                    assert!(!self.out.contains_key(&sequence), "{sequence} is done while it is out");
                    assert!(self.done.insert(sequence), "{sequence} is done twice");
                }
                Effect::MaxDeliveries { sequence, deliveries } => {
                    let out = self.out.remove(&sequence).expect("it was out");
                    assert_eq!((Some(deliveries), deliveries), (self.rules().max_deliver, out.deliveries));
                }
                Effect::DeadLetter(dead) => {
                    assert!(!dead.is_repeated);
                    self.out.remove(&dead.sequence);
                    assert!(!self.letters.contains(&dead.sequence), "a dead letter twice");
                    self.letters.push(dead.sequence);
                    self.dead.insert(dead.sequence);
                }
                _ => {}
            }
        }
        self.look_at_figures();
        self.look_for_stalls();
    }

    fn look_at_delivery(&mut self, delivery: &Delivery) {
        let now = self.now();
        let sequence = delivery.sequence;
        self.delivered += 1;
        assert_eq!(delivery.consumer_sequence, self.delivered);
        if delivery.deliveries == 1 {
            assert_eq!(self.ahead().first(), Some(&sequence), "new messages come in order");
            assert!(self.has_room(), "more are out than may be");
            self.position = sequence;
        } else {
            let out = self.out.get(&sequence).expect("only what is out is delivered again");
            assert!(out.due <= now, "{sequence} is not due");
            assert_eq!(delivery.deliveries, out.deliveries + 1);
            assert!(self.rules().max_deliver.is_none_or(|max| delivery.deliveries <= max));
        }
        assert_eq!(delivery.pending, self.ahead().len() as u64);
        if self.rules().acknowledgements != Acknowledgements::None {
            let first = self.out.get(&sequence).map_or(self.delivered, |out| out.consumer_sequence);
            let due = now + ACK_WAIT_SECONDS * 1_000_000;
            let deliveries = delivery.deliveries;
            self.out.insert(
                sequence,
                Out { consumer_sequence: first, deliveries, due, is_delayed: false, is_extended: false },
            );
        }
        let gone = &self.bench.gone;
        self.queue.retain(|asked| !gone.contains(&asked.target));
        let mut asked = self.queue.pop_front().expect("somebody waits");
        assert_eq!(asked.target, *delivery.target, "requests have their turns");
        asked.left -= 1;
        if asked.left > 0 {
            self.queue.push_back(asked);
        }
    }

    fn look_at_figures(&self) {
        let report = self.bench.consumer.report();
        assert_eq!(report.pending, self.ahead().len() as u64);
        assert_eq!(report.ack_pending, self.out.len());
        assert_eq!(report.redelivered, self.out.values().filter(|out| out.deliveries > 1).count());
        assert_eq!(report.delivered_consumer, self.delivered);
        assert!(report.floor_stream <= self.bench.memory.last() && report.waiting <= WAITING_MAX);
        let floor = self.out.values().next().map_or(self.delivered, |out| out.consumer_sequence - 1);
        assert_eq!(report.floor_consumer, floor);
        let rules = self.rules();
        if rules.retention == Retention::Consumed {
            for (sequence, (subject, ..)) in &self.bench.memory.messages {
                let needs = rules.filter.matches(subject) && !self.done.contains(sequence);
                assert_eq!(self.bench.consumer.needs(*sequence, Some(subject)), needs, "{sequence}");
            }
        }
    }

    /// Nobody waits for what it may have.
    fn look_for_stalls(&self) {
        let now = self.now();
        let waits = |asked: &Asked| {
            !self.bench.gone.contains(&asked.target) && asked.expires.is_none_or(|expires| expires > now)
        };
        let has_message =
            self.out.values().any(|out| out.due <= now) || (!self.ahead().is_empty() && self.has_room());
        assert!(!has_message || !self.queue.iter().any(waits), "a request waits in vain");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_consumer_does_as_its_twin(rules in rules(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut twin = Twin::new(rules);
        for step in &steps {
            twin.run(step);
        }
    }
}
