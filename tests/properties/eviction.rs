//! Eviction: the limit is kept, the right keys go, and hit ratios are those of the policies' models.

use std::time::Duration;

use quartet::random::Random;
use quartet::settings::EvictionPolicy;
use quartet::store::Lifetime;
use quartet::store::eviction::Housekeeping;

use crate::support::traces::{self, Cache};

const POLICIES: &[EvictionPolicy] = EvictionPolicy::ALL;

const MEBIBYTE: usize = 1 << 20;

/// The largest value of the random writes.
const VALUE_LENGTH_MAX: usize = 64 * 1024;

/// What the store may exceed its limit by before a write: nothing, or what the last write was larger than a full
/// call could evict.
const SLACK: usize = VALUE_LENGTH_MAX + 1024;

fn is_volatile(policy: EvictionPolicy) -> bool {
    policy.word().starts_with("volatile")
}

/// Writes of mixed sizes, half of the keys with a deadline, to three databases.
fn churn(cache: &mut Cache, writes: usize, seed: u64) -> (usize, usize) {
    let mut random = Random::with_seed(seed);
    let (mut refused, mut excess_max) = (0, 0);
    let value = vec![b'x'; VALUE_LENGTH_MAX];
    for _ in 0..writes {
        let number = random.below(1 << 30);
        let length = VALUE_LENGTH_MAX >> random.below(14);
        let deadline = cache.moment().now + 1_000_000 + random.below(1_000_000) as u64;
        let (name, lifetime) = match number % 2 {
            0 => ("volatile", Lifetime::Until(deadline)),
            _ => ("persistent", Lifetime::Forever),
        };
        let key = format!("{name}:{number}");
        let (room, excess) = cache.write(number % 3, key.as_bytes(), &value[..length], lifetime);
        refused += usize::from(!room);
        excess_max = excess_max.max(if room { excess } else { 0 });
        cache.advance(Duration::from_millis(1));
    }
    (refused, excess_max)
}

fn key_counts(cache: &Cache) -> (usize, usize) {
    (0..3)
        .map(|database| cache.store.key_counts(database))
        .fold((0, 0), |sum, (keys, volatile)| (sum.0 + keys, sum.1 + volatile))
}

#[test]
fn the_limit_is_kept_and_persistent_keys_stay_under_volatile_policies() {
    for &policy in POLICIES {
        let limit = 24 * MEBIBYTE;
        let mut cache = Cache::new(policy, limit);
        let (refused, excess_max) = churn(&mut cache, 6000, 3);
        let (keys, volatile_keys) = key_counts(&cache);
        let evicted = cache.store.counts().evicted as usize;
        assert!(excess_max <= SLACK, "{}: over the limit by {excess_max}", policy.word());
        assert!(cache.store.memory() <= limit + SLACK, "{}", policy.word());
        let written = 6000 - refused;
        assert_eq!(keys + evicted, written, "{}: keys are there or were evicted", policy.word());
        match policy {
            EvictionPolicy::Noeviction => assert!(evicted == 0 && refused > 0),
            _ if is_volatile(policy) => {
                assert!(evicted > 0 && refused > 0, "{}", policy.word());
                assert_eq!(volatile_keys, 0, "{}: refused only once nothing is left", policy.word());
            }
            _ => {
                assert_eq!(refused, 0, "{}", policy.word());
                let persistent = keys - volatile_keys;
                assert!(persistent.abs_diff(volatile_keys) < keys / 4, "{}: no class suffers", policy.word());
            }
        }
    }
}

#[test]
fn persistent_keys_survive_volatile_policies() {
    for &policy in POLICIES.iter().filter(|&&policy| is_volatile(policy)) {
        let mut cache = Cache::new(policy, 24 * MEBIBYTE);
        let kept: Vec<String> = (0..500).map(|number| format!("kept:{number}")).collect();
        for key in &kept {
            cache.write(0, key.as_bytes(), b"value", Lifetime::Forever);
        }
        let value = vec![b'x'; 8192];
        for number in 0..5000_u64 {
            let deadline = cache.moment().now + 1_000_000;
            let key = format!("volatile:{number}");
            let (room, _) = cache.write(0, key.as_bytes(), &value, Lifetime::Until(deadline));
            assert!(room, "{}", policy.word());
            cache.advance(Duration::from_millis(1));
        }
        assert!(cache.store.counts().evicted > 1000);
        assert!(kept.iter().all(|key| cache.read(key.as_bytes())), "{}", policy.word());
    }
}

