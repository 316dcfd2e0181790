//! Where consumers begin, and which messages they are about.

use std::time::Duration;

use super::{Bench, WALL_SECONDS, pushing};
use crate::stream::consumer::rules::{Replay, Rules, Start};
use crate::stream::filter::Filter;

const SUBJECTS: &[&str] = &["a.1", "b.1", "a.2", "b.1", "c"];

#[test]
fn each_policy_begins_where_it_says() {
    let second = |second: i64| (WALL_SECONDS as i64 + second) * 1_000_000_000;
    let a = || Filter::of([&b"a.*"[..]]);
    let two = || Filter::of([&b"a.>"[..], b"c"]);
    let table: &[(Start, Filter, &[u64])] = &[
        (Start::All, Filter::all(), &[1, 2, 3, 4, 5, 6, 7]),
        (Start::All, a(), &[1, 3, 6]),
        (Start::All, two(), &[1, 3, 5, 6]),
        (Start::Last, Filter::all(), &[5, 6, 7]),
        (Start::Last, a(), &[3, 6]),
        (Start::Last, Filter::of([&b"none"[..]]), &[]),
        (Start::New, Filter::all(), &[6, 7]),
        (Start::New, a(), &[6]),
        (Start::Sequence(0), Filter::all(), &[1, 2, 3, 4, 5, 6, 7]),
        (Start::Sequence(4), Filter::all(), &[4, 5, 6, 7]),
        (Start::Sequence(2), a(), &[3, 6]),
        (Start::Sequence(7), Filter::all(), &[7]),
        (Start::Sequence(7), a(), &[]),
        (Start::Sequence(100), Filter::all(), &[]),
        (Start::Sequence(u64::MAX), a(), &[]),
        (Start::Time(second(-5)), a(), &[1, 3, 6]),
        (Start::Time(second(2)), Filter::all(), &[3, 4, 5, 6, 7]),
        (Start::Time(second(2) + 1), Filter::all(), &[4, 5, 6, 7]),
        (Start::Time(second(100)), Filter::all(), &[6, 7]),
        (Start::LastPerSubject, Filter::all(), &[1, 3, 4, 5, 6, 7]),
        (Start::LastPerSubject, two(), &[1, 3, 5, 6]),
        (Start::LastPerSubject, Filter::of([&b"none"[..]]), &[]),
    ];
    for (start, filter, expected) in table {
        let rules = Rules { start: *start, filter: filter.clone(), ..Rules::default() };
        let mut bench = Bench::with(rules, SUBJECTS);
        bench.publish(&["a.1", "b.2"]);
        let name = format!("{start:?} {filter:?}");
        assert_eq!(bench.consumer.report().pending, expected.len() as u64, "{name}");
        bench.ask("in", 100);
        let said: Vec<_> = expected.iter().map(|sequence| format!("in: {sequence}")).collect();
        bench.check(&said.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(bench.consumer.report().pending, 0, "{name}");
    }
}

#[test]
fn an_empty_stream_and_one_without_its_first_messages_can_be_consumed() {
    for start in
        [Start::All, Start::Last, Start::New, Start::Sequence(1), Start::Time(0), Start::LastPerSubject]
    {
        let mut bench = Bench::new(Rules { start, ..Rules::default() });
        bench.publish(&["a"]);
        bench.ask("in", 1);
        bench.check(&["in: 1"]);
    }
    let mut bench = Bench::with(Rules { start: Start::New, ..Rules::default() }, SUBJECTS);
    bench.memory.messages.clear();
    let (consumer, mut effects) = (Rules::default(), Vec::new());
    let mut turn =
        super::Turn { now: bench.now, messages: &bench.memory, is_wanted: &|_| true, effects: &mut effects };
    bench.consumer = super::Consumer::new(consumer, &mut turn);
    bench.counts(0, 0, 0, 0);
    bench.floor(0, 5);
}

#[test]
fn a_sequence_that_is_still_to_come_is_waited_for_over_a_restart() {
    let rules = Rules { start: Start::Sequence(8), ..Rules::default() };
    let mut bench = Bench::with(rules, SUBJECTS);
    assert_eq!((bench.consumer.report().delivered_stream, bench.consumer.report().pending), (7, 0));
    bench.floor(0, 7);
    bench.ask("in", 9);
    bench.publish(&["a.1"]);
    bench.check(&[]);
    bench.remove(6); // which it never wanted
    bench.counts(0, 0, 0, 1);
    let snapshot = bench.consumer.snapshot(bench.now);
    bench.restart(&snapshot, &[]);
    bench.publish(&["a.1", "a.2", "a.3"]);
    bench.counts(2, 0, 0, 0);
    bench.ask("in", 9);
    bench.check(&["in: 8", "in: 9"]);
    bench.floor(0, 7);
}

#[test]
fn the_last_of_each_subject_stays_exact_while_subjects_change() {
    let mut bench =
        Bench::with(Rules { start: Start::LastPerSubject, ..Rules::default() }, &["a", "b", "c", "a"]);
    bench.counts(3, 0, 0, 0);
    bench.remove(1); // not among those to be delivered
    bench.counts(3, 0, 0, 0);
    bench.publish(&["b"]);
    bench.remove(2); // overwritten
    bench.counts(3, 0, 0, 0);
    bench.ask("in", 10);
    bench.check(&["in: 3", "in: 4", "in: 5"]);
    bench.counts(0, 3, 0, 1);
}

#[test]
fn a_message_that_none_waited_for_is_found_at_once() {
    let rules = Rules { filter: Filter::of([&b"rare"[..]]), ..Rules::default() };
    let mut bench = Bench::with(rules, &["often"; 100]);
    bench.publish(&["often", "rare", "often"]);
    // It is through with all that does not match.
    assert_eq!(bench.consumer.report().delivered_stream, 101);
    bench.ask("in", 2);
    bench.check(&["in: 102"]);
}

#[test]
fn a_replay_keeps_the_pauses_up_to_its_beginning() {
    let rules = Rules { replay: Replay::Original, ..pushing(|_| {}) };
    let mut bench = Bench::with(rules, &["a", "b", "c"]);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, true));
    bench.check(&["line: 1"]);
    bench.pass(Duration::from_millis(999));
    bench.check(&[]);
    bench.pass(Duration::from_millis(1));
    bench.check(&["line: 2"]);
    bench.publish(&["d", "e"]);
    bench.check(&[]);
    bench.pass_seconds(1);
    bench.check(&["line: 3", "line: 4", "line: 5"]);
}

#[test]
fn another_filter_counts_anew() {
    let mut bench = Bench::with(Rules::default(), SUBJECTS);
    bench.ask("in", 1);
    bench.check(&["in: 1"]);
    let rules = Rules { filter: Filter::of([&b"b.1"[..]]), ..Rules::default() };
    bench.turn(|consumer, turn| consumer.update(turn, rules));
    bench.counts(2, 1, 0, 0);
    bench.ask("in", 5);
    bench.check(&["in: 2", "in: 4"]);
}
