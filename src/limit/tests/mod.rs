//! Policies and checks over several limits, on a plain map in place of the store.

mod operations;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering::Relaxed;

use super::algorithm::{Decision, Nanos, Parameters};
use super::calendar::Unit;
use super::counters::{Counters, NotACounter};
use super::definition::{Definition, LimitDefinition, OnExpiry, Override};
use super::lists::{ListName, Standing};
use super::operation::{Demand, Mode};
use super::plan::{Outcome, Plan};
use super::policies::POLICIES_MAX;
use super::reservations::Reservation;
use super::{Limits, algorithm, timestamp_of_millis};
use crate::random::Random;

const SECOND: Nanos = 1_000_000_000;
const START: Nanos = 1 << 61;

#[derive(Default, Clone, PartialEq, Debug)]
struct Map(HashMap<Vec<u8>, Vec<u8>>);

impl Counters for Map {
    fn state(&mut self, counter: &[u8]) -> Result<&[u8], NotACounter> {
        Ok(self.0.get(counter).map_or(&[], Vec::as_slice))
    }

    fn keep(&mut self, counter: &[u8], state: &[u8], kept_for: Nanos) {
        if kept_for == 0 {
            self.0.remove(counter);
        } else {
            self.0.insert(counter.to_vec(), state.to_vec());
        }
    }
}

fn limit(algorithm: &str, limit: i64, period_millis: i64) -> LimitDefinition {
    LimitDefinition::new(algorithm, Parameters { limit, period_millis, burst: None, on_change: None })
}

fn policy(limits: impl IntoIterator<Item = LimitDefinition>) -> Definition {
    Definition { limits: limits.into_iter().collect(), ..Definition::default() }
}

/// Asks policies by name, `policy key cost` each.
fn decide(
    limits: &Limits,
    counters: &mut Map,
    demands: &[(&str, &str, u64)],
    mode: Mode,
    now: Nanos,
) -> Outcome {
    let table = limits.policies.load();
    let plan = Plan::of(&named(demands), limits, &table, now).expect("the check is within bounds");
    if mode == Mode::Peek {
        return plan.peek(counters, now).expect("all keys are counters");
    }
    let outcome = plan.take(counters, now).expect("all keys are counters");
    plan.count(&outcome, 0, limits);
    outcome
}

fn named<'d>(demands: &[(&'d str, &'d str, u64)]) -> Vec<Demand<'d>> {
    let named = |(name, key, cost): &(&'d str, &'d str, u64)| {
        Demand::of_policy(name.as_bytes(), key.as_bytes(), *cost)
    };
    demands.iter().map(named).collect()
}

fn take(limits: &Limits, counters: &mut Map, demands: &[(&str, &str, u64)]) -> bool {
    decide(limits, counters, demands, Mode::Take, START).allowed
}

fn names(map: &Map) -> Vec<String> {
    let mut names: Vec<String> =
        map.0.keys().map(|name| String::from_utf8(name.clone()).expect("it is text")).collect();
    names.sort();
    names
}

#[test]
fn a_fresh_server_allows_a_hundred_a_minute() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    for _ in 0..100 {
        assert!(take(&limits, &mut counters, &[("default", "user123", 1)]));
    }
    let refused = decide(&limits, &mut counters, &[("default", "user123", 1)], Mode::Take, START);
    assert!(!refused.allowed);
    assert_eq!(refused.answers[0].decision.retry_after_millis(), 600);
    assert!(take(&limits, &mut counters, &[("default", "user124", 1)]), "another user is not touched");
    let totals = limits.policies.get(b"default").expect("it is there").statistics.totals();
    assert_eq!((totals.allowed, totals.refused), (101, 1));
}

#[test]
fn per_user_and_global_limits_are_one_check_all_or_nothing() {
    for row in algorithm::ALGORITHMS {
        let (limits, mut counters) = (Limits::new(1), Map::default());
        let definition = policy([limit(row.name, 3, 60_000), limit(row.name, 5, 60_000).global()]);
        limits.policies.set("api", definition).expect("the policy is valid");
        let allowed = |counters: &mut Map, key| take(&limits, counters, &[("api", key, 1)]);
        assert!((0..3).all(|_| allowed(&mut counters, "alice")));
        assert_eq!(names(&counters), ["rl:api/global", "rl:api:alice"]);
        let before = counters.clone();
        let refused = decide(&limits, &mut counters, &[("api", "alice", 1)], Mode::Take, START);
        let by_limit: Vec<bool> = refused.answers.iter().map(|answer| answer.decision.allowed).collect();
        assert_eq!((refused.allowed, by_limit), (false, vec![false, true]), "{}", row.name);
        assert_eq!(counters, before, "{}: a refusal takes nothing anywhere", row.name);
        assert!(allowed(&mut counters, "bob") && allowed(&mut counters, "bob"));
        let refused = decide(&limits, &mut counters, &[("api", "bob", 1)], Mode::Take, START);
        let by_limit: Vec<(bool, u64)> = refused
            .answers
            .iter()
            .map(|answer| (answer.decision.allowed, answer.decision.remaining))
            .collect();
        assert_eq!(by_limit, [(true, 1), (false, 0)], "{}: the global limit refuses", row.name);
    }
}