#[test]
fn counters_survive_every_policy() {
    for &policy in POLICIES.iter().filter(|&&policy| policy != EvictionPolicy::Noeviction) {
        let mut cache = Cache::new(policy, 8 * MEBIBYTE);
        let churn = |cache: &mut Cache, from: u64| {
            for number in from..from + 4000 {
                let deadline = cache.moment().now + 5_000 + number % 1_000;
                let key = format!("string:{number}");
                let (room, _) = cache.write(0, key.as_bytes(), &[b'x'; 8192], Lifetime::Until(deadline));
                assert!(room, "{}", policy.word());
            }
        };
        let name = |number: u64| format!("counter:{number}");
        // Some were strings before, to which the policy may still hold on; some have the nearest deadlines of all.
        for number in 0..200 {
            cache.write(0, name(number).as_bytes(), b"a string", Lifetime::Forever);
        }
        let now = cache.moment().now;
        for number in 0..400 {
            let deadline = (number % 2 == 0).then_some(now + 1_000 + number);
            cache.count(name(number).as_bytes(), &number.to_ne_bytes(), deadline);
        }
        churn(&mut cache, 0);
        assert!(cache.store.counts().evicted > 2_000, "{}", policy.word());
        assert!((0..400).all(|number| cache.read(name(number).as_bytes())), "{}", policy.word());
        // One that becomes a string may go.
        let deadline = Lifetime::Until(now + 1_000);
        for number in 0..400 {
            cache.write(0, name(number).as_bytes(), b"a string", deadline);
        }
        churn(&mut cache, 4000);
        assert!((0..400).any(|number| !cache.read(name(number).as_bytes())), "{}", policy.word());
    }
}

#[test]
fn one_call_evicts_a_bounded_number_of_keys_and_the_background_the_rest() {
    for &policy in POLICIES.iter().filter(|&&policy| policy != EvictionPolicy::Noeviction) {
        let mut cache = Cache::new(policy, 100 * MEBIBYTE);
        for number in 0..20_000 {
            let deadline = cache.moment().now + 1_000_000;
            let key = format!("key:{number}");
            cache.write(0, key.as_bytes(), &[b'x'; 200], Lifetime::Until(deadline));
        }
        let lowered = cache.store.memory() / 2;
        assert_eq!(cache.settings().set(&[(b"maxmemory", lowered.to_string().as_bytes())]), Ok(()));
        let (room, _) = cache.write(0, b"new", b"value", Lifetime::Forever);
        assert!(room, "{}: a write goes through while eviction goes on", policy.word());
        let evicted = cache.store.counts().evicted;
        assert!((1000..=4096).contains(&evicted), "{}: {evicted} in one call", policy.word());
        let (mut housekeeping, mut random) = (Housekeeping::default(), Random::with_seed(5));
        let moment = cache.moment();
        while housekeeping.step(&cache.store, &cache.settings().current(), &mut random, &moment) {}
        assert!(cache.store.memory() <= lowered, "{}", policy.word());
        assert!(
            cache.store.memory() > lowered - lowered / 20,
            "{}: evicts no more than needed",
            policy.word()
        );
    }
}

#[test]
fn the_nearest_deadline_goes_first() {
    let mut cache = Cache::new(EvictionPolicy::VolatileTtl, 100 * MEBIBYTE);
    let now = cache.moment().now;
    for number in 0..40 {
        let key = format!("key:{number}");
        cache.write(0, key.as_bytes(), &[b'x'; 20_000], Lifetime::Until(now + 1000 * (number + 1)));
    }
    let lowered = cache.store.memory() - 195_000;
    assert_eq!(cache.settings().set(&[(b"maxmemory", lowered.to_string().as_bytes())]), Ok(()));
    cache.write(0, b"new", b"value", Lifetime::Forever);
    let there = |number: u64| format!("key:{number}");
    let expected: Vec<bool> = (0..40).map(|number| number >= 10).collect();
    let found: Vec<bool> = (0..40).map(|number| cache.read(there(number).as_bytes())).collect();
    assert_eq!(found, expected);
}

