//! Messages that were not acknowledged in time, and those that are not delivered again.

use std::time::Duration;

use super::Bench;
use crate::stream::consumer::Acknowledgement;
use crate::stream::consumer::limits::EXPIRED_PER_TURN;
use crate::stream::consumer::record::Record;
use crate::stream::consumer::rules::{Retention, Rules};

#[test]
fn what_is_not_acknowledged_in_time_goes_to_who_asks_next() {
    let mut bench = Bench::with(Rules::default(), &["x"; 3]);
    bench.ask("a", 2);
    bench.pass_seconds(29);
    bench.ask("b", 2);
    bench.check(&["a: 1", "a: 2", "b: 3"]);
    bench.pass_seconds(1);
    bench.check(&["b: 1 x2"]);
    bench.ask("c", 5);
    bench.check(&["c: 2 x2"]);
    bench.counts(0, 3, 2, 1);
    bench.ack(1);
    bench.ack(2);
    bench.counts(0, 1, 0, 1);
}

#[test]
fn each_delivery_has_its_time() {
    let backoff = [1, 5, 20].map(Duration::from_secs).to_vec();
    let mut bench = Bench::with(Rules { backoff, max_deliver: Some(5), ..Rules::default() }, &["x"]);
    bench.ask("a", 10);
    for (seconds, expected) in
        [(1, "a: 1 x2"), (5, "a: 1 x3"), (20, "a: 1 x4"), (20, "a: 1 x5"), (20, "max 1 x5")]
    {
        bench.take_effects();
        bench.pass(Duration::from_millis(seconds * 1000 - 1));
        bench.check(&[]);
        bench.pass(Duration::from_millis(1));
        bench.check(&[expected]);
    }
    bench.pass_seconds(1000);
    bench.check(&[]);
    bench.floor(5, 1);
}

#[test]
fn a_message_delivered_often_enough_stays_in_the_stream() {
    let rules = Rules { max_deliver: Some(2), retention: Retention::Consumed, ..Rules::default() };
    let mut bench = Bench::with(rules, &["x"; 3]);
    bench.ask("a", 4);
    bench.nak(1);
    bench.nak(1);
    bench.nak(2);
    bench.check(&["a: 1", "a: 2", "a: 3", "a: 1 x2", "max 1 x2"]);
    assert!(bench.consumer.needs(1, Some(b"x")));
    bench.counts(0, 2, 0, 0);
    // Its receiver may have been late.
    bench.ack(1);
    bench.check(&["done 1"]);
    assert!(!bench.consumer.needs(1, Some(b"x")));
}

#[test]
fn a_dead_letter_is_asked_for_once_and_its_message_is_done_when_it_is_stored() {
    let rules = Rules {
        max_deliver: Some(3),
        has_dead_letters: true,
        retention: Retention::Consumed,
        ..Rules::default()
    };
    let mut bench = Bench::with(rules, &["x"; 2]);
    bench.ask("a", 9);
    bench.nak(1);
    bench.nak(1);
    bench.nak(1);
    bench.check(&["a: 1", "a: 2", "a: 1 x2", "a: 1 x3", "max 1 x3", "dead 1 x3 max_deliveries"]);
    assert!(bench.consumer.needs(1, Some(b"x")));
    bench.nak(1);
    bench.ack(1);
    bench.pass_seconds(10);
    bench.check(&[]);
    bench.turn(|consumer, turn| consumer.left(turn, 1));
    bench.turn(|consumer, turn| consumer.left(turn, 1));
    bench.check(&["done 1"]);
    assert!(!bench.consumer.needs(1, Some(b"x")));
    bench.say(2, Acknowledgement::Terminate(b"bad"));
    bench.check(&["terminated 2 bad", "dead 2 x1 terminated"]);
    let ends: Vec<_> = bench
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Leaving(leaving) => Some(format!("leaving {}", leaving.sequence)),
            Record::Left { sequence } => Some(format!("left {sequence}")),
            _ => None,
        })
        .collect();
    assert_eq!(ends, ["leaving 1", "left 1", "leaving 2"]);
}

#[test]
fn many_that_are_due_at_once_are_dealt_with_in_turns() {
    let messages = EXPIRED_PER_TURN + 1;
    let subjects = vec!["x"; messages];
    let mut bench = Bench::with(Rules { max_ack_pending: None, ..Rules::default() }, &subjects);
    bench.ask("a", messages as u32);
    bench.take_effects();
    bench.now = bench.now.after(Duration::from_secs(30));
    bench.only(|consumer, turn| consumer.act(turn));
    assert_eq!(bench.consumer.next_action(bench.now), Some(bench.now.micros()), "one is still due");
    bench.only(|consumer, turn| consumer.act(turn));
    assert_eq!(bench.consumer.next_action(bench.now), None);
    bench.ask("b", u32::MAX);
    bench.counts(0, messages, messages, 1);
}
