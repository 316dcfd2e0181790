//! Adaptive eviction: the right member is in force, another one soon after what is asked changes, and nothing that decides
//! nothing decides.

use quartet::settings::EvictionPolicy;
use quartet::store::Lifetime;
use quartet::store::recency::Member;

use crate::support::traces::{self, Cache};

/// The keys of a trace that fit, about.
const CAPACITY: usize = 20_000;

fn adaptive() -> Cache {
    Cache::new(EvictionPolicy::AllkeysAdaptive, traces::limit_for(CAPACITY))
}

/// The hit ratio with one member always in force.
fn alone(member: Member, trace: &[u64]) -> f64 {
    let mut cache = adaptive();
    cache.store.duel().pin(member);
    cache.play(trace).hit_ratio
}

/// Plays a trace and looks that one of these members is in force, and that hits are close to what the first reaches alone.
#[track_caller]
fn check_winner(trace: &[u64], expected: &[Member]) {
    let mut cache = adaptive();
    let played = cache.play(trace);
    let standing = cache.store.duel().standing();
    assert!(expected.contains(&standing.winner), "{standing:?}");
    let best = alone(expected[0], trace);
    assert!(played.hit_ratio > best - 0.03, "{:.4}, but {best:.4}: {standing:?}", played.hit_ratio);
}

#[test]
fn a_loop_over_more_than_fits_puts_newcomers_on_probation() {
    check_winner(&traces::cycle(CAPACITY * 3 / 2, 18 * CAPACITY), &[Member::Probation]);
}

#[test]
fn a_part_of_a_loop_over_far_more_than_fits_is_kept() {
    let trace = traces::cycle(3 * CAPACITY, 18 * CAPACITY);
    let found = alone(Member::Probation, &trace);
    assert!(found > 0.15, "{found:.4}");
}

#[test]
fn lasting_popularity_is_counted() {
    let trace = traces::with_scan(&traces::zipf(10 * CAPACITY, 1.0, 5 * CAPACITY, 1), 5);
    check_winner(&trace, &[Member::Lfu, Member::Probation]);
}

#[test]
fn recent_keys_are_kept_where_they_are_used_again() {
    check_winner(&traces::recent(4 * CAPACITY, 5 * CAPACITY, 0, 3), &[Member::Lru]);
}

#[test]
fn another_member_takes_over_soon_after_a_change() {
    let mut cache = adaptive();
    let drifting =
        |first: u64| traces::renumbered(traces::drifting(3 * CAPACITY, 0.9, 6 * CAPACITY, 3), first);
    let cycle = traces::renumbered(traces::cycle(CAPACITY * 3 / 2, 6 * CAPACITY), 1 << 32);
    // The loop has to come round three times: what was popular before keeps its keys out for a while.
    let soon = 9 * CAPACITY / 2;
    for (phase, trace, expected) in
        [(1, drifting(0), Member::Lru), (2, cycle, Member::Probation), (3, drifting(1 << 33), Member::Lru)]
    {
        let (first, rest) = trace.split_at(soon);
        cache.play(first);
        assert_eq!(
            cache.store.duel().winner(),
            expected,
            "phase {phase}: {:?}",
            cache.store.duel().standing()
        );
        cache.play(rest);
        assert_eq!(cache.store.duel().winner(), expected, "end of phase {phase}");
    }
    assert_eq!(cache.store.duel().standing().switches, 2);
}

#[test]
fn keys_that_all_ask_for_decide_nothing() {
    let mut cache = adaptive();
    let cycle = traces::cycle(CAPACITY * 3 / 2, 4 * CAPACITY);
    // A thousand keys that are always asked for and never there, and a thousand that are always there.
    for (at, &number) in cycle.iter().enumerate() {
        cache.play(&[number]);
        cache.read(format!("absent:{}", at % 1000).as_bytes());
        let hot = format!("hot:{}", at % 1000);
        if !cache.read(hot.as_bytes()) {
            cache.write(0, hot.as_bytes(), b"value", Lifetime::Forever);
        }
    }
    assert_eq!(cache.store.duel().winner(), Member::Probation, "{:?}", cache.store.duel().standing());
}

#[test]
fn eviction_keeps_at_most_four_bits_per_key_beside_the_entries() {
    let mut cache = Cache::new(EvictionPolicy::AllkeysAdaptive, 20 << 20);
    cache.play(&traces::cycle(1_000_000, 250_000));
    let (keys, parts) = (cache.store.key_counts(0).0, cache.store.memory_parts());
    assert!(keys > 150_000 && parts.eviction * 8 <= 4 * keys, "{keys} keys, {parts:?}");
}