#[test]
fn several_policies_take_together_or_not_at_all() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    limits.policies.set("a", policy([limit("gcra", 10, 60_000)])).expect("the policy is valid");
    limits.policies.set("b", policy([limit("log", 4, 60_000)])).expect("the policy is valid");
    assert!(take(&limits, &mut counters, &[("a", "x", 6), ("b", "x", 3)]));
    let before = counters.clone();
    assert!(!take(&limits, &mut counters, &[("a", "x", 1), ("b", "x", 2)]));
    assert!(!take(&limits, &mut counters, &[("a", "x", 5), ("b", "x", 1)]));
    assert_eq!(counters, before);
    // The same counter twice in one check counts twice.
    assert!(!take(&limits, &mut counters, &[("a", "x", 2), ("a", "x", 3)]));
    assert_eq!(counters, before);
    assert!(take(&limits, &mut counters, &[("a", "x", 2), ("a", "x", 2)]));
    assert!(!take(&limits, &mut counters, &[("a", "x", 1)]));
}

#[test]
fn a_look_takes_nothing() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let looked = decide(&limits, &mut counters, &[("default", "x", 30)], Mode::Peek, START);
    assert_eq!((looked.allowed, looked.answers[0].decision.remaining), (true, 100));
    assert_eq!(counters, Map::default());
}

#[test]
fn a_shadow_policy_counts_what_it_would_refuse() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let shadow = Definition { shadow: true, ..policy([limit("fixed", 2, 60_000)]) };
    limits.policies.set("dark", shadow).expect("the policy is valid");
    let demands = [("dark", "x", 1), ("default", "x", 1)];
    assert!((0..5).all(|_| take(&limits, &mut counters, &demands)));
    let totals = limits.policies.get(b"dark").expect("it is there").statistics.totals();
    assert_eq!((totals.allowed, totals.refused, totals.shadow_refused), (2, 0, 3));
    let left = decide(&limits, &mut counters, &demands, Mode::Peek, START);
    assert_eq!(left.answers[1].decision.remaining, 95, "the policies beside it take as ever");
}

#[test]
fn overrides_and_lists_decide_by_key() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let definition = Definition {
        overrides: vec![Override { key: "vip-*".to_owned(), limits: vec![limit("gcra", 7, 60_000)] }],
        allow: vec!["health".to_owned(), "bad-friend".to_owned()],
        deny: vec!["bad-*".to_owned()],
        ..policy([limit("gcra", 2, 60_000), limit("gcra", 1_000, 60_000).global()])
    };
    limits.policies.set("api", definition).expect("the policy is valid");
    let mut admitted = |key| (0..20).filter(|_| take(&limits, &mut counters, &[("api", key, 1)])).count();
    assert_eq!(["anna", "vip-anna", "health", "bad-eve", "bad-friend"].map(&mut admitted), [2, 7, 20, 0, 0]);
    assert_eq!(limits.lists.add(ListName::Allow, b"an*"), Ok(true));
    assert_eq!(limits.lists.add(ListName::Allow, b"an*"), Ok(false));
    assert_eq!(["anna", "vip-anna"].map(&mut admitted), [20, 0]);
    assert_eq!(limits.lists.add(ListName::Deny, b"anna"), Ok(true));
    assert_eq!(["anna", "andy"].map(&mut admitted), [0, 20]);
    assert!(limits.lists.remove(ListName::Deny, b"anna"));
    assert!(!limits.lists.remove(ListName::Deny, b"anna"));
    assert_eq!(admitted("anna"), 20);
}

#[test]
fn a_block_ends_by_itself() {
    let limits = Limits::new(1);
    limits.lists.block(b"eve", START + 5 * SECOND, START).expect("there is room");
    let standing = |now| limits.lists.standing(b"eve", None, now);
    assert_eq!(standing(START + SECOND), Standing::Blocked { retry_after: 4 * SECOND });
    assert_eq!(standing(START + 5 * SECOND), Standing::Limited);
    assert_eq!(limits.lists.standing(b"bob", None, START), Standing::Limited);
    limits.lists.block(b"eve", 0, START).expect("ending a block needs no room");
    assert_eq!(standing(START), Standing::Limited);
}

