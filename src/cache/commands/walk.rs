//! Walks over the keys of a database, a part at a time.
//!
//! A cursor holds the number of the shard in its low bits and the shard's own cursor above them; 0 is the start
//! and the end.  The promise of a shard (see `Shard::scan`) holds for the whole walk, since keys never change shards.
//! Any other number a client may send is a valid place too: the walk goes on from there and ends.
//!
//! A part ends before a shard that is held for long.  Only one that begins there has nothing to show, and waits for that shard alone.

use std::ops::ControlFlow;

use crate::store::{AccessContext, EntryRef, HeldForLong, Keyspace, SHARD_COUNT, Shard, ShardId};

/// Steps (buckets) per key asked for after which a part ends even if it has met fewer keys.
const STEPS_PER_KEY: usize = 10;

/// A place in a walk over the shards of a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    shard: usize,
    place: u64,
}

impl Cursor {
    /// The place that a client's number stands for.
    pub fn from_number(number: u64) -> Cursor {
        let count = SHARD_COUNT as u64;
        Cursor { shard: (number % count) as usize, place: number / count }
    }

    /// The number clients see; past the last shard it is 0.
    pub fn number(self) -> u64 {
        if self.shard == SHARD_COUNT { 0 } else { self.place * SHARD_COUNT as u64 + self.shard as u64 }
    }

    /// The place that follows when the shard's own scan has answered `place`.
    fn moved(self, place: u64) -> Cursor {
        Cursor { shard: self.shard + usize::from(place == 0), place }
    }
}

/// What a step of a walk has met.
#[derive(Default)]
pub(super) struct Met {
    pub(super) keys: usize,
    /// The walk is to end.
    pub(super) is_enough: bool,
}

/// How much a part of a walk may still look at.
struct Budget {
    count: usize,
    met: usize,
    steps: usize,
}

/// A walk that begins where the keys are held for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) reason: HeldForLong,
    /// The place.
    pub(super) at: Cursor,
}

impl Budget {
    fn new(count: usize) -> Budget {
        Budget { count, met: 0, steps: 0 }
    }

    fn is_used_up(&self) -> bool {
        self.met >= self.count || self.steps >= self.count.saturating_mul(STEPS_PER_KEY)
    }
}

impl Held {
    /// The shard.
    pub(super) fn shard(self, keyspace: &Keyspace<'_>) -> ShardId {
        keyspace.store().shard_number(keyspace.database, self.at.shard)
    }
}

