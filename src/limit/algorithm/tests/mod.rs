//! The algorithms beside naive ones on random traces, and their promises and errors.

mod bounds;
mod changes;
mod oracles;
mod parameters;
mod rational;
mod slots;

use super::{ALGORITHMS, Decision, Limit, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, Parameters, StateBytes};
use crate::random::Random;
use oracles::{Bucket, Oracle, oracle};
use rational::Rational;

/// A counter as a client sees it: a limit, and the bytes the store keeps for it.
struct Counter {
    limit: Limit,
    state: StateBytes,
}

impl Counter {
    fn new(algorithm: &str, parameters: Parameters) -> Counter {
        let row = super::find(algorithm.as_bytes()).expect("the algorithm is in the table");
        let limit = (row.build)(parameters).expect("the parameters are valid");
        Counter { limit, state: StateBytes::new() }
    }

    fn peek(&self, cost: u64, now: Nanos) -> Decision {
        self.limit.peek(&self.state, cost, now)
    }

    fn take(&mut self, cost: u64, now: Nanos) -> Decision {
        let mut changed = StateBytes::new();
        let decision = self.limit.take(&self.state, cost, now, &mut changed);
        if decision.allowed {
            self.keep(changed, decision.reset_after);
        }
        decision
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        let mut changed = StateBytes::new();
        let kept_for = self.limit.refund(&self.state, amount, taken_at, now, &mut changed);
        self.keep(changed, kept_for);
    }

    /// A state that does not matter is not kept, as in the store.
    fn keep(&mut self, changed: StateBytes, kept_for: Nanos) {
        assert!(changed.len() <= super::STATE_LENGTH_MAX);
        self.state = if kept_for == 0 { StateBytes::new() } else { changed };
    }
}

/// Limits worth trying: ordinary ones, odd ones, and the ends of what is allowed.
const PARAMETERS: &[Parameters] = &[
    parameters(10, 1_000, None),
    parameters(1, 1, None),
    parameters(7, 60_000, Some(3)),
    parameters(3, 1_000, Some(20)),
    parameters(100, 60_000, None),
    parameters(1_000_000, 1_000, None),
    parameters(999_999_937, 1_000, Some(5)),
    parameters(1, 365 * 86_400_000, None),
    parameters(5_000, 3_600_000, None),
    parameters(1, 100 * 365 * 86_400_000, None),
];

const fn parameters(limit: i64, period_millis: i64, burst: Option<i64>) -> Parameters {
    Parameters { limit, period_millis, burst, on_change: None }
}

/// The parameters of the list that an algorithm takes.
fn parameters_for(name: &str) -> impl Iterator<Item = Parameters> {
    let row = super::find(name.as_bytes()).expect("the algorithm is in the table");
    PARAMETERS
        .iter()
        .map(|parameters| Parameters { burst: parameters.burst.filter(|_| row.has_burst), ..*parameters })
        .filter(|parameters| (row.build)(*parameters).is_ok())
}

/// Twice the longest span after the start; no server runs that long.
const LATEST: Nanos = (1 << 61) + 2 * super::SPAN_MAX;

/// A step in time: often none, often about an interval or a period, seldom very long.
fn later(random: &mut Random, now: Nanos, parameters: Parameters) -> Nanos {
    let period = parameters.period_millis as u64 * NANOS_PER_MILLI;
    let scale = match random.below(8) {
        0..=1 => return now,
        2 => 10,
        3..=5 => period / parameters.limit as u64,
        6 => period / 3,
        _ => period / 2 * 3,
    };
    now + random.draw() % (2 * scale + 1)
}

fn cost(random: &mut Random, limit: u64) -> u64 {
    match random.below(10) {
        0 => 0,
        1..=6 => 1,
        7 => random.draw() % (limit + 2),
        8 => limit,
        _ => limit / 3 + 1,
    }
}

/// Checks that the times of a decision are true.
#[track_caller]
fn assert_honest(counter: &Counter, decision: Decision, cost: u64, now: Nanos) {
    if let Some(wait) = decision.retry_after {
        assert!(!counter.peek(cost, now + wait - 1).allowed, "{decision:?}: allowed too early");
        assert!(counter.peek(cost, now + wait).allowed, "{decision:?}: refused after the time it named");
        let millis = decision.retry_after_millis() as u64;
        assert!(counter.peek(cost, now + millis * NANOS_PER_MILLI).allowed);
        assert!(!counter.peek(cost, now + (millis - 1) * NANOS_PER_MILLI).allowed);
    }
    assert_eq!(decision.is_impossible(), cost > decision.limit, "never means over the limit");
    let reset = now + decision.reset_after;
    assert_eq!(counter.peek(0, reset).remaining, decision.limit);
    assert!(counter.peek(decision.limit, reset).allowed);
    if decision.reset_after > 0 {
        let before = counter.peek(0, reset - 1);
        assert!(before.remaining < decision.limit, "{before:?}: all is back before the time it named");
    }
    assert!(counter.peek(decision.remaining, now).allowed, "{decision:?}: what remains can be had");
    assert!(!counter.peek(decision.remaining + 1, now).allowed, "{decision:?}: no more than remains");
}

