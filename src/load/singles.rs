//! Operations of one request each, answered in their order: RESP, and HTTP/1.1.
//!
//! Of a request on its way nothing need be known but when it was meant to begin, and requests that began together are counted together.
//! Operations of several requests are in [`super::exchange`].

use std::collections::VecDeque;
use std::marker::PhantomData;

use super::answers::Answers;
use super::exchange::{Crowd, unasked};
use super::keys::Keys;
use super::operation::Mix;
use super::template::Filling;
use super::traffic::{Stage, Traffic};

/// Clients that each have one request at a time.  As many share a connection as the pipeline is deep; they take turns.
pub(super) struct Singles<A> {
    mix: Mix,
    keys: Keys,
    /// Clients on each connection.
    pipeline: u32,
    /// The number of the first client among those of all threads.
    first_client: u32,
    connections: Vec<Conversation>,
    /// A connection for each client without a request; the one that has waited longest is first.
    idle: VecDeque<u32>,
    unanswered: u64,
    answers: PhantomData<fn() -> A>,
}

/// The requests on their way over a connection.
#[derive(Default)]
struct Conversation {
    /// In their order.
    batches: VecDeque<Batch>,
    /// Which of its clients is next.
    turn: u32,
}

/// Requests that were meant to begin at the same time.
struct Batch {
    intended: u64,
    /// How many of them are unanswered.
    left: u64,
}

impl<A: Answers> Singles<A> {
    /// Whether operations are of this kind: each is one request, and any answer may be the answer to any of them.
    pub(super) fn fits(mix: &Mix) -> bool {
        let mut operations = mix.operations();
        let is_alone = operations.len() == 1;
        operations.all(|steps| matches!(steps, [only] if is_alone || only.is_refusal.is_none()))
    }

    /// Clients that have not begun yet.
    pub(super) fn new(mix: Mix, keys: Keys, crowd: Crowd) -> Singles<A> {
        // Round the connections, so that few operations at a time spread over all of them.
        let idle = (0..crowd.pipeline).flat_map(|_| 0..crowd.connections as u32).collect();
        Singles {
            mix,
            keys,
            pipeline: crowd.pipeline as u32,
            first_client: crowd.first_client as u32,
            connections: (0..crowd.connections).map(|_| Conversation::default()).collect(),
            idle,
            unanswered: 0,
            answers: PhantomData,
        }
    }

    /// Begins as many of `room` operations on a connection as may begin, and returns how many may not.
    #[inline]
    fn start(&mut self, connection: u32, mut room: u64, stage: &mut Stage<'_>) -> u64 {
        while room > 0
            && let Some((intended, count)) = stage.pace.begin_together(stage.now, room)
        {
            let conversation = &mut self.connections[connection as usize];
            match conversation.batches.back_mut() {
                Some(last) if last.intended == intended => last.left += count,
                _ => conversation.batches.push_back(Batch { intended, left: count }),
            }
            let output = stage.outputs[connection as usize].bytes();
            let first = self.first_client + connection * self.pipeline;
            for _ in 0..count {
                let client = first + conversation.turn;
                conversation.turn =
                    if conversation.turn + 1 == self.pipeline { 0 } else { conversation.turn + 1 };
                let operation = self.mix.choose(stage.random);
                let filling = Filling { key: self.keys.draw(stage.random), client, answer: &[] };
                let keys = &mut self.keys;
                let request = &self.mix.steps(operation)[0].request;
                request.write(output, &filling, stage.random, |random| keys.draw(random));
            }
            self.unanswered += count;
            room -= count;
        }
        room
    }

    /// Counts answers to the first requests on their way.  How many are left over, to which there was no request.
    #[inline]
    fn answered(&mut self, connection: usize, mut count: u64, stage: &mut Stage<'_>) -> u64 {
        let batches = &mut self.connections[connection].batches;
        while count > 0
            && let Some(first) = batches.front_mut()
        {
            let ended = count.min(first.left);
            stage.tally.done_alike(stage.now.saturating_sub(first.intended), ended);
            (first.left, self.unanswered, count) =
                (first.left - ended, self.unanswered - ended, count - ended);
            if first.left == 0 {
                batches.pop_front();
            }
        }
        count
    }
}

