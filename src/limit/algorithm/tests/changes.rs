//! Buckets whose rate or burst changes while tokens are missing.

use super::super::state::put;
use super::super::{OnChange, StateBytes};
use super::*;

const SECOND: i64 = 1_000;
const START: Nanos = 1 << 61;

/// The same counter under a limit of other parameters, as it goes on after it was asked once.
fn changed(counter: &Counter, parameters: Parameters, now: Nanos) -> Counter {
    let mut next = Counter::new("gcra", parameters);
    next.state = counter.state.clone();
    let mut state = StateBytes::new();
    if let Some(kept_for) = next.limit.adopt(&next.state, now, &mut state) {
        next.keep(state, kept_for);
    }
    next
}

/// `remaining` of a bucket after `taken` were taken from one of `before`, at once after the change.
#[track_caller]
fn check(before: Parameters, taken: u64, after: Parameters, remaining: u64) {
    let mut counter = Counter::new("gcra", before);
    assert!(counter.take(taken, START).allowed);
    let counter = changed(&counter, after, START);
    assert_eq!(counter.peek(0, START).remaining, remaining);
}

#[test]
fn as_many_are_missing_as_before_but_no_more_than_the_bucket_holds() {
    let hourly = parameters(100, 3_600 * SECOND, None);
    check(hourly, 50, parameters(100, 60 * SECOND, None), 50);
    check(hourly, 100, parameters(200, 3_600 * SECOND, None), 100);
    check(hourly, 100, parameters(10, 60 * SECOND, None), 0);
    check(hourly, 30, parameters(100, 3_600 * SECOND, Some(40)), 10);
    check(hourly, 90, parameters(100, 3_600 * SECOND, Some(40)), 0);
    check(parameters(1_000_000, SECOND, None), 1, parameters(1, 100 * 365 * 86_400 * SECOND, None), 0);
    let keep = Some(OnChange::Keep);
    check(hourly, 50, Parameters { on_change: keep, ..parameters(100, 60 * SECOND, None) }, 0);
    let reset = Some(OnChange::Reset);
    check(hourly, 50, Parameters { on_change: reset, ..parameters(100, 60 * SECOND, None) }, 100);
}

#[test]
fn answers_after_a_change_are_true() {
    let choices = [None, Some(OnChange::Keep), Some(OnChange::Reset)];
    for seed in 0..2_000 {
        let mut random = Random::with_seed(seed);
        let mut any = || PARAMETERS[random.below(PARAMETERS.len())];
        let (before, after) = (any(), any());
        let after = Parameters { on_change: choices[seed as usize % choices.len()], ..after };
        let mut counter = Counter::new("gcra", before);
        let mut now = START;
        for _ in 0..5 {
            now = later(&mut random, now, before).min(LATEST);
            let cost = cost(&mut random, counter.limit.capacity());
            counter.take(cost, now);
        }
        let counter = changed(&counter, after, now);
        assert_honest(&counter, counter.peek(1, now), 1, now);
    }
}

#[test]
fn an_overdrawn_bucket_stays_overdrawn_until_its_parameters_change() {
    let before = parameters(10, 10 * SECOND, None);
    let mut counter = Counter::new("gcra", before);
    let mut state = StateBytes::new();
    let kept_for = counter.limit.charge(&counter.state, 30, START, &mut state);
    counter.keep(state, kept_for);
    let one = Some(21 * NANOS_PER_SECOND);
    assert_eq!(counter.peek(1, START).retry_after, one);
    assert_eq!(changed(&counter, before, START).peek(1, START).retry_after, one);
    let slower = changed(&counter, parameters(10, 20 * SECOND, None), START);
    assert_eq!(slower.peek(1, START).retry_after, Some(2 * NANOS_PER_SECOND));
}

#[test]
fn a_state_of_an_earlier_version_is_one_of_the_limit_that_reads_it() {
    let mut counter = Counter::new("gcra", parameters(10, 10 * SECOND, None));
    put(&mut counter.state, START + 4 * NANOS_PER_SECOND, 8);
    assert_eq!(counter.peek(1, START).remaining, 6);
    assert!(counter.take(6, START).allowed);
    assert_eq!(counter.state.len(), 16);
}
