//! Parameters at and past their bounds, and states as they are stored.

use super::super::{COUNT_MAX, Concurrency, Gcra, SPAN_MAX, checked_cost};
use super::*;

/// Checks the result of building a limit.
#[track_caller]
fn check(name: &str, parameters: Parameters, expected: Result<u64, &str>) {
    let row = super::super::find(name.as_bytes()).expect("the algorithm is in the table");
    let built = (row.build)(parameters).map(|limit| limit.capacity()).map_err(|error| error.to_string());
    assert_eq!(built, expected.map_err(str::to_owned), "{name} {parameters:?}");
}

#[test]
fn invalid_parameters_are_refused_with_the_allowed_values() {
    const COUNT: &str = "1 to 281474976710655";
    const SPAN: &str = "1 to 3153600000000 milliseconds (a hundred years)";
    for row in ALGORITHMS.iter().filter(|row| row.name != "concurrency") {
        for limit in [0, -1, i64::MIN, i64::MAX] {
            let message = format!("limit is {limit}; allowed is {COUNT}");
            check(row.name, parameters(limit, 1_000, None), Err(&message));
        }
    }
    for row in ALGORITHMS {
        for period in [0, -1, i64::MIN, i64::MAX, (SPAN_MAX / NANOS_PER_MILLI) as i64 + 1] {
            let message = format!("period is {period}; allowed is {SPAN}");
            check(row.name, parameters(1, period, None), Err(&message));
        }
    }
    check("gcra", parameters(1, 1, Some(0)), Err(&format!("burst is 0; allowed is {COUNT}")));
    check("leaky", parameters(1, 1, Some(-5)), Err(&format!("burst is -5; allowed is {COUNT}")));
    check(
        "sliding",
        parameters(1, 1, Some(1)),
        Err("burst is 1; allowed is none with sliding: its limit says it all"),
    );
    check("concurrency", parameters(801, 1, None), Err("limit is 801; allowed is 1 to 800"));
    check("concurrency", parameters(0, 1, None), Err("limit is 0; allowed is 1 to 800"));
}

#[test]
fn a_rate_has_at_most_one_a_nanosecond() {
    check("gcra", parameters(1_000_000, 1, None), Ok(1_000_000));
    let message = "rate is 1000001 per 1 ms; allowed is at most 1000000000 a second";
    for row in ALGORITHMS.iter().filter(|row| row.name != "concurrency") {
        check(row.name, parameters(1_000_001, 1, None), Err(message));
    }
}

#[test]
fn a_burst_comes_back_within_a_hundred_years() {
    let year = 365 * 86_400_000;
    check("gcra", parameters(1, year, Some(100)), Ok(100));
    let message =
        "burst is 101; allowed is at most 100 at this rate, so that it comes back within a hundred years";
    check("gcra", parameters(1, year, Some(101)), Err(message));
    check("refill", parameters(1, year, Some(101)), Err(message));
    check("refill", parameters(2, year, Some(200)), Ok(200));
    check(
        "gcra",
        parameters(1, 1, Some(i64::MAX)),
        Err("burst is 9223372036854775807; allowed is 1 to 281474976710655"),
    );
}

#[test]
fn one_a_year_is_one_a_year() {
    let year: Nanos = 365 * 86_400_000 * NANOS_PER_MILLI;
    for row in ALGORITHMS {
        let mut counter = Counter::new(row.name, parameters(1, 365 * 86_400_000, None));
        let start = 1 << 61;
        assert!(counter.take(1, start).allowed);
        let refused = counter.take(1, start);
        // The estimate of a sliding window keeps an even window in sight until its end.
        let periods = if row.name == "sliding" { 2 } else { 1 };
        assert_eq!((refused.allowed, refused.retry_after), (false, Some(periods * year)), "{}", row.name);
        assert!(!counter.take(1, start + periods * year - 1).allowed);
        assert!(counter.take(1, start + periods * year).allowed);
    }
}

#[test]
fn a_cost_over_the_limit_never_succeeds_and_says_so() {
    for row in ALGORITHMS {
        let mut counter = Counter::new(row.name, parameters(5, 1_000, None));
        for cost in [6, COUNT_MAX, u64::MAX] {
            let decision = counter.take(cost, 1 << 61);
            assert!(!decision.allowed && decision.is_impossible(), "{} {cost}", row.name);
            assert_eq!((decision.retry_after_millis(), decision.remaining), (-1, 5));
        }
        assert!(counter.take(5, 1 << 61).allowed, "{}: nothing was taken", row.name);
    }
    assert!(checked_cost(0).is_ok() && checked_cost(COUNT_MAX as i64).is_ok());
    let error = checked_cost(-1).expect_err("a cost is not negative").to_string();
    assert_eq!(error, "cost is -1; allowed is 0 to 281474976710655");
}