/// What a check of these policies says in short: allowed, the limit shown, limit, remaining, milliseconds until a retry.
#[track_caller]
fn check_summary(
    limits: &Limits,
    counters: &mut Map,
    demands: &[(&str, &str, u64)],
    expected: (bool, Option<&str>, i64, i64, i64),
) {
    let table = limits.policies.load();
    let plan = Plan::of(&named(demands), limits, &table, START).expect("the check is within bounds");
    let outcome = plan.take(counters, START).expect("all keys are counters");
    let summary = plan.summary(&outcome);
    let shown = (summary.limit(), summary.remaining(), summary.retry_after_millis());
    assert_eq!((summary.allowed, summary.name, shown.0, shown.1, shown.2), expected);
}

#[test]
fn a_summary_shows_the_limit_that_decided() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let user = LimitDefinition { name: Some("user".to_owned()), ..limit("fixed", 3, 1_000) };
    limits.policies.set("api", policy([user, limit("fixed", 4, 9_000).global()])).expect("it is valid");
    let mut check = |demands: &[(&str, &str, u64)], expected| {
        check_summary(&limits, &mut counters, demands, expected);
    };
    check(&[("api", "x", 1)], (true, Some("api/user"), 3, 2, -1));
    check(&[("api", "x", 3)], (false, Some("api/user"), 3, 2, 1_000));
    check(&[("api", "y", 3)], (true, Some("api/user"), 3, 0, -1));
    check(&[("api", "y", 1)], (false, Some("api/global"), 4, 0, 9_000));
    check(&[("api", "z", 4)], (false, Some("api/user"), 3, 3, -1));
    check(&[("api", "z", 1), ("default", "z", 1)], (false, Some("api/global"), 4, 0, 9_000));
    limits.lists.add(ListName::Allow, b"free").expect("there is room");
    limits.lists.add(ListName::Deny, b"never").expect("there is room");
    limits.lists.block(b"z", START + 20 * SECOND, START).expect("there is room");
    check(&[("api", "free", 1)], (true, Some("api"), -1, -1, -1));
    check(&[("api", "never", 1)], (false, Some("api"), 0, 0, -1));
    check(&[("api", "z", 1)], (false, Some("api"), 0, 0, 20_000));
    check(&[("api", "y", 1), ("default", "z", 1)], (false, Some("default"), 0, 0, 20_000));
}

#[test]
fn a_policy_that_changes_keeps_its_counters_and_statistics() {
    let (limits, mut counters) = (Limits::new(1), Map::default());
    limits.policies.set("api", policy([limit("sliding", 10, 60_000)])).expect("the policy is valid");
    assert!(take(&limits, &mut counters, &[("api", "x", 4)]));
    limits.policies.set("api", policy([limit("sliding", 20, 60_000)])).expect("the policy is valid");
    let remaining = |counters: &mut Map| {
        decide(&limits, counters, &[("api", "x", 0)], Mode::Peek, START).answers[0].decision.remaining
    };
    assert_eq!(remaining(&mut counters), 16);
    limits.policies.set("api", policy([limit("gcra", 20, 60_000)])).expect("the policy is valid");
    assert_eq!(remaining(&mut counters), 20, "another algorithm starts from nothing");
    assert_eq!(limits.policies.get(b"api").expect("it is there").statistics.totals().allowed, 1);
    assert!(limits.policies.remove(b"api") && !limits.policies.remove(b"api"));
    assert_eq!(limits.policies.list().len(), 1);
}

#[test]
fn an_invalid_policy_is_refused_with_the_reason() {
    let limits = Limits::new(1);
    let check = |name: &str, definition: Definition, expected: &str| {
        let error = limits.policies.set(name, definition).expect_err("it is not valid");
        assert_eq!(error.to_string(), expected);
    };
    check(
        "a b",
        policy([limit("gcra", 1, 1)]),
        "policy is a b; allowed is 1 to 64 letters, digits, _, - and .",
    );
    check("api", policy([]), "limits is 0; allowed is 1 to 16");
    check(
        "api",
        policy([limit("magic", 1, 1)]),
        "algorithm is magic; allowed is gcra, sliding, log, fixed, leaky, concurrency, refill",
    );
    check(
        "api",
        policy([limit("gcra", 1, 1).global(), limit("gcra", 1, 1).global()]),
        "the name of a limit is api/global; allowed is another name for each limit",
    );
    let lacking = Definition {
        overrides: vec![Override { key: "*".to_owned(), limits: Vec::new() }],
        ..policy([limit("gcra", 1, 1)])
    };
    check("api", lacking, "the number of limits of an override is 0; allowed is 1");
    let good = policy([limit("gcra", 1, 1)]);
    let definitions = BTreeMap::from([("good".to_owned(), good), ("bad".to_owned(), policy([]))]);
    assert!(limits.policies.set_all(definitions).is_err());
    assert!(limits.policies.get(b"good").is_none(), "all or none");
}

