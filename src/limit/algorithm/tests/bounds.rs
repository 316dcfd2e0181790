//! The most that is admitted in any span, by a plain count.

use super::*;

const SECOND: Nanos = 1_000_000_000;
const START: Nanos = 1 << 61;

/// The most that was admitted within a span as long as `period`.
fn most_within(admitted: &[Nanos], period: Nanos) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, &at) in admitted.iter().enumerate() {
        while admitted[first] + period <= at {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// Asks for one at each of these times and returns when it was admitted.
fn admitted(counter: &mut Counter, moments: impl IntoIterator<Item = Nanos>) -> Vec<Nanos> {
    moments.into_iter().filter(|&now| counter.take(1, now).allowed).collect()
}

/// One request opens a window; a crowd comes just before its end and another just after it.
fn crowd_at_the_border(name: &str) -> usize {
    let mut counter = Counter::new(name, parameters(100, 1_000, None));
    let border = START + SECOND;
    let before = (1..=500).map(|step| border - step * 1_000).rev();
    let after = (0..500).map(|step| border + step * 1_000);
    let admitted = admitted(&mut counter, [START].into_iter().chain(before).chain(after));
    most_within(&admitted[1..], SECOND / 100)
}

#[test]
fn only_a_fixed_window_lets_two_bursts_through_at_the_border() {
    assert_eq!(crowd_at_the_border("fixed"), 99 + 100);
    for name in ["log", "sliding", "gcra"] {
        let most = crowd_at_the_border(name);
        assert!((99..=100).contains(&most), "{name}: {most}");
    }
}

#[test]
fn a_log_is_never_over_its_limit_whatever_comes() {
    let mut random = Random::with_seed(5);
    for limit in [1, 3, 100, 1_024, 1_500] {
        let mut counter = Counter::new("log", parameters(limit, 1_000, None));
        let mut now = START;
        let moments = std::iter::repeat_with(|| {
            now += random.draw() % (SECOND / limit as u64);
            now
        });
        let admitted = admitted(&mut counter, moments.take(6_000));
        assert_eq!(most_within(&admitted, SECOND), limit as usize);
    }
}

#[test]
fn the_memory_of_a_log_is_bounded() {
    let mut counter = Counter::new("log", parameters(1_000_000, 1_000, None));
    for step in 0..5_000 {
        assert!(counter.take(1, START + step * SECOND / 2_500).allowed);
    }
    assert!(counter.state.len() > 14_000, "the log was filled");
}

#[test]
fn sliding_is_a_few_percent_over_on_random_traffic() {
    const LIMIT: i64 = 100;
    let mut peaks = Vec::new();
    for seed in 0..200 {
        let mut random = Random::with_seed(seed);
        let mut counter = Counter::new("sliding", parameters(LIMIT, 1_000, None));
        let mut now = START;
        // On average a request every 1/120 of the period, at 1.2 times the limit.
        let moments = std::iter::repeat_with(|| {
            now += random.draw() % (2 * SECOND / 120);
            now
        });
        let admitted = admitted(&mut counter, moments.take(2_000));
        peaks.push(most_within(&admitted, SECOND));
    }
    let highest = peaks.iter().max().expect("there were runs");
    let average = peaks.iter().sum::<usize>() as f64 / peaks.len() as f64;
    assert!((100.0..=105.0).contains(&average), "on average the peak was {average}");
    assert!(*highest <= 110, "the highest peak was {highest}");
}

#[test]
fn sliding_is_twice_the_limit_only_after_a_burst_at_the_very_end_of_a_window() {
    let mut counter = Counter::new("sliding", parameters(100, 1_000, None));
    let burst = (0..500).map(|step| START + SECOND - SECOND / 100 + step * 1_000);
    let greedy = (0..100_000).map(|step| START + SECOND + step * 10_000);
    let admitted = admitted(&mut counter, [START].into_iter().chain(burst).chain(greedy));
    let most = most_within(&admitted, SECOND);
    assert!((190..=200).contains(&most), "{most} within a period");
}

#[test]
fn leaky_starts_nothing_closer_than_the_interval() {
    let mut random = Random::with_seed(9);
    let mut counter = Counter::new("leaky", parameters(10, 1_000, Some(5)));
    let (mut now, mut free_at, mut longest) = (START, 0, 0);
    for _ in 0..5_000 {
        now += random.draw() % (SECOND / 6);
        let cost = 1 + random.draw() % 2;
        let decision = counter.take(cost, now);
        if decision.allowed {
            let start = now + decision.delay;
            assert!(start >= free_at, "it starts while the one before it is being done");
            free_at = start + cost * SECOND / 10;
            longest = longest.max(decision.delay);
        }
    }
    assert!((3 * SECOND / 10..=4 * SECOND / 10).contains(&longest), "the queue was used: {longest}");
}

#[test]
fn gcra_admits_the_burst_and_then_the_rate() {
    let mut counter = Counter::new("gcra", parameters(10, 1_000, Some(30)));
    let moments = (0..100_000).map(|step| START + step * 100_000);
    let admitted = admitted(&mut counter, moments);
    assert_eq!(admitted.len(), 30 + 99, "ten seconds, the last interval not over");
    assert_eq!(most_within(&admitted, SECOND), 30 + 9);
}

#[test]
fn tokens_that_have_come_back_are_not_refunded_once_more() {
    for name in ["gcra", "leaky"] {
        let row = super::super::find(name.as_bytes()).expect("the algorithm is in the table");
        let limit = (row.build)(parameters(10, 1_000, None)).expect("the parameters are valid");
        let (taken_at, later) = (1_000_000, 1_200_000_000);
        let mut state = StateBytes::new();
        assert!(limit.take(&[], 10, taken_at, &mut state).allowed);
        // All of it has come back since, and was taken by somebody else.
        let mut taken_again = StateBytes::new();
        assert!(limit.take(&state, 10, later, &mut taken_again).allowed);
        let mut refunded = StateBytes::new();
        limit.refund(&taken_again, 10, taken_at, later, &mut refunded);
        assert_eq!(limit.peek(&refunded, 1, later).remaining, 0, "{name}");
    }
}
