//! Eviction: the hit ratio of each policy and of each member of the adaptive one on traces of many shapes, beside what a
//! cache that knows the future reaches, and what an eviction costs.
//!
//! Prints tables in Markdown; the arguments are the keys that fit and the length of the traces.

use quartet::clock::Clock;
use quartet::settings::EvictionPolicy;
use quartet::store::Lifetime;
use quartet::store::recency::Member;

#[path = "../tests/support/traces.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod traces;

use traces::{Cache, Played, alternating, limit_for, mixed, recent, renumbered, zipf};

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

const POLICIES: [EvictionPolicy; 3] =
    [EvictionPolicy::AllkeysLru, EvictionPolicy::AllkeysLfu, EvictionPolicy::AllkeysRandom];

/// Where the keys of a second trace begin that is mixed with another.
const SECOND: u64 = 1 << 32;

/// Requests of a phase, per key that fits, and how often the phases come round where their pace is measured.
const PHASE: usize = 6;
const ROUNDS: usize = 2;

/// Parts of a capacity in which a change of member is looked for.
const PACE_STEPS: usize = 20;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let capacity: usize = numbers.next().unwrap_or(100_000);
    let length: usize = numbers.next().unwrap_or(30 * capacity);
    println!(
        "| hit ratio, % | optimum | exact LRU | lru | lfu | random | adaptive | its members alone: lru | lfu | probation | switches |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (name, trace) in shapes(capacity, length) {
        let limit = limit_for(capacity);
        let played = POLICIES.map(|policy| Cache::new(policy, limit).play(&trace));
        let mut adaptive = Cache::new(EvictionPolicy::AllkeysAdaptive, limit);
        let chosen = adaptive.play(&trace);
        let alone = Member::ALL.map(|member| {
            let cache = &mut Cache::new(EvictionPolicy::AllkeysAdaptive, limit);
            cache.store.duel().pin(member);
            cache.play(&trace)
        });
        let models = [traces::optimum(&trace, chosen.keys), traces::exact_lru(&trace, chosen.keys)];
        let ratio = |played: &Played| played.hit_ratio;
        let ratios: Vec<String> = models
            .into_iter()
            .chain(played.iter().map(ratio))
            .chain([chosen.hit_ratio])
            .chain(alone.iter().map(ratio))
            .map(|ratio| format!("{:.1}", 100.0 * ratio))
            .collect();
        let standing = adaptive.store.duel().standing();
        println!("| {name} | {} | {}, {} |", ratios.join(" | "), standing.switches, standing.winner.name());
    }
    print_pace(capacity);
    println!("\n| policy | ns per write that fits | ns per write that evicts |\n|---|---|---|");
    for &policy in EvictionPolicy::ALL.iter().filter(|&&policy| policy != EvictionPolicy::Noeviction) {
        let (filling, evicting) = cost(policy, capacity);
        println!("| {} | {filling} | {evicting} |", policy.word());
    }
}

/// The phases of a trace.
fn phases(capacity: usize, length: usize) -> [(&'static str, Vec<u64>); 4] {
    let zipf_1 = zipf(10 * capacity, 1.0, length, 1);
    let scanned = traces::with_scan(&zipf_1[..length / 2], 5);
    [
        ("Zipf", zipf_1),
        ("loop", renumbered(traces::cycle(capacity * 3 / 2, length), SECOND)),
        ("recency", renumbered(recent(4 * capacity, length, 0, 3), 2 * SECOND)),
        ("scan", scanned),
    ]
}

/// Prints the member in force at the end of each phase, and when it took over, in requests per key that fits.
fn print_pace(capacity: usize) {
    println!("\n| phase | in force at its end | since, in capacities |\n|---|---|---|");
    let mut cache = Cache::new(EvictionPolicy::AllkeysAdaptive, limit_for(capacity));
    let phases = phases(capacity, ROUNDS * PHASE * capacity);
    for round in 0..ROUNDS {
        for (name, trace) in &phases {
            let (mut since, mut winner) = (0, cache.store.duel().winner());
            let phase = &trace[round * PHASE * capacity..][..PHASE * capacity];
            for (at, requests) in phase.chunks(capacity / PACE_STEPS).enumerate() {
                cache.play(requests);
                if winner != cache.store.duel().winner() {
                    (since, winner) = (at + 1, cache.store.duel().winner());
                }
            }
            println!("| {name} | {} | {:.2} |", winner.name(), since as f64 / PACE_STEPS as f64);
        }
    }
}

/// The traces, by the number of keys that fit.
fn shapes(capacity: usize, length: usize) -> Vec<(&'static str, Vec<u64>)> {
    let keys = 10 * capacity;
    let zipf_1 = zipf(keys, 1.0, length, 1);
    let cycle = |part: usize, length: usize| traces::cycle(capacity * part / 100, length);
    let recency = |length: usize| recent(4 * capacity, length, 0, 3);
    let phases = phases(capacity, length).map(|(_, phase)| phase);
    vec![
        ("Zipf 0.8, ten times as many keys as fit", zipf(keys, 0.8, length, 1)),
        ("Zipf 1.0, ten times as many keys as fit", zipf_1.clone()),
        ("Zipf 1.0, half of the accesses a scan", traces::with_scan(&zipf_1[..length / 2], 5)),
        ("Zipf 1.0, 80 % of the accesses a scan", traces::with_scan(&zipf_1[..length / 5], 8)),
        ("loop over 1.1 times as many keys as fit", cycle(110, length)),
        ("loop over 1.5 times as many keys as fit", cycle(150, length)),
        ("loop over 3 times as many keys as fit", cycle(300, length)),
        (
            "Zipf 0.9, shifting every 5 capacities",
            traces::shifting(3 * capacity, 0.9, length, 5 * capacity, 5),
        ),
        ("Zipf 0.9, drifting all the time", traces::drifting(3 * capacity, 0.9, length, 6)),
        ("recency", recency(length)),
        (
            "phases of 6 capacities: Zipf, loop, recency, scan",
            alternating(&phases, PHASE * capacity)[..length].to_vec(),
        ),
        (
            "Zipf 1.0 and a loop at once",
            mixed(&zipf_1[..length / 2], &renumbered(cycle(120, length / 2), SECOND)),
        ),
        (
            "recency and a loop at once",
            mixed(&recency(length / 2), &renumbered(cycle(120, length / 2), SECOND)),
        ),
        (
            "recency and Zipf 0.9 at once",
            mixed(&recency(length / 2), &renumbered(zipf(keys, 0.9, length / 2, 31), SECOND)),
        ),
    ]
}

/// Nanoseconds per write of a new key while there is room, and once each displaces another.
fn cost(policy: EvictionPolicy, capacity: usize) -> (u64, u64) {
    let mut cache = Cache::new(policy, usize::MAX);
    let clock = Clock::machine();
    let mut number = 0_u64;
    let mut write = |cache: &mut Cache, count: usize| {
        let started = clock.now().micros();
        for _ in 0..count {
            number += 1;
            let key = format!("key:{number:012}");
            let lifetime = Lifetime::Until(cache.moment().now + 1_000_000 + number % 1000);
            cache.write(0, key.as_bytes(), &[b'v'; 64], lifetime);
        }
        (clock.now().micros() - started) * 1000 / count as u64
    };
    let filling = write(&mut cache, capacity);
    let full = cache.store.memory().to_string();
    cache.settings().set(&[(b"maxmemory", full.as_bytes())]).expect("a number of bytes");
    (filling, write(&mut cache, capacity))
}