#[test]
fn a_charge_without_a_check_may_exceed_the_limit_and_is_paid_back() {
    for row in ALGORITHMS {
        let mut counter = Counter::new(row.name, parameters(10, 1_000, None));
        let mut changed = StateBytes::new();
        let now = 1 << 61;
        for cost in [15, 0, u64::MAX, u64::MAX] {
            let kept_for = counter.limit.charge(&counter.state, cost, now, &mut changed);
            counter.keep(changed.clone(), kept_for);
            let decision = counter.peek(1, now);
            assert!(!decision.allowed && decision.remaining == 0, "{}", row.name);
            assert_honest(&counter, decision, 1, now);
        }
    }
}

#[test]
fn redis_cell_counts_one_more_than_its_burst() {
    let limit = Gcra::throttle(15, 30, 60).expect("the parameters are valid").limit();
    assert_eq!(limit, Counter::new("gcra", parameters(30, 60_000, Some(16))).limit);
    let refused = |max_burst, count, period| {
        Gcra::throttle(max_burst, count, period).expect_err("the parameters are not valid").to_string()
    };
    assert_eq!(refused(-1, 1, 1), "max_burst is -1; allowed is 0 to 281474976710654");
    assert_eq!(
        refused(i64::MAX, 1, 1),
        format!("max_burst is {}; allowed is 0 to 281474976710654", i64::MAX)
    );
    assert_eq!(refused(1, 0, 1), "count is 0; allowed is 1 to 281474976710655");
    assert_eq!(refused(1, 1, 0), "period is 0; allowed is 1 to 3153600000 seconds (a hundred years)");
    assert!(Gcra::throttle(0, 1_000_000, 1).is_ok());
}

#[test]
fn stored_states_keep_their_meaning() {
    let now = 0x0102_0304_0506_0708;
    let expected: &[(&str, &str)] = &[
        ("gcra", "08aae71604030201 00e1f50500000000"),
        ("sliding", "02 0807060504030201 000000000000 030000000000"),
        ("log", "03 0807060504030201 030000000000"),
        ("fixed", "01 0807060504030201 030000000000"),
        ("leaky", "08aae71604030201 00e1f50500000000"),
        ("concurrency", "04 08d1a04004030201 0807060504030201 03000000"),
        ("refill", "05 0807060504030201 030000000000"),
    ];
    for (name, expected) in expected {
        let mut counter = Counter::new(name, parameters(10, 1_000, None));
        assert!(counter.take(3, now).allowed);
        let hexadecimal: String = counter.state.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, expected.replace(' ', ""), "{name}");
        assert_eq!(counter.peek(0, now).remaining, 7, "{name} reads what it wrote");
    }
    assert_eq!(expected.len(), ALGORITHMS.len());
}

#[test]
fn a_state_of_another_algorithm_counts_as_none() {
    for row in ALGORITHMS {
        let mut counter = Counter::new(row.name, parameters(10, 1_000, None));
        assert!(counter.take(3, 1 << 61).allowed);
        for other in ALGORITHMS {
            let reader = Counter {
                state: counter.state.clone(),
                ..Counter::new(other.name, parameters(10, 1_000, None))
            };
            let shares = row.name == other.name || row.name == "gcra" && other.name == "leaky";
            let shares = shares || row.name == "leaky" && other.name == "gcra";
            assert_eq!(reader.peek(0, 1 << 61).remaining, if shares { 7 } else { 10 });
        }
        for length in 0..counter.state.len() {
            let torn =
                Counter { limit: counter.limit, state: StateBytes::from_slice(&counter.state[..length]) };
            assert!(torn.peek(0, 1 << 61).remaining <= 10, "a torn state is answered, whatever it says");
        }
    }
}

#[test]
fn a_state_moves_to_another_scale_of_time() {
    for row in ALGORITHMS {
        let mut counter = Counter::new(row.name, parameters(10, 60_000, None));
        let now = 1 << 61;
        for step in 0..4 {
            assert!(counter.take(2, now + step * 1_000_000_007).allowed);
        }
        let now = now + 5_000_000_000;
        let before = counter.peek(9, now);
        for by in [-(1 << 60), 1 << 60] {
            let mut changed = StateBytes::new();
            let moved_now = now.checked_add_signed(by).expect("it stays on the scale");
            super::super::shift_state(&counter.state, by, &mut changed);
            let moved = Counter { limit: counter.limit, state: changed };
            assert_eq!(moved.peek(9, moved_now), before, "{}", row.name);
        }
    }
}

#[test]
fn the_lease_of_a_slot_is_its_period() {
    let slots = Concurrency::new(parameters(3, 30_000, None)).expect("the parameters are valid");
    assert_eq!(slots.lease(), 30_000 * NANOS_PER_MILLI);
}