impl<A: Answers> Traffic for Singles<A> {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        while let Some(&connection) = self.idle.front()
            && self.start(connection, 1, stage) == 0
        {
            self.idle.pop_front();
        }
    }

    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String> {
        let is_refusal = self.mix.steps(0)[0].is_refusal;
        let (mut at, mut room) = (0, 0);
        while let Some(answer) = A::next(&input[at..])? {
            let rest = &input[at..];
            let mut count = 1;
            if answer.is_error || is_refusal.is_some() {
                // Over HTTP a refusal is an error by its code.
                if is_refusal.is_some_and(|is_refusal| is_refusal(&rest[..answer.length])) {
                    stage.tally.refused += 1;
                } else if answer.is_error {
                    stage.tally.failed(&A::text(&rest[..answer.length]));
                }
            } else {
                count += A::count_alike(rest, answer.length);
            }
            if self.answered(connection, count as u64, stage) > 0 {
                return Err(unasked::<A>(&rest[..answer.length]));
            }
            at += count * answer.length;
            room += count as u64;
        }
        for _ in 0..self.start(connection as u32, room, stage) {
            self.idle.push_back(connection as u32);
        }
        Ok(at)
    }

    fn is_settled(&self) -> bool {
        self.unanswered == 0
    }

    fn missing(&self) -> String {
        format!("{} requests are unanswered", self.unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::RespAnswers;
    use super::super::connection::Outgoing;
    use super::super::operation::Step;
    use super::super::pacing::{Bound, Pace};
    use super::super::tally::Tally;
    use super::super::template::{Size, Style};
    use super::*;
    use crate::random::Random;

    /// Clients of two connections, three on each, and all that they work with.
    struct Scene {
        singles: Singles<RespAnswers>,
        outputs: Vec<Outgoing>,
        random: Random,
        tally: Tally,
        pace: Pace,
    }

    impl Scene {
        fn new(is_refusal: Option<fn(&[u8]) -> bool>, bound: Bound, rate: Option<f64>) -> Scene {
            let style = Style { prefix: String::new(), size: Size { least: 0, most: 0 } };
            let mix = Mix::one(vec![Step { is_refusal, ..Step::timed(style.command(&["__client__"])) }]);
            let crowd = Crowd { connections: 2, pipeline: 3, first_client: 10 };
            let mut scene = Scene {
                singles: Singles::new(mix, Keys::Uniform { count: 1 }, crowd),
                outputs: vec![Outgoing::default(), Outgoing::default()],
                random: Random::with_seed(1),
                tally: Tally::new(),
                pace: Pace::new(bound, rate, 0, 0, 1),
            };
            scene.at(0, |singles, stage| singles.begin(stage));
            scene
        }

        fn at<T>(&mut self, now: u64, act: impl FnOnce(&mut Singles<RespAnswers>, &mut Stage<'_>) -> T) -> T {
            let Scene { singles, outputs, random, tally, pace } = self;
            act(singles, &mut Stage { now, outputs, random, tally, pace })
        }

        /// Has answers come in over a connection.
        #[track_caller]
        fn hear(&mut self, now: u64, connection: usize, answers: &[u8]) {
            let taken = self.at(now, |singles, stage| singles.receive(connection, answers, stage));
            assert_eq!(taken, Ok(answers.len()));
        }

        /// The numbers of the clients that have asked over a connection since the last time.
        fn asked(&mut self, connection: usize) -> Vec<u32> {
            let text =
                String::from_utf8(std::mem::take(self.outputs[connection].bytes())).expect("it is text");
            text.lines().filter(|line| line.len() == 6).map(|line| line.parse().expect("a number")).collect()
        }
    }

    #[test]
    fn clients_take_turns_and_each_latency_is_its_own() {
        let mut scene = Scene::new(None, Bound::Count(100), None);
        assert_eq!((scene.asked(0), scene.asked(1)), (vec![10, 11, 12], vec![13, 14, 15]));
        scene.hear(50, 0, b"+OK\r\n+OK\r\n");
        assert_eq!((scene.asked(0), scene.asked(1)), (vec![10, 11], vec![]));
        // One that began at 0 and two that began at 50.
        scene.hear(90, 0, b"+OK\r\n$-1\r\n$-1\r\n");
        assert_eq!(scene.asked(0), [12, 10, 11]);
        assert_eq!((scene.tally.operations, scene.singles.unanswered), (5, 6));
        let quantiles = [0.2, 0.4, 0.6, 0.8, 1.0].map(|share| scene.tally.quantile(share));
        assert_eq!(quantiles, [40, 40, 50, 50, 90]);
        let unasked = scene.at(91, |singles, stage| singles.receive(1, &b"+OK\r\n".repeat(4), stage));
        assert_eq!(unasked, Err("it said \"+OK\" without being asked".to_owned()));
    }

    #[test]
    fn errors_and_refusals_are_told_apart() {
        let mut scene = Scene::new(Some(|answer| answer == b":0\r\n"), Bound::Count(6), None);
        scene.hear(5, 0, b":1\r\n:0\r\n-ERR no\r\n");
        let tally = &scene.tally;
        assert_eq!((tally.operations, tally.refused, tally.errors, tally.timed_count()), (3, 1, 1, 3));
        assert_eq!(tally.first_error.as_deref(), Some("ERR no"));
        scene.hear(5, 1, b"-ERR no\r\n:0\r\n:0\r\n");
        assert_eq!((scene.tally.refused, scene.tally.errors, scene.singles.is_settled()), (3, 2, true));
    }

    #[test]
    fn a_schedule_goes_round_the_connections() {
        let mut scene = Scene::new(None, Bound::Count(100), Some(10_000.0));
        scene.at(250, |singles, stage| singles.begin(stage));
        assert_eq!((scene.asked(0), scene.asked(1)), (vec![10, 11], vec![13]));
        // All requests are on their way: one that falls due waits for room, and its time counts from then.
        scene.at(800, |singles, stage| singles.begin(stage));
        assert_eq!((scene.asked(0), scene.asked(1)), (vec![12], vec![14, 15]));
        scene.hear(900, 1, b"+OK\r\n");
        assert_eq!((scene.asked(0), scene.asked(1)), (vec![], vec![13]));
        scene.hear(950, 1, &b"+OK\r\n".repeat(3));
        assert_eq!(scene.tally.quantile(0.0), 350);
    }
}