#[test]
fn a_file_may_replace_as_many_policies_as_there_can_be() {
    let limits = Limits::new(1);
    let file = |prefix: &str| -> BTreeMap<String, Definition> {
        (0..POLICIES_MAX).map(|number| (format!("{prefix}{number}"), policy([limit("gcra", 1, 1)]))).collect()
    };
    limits.policies.remove(b"default");
    limits.policies.follow_file(file("a"), &BTreeSet::new()).expect("there is room");
    let before = file("a").into_keys().collect();
    limits.policies.follow_file(file("b"), &before).expect("those of before have gone");
    assert_eq!(limits.policies.load().len(), POLICIES_MAX);
    let error = limits.policies.follow_file(file("c"), &BTreeSet::new()).expect_err("there is no room");
    assert_eq!(error.parameter, "the number of policies");
    assert!(limits.policies.get(b"b0").is_some() && limits.policies.get(b"c0").is_none(), "all or none");
}

#[test]
fn a_reservation_is_read_as_it_was_written() {
    let limits = Limits::new(1);
    let refunded = Definition {
        on_expiry: OnExpiry::Refund,
        ..policy([limit("gcra", 10, 60_000), limit("log", 5, 1_000).global()])
    };
    limits.policies.set("refunded", refunded).expect("the policy is valid");
    limits.policies.set("kept", policy([limit("leaky", 10, 60_000)])).expect("the policy is valid");
    let table = limits.policies.load();
    let demands = [Demand::of_policy(b"refunded", b"a", 2), Demand::of_policy(b"kept", b"\xff", 3)];
    let plan = Plan::of(&demands, &limits, &table, START).expect("it is allowed");
    let outcome = plan.take(&mut Map::default(), START).expect("they are counters");
    let reservation = Reservation::new(&plan, &outcome, 3, START, START + SECOND);
    assert_eq!(reservation.counters().count(), 3);
    let mut bytes = Vec::new();
    reservation.encode(&mut bytes);
    for length in 0..bytes.len() {
        assert_ne!(Reservation::decode(&bytes[..length]).as_ref(), Some(&reservation));
    }
    assert_eq!(Reservation::decode(&bytes), Some(reservation));
}

#[test]
fn a_snapshot_has_no_reservation_whose_end_nobody_would_write() {
    let limits = Limits::new(1);
    limits.persistence.journal().turn_on();
    let (reservations, empty) = (&limits.reservations, [0; 20]);
    let open = |id| reservations.open(id, Reservation::decode(&empty).expect("it is one of no limits"));
    open(1);
    assert!(reservations.written().is_empty(), "that it was opened is not written yet");
    assert_eq!(reservations.take_changed(), [1]);
    assert_eq!((reservations.written(), reservations.ended(&[1])), (vec![1], vec![]));
    open(2);
    assert!(reservations.close(1).is_some() && reservations.close(2).is_some());
    assert_eq!((reservations.written(), reservations.ended(&[1])), (vec![], vec![1]));
    assert_eq!(reservations.take_ended(), [1], "of the other nothing was written");
    open(3);
    assert_eq!((reservations.take_ended(), reservations.take_changed()), (vec![], vec![3]));
}

#[test]
fn of_blocked_hosts_that_have_become_one_the_longest_block_holds() {
    let limits = Limits::new(1).with_ipv6_prefix(32);
    let host = |number: u64| format!("2001:db8:{number:x}::/64").into_bytes().into();
    let blocks = (1..=50).map(|number| (host(number), START + number * SECOND)).collect();
    limits.lists.restore(Vec::new(), Vec::new(), blocks);
    let standing = limits.lists.standing(b"2001:db8::1", None, START + 49 * SECOND);
    assert_eq!(standing, Standing::Blocked { retry_after: SECOND });
}

