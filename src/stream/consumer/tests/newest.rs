//! Random lives of consumers that begin with the last message of each subject, as watches of key-value buckets do: what is
//! pending is exact at every step, so a watch knows when it has seen all keys.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Bench, Effect, pushing};
use crate::stream::consumer::messages::Messages;
use crate::stream::consumer::rules::{Acknowledgements, Rules, Start};
use crate::stream::filter::Filter;

const KEYS: [&str; 5] = ["kv.a", "kv.b", "kv.c", "kv.x>y", "kv.d.e"];

#[derive(Clone, Debug)]
enum Step {
    /// Publishes under a key, and evicts what is beyond the bucket's history.
    Put(usize),
    /// Removes all messages of a key but the last ones.
    Purge(usize, usize),
    Remove(usize),
    /// Delivers so many messages.
    Deliver(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS.len()).prop_map(Step::Put),
        1 => (0..KEYS.len(), 0_usize..3).prop_map(|(key, keep)| Step::Purge(key, keep)),
        2 => (0_usize..1000).prop_map(Step::Remove),
        4 => (1_usize..4).prop_map(Step::Deliver),
    ]
}

struct Watch {
    bench: Bench,
    history: usize,
    /// What is still to be delivered, as a plain set.
    expected: BTreeSet<u64>,
}

impl Watch {
    fn new(bench: Bench, filter: Filter, history: usize) -> Watch {
        let expected = bench.memory.last_per_subject(&filter).into_iter().collect();
        let mut watch = Watch { bench, history, expected };
        let rules = Rules {
            start: Start::LastPerSubject,
            filter,
            acknowledgements: Acknowledgements::None,
            is_kept: false,
            ..pushing(|_| {})
        };
        watch.bench.only(|consumer, turn| {
            *consumer = super::Consumer::new(rules, turn);
            consumer.interest_changed(turn, true);
        });
        watch
    }

    fn put(&mut self, key: usize) {
        super::add(&mut self.bench.memory, self.bench.now, KEYS[key], 1);
        let sequence = self.bench.memory.last;
        self.bench.consumer.published(sequence, KEYS[key].as_bytes());
        if self.bench.consumer.rules().filter.matches(KEYS[key].as_bytes()) {
            self.expected.insert(sequence);
        }
        for sequence in self.beyond(key, self.history) {
            self.remove(sequence);
        }
    }

    /// The messages of a key but the last `keep`.
    fn beyond(&self, key: usize, keep: usize) -> Vec<u64> {
        let mut all: Vec<u64> = self
            .bench
            .memory
            .messages
            .iter()
            .filter(|(_, (subject, ..))| subject == KEYS[key].as_bytes())
            .map(|(sequence, _)| *sequence)
            .collect();
        all.truncate(all.len().saturating_sub(keep));
        all
    }

    fn remove(&mut self, sequence: u64) {
        let (subject, ..) = self.bench.memory.messages.remove(&sequence).expect("it is there");
        self.bench.consumer.removed(sequence, Some(&subject));
        self.expected.remove(&sequence);
    }

    fn purge(&mut self, key: usize, keep: usize) {
        for sequence in self.beyond(key, keep) {
            self.bench.memory.messages.remove(&sequence);
            self.expected.remove(&sequence);
        }
        self.bench.only(|consumer, turn| consumer.swept(turn));
    }

    fn deliver(&mut self, most: usize) {
        self.bench.only(|consumer, turn| consumer.deliver(turn, most));
        let effects = self.bench.take_effects();
        assert_eq!(effects.len(), most.min(self.expected.len()));
        for effect in effects {
            let Effect::Deliver(delivery) = effect else { panic!("only messages: {effect:?}") };
            assert_eq!(self.expected.pop_first(), Some(delivery.sequence));
            assert_eq!(delivery.pending, self.expected.len() as u64);
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Put(key) => self.put(key),
            Step::Purge(key, keep) => self.purge(key, keep),
            Step::Remove(place) => {
                let there: Vec<u64> = self.bench.memory.messages.keys().copied().collect();
                if let Some(&sequence) = there.get(place % there.len().max(1)) {
                    self.remove(sequence);
                }
            }
            Step::Deliver(most) => self.deliver(most),
        }
        assert_eq!(self.bench.consumer.report().pending, self.expected.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_watch_sees_the_last_of_each_key_then_every_change(
        before in proptest::collection::vec(0..KEYS.len(), 0..20),
        watches_all in any::<bool>(),
        history in 1_usize..6,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let keys: Vec<&str> = before.iter().map(|key| KEYS[*key]).collect();
        let filter = if watches_all { Filter::all() } else { Filter::of([&b"kv.*"[..]]) };
        let mut watch = Watch::new(Bench::with(pushing(|_| {}), &keys), filter, history);
        for step in &steps {
            watch.run(step);
        }
        watch.deliver(1000);
        assert!(watch.expected.is_empty(), "all was delivered");
    }
}
