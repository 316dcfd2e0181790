//! Eviction: the hit ratio of each policy on traces of three shapes, and what an eviction costs.
//!
//! Prints tables in Markdown; the arguments are the keys that fit and the length of the traces.

use quartet::cache::Lifetime;
use quartet::clock::Clock;
use quartet::settings::EvictionPolicy;

#[path = "../tests/support/traces.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod traces;

use traces::Cache;

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

const POLICIES: [EvictionPolicy; 4] = [
    EvictionPolicy::AllkeysLru,
    EvictionPolicy::AllkeysLfu,
    EvictionPolicy::AllkeysRandom,
    EvictionPolicy::AllkeysS3fifo,
];

/// Bytes that a key of the traces takes with its part of the table, about.
const BYTES_PER_KEY: usize = 107;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let capacity: usize = numbers.next().unwrap_or(100_000);
    let length: usize = numbers.next().unwrap_or(3_000_000);
    let zipf = |exponent| traces::zipf(10 * capacity, exponent, length, 1);
    let shapes = [
        ("Zipf 0.8, ten times as many keys as fit", zipf(0.8)),
        ("Zipf 1.0, ten times as many keys as fit", zipf(1.0)),
        ("Zipf 1.0, half of the accesses a scan", traces::with_scan(&zipf(1.0)[..length / 2], 5)),
        ("Zipf 1.0, 80 % of the accesses a scan", traces::with_scan(&zipf(1.0)[..length / 5], 8)),
        ("loop over 1.5 times as many keys as fit", traces::cycle(capacity * 3 / 2, length)),
    ];
    println!("| hit ratio, % | exact LRU | lru | lfu | random | s3fifo |\n|---|---|---|---|---|---|");
    for (name, trace) in &shapes {
        let played = POLICIES.map(|policy| Cache::new(policy, capacity * BYTES_PER_KEY).play(trace));
        let exact = traces::exact_lru(trace, played[0].keys);
        let ratios: Vec<String> = std::iter::once(exact)
            .chain(played.iter().map(|played| played.hit_ratio))
            .map(|ratio| format!("{:.1}", 100.0 * ratio))
            .collect();
        let keys: Vec<usize> = played.iter().map(|played| played.keys).collect();
        println!("| {name} | {} |  <!-- keys: {keys:?} -->", ratios.join(" | "));
    }
    println!("\n| policy | ns per write that fits | ns per write that evicts |\n|---|---|---|");
    for &policy in EvictionPolicy::ALL.iter().filter(|&&policy| policy != EvictionPolicy::Noeviction) {
        let (filling, evicting) = cost(policy, capacity);
        println!("| {} | {filling} | {evicting} |", policy.word());
    }
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
