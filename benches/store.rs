//! The store alone: one key found, written, expired, without protocol or sockets.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quartet::store::recency::Recency;
use quartet::store::{AccessContext, Lifetime, LifetimeBounds, Store};

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

const KEYS: usize = 100_000;
/// A stride that is prime to the number of keys visits all of them in an order that caches cannot foresee.
const STRIDE: usize = 48_271;
const MOMENT: AccessContext =
    AccessContext { now: 1_000, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED };

fn write(store: &Store, name: &str, lifetime: Lifetime) {
    let key = store.key(name.as_bytes());
    let mut guard = store.lock(store.shard_of(0, key.hash));
    guard.shard().set(&key, &[b'x'; 64], lifetime, &MOMENT);
    guard.unlock();
}

fn store(criterion: &mut Criterion) {
    let filled = Store::new(1, 1, 1, 1);
    let names: Vec<String> = (0..KEYS).map(|number| format!("key:{number:012}")).collect();
    names.iter().for_each(|name| write(&filled, name, Lifetime::Forever));
    let mut at = 0;
    let mut next = || {
        at = (at + STRIDE) % KEYS;
        &names[at]
    };
    criterion.bench_function("store/read", |bencher| {
        bencher.iter(|| {
            let key = filled.key(next().as_bytes());
            let mut guard = filled.lock(filled.shard_of(0, key.hash));
            black_box(guard.shard().read(&key, &MOMENT).map(|entry| entry.bytes().len()))
        });
    });
    criterion.bench_function("store/overwrite", |bencher| {
        bencher.iter(|| write(&filled, next(), Lifetime::Forever));
    });
    criterion.bench_function("store/refresh-deadline", |bencher| {
        let mut deadline = 1_000_000;
        bencher.iter(|| {
            deadline += 1;
            write(&filled, next(), Lifetime::Until(deadline));
        });
    });
    criterion.bench_function("store/expire-1000", |bencher| {
        let insert = || {
            let store = Store::new(1, 1, 1, 1);
            names[..1000].iter().for_each(|name| write(&store, name, Lifetime::Until(2_000)));
            store
        };
        let later = AccessContext { now: 3_000, ..MOMENT };
        let expire = |store: Store| assert_eq!(store.expire_due(0, &mut 0, &later).0, 1000);
        bencher.iter_batched(insert, expire, BatchSize::LargeInput);
    });
}

criterion_group!(benches, store);
criterion_main!(benches);
