//! Random lives of push consumers with flow control: no more is on its way than the window and one message, everything comes
//! in order, and a receiver that answers is never left waiting.

use proptest::prelude::*;

use super::{Bench, Effect, pushing};
use crate::stream::consumer::limits::{FLOW_WINDOW_MAX, FLOW_WINDOW_START};
use crate::stream::consumer::rules::{Acknowledgements, Rules};
use crate::stream::consumer::status::{Detail, FlowToken, Kind};

#[derive(Clone, Debug)]
enum Step {
    /// Publishes so many messages of so many bytes.
    Publish(usize, usize),
    Bind(bool),
    /// Answers the question that is open.
    Answer,
    /// Answers a question that is not.
    AnswerAnother(u32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..30, 1_usize..FLOW_WINDOW_START / 3).prop_map(|(count, size)| Step::Publish(count, size)),
        1 => (1_usize..3, 1_usize..FLOW_WINDOW_MAX * 2).prop_map(|(count, size)| Step::Publish(count, size)),
        2 => any::<bool>().prop_map(Step::Bind),
        6 => Just(Step::Answer),
        1 => (0_u32..100).prop_map(Step::AnswerAnother),
        2 => (1_u64..10).prop_map(Step::Pass),
    ]
}

/// What the receiver knows.
struct Receiver {
    bench: Bench,
    is_bound: bool,
    /// The next message.
    next: u64,
    /// Messages on their way, and how many of them the open question covers.
    on_their_way: Vec<usize>,
    question: Option<(FlowToken, usize)>,
    window: usize,
}

impl Receiver {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Publish(count, size) => (0..count).for_each(|_| self.bench.publish_sized("x", size)),
            Step::Bind(is_bound) if is_bound != self.is_bound => {
                self.is_bound = is_bound;
                self.on_their_way.clear();
                self.question = None;
                self.window = FLOW_WINDOW_START;
                self.bench.turn(|consumer, turn| consumer.interest_changed(turn, is_bound));
            }
            Step::Bind(_) => {}
            Step::Answer => self.answer(),
            Step::AnswerAnother(number) => {
                let token = FlowToken(number);
                if self.question.is_none_or(|(open, _)| open != token) {
                    self.bench.turn(|consumer, turn| consumer.flow_answered(turn, token));
                    self.look();
                }
            }
            Step::Pass(seconds) => self.bench.pass_seconds(seconds),
        }
        self.look();
    }

    fn answer(&mut self) {
        let Some((token, covered)) = self.question.take() else { return };
        self.on_their_way.drain(..covered);
        self.window = (self.window * 2).min(FLOW_WINDOW_MAX);
        self.bench.turn(|consumer, turn| consumer.flow_answered(turn, token));
    }

    fn look(&mut self) {
        for effect in self.bench.take_effects() {
            match effect {
                Effect::Deliver(delivery) => {
                    assert!(self.is_bound);
                    assert_eq!(delivery.sequence, self.next);
                    self.next += 1;
                    let bytes: usize = self.on_their_way.iter().sum();
                    assert!(bytes <= self.window, "the window is full");
                    self.on_their_way.push(self.bytes(delivery.sequence, delivery.pending));
                }
                Effect::Status { status, .. } => match status.detail {
                    Detail::Flow(token) => {
                        assert!(self.question.is_none(), "one question at a time");
                        self.question = Some((token, self.on_their_way.len()));
                    }
                    Detail::Delivered { stalled, .. } => {
                        assert_eq!(status.kind, Kind::IdleHeartbeat);
                        assert_eq!(stalled, self.question.map(|(token, _)| token));
                    }
                    detail => panic!("{detail:?}"),
                },
                effect => panic!("{effect:?}"),
            }
        }
        let bytes: usize = self.on_their_way.iter().sum();
        let pending = self.bench.consumer.report().pending;
        assert_eq!(pending, self.bench.memory.last + 1 - self.next);
        assert!(!self.is_bound || pending == 0 || bytes > self.window, "it is left waiting");
        assert!(self.question.is_some() || bytes <= self.window, "nothing asks for an answer");
    }

    /// Subject, payload, and a reply subject with a number of 19 digits.
    fn bytes(&self, sequence: u64, pending: u64) -> usize {
        let payload = self.bench.memory.messages[&sequence].2;
        let digits = |number: u64| number.to_string().len();
        // Nothing is delivered twice, so the number of the delivery is the sequence.
        1 + payload + 14 + 19 + 1 + 2 * digits(sequence) + digits(pending)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_receiver_gets_what_it_can_take(steps in proptest::collection::vec(step(), 1..80)) {
        let rules = pushing(|push| {
            push.flow_control = true;
            push.idle_heartbeat = Some(std::time::Duration::from_secs(5));
        });
        let rules = Rules { acknowledgements: Acknowledgements::None, is_kept: false, ..rules };
        let mut receiver = Receiver {
            bench: Bench::new(rules),
            is_bound: false,
            next: 1,
            on_their_way: Vec::new(),
            question: None,
            window: FLOW_WINDOW_START,
        };
        for step in &steps {
            receiver.run(step);
        }
    }
}