fn play(name: &str, parameters: Parameters, seed: u64, steps: usize) {
    let mut random = Random::with_seed(seed);
    let mut counter = Counter::new(name, parameters);
    let mut oracle = oracle(name, parameters);
    // Time starts late, as on the limiter's scale, so that nothing lies before zero.
    let mut now = 1 << 61;
    for step in 0..steps {
        let context = format!("{name} {parameters:?}, seed {seed}, step {step}");
        now = later(&mut random, now, parameters);
        // The name of a slot is a timestamp of the clock, in whole microseconds, and a little more.
        let grain = if name == "concurrency" { 1_000 } else { 1 };
        now = now.next_multiple_of(grain);
        if now > LATEST {
            return;
        }
        if random.below(12) == 0 {
            let amount = 1 + random.draw() % (counter.limit.capacity() + 1);
            let age = if random.below(3) == 0 { later(&mut random, 0, parameters) } else { 0 };
            let taken_at = now.saturating_sub(age).next_multiple_of(grain);
            oracle.refund(amount, taken_at, now);
            counter.refund(amount, taken_at, now);
        }
        let cost = cost(&mut random, counter.limit.capacity());
        let available = oracle.available(now);
        let allowed = cost == 0 || Rational::whole(cost) <= available;
        let delay = if allowed { oracle.delay(now) } else { 0 };
        let peeked = counter.peek(cost, now);
        assert_eq!(
            (peeked.allowed, peeked.remaining),
            (allowed, available.floor()),
            "{context}, cost {cost}"
        );
        assert_honest(&counter, peeked, cost, now);
        let decision = counter.take(cost, now);
        assert_eq!((decision.allowed, decision.delay), (allowed, delay), "{context}, cost {cost}");
        if allowed {
            oracle.take(cost, now);
        }
        assert_eq!(decision.remaining, oracle.available(now).floor(), "{context}, cost {cost}, afterwards");
        assert_honest(&counter, decision, if allowed { 0 } else { cost }, now);
    }
}

fn play_all(name: &str) {
    for (index, parameters) in parameters_for(name).enumerate() {
        for seed in 0..12 {
            play(name, parameters, 1000 * index as u64 + seed, 120);
        }
    }
}

#[test]
fn gcra_decides_as_a_bucket_of_fractions() {
    play_all("gcra");
}

#[test]
fn sliding_decides_as_its_whole_history() {
    play_all("sliding");
}

#[test]
fn log_decides_as_its_whole_history() {
    play_all("log");
}

#[test]
fn fixed_decides_as_its_whole_history() {
    play_all("fixed");
}

#[test]
fn leaky_decides_as_a_queue_of_fractions() {
    play_all("leaky");
}

#[test]
fn concurrency_decides_as_its_whole_history() {
    play_all("concurrency");
}

#[test]
fn refill_decides_as_a_bucket_that_is_filled_step_by_step() {
    play_all("refill");
}

#[test]
fn every_algorithm_has_an_oracle_and_says_what_it_promises() {
    for row in ALGORITHMS {
        oracle(row.name, PARAMETERS[0]);
        assert!(!row.promise.is_empty() && !row.error.is_empty(), "{}", row.name);
        assert!(std::ptr::eq(super::find(row.name.to_uppercase().as_bytes()).expect("in either case"), row));
    }
}

/// Against the rate as stated, whose interval is a fraction of a nanosecond: never more, and hardly less.
#[test]
fn rounding_the_interval_never_admits_more_than_stated() {
    for limit in [3, 7, 999, 1_000, 999_999, 1_000_000] {
        let parameters = parameters(limit, 1_000, Some(1));
        let mut counter = Counter::new("gcra", parameters);
        let mut stated = Bucket::new(1, Rational::new(1_000_000_000u64, limit));
        let (start, mut now) = (1u64 << 61, 1u64 << 61);
        const ADMITTED: u64 = 5_000;
        for _ in 0..ADMITTED {
            let decision = counter.take(1, now);
            assert!(decision.allowed);
            assert!(stated.available(now) >= Rational::whole(1), "{limit} a second: more than stated");
            stated.take(1, now);
            now += counter.peek(1, now).retry_after.expect("a burst of one is taken");
        }
        let ideal = Rational::new(ADMITTED * 1_000_000_000, limit);
        let excess = &Rational::whole(now - start) - &ideal;
        let allowed = &ideal * &Rational::new(limit, 1_000_000_000);
        assert!(excess <= allowed, "{limit} a second: {excess:?} nanoseconds lost");
        assert_eq!(excess == Rational::whole(0), 1_000_000_000 % limit == 0, "{limit} a second");
    }
}
