//! Traces of accesses, a cache of ours that they are played to, and exact LRU beside it.  The eviction benchmark
//! plays the same.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use quartet::clock::Now;
use quartet::random::Random;
use quartet::settings::{EvictionPolicy, Live, Settings};
use quartet::store::eviction::make_room;
use quartet::store::{AccessContext, Deadline, Lifetime, Store};

/// Bytes of a value: with its key an entry takes about a hundred.
const VALUE: &[u8] = &[b'v'; 64];

/// Accesses per second of simulated time.
const ACCESSES_PER_SECOND: u64 = 20_000;

/// Draws from 0..n where the number k has a weight of 1 / (k + 1)^exponent.
pub(crate) struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// The distribution over `n` numbers.
    pub(crate) fn new(n: usize, exponent: f64) -> Zipf {
        let mut sum = 0.0;
        let weigh = |k| {
            sum += 1.0 / (k as f64).powf(exponent);
            sum
        };
        Zipf { cumulative: (1..=n).map(weigh).collect() }
    }

    /// A number.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = (random.draw() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        self.cumulative.partition_point(|&sum| sum < point) as u64
    }
}

/// `count` accesses to `keys` keys by Zipf's law.
pub(crate) fn zipf(keys: usize, exponent: f64, count: usize, seed: u64) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(keys, exponent), Random::with_seed(seed));
    (0..count).map(|_| zipf.draw(&mut random)).collect()
}

/// The trace with keys that are accessed once mixed in: `scanned` of every ten accesses.
pub(crate) fn with_scan(trace: &[u64], scanned: usize) -> Vec<u64> {
    let mut mixed = Vec::with_capacity(trace.len() * 10 / (10 - scanned));
    let mut once = 1 << 40;
    for accesses in trace.chunks(10 - scanned) {
        mixed.extend_from_slice(accesses);
        for _ in 0..scanned {
            mixed.push(once);
            once += 1;
        }
    }
    mixed
}

/// Accesses by Zipf's law.  After every `phase` accesses other keys are popular, some of them old
/// ones.
pub(crate) fn shifting(keys: usize, exponent: f64, count: usize, phase: usize, seed: u64) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(keys, exponent), Random::with_seed(seed));
    (0..count).map(|at| zipf.draw(&mut random) + (at / phase * keys / 2) as u64).collect()
}

/// Accesses by Zipf's law.  One in four accesses makes a new key the most popular one.
pub(crate) fn drifting(keys: usize, exponent: f64, count: usize, seed: u64) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(keys, exponent), Random::with_seed(seed));
    (0..count).map(|at| (keys + at / 4) as u64 - zipf.draw(&mut random)).collect()
}

/// Recent keys are accessed again: four of five accesses repeat one of the last `horizon`, the nearer the
/// likelier; the others are to new keys, numbered from `first` on.
pub(crate) fn recent(horizon: usize, count: usize, first: u64, seed: u64) -> Vec<u64> {
    let mut random = Random::with_seed(seed);
    let mut unit = || (random.draw() >> 11) as f64 / (1_u64 << 53) as f64;
    let (mut trace, mut next) = (Vec::with_capacity(count), first);
    while trace.len() < count {
        let distance = ((horizon as f64).powf(unit()) as usize).clamp(1, trace.len().max(1));
        if trace.is_empty() || unit() < 0.2 {
            trace.push(next);
            next += 1;
        } else {
            trace.push(trace[trace.len() - distance]);
        }
    }
    trace
}

/// The traces one after another, `phase` accesses of each in turn.
pub(crate) fn alternating(traces: &[Vec<u64>], phase: usize) -> Vec<u64> {
    let mut rests: Vec<_> = traces.iter().map(|trace| trace.chunks(phase)).collect();
    let mut mixed = Vec::new();
    while let Some(chunks) = rests.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>() {
        mixed.extend(chunks.into_iter().flatten());
    }
    mixed
}

/// Two traces with different keys at once, access by access.
pub(crate) fn mixed(one: &[u64], other: &[u64]) -> Vec<u64> {
    one.iter().zip(other).flat_map(|(&one, &other)| [one, other]).collect()
}

/// The same trace with keys of its own.
pub(crate) fn renumbered(trace: Vec<u64>, first: u64) -> Vec<u64> {
    trace.into_iter().map(|number| number + first).collect()
}

/// All keys in turn, again and again.
pub(crate) fn cycle(keys: usize, count: usize) -> Vec<u64> {
    (0..count).map(|at| (at % keys) as u64).collect()
}

/// The limit of memory under which so many keys of the traces fit: what they take, with their part of the tables.
pub(crate) fn limit_for(keys: usize) -> usize {
    let mut cache = Cache::new(EvictionPolicy::Noeviction, usize::MAX);
    cache.play(&cycle(keys, keys));
    cache.store.memory()
}

/// A store used as a cache: what is not found is written.
pub(crate) struct Cache {
    /// The store.
    pub(crate) store: Store,
    settings: Live,
    random: Random,
    now: Now,
}

/// The result of a trace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    /// Found, of the accesses that count: those after the first quarter, and of keys that are accessed again.
    pub(crate) hit_ratio: f64,
    /// Keys in the cache at the end.
    pub(crate) keys: usize,
    /// Most bytes over the limit before a write.
    pub(crate) excess_max: usize,
}

