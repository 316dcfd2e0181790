//! Messages that are removed while a consumer has them or is to have them.

use super::Bench;
use crate::stream::consumer::rules::{Retention, Rules, Start};
use crate::stream::filter::Filter;

#[test]
fn a_removed_message_is_neither_pending_nor_redelivered() {
    let mut bench = Bench::with(Rules::default(), &["x"; 6]);
    bench.ask("a", 3);
    bench.take_effects();
    bench.nak(3);
    bench.remove(1);
    bench.floor(1, 1);
    bench.remove(3);
    bench.remove(5);
    bench.counts(2, 1, 0, 0);
    bench.pass_seconds(30);
    bench.ask("b", 9);
    bench.check(&["b: 2 x2", "b: 4", "b: 6"]);
}

#[test]
fn a_purge_moves_the_floor_and_counts_anew() {
    let mut bench = Bench::with(
        Rules { filter: Filter::of([&b"a"[..]]), ..Rules::default() },
        &["a", "a", "b", "a", "a"],
    );
    bench.ask("in", 2);
    bench.counts(2, 2, 0, 0);
    bench.memory.messages.retain(|sequence, _| *sequence >= 5);
    bench.turn(|consumer, turn| consumer.swept(turn));
    bench.counts(1, 0, 0, 0);
    bench.floor(2, 2);
    bench.take_effects();
    bench.ask("in", 2);
    bench.check(&["in: 5"]);
    bench.memory.messages.clear();
    bench.turn(|consumer, turn| consumer.swept(turn));
    bench.counts(0, 0, 0, 1);
    bench.publish(&["a"]);
    bench.check(&["in: 6"]);
}

#[test]
fn a_purge_shortens_the_list_of_last_messages() {
    let mut bench =
        Bench::with(Rules { start: Start::LastPerSubject, ..Rules::default() }, &["a", "b", "a", "c"]);
    bench.publish(&["a"]);
    bench.counts(4, 0, 0, 0);
    bench.memory.messages.retain(|sequence, _| *sequence >= 4);
    bench.turn(|consumer, turn| consumer.swept(turn));
    bench.counts(2, 0, 0, 0);
    bench.memory.messages.retain(|sequence, _| *sequence >= 5);
    bench.turn(|consumer, turn| consumer.swept(turn));
    bench.ask("in", 9);
    bench.check(&["in: 5"]);
}

#[test]
fn a_consumer_says_what_it_still_needs() {
    let rules = Rules { filter: Filter::of([&b"a"[..]]), retention: Retention::Consumed, ..Rules::default() };
    let mut bench = Bench::with(rules, &["a", "b", "a", "a"]);
    bench.ask("in", 2);
    bench.ack(1);
    let needs = |bench: &Bench| {
        [(1, b"a"), (2, b"b"), (3, b"a"), (4, b"a")]
            .map(|(sequence, subject)| bench.consumer.needs(sequence, Some(subject)))
    };
    assert_eq!(needs(&bench), [false, false, true, true]);
    bench.ack(3);
    assert_eq!(needs(&bench), [false, false, false, true]);
}
