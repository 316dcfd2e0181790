//! What of a consumer outlives the server.

use std::time::Duration;

use super::{Bench, Turn, named, text};
use crate::stream::consumer::effect::{Failure, Told, Unread};
use crate::stream::consumer::record::{Record, Snapshot};
use crate::stream::consumer::request::PullRequest;
use crate::stream::consumer::rules::{Acknowledgements, Retention, Rules, Start};
use crate::stream::consumer::{Acknowledgement, Consumer, DeliveryId};

impl Bench {
    /// Starts anew from a snapshot and records, as after a crash.
    pub(super) fn restart(&mut self, snapshot: &Snapshot, records: &[Record]) {
        let rules = self.consumer.rules().clone();
        self.take_effects();
        self.consumer = Consumer::restore(rules, snapshot, self.now);
        for record in records {
            self.consumer.replay(*record, self.now);
        }
        self.turn(|consumer, turn: &mut Turn<'_>| consumer.settle(turn));
    }

    fn snapshot(&self) -> Snapshot {
        self.consumer.snapshot(self.now)
    }
}

#[test]
fn the_records_make_the_same_consumer_upon_any_snapshot() {
    let rules = Rules {
        max_deliver: Some(2),
        has_dead_letters: true,
        retention: Retention::Consumed,
        ..Rules::default()
    };
    let mut bench = Bench::with(rules, &["x"; 9]);
    let mut snapshots = vec![bench.snapshot()];
    let steps: &[fn(&mut Bench)] = &[
        |bench| bench.ask("a", 6),
        |bench| {
            bench.ack(2);
        },
        |bench| {
            bench.nak(1);
        },
        |bench| bench.ask("b", 1),
        |bench| {
            bench.nak_after(3, 100);
        },
        |bench| {
            bench.nak(1);
        },
        |bench| {
            bench.say(4, Acknowledgement::Terminate(b""));
        },
        |bench| bench.turn(|consumer, turn| consumer.left(turn, 1)),
    ];
    for step in steps {
        step(&mut bench);
        bench.take_effects();
        snapshots.push(bench.snapshot());
    }
    let records = bench.records.clone();
    let expected = bench.snapshot();
    assert_eq!(expected.outstanding.iter().map(|message| message.sequence).collect::<Vec<_>>(), [3, 5, 6]);
    for snapshot in &snapshots {
        bench.restart(snapshot, &records);
        assert_eq!(bench.snapshot(), expected);
        bench.check(&["dead 4 x1 terminated repeated"]);
        bench.counts(3, 3, 0, 0);
    }
    bench.turn(|consumer, turn| consumer.left(turn, 4));
    bench.check(&["done 4"]);
    bench.ask("c", 2);
    bench.check(&["c: 7", "c: 8"]);
}

#[test]
fn a_dead_letter_whose_copy_is_stored_is_not_asked_for_again() {
    let rules = Rules { has_dead_letters: true, ..Rules::default() };
    let mut bench = Bench::with(rules, &["x"; 2]);
    let before = bench.snapshot();
    bench.ask("a", 1);
    bench.say(1, Acknowledgement::Terminate(b""));
    bench.take_effects();
    let mut records = bench.records.clone();
    bench.restart(&before, &records);
    bench.check(&["dead 1 x1 terminated repeated"]);
    records.push(Record::Left { sequence: 1 });
    bench.restart(&before, &records);
    bench.check(&[]);
}

#[test]
fn deadlines_go_on_over_a_restart() {
    let mut bench = Bench::with(Rules::default(), &["x"; 3]);
    let before = bench.snapshot();
    bench.ask("a", 2);
    bench.nak_after(2, 50);
    bench.take_effects();
    bench.pass_seconds(20);
    let (records, after) = (bench.records.clone(), bench.snapshot());
    for (snapshot, records) in [(before, &records[..]), (after, &[])] {
        bench.now = bench.now.after(Duration::ZERO);
        let start = bench.now;
        bench.restart(&snapshot, records);
        bench.ask("b", 9);
        bench.check(&["b: 3"]);
        bench.pass_seconds(10);
        bench.check(&["b: 1 x2"]);
        bench.ack(1);
        bench.ack(3);
        bench.pass_seconds(20);
        bench.check(&["b: 2 x2"]);
        bench.now = start;
    }
}

#[test]
fn a_consumer_of_last_messages_goes_on_where_it_was() {
    let rules = Rules { start: Start::LastPerSubject, ..Rules::default() };
    let mut bench = Bench::with(rules, &["a", "b", "a", "c", "b"]);
    bench.ask("in", 1);
    bench.publish(&["c"]);
    bench.take_effects();
    bench.memory.messages.remove(&4);
    let snapshot = bench.snapshot();
    bench.restart(&snapshot, &[]);
    bench.counts(2, 1, 0, 0);
    bench.ask("in", 9);
    bench.check(&["in: 5", "in: 6"]);
}

#[test]
fn what_needs_no_acknowledgement_goes_on_behind_the_last_record() {
    let rules = Rules { acknowledgements: Acknowledgements::None, ..Rules::default() };
    let mut bench = Bench::with(rules, &["x"; 5]);
    let before = bench.snapshot();
    bench.ask("a", 2);
    bench.take_effects();
    let records = bench.records.clone();
    bench.restart(&before, &records);
    bench.ask("a", 1);
    bench.check(&["a: 3"]);
    bench.counts(2, 0, 0, 0);
    bench.floor(3, 3);
}

#[test]
fn a_stream_that_began_anew_does_not_leave_its_consumer_ahead() {
    let mut bench = Bench::with(Rules::default(), &["x"; 5]);
    bench.ask("a", 5);
    bench.take_effects();
    let snapshot = bench.snapshot();
    bench.memory.messages.clear();
    bench.memory.last = 2;
    bench.restart(&snapshot, &[]);
    bench.floor(5, 2);
    bench.publish(&["x"]);
    bench.ask("a", 1);
    bench.check(&["a: 3"]);
}

/// A consumer that nobody acknowledges comes to a message that cannot be read, and the server is killed behind any of its
/// appends.  After that, the message is delivered, or its stream keeps it; never both, and never neither.
#[test]
fn what_was_passed_over_is_delivered_or_kept_wherever_a_kill_cuts() {
    let acknowledgements = Acknowledgements::None;
    let rules = Rules { acknowledgements, retention: Retention::Consumed, ..Rules::default() };
    let mut bench = Bench::with(rules, &["x"; 3]);
    let mut snapshots = vec![bench.snapshot()];
    let mut appends = Vec::new();
    let mut step = |bench: &mut Bench, step: &dyn Fn(&mut Consumer, &mut Turn<'_>)| {
        let before = bench.records.len();
        bench.only(step);
        bench.take_effects();
        appends.push(bench.records[before..].to_vec());
        snapshots.push(bench.snapshot());
    };
    step(&mut bench, &|consumer, turn| {
        consumer.request(turn, PullRequest::plain(named("a"), 3));
        consumer.deliver(turn, 3);
    });
    step(&mut bench, &|consumer, turn| {
        let told = Told { delivery: DeliveryId { sequence: 2, consumer_sequence: 2 }, deliveries: 1 };
        consumer.unreadable(turn, &Unread { target: named("a"), told, failure: Failure::Damage });
    });
    step(&mut bench, &|consumer, turn| consumer.turn_sent(turn.effects));

    for (seen, snapshot) in snapshots.iter().enumerate() {
        for cut in 0..=appends.len() {
            let mut records = appends[..cut].concat();
            bench.restart(snapshot, &records);
            let before = bench.records.len();
            bench.ask("b", 3);
            let effects = bench.take_effects();
            let is_delivered = effects.iter().filter_map(text).any(|said| said == "b: 2");
            records.extend(&bench.records[before..]);
            bench.restart(snapshot, &records);
            let needed = [1, 2, 3].map(|sequence| bench.consumer.needs(sequence, Some(b"x")));
            assert_eq!(needed, [false, !is_delivered, false], "snapshot {seen} and {cut} appends");
        }
    }
}