/// Random checks over shared counters never take more than any limit holds, by a plain count.
#[test]
fn no_limit_is_ever_exceeded_by_any_mixture_of_checks() {
    for seed in 0..20 {
        let (limits, mut counters) = (Limits::new(1), Map::default());
        let mut random = Random::with_seed(seed);
        for (name, most) in [("a", 5), ("b", 8), ("c", 20)] {
            let definition = policy([limit("log", most, 1_000), limit("log", 3 * most, 1_000).global()]);
            limits.policies.set(name, definition).expect("the policy is valid");
        }
        let mut taken: HashMap<String, Vec<(Nanos, u64)>> = HashMap::new();
        let mut now = START;
        for _ in 0..600 {
            now += random.draw() % (SECOND / 20);
            let demands: Vec<(&str, &str, u64)> = (0..1 + random.below(3))
                .map(|_| {
                    (
                        ["a", "b", "c"][random.below(3)],
                        ["x", "y", "z"][random.below(3)],
                        1 + random.draw() % 3,
                    )
                })
                .collect();
            if decide(&limits, &mut counters, &demands, Mode::Take, now).allowed {
                for (name, key, cost) in &demands {
                    for counter in [format!("{name}:{key}"), (*name).to_owned()] {
                        taken.entry(counter).or_default().push((now, *cost));
                    }
                }
            }
            for (counter, events) in &taken {
                let policy = limits.policies.get(&counter.as_bytes()[..1]).expect("it is there");
                let part = usize::from(counter.len() == 1);
                let sum: u64 = events.iter().filter(|(at, _)| at + SECOND > now).map(|(_, cost)| cost).sum();
                assert!(sum <= policy.parts()[part].limit.capacity(), "{counter} took {sum}");
            }
        }
        assert_eq!(taken.len(), 12, "all counters were used");
    }
}

#[test]
fn a_window_of_the_calendar_survives_steps_of_the_wall_clock_and_ends_at_midnight() {
    const HOUR: Nanos = 3_600 * algorithm::NANOS_PER_SECOND;
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let day = LimitDefinition { window: Some(Unit::Day), period_ms: 0, ..limit("fixed", 2, 0) };
    limits.policies.set("daily", policy([day])).expect("the policy is valid");
    // On the limiter's scale the boot was at midnight.
    let noon = timestamp_of_millis(0) + 12 * HOUR;
    let take = |counters: &mut Map, now| {
        let outcome = decide(&limits, counters, &[("daily", "alice", 1)], Mode::Take, now);
        let Decision { allowed, remaining, reset_after, .. } = outcome.answers[0].decision;
        (allowed, remaining, reset_after / HOUR)
    };
    assert_eq!(take(&mut counters, noon), (true, 1, 12));
    for (hours, left) in [(-3, 15), (5, 7), (0, 12)] {
        limits.wall_offset.store(hours * 3_600_000_000, Relaxed);
        let peeked = decide(&limits, &mut counters, &[("daily", "alice", 0)], Mode::Peek, noon);
        let Decision { remaining, reset_after, .. } = peeked.answers[0].decision;
        assert_eq!((remaining, reset_after / HOUR), (1, left), "{hours} hours ahead");
    }
    assert_eq!(take(&mut counters, noon + 11 * HOUR), (true, 0, 1));
    assert_eq!(take(&mut counters, noon + 12 * HOUR - 1), (false, 0, 0));
    assert_eq!(take(&mut counters, noon + 12 * HOUR), (true, 1, 24));
}

#[test]
fn a_reservation_of_yesterday_is_settled_today() {
    const DAY: Nanos = 86_400 * algorithm::NANOS_PER_SECOND;
    let (limits, mut counters) = (Limits::new(1), Map::default());
    let day = LimitDefinition { window: Some(Unit::Day), period_ms: 0, ..limit("fixed", 10, 0) };
    limits.policies.set("daily", policy([day])).expect("the policy is valid");
    let evening = timestamp_of_millis(0) + DAY - 1;
    let table = limits.policies.load();
    let plan = Plan::of(&[Demand::of_policy(b"daily", b"alice", 6)], &limits, &table, evening);
    let plan = plan.expect("the check is valid");
    let outcome = plan.take(&mut counters, evening).expect("all keys are counters");
    let reservation = Reservation::new(&plan, &outcome, 0, evening, evening + DAY);
    let left = |counters: &mut Map, now| {
        decide(&limits, counters, &[("daily", "alice", 0)], Mode::Peek, now).answers[0].decision.remaining
    };
    let morning = evening + DAY / 4;
    assert_eq!((left(&mut counters, evening), left(&mut counters, morning)), (4, 10));
    assert!(decide(&limits, &mut counters, &[("daily", "alice", 3)], Mode::Take, morning).allowed);
    reservation.commit(&mut counters, 8, morning).expect("all keys are counters");
    assert_eq!(left(&mut counters, morning), 5, "two more than were reserved count today");
}