impl Cache {
    /// A cache of this many bytes.
    pub(crate) fn new(policy: EvictionPolicy, maxmemory: usize) -> Cache {
        let settings = Settings { maxmemory, maxmemory_policy: policy, ..Settings::default() };
        Cache {
            store: Store::new(settings.databases, 1, 1, 7),
            settings: Live::new(settings),
            random: Random::with_seed(11),
            now: Now::at(Duration::from_hours(1), Duration::ZERO),
        }
    }

    /// The settings, to be changed on the way.
    pub(crate) fn settings(&self) -> &Live {
        &self.settings
    }

    /// The moment now.
    pub(crate) fn moment(&self) -> AccessContext {
        AccessContext::of(&self.settings.current(), self.now)
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
    }

    /// Whether a key is found; counts as an access.
    pub(crate) fn read(&mut self, key: &[u8]) -> bool {
        let (moment, key) = (self.moment(), self.store.key(key));
        let mut guard = self.store.lock(self.store.shard_of(0, key.hash));
        let found = guard.shard().read(&key, &moment).is_some();
        self.store.add_memory(guard.unlock().growth);
        found
    }

    /// Writes a key into a database.  Returns whether there was room, and by how much the limit was exceeded then.
    pub(crate) fn write(
        &mut self,
        database: usize,
        key: &[u8],
        value: &[u8],
        lifetime: Lifetime,
    ) -> (bool, usize) {
        let moment = self.moment();
        let room = make_room(&self.store, &self.settings.current(), &mut self.random, &moment);
        let excess = self.store.memory().saturating_sub(self.settings.current().maxmemory);
        if room {
            let key = self.store.key(key);
            let mut guard = self.store.lock(self.store.shard_of(database, key.hash));
            guard.shard().set(&key, value, lifetime, &moment);
            self.store.add_memory(guard.unlock().growth);
        }
        (room, excess)
    }

    /// Writes the state of a counter into database 0.
    pub(crate) fn count(&mut self, key: &[u8], state: &[u8], deadline: Option<Deadline>) {
        let (moment, key) = (self.moment(), self.store.key(key));
        let mut guard = self.store.lock(self.store.shard_of(0, key.hash));
        guard.shard().set_pinned_state(&key, state, deadline, &moment);
        self.store.add_memory(guard.unlock().growth);
    }

    /// Plays a trace of numbered keys.
    pub(crate) fn play(&mut self, trace: &[u64]) -> Played {
        let mut played = Played::default();
        let mut score = Score::new(trace.len());
        for &number in trace {
            self.advance(Duration::from_micros(1_000_000 / ACCESSES_PER_SECOND));
            let key = format!("key:{number:012}");
            let found = self.read(key.as_bytes());
            score.count(number, found);
            if !found {
                let (_, excess) = self.write(0, key.as_bytes(), VALUE, Lifetime::Forever);
                played.excess_max = played.excess_max.max(excess);
            }
        }
        played.hit_ratio = score.hit_ratio();
        played.keys = self.store.key_counts(0).0;
        played
    }
}

/// The hit ratio of a cache of `capacity` keys that knows the future: the key that is needed last goes.
pub(crate) fn optimum(trace: &[u64], capacity: usize) -> f64 {
    let mut next_at = vec![usize::MAX; trace.len()];
    let mut seen = HashMap::new();
    for (time, &number) in trace.iter().enumerate().rev() {
        next_at[time] = seen.insert(number, time).unwrap_or(usize::MAX);
    }
    let (mut needed_at, mut by_need) = (HashMap::new(), BTreeMap::new());
    let mut score = Score::new(trace.len());
    for (time, &number) in trace.iter().enumerate() {
        // Keys that are not needed any more are told apart by when they were last.
        let need = (next_at[time], time);
        let before = needed_at.insert(number, need);
        score.count(number, before.is_some());
        if let Some(before) = before {
            by_need.remove(&before);
        }
        by_need.insert(need, number);
        if by_need.len() > capacity
            && let Some((_, last)) = by_need.pop_last()
        {
            needed_at.remove(&last);
        }
    }
    score.hit_ratio()
}

/// The hit ratio of an exact LRU cache of `capacity` keys on a trace.
pub(crate) fn exact_lru(trace: &[u64], capacity: usize) -> f64 {
    let (mut used_at, mut by_use) = (HashMap::new(), BTreeMap::new());
    let mut score = Score::new(trace.len());
    for (time, &number) in trace.iter().enumerate() {
        let before = used_at.insert(number, time);
        score.count(number, before.is_some());
        if let Some(before) = before {
            by_use.remove(&before);
        } else if used_at.len() > capacity
            && let Some((_, coldest)) = by_use.pop_first()
        {
            used_at.remove(&coldest);
        }
        by_use.insert(time, number);
    }
    score.hit_ratio()
}

/// Counts hits, leaving out a cache's warming up and keys that cannot be hit.
struct Score {
    warming: usize,
    accesses: usize,
    hits: usize,
}

impl Score {
    fn new(length: usize) -> Score {
        Score { warming: length / 4, accesses: 0, hits: 0 }
    }

    fn count(&mut self, number: u64, hit: bool) {
        if self.warming > 0 {
            self.warming -= 1;
        } else if number < 1 << 40 {
            self.accesses += 1;
            self.hits += usize::from(hit);
        }
    }

    fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.accesses.max(1) as f64
    }
}
