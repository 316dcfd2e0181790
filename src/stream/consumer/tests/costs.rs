//! How much a consumer asks its stream, as counts.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::{Bench, Memory, Turn, named};
use crate::stream::consumer::effect::Effect;
use crate::stream::consumer::messages::{Messages, Size};
use crate::stream::consumer::request::PullRequest;
use crate::stream::consumer::rules::Rules;
use crate::stream::consumer::{Acknowledgement, Consumer, DeliveryId};
use crate::stream::filter::Filter;

/// Counts the searches for a next message, and forbids all else.
struct Counted<'m> {
    memory: &'m Memory,
    searches: Cell<usize>,
}

impl Messages for Counted<'_> {
    fn first(&self) -> u64 {
        panic!("the first message is not asked for")
    }

    fn last(&self) -> u64 {
        panic!("the last message is not asked for")
    }

    fn next(&self, from: u64, filter: &Filter) -> Option<u64> {
        self.searches.set(self.searches.get() + 1);
        self.memory.next(from, filter)
    }

    fn count(&self, _: u64, _: &Filter) -> u64 {
        panic!("messages are not counted")
    }

    fn unknown(&self, _: u64) -> u64 {
        0
    }

    fn last_matching(&self, _: &Filter) -> Option<u64> {
        panic!("the last match is not asked for")
    }

    fn last_per_subject(&self, _: &Filter) -> Vec<u64> {
        panic!("subjects are not asked for")
    }

    fn since(&self, _: i64) -> u64 {
        panic!("times are not searched")
    }

    fn holds(&self, _: u64) -> bool {
        panic!("messages are not looked up")
    }

    fn time(&self, _: u64) -> i64 {
        panic!("times are not asked for")
    }

    fn size(&self, _: u64) -> Size {
        panic!("sizes are not asked for")
    }
}

#[test]
fn a_message_costs_one_search_and_the_interest_of_its_receiver_one_look_a_turn() {
    const MESSAGES: usize = 10_000;
    const TURNS: usize = 10;
    let mut bench = Bench::with(Rules { max_ack_pending: None, ..Rules::default() }, &["x"; MESSAGES]);
    let counted = Counted { memory: &bench.memory, searches: Cell::new(0) };
    let looks = Cell::new(0);
    let is_wanted = |_: &[u8]| {
        looks.set(looks.get() + 1);
        true
    };
    let mut effects = Vec::new();
    let mut turn = Turn { now: bench.now, messages: &counted, is_wanted: &is_wanted, effects: &mut effects };
    let consumer: &mut Consumer = &mut bench.consumer;
    consumer.request(&mut turn, PullRequest::plain(named("a"), u32::MAX));
    for number in 1..=TURNS {
        assert!(consumer.deliver(&mut turn, MESSAGES / TURNS));
        assert_eq!(counted.searches.get(), number * MESSAGES / TURNS);
    }
    assert!(!consumer.deliver(&mut turn, 1), "nothing is left, which needs no search");
    for sequence in 1..=MESSAGES as u64 {
        let delivery = DeliveryId { sequence, consumer_sequence: 0 };
        consumer.acknowledge(&mut turn, delivery, Acknowledgement::Positive);
        consumer.next_action(turn.now);
    }
    assert_eq!((counted.searches.get(), looks.get()), (MESSAGES, TURNS));
    // A run of messages has one record a turn.
    let records = effects.iter().filter(|effect| matches!(effect, Effect::Keep(_))).count();
    assert_eq!(records, TURNS + MESSAGES);
    let delivered: BTreeSet<u64> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deliver(delivery) => Some(delivery.sequence),
            _ => None,
        })
        .collect();
    assert_eq!(delivered.len(), MESSAGES);
}