#[test]
fn sampled_lru_is_within_a_point_of_exact_lru() {
    let trace = traces::zipf(60_000, 0.9, 300_000, 1);
    let played = Cache::new(EvictionPolicy::AllkeysLru, 3 * MEBIBYTE).play(&trace);
    let exact = traces::exact_lru(&trace, played.keys);
    assert!((played.hit_ratio - exact).abs() < 0.012, "{played:?}, exact {exact:.4}");
}

#[test]
fn counting_policies_beat_random_on_skewed_traces() {
    let trace = traces::zipf(60_000, 0.9, 300_000, 2);
    let play = |policy| Cache::new(policy, 3 * MEBIBYTE).play(&trace).hit_ratio;
    let random = play(EvictionPolicy::AllkeysRandom);
    let (lfu, adaptive) = (play(EvictionPolicy::AllkeysLfu), play(EvictionPolicy::AllkeysAdaptive));
    assert!(lfu > random + 0.03, "LFU {lfu:.4}, random {random:.4}");
    assert!(adaptive > random + 0.03, "adaptive {adaptive:.4}, random {random:.4}");
}

#[test]
fn adaptive_eviction_resists_a_scan_to_which_lru_loses_its_keys() {
    let trace = traces::with_scan(&traces::zipf(60_000, 0.9, 100_000, 4), 8);
    let play = |policy| Cache::new(policy, 3 * MEBIBYTE).play(&trace).hit_ratio;
    let (lru, adaptive) = (play(EvictionPolicy::AllkeysLru), play(EvictionPolicy::AllkeysAdaptive));
    assert!(adaptive > lru + 0.05, "adaptive {adaptive:.4}, LRU {lru:.4}");
}

#[test]
fn changing_a_value_in_part_is_an_access() {
    let mut cache = Cache::new(EvictionPolicy::AllkeysLru, 100 * MEBIBYTE);
    let key = b"log";
    cache.write(0, key, b"value", Lifetime::Forever);
    cache.advance(Duration::from_secs(100));
    let (moment, key) = (cache.moment(), cache.store.key(key));
    let mut guard = cache.store.lock(cache.store.shard_of(0, key.hash));
    let idle = |bits: Option<u32>| bits.and_then(|bits| moment.recency.idle_seconds(bits));
    let shard = guard.shard();
    assert_eq!(idle(shard.peek(&key, &moment).map(|entry| entry.recency())), Some(100));
    assert_eq!(shard.append(&key, b" and more", &moment), Ok(Some(14)));
    assert_eq!(idle(shard.peek(&key, &moment).map(|entry| entry.recency())), Some(0));
    cache.store.add_memory(guard.unlock().growth);
}

#[test]
fn policies_may_change_at_any_time() {
    let mut cache = Cache::new(EvictionPolicy::AllkeysAdaptive, 8 * MEBIBYTE);
    let (mut housekeeping, mut random) = (Housekeeping::default(), Random::with_seed(5));
    for (round, policy) in [
        EvictionPolicy::AllkeysAdaptive,
        EvictionPolicy::AllkeysLfu,
        EvictionPolicy::AllkeysAdaptive,
        EvictionPolicy::AllkeysLru,
        EvictionPolicy::AllkeysAdaptive,
        EvictionPolicy::AllkeysRandom,
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(cache.settings().set(&[(b"maxmemory-policy", policy.word().as_bytes())]), Ok(()));
        let played = cache.play(&traces::zipf(30_000, 0.9, 30_000, round as u64));
        assert!(played.excess_max == 0, "{}", policy.word());
        let moment = cache.moment();
        housekeeping.step(&cache.store, &cache.settings().current(), &mut random, &moment);
    }
    let moment = cache.moment();
    for _ in 0..cache.store.database_count() {
        housekeeping.step(&cache.store, &cache.settings().current(), &mut random, &moment);
    }
    for id in cache.store.shards(0) {
        let mut guard = cache.store.lock(id);
        assert!(!guard.shard().is_adapted(), "what only one policy needs is dropped with it");
    }
}
