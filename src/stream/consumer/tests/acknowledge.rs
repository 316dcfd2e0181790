//! What receivers say, and what follows from it.

use std::time::Duration;

use super::{Bench, Effect};
use crate::stream::consumer::limits::{DELAYED_MAX, PENDING_MAX};
use crate::stream::consumer::record::Record;
use crate::stream::consumer::rules::{Acknowledgements, Retention, Rules};
use crate::stream::consumer::{Acknowledgement, Confirmation};

#[test]
fn the_floor_follows_what_is_acknowledged() {
    let mut bench = Bench::with(Rules::default(), &["x"; 5]);
    bench.ask("a", 4);
    bench.floor(0, 0);
    bench.ack(2);
    bench.floor(0, 0);
    bench.ack(1);
    bench.floor(2, 2);
    bench.ack(4);
    bench.floor(2, 2);
    bench.ack(3);
    bench.floor(4, 4);
    bench.counts(1, 0, 0, 0);
}

#[test]
fn acknowledgements_of_what_is_not_out_change_nothing() {
    let mut bench = Bench::with(Rules::default(), &["x"; 3]);
    bench.ask("a", 1);
    bench.take_effects();
    assert_eq!(bench.ack(1), Confirmation::WhenKept);
    assert_eq!(bench.take_effects(), [Effect::Keep(Record::Acknowledged { sequence: 1 })]);
    for sequence in [0, 1, 2, 3, 100, u64::MAX] {
        let answer = if sequence == 1 { Confirmation::WhenKept } else { Confirmation::Never };
        for said in [
            Acknowledgement::Positive,
            Acknowledgement::Negative(None),
            Acknowledgement::InProgress,
            Acknowledgement::Terminate(b"why"),
        ] {
            assert_eq!(bench.say(sequence, said), answer, "{sequence} {said:?}");
        }
    }
    assert_eq!(bench.take_effects(), []);
    bench.counts(2, 0, 0, 0);
}

#[test]
fn one_acknowledgement_may_be_for_all_before() {
    let rules =
        Rules { acknowledgements: Acknowledgements::All, retention: Retention::Consumed, ..Rules::default() };
    let mut bench = Bench::with(rules, &["x"; 5]);
    bench.ask("a", 4);
    bench.take_effects();
    bench.ack(3);
    bench.check(&["done 1", "done 2", "done 3"]);
    bench.counts(1, 1, 0, 0);
    bench.floor(3, 3);
    bench.ack(2);
    bench.check(&[]);
}

#[test]
fn what_nobody_acknowledges_is_done_once_it_was_sent() {
    let rules = Rules {
        acknowledgements: Acknowledgements::None,
        retention: Retention::Consumed,
        ..Rules::default()
    };
    let mut bench = Bench::with(rules, &["x", "y", "x"]);
    bench.remove(2);
    bench.take_effects();
    bench.ask("a", 4);
    bench.check(&["a: 1", "a: 3", "done 1", "done 3"]);
    assert_eq!(bench.records, [Record::Passed { sequence: 3, consumer_sequence: 2 }]);
}

#[test]
fn so_many_are_out_and_no_more() {
    let mut bench = Bench::with(Rules { max_ack_pending: Some(2), ..Rules::default() }, &["x"; 5]);
    bench.ask("a", 5);
    bench.check(&["a: 1", "a: 2"]);
    bench.ack(2);
    bench.check(&["a: 3"]);
    bench.nak(1);
    bench.check(&["a: 1 x2"]);
    bench.counts(2, 2, 1, 1);
}

#[test]
fn a_message_that_is_put_off_frees_its_slot() {
    let mut bench = Bench::with(Rules { max_ack_pending: Some(2), ..Rules::default() }, &["x"; 5]);
    bench.ask("a", 9);
    bench.nak_after(1, 60);
    bench.nak_after(2, 40);
    bench.check(&["a: 1", "a: 2", "a: 3", "a: 4"]);
    bench.counts(1, 4, 0, 1);
    bench.ack(3);
    bench.ack(4);
    bench.ack(5);
    bench.pass_seconds(60);
    bench.check(&["a: 5", "a: 2 x2", "a: 1 x2"]);
    bench.floor(0, 0);
}

#[test]
fn only_so_many_give_their_slots_back() {
    let mut bench = Bench::with(Rules { max_ack_pending: Some(1), ..Rules::default() }, &[]);
    let messages = DELAYED_MAX as u64 + 3;
    for _ in 0..messages {
        bench.memory.last += 1;
        let sequence = bench.memory.last;
        bench.memory.messages.insert(sequence, (b"x".to_vec(), 0, 0));
        bench.consumer.published(sequence, b"x");
    }
    bench.ask("a", u32::MAX);
    for sequence in 1..=messages {
        bench.nak_after(sequence, 10);
    }
    // The last one that could be put off keeps its slot, so nothing follows it.
    bench.counts(2, DELAYED_MAX + 1, 0, 1);
}

#[test]
fn without_a_limit_of_its_own_a_consumer_has_that_of_all() {
    for (max, expected) in [(None, PENDING_MAX), (Some(5), 5), (Some(usize::MAX), PENDING_MAX)] {
        assert_eq!(Rules { max_ack_pending: max, ..Rules::default() }.outstanding_max(), expected);
    }
}

#[test]
fn progress_gives_the_time_anew() {
    let mut bench = Bench::with(Rules::default(), &["x"; 2]);
    bench.ask("a", 2);
    bench.take_effects();
    bench.pass_seconds(20);
    bench.say(1, Acknowledgement::InProgress);
    bench.pass_seconds(10);
    bench.say(2, Acknowledgement::InProgress); // was over, but nobody else has it
    bench.ask("b", 2);
    bench.pass_seconds(19);
    bench.check(&[]);
    bench.pass_seconds(1);
    bench.check(&["b: 1 x2"]);
    bench.pass_seconds(10);
    bench.check(&["b: 2 x2"]);
}

#[test]
fn a_message_that_is_given_up_is_done_with() {
    let mut bench = Bench::with(Rules { retention: Retention::Consumed, ..Rules::default() }, &["x"; 2]);
    bench.ask("a", 1);
    bench.say(1, Acknowledgement::Terminate(b"no such order"));
    bench.check(&["a: 1", "terminated 1 no such order", "done 1"]);
    bench.pass_seconds(100);
    bench.check(&[]);
    bench.floor(1, 1);
}

#[test]
fn negative_acknowledgements_are_told_with_their_delivery() {
    let mut bench = Bench::with(Rules::default(), &["x"]);
    bench.ask("a", 1);
    bench.nak(1);
    bench.nak(1); // waits already
    let told = bench.take_effects().iter().filter(|effect| matches!(effect, Effect::Rejected(_))).count();
    assert_eq!(told, 2);
    bench.ask("b", 5);
    bench.check(&["b: 1 x2"]);
    bench.pass(Duration::from_secs(30));
    bench.check(&["b: 1 x3"]);
}