/// Visits keys from `cursor` on until `count` were met, enough was looked at, `visit` has had enough, or a shard follows that is held for
/// long, and returns where to go on.  Shards without keys are passed over for free: there are few enough of them, and so a
/// small database takes one call.
///
/// # Errors
/// If the walk begins at a shard that is held for long.
pub fn walk_while(
    keyspace: &mut Keyspace<'_>,
    cursor: Cursor,
    count: usize,
    mut visit: impl FnMut(EntryRef<'_>) -> ControlFlow<()>,
) -> Result<Cursor, HeldForLong> {
    let walked = walk_shards(keyspace, cursor, count, |shard, place, access| {
        let mut met = Met::default();
        let place = shard.scan(place, access, |entry| {
            met.keys += 1;
            met.is_enough |= visit(entry).is_break();
        });
        (place, met)
    });
    walked.map_err(|held| held.reason)
}

/// Takes steps from `cursor` on, each at a place of a shard, which returns the shard's next place: as [`walk_while`] does by
/// [`Shard::scan`].
///
/// # Errors
/// If the walk begins at a shard that is held for long.
pub(super) fn walk_shards(
    keyspace: &mut Keyspace<'_>,
    mut cursor: Cursor,
    count: usize,
    mut step: impl FnMut(&mut Shard, u64, &AccessContext) -> (u64, Met),
) -> Result<Cursor, Held> {
    keyspace.unlock();
    let (store, database) = (keyspace.store(), keyspace.database);
    let mut budget = Budget::new(count);
    while cursor.shard < SHARD_COUNT && !budget.is_used_up() {
        let id = store.shard_number(database, cursor.shard);
        if store.population(id).0 == 0 {
            cursor = cursor.moved(0);
            continue;
        }
        let walked = keyspace
            .visit_shard(id, |shard, access| walk_shard(shard, cursor, access, &mut budget, &mut step));
        cursor = match walked {
            Ok(next) => next,
            Err(reason) if budget.steps == 0 => return Err(Held { reason, at: cursor }),
            Err(_) => break,
        };
    }
    Ok(cursor)
}

/// The part of a walk that begins in this shard, and ends in it.
pub(super) fn walk_one(
    shard: &mut Shard,
    cursor: Cursor,
    count: usize,
    access: &AccessContext,
    mut step: impl FnMut(&mut Shard, u64, &AccessContext) -> (u64, Met),
) -> Cursor {
    walk_shard(shard, cursor, access, &mut Budget::new(count), &mut step)
}

fn walk_shard(
    shard: &mut Shard,
    mut cursor: Cursor,
    access: &AccessContext,
    budget: &mut Budget,
    step: &mut impl FnMut(&mut Shard, u64, &AccessContext) -> (u64, Met),
) -> Cursor {
    let start = cursor.shard;
    while cursor.shard == start && !budget.is_used_up() {
        let (place, met) = step(shard, cursor.place, access);
        budget.steps += 1;
        budget.met = if met.is_enough { budget.count } else { budget.met + met.keys };
        cursor = cursor.moved(place);
    }
    cursor
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Now;
    use crate::store::recency::Recency;
    use crate::store::{Lifetime, LifetimeBounds, Patience, Store};

    const COUNT: usize = 10;

    fn keyspace(store: &Store) -> Keyspace<'_> {
        let now = Now::at(Duration::from_secs(1), Duration::from_secs(1));
        Keyspace::new(
            store,
            now,
            AccessContext {
                now: now.millis(),
                recency: Recency::UNTRACKED,
                lifetimes: LifetimeBounds::UNBOUNDED,
            },
        )
    }

    fn change(keyspace: &mut Keyspace<'_>, name: &str, present: bool) {
        let store = keyspace.store();
        let key = store.key(name.as_bytes());
        keyspace.with_shard(store.shard_of(0, key.hash), |shard, access| {
            if present {
                shard.set(&key, b"value", Lifetime::Forever, access);
            } else {
                shard.remove(&key, access);
            }
        });
    }

    fn walk_all(
        keyspace: &mut Keyspace<'_>,
        cursor: Cursor,
        count: usize,
        mut visit: impl FnMut(EntryRef<'_>),
    ) -> Result<Cursor, HeldForLong> {
        walk_while(keyspace, cursor, count, |entry| {
            visit(entry);
            ControlFlow::Continue(())
        })
    }

    fn name(number: usize) -> String {
        format!("key:{number}")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Between the calls the database grows to many times its size or shrinks back.
        #[test]
        fn keys_present_all_the_time_are_returned(
            seed: u64,
            stable in 0usize..2_000,
            growth in prop::collection::vec((0usize..40_000, 0usize..400, any::<bool>()), 1..60),
        ) {
            let store = Store::new(1, 1, 1, seed);
            let mut keyspace = keyspace(&store);
            let always: BTreeSet<String> = (0..stable).map(name).collect();
            for key in &always {
                change(&mut keyspace, key, true);
            }
            let mut passing: BTreeMap<usize, bool> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            let mut cursor = Cursor::from_number(0);
            let mut changes = growth.iter().cycle();
            loop {
                let walked = walk_all(&mut keyspace, cursor, COUNT, |entry| {
                    seen.insert(String::from_utf8_lossy(entry.key()).into_owned());
                });
                cursor = walked.expect("nothing is held");
                if cursor.number() == 0 {
                    break;
                }
                prop_assert!(cursor.number() < 1 << 53);
                let &(start, length, present) = changes.next().expect("the list is not empty");
                for number in start..start + length {
                    passing.insert(number, present);
                    change(&mut keyspace, &name(stable + number), present);
                }
            }
            prop_assert!(always.is_subset(&seen));
            prop_assert!(seen.len() <= stable + passing.len());
        }

        #[test]
        fn any_number_is_a_harmless_cursor(seed: u64, number: u64, keys in 0usize..3_000) {
            let store = Store::new(1, 1, 1, seed);
            let mut keyspace = keyspace(&store);
            for number in 0..keys {
                change(&mut keyspace, &name(number), true);
            }
            let mut cursor = Cursor::from_number(number);
            for _ in 0..SHARD_COUNT + keys {
                cursor = walk_all(&mut keyspace, cursor, COUNT, |_| {}).expect("nothing is held");
                if cursor.number() == 0 {
                    return Ok(());
                }
            }
            prop_assert!(false, "the walk from {number} does not end");
        }
    }

    #[test]
    fn an_untouched_database_is_walked_in_one_call() {
        let store = Store::new(1, 1, 1, 7);
        let mut keyspace = keyspace(&store);
        let walked = walk_all(&mut keyspace, Cursor::from_number(0), COUNT, |_| {});
        assert_eq!(walked.map(Cursor::number), Ok(0));
    }

    /// While shards are held for long, walks end before them, and wait only where they begin.
    #[test]
    fn what_is_held_is_walked_once_it_is_free() {
        let store = Store::new(1, 1, 2, 7);
        let mut keyspace = keyspace(&store);
        keyspace.patience = Patience::Nobody;
        let names: BTreeSet<String> = (0..5_000).map(name).collect();
        for key in &names {
            change(&mut keyspace, key, true);
        }
        store.holds().note_turn(1);
        let (is_there, there) = channel();
        let (may_leave, leave) = channel::<()>();
        let mut seen = BTreeSet::new();
        let mut step = |keyspace: &mut Keyspace<'_>, cursor| {
            walk_all(keyspace, cursor, usize::MAX, |entry| {
                seen.insert(String::from_utf8_lossy(entry.key()).into_owned());
            })
        };
        let cursor = thread::scope(|scope| {
            let store = &store;
            scope.spawn(move || {
                let _held = store.lock(store.shard_number(0, 500));
                is_there.send(()).expect("the test waits");
                // Until the other end is dropped.
                let _ = leave.recv();
            });
            there.recv().expect("nobody else has it");
            let cursor = step(&mut keyspace, Cursor::from_number(0)).expect("the first shard is free");
            assert_eq!(cursor, Cursor { shard: 500, place: 0 });
            assert!(matches!(step(&mut keyspace, cursor), Err(HeldForLong::ByCommand { .. })));
            assert_eq!(store.key_counts(0), (names.len(), 0));
            drop(may_leave);
            cursor
        });
        assert_eq!(step(&mut keyspace, cursor).map(Cursor::number), Ok(0));
        assert_eq!(seen, names);
    }
}
