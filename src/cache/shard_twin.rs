//! A shard exercised at random against a plain map: values, deadlines, what expires, and the memory accounts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::entry::INLINE_VALUE_MAX;
use super::eviction::Recency;
use super::hash::KeyHasher;
use super::shard::{Key, Lifetime, Moment, Shard};

/// Keys come from a small range so that steps meet.
const KEYS: u8 = 40;

/// Beyond what an expiry index holds.
const FAR: u64 = 1 << 44;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, usize, Lifetime),
    Append(u8, usize),
    Edit(u8, usize),
    Remove(u8),
    Move(u8, u8),
    Deadline(u8, Option<u64>),
    Look(u8),
    Evict(u8),
    Wait(u64),
    Expire(usize),
    Clear,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..60, 1 => INLINE_VALUE_MAX - 20..INLINE_VALUE_MAX + 20]
}

fn deadline() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1_u64..500, 1 => FAR - 2..FAR + 2, 1 => Just(u64::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS;
    let lifetime =
        prop_oneof![Just(Lifetime::Keep), Just(Lifetime::Forever), deadline().prop_map(Lifetime::Until)];
    prop_oneof![
        6 => (key(), length(), lifetime).prop_map(|(key, length, lifetime)| Step::Set(key, length, lifetime)),
        3 => (key(), length()).prop_map(|(key, length)| Step::Append(key, length)),
        2 => (key(), length()).prop_map(|(key, length)| Step::Edit(key, length)),
        2 => key().prop_map(Step::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Step::Move(from, to)),
        4 => (key(), proptest::option::of(deadline())).prop_map(|(key, deadline)| Step::Deadline(key, deadline)),
        2 => key().prop_map(Step::Look),
        1 => key().prop_map(Step::Evict),
        2 => (0_u64..60).prop_map(Step::Wait),
        2 => (1_usize..20).prop_map(Step::Expire),
        1 => Just(Step::Clear),
    ]
}

/// The model: keys with what they hold and when they are gone.
type Twin = BTreeMap<u8, (Vec<u8>, Option<u64>)>;

struct Pair {
    hasher: KeyHasher,
    shard: Shard,
    twin: Twin,
    moment: Moment,
}

impl Pair {
    fn new() -> Pair {
        let hasher = KeyHasher::new(3);
        let moment = Moment { now: 0, recency: Recency::UNTRACKED };
        Pair { shard: Shard::new(hasher.clone()), hasher, twin: Twin::new(), moment }
    }

    fn apply(&mut self, step: Step) {
        let Pair { hasher, shard, twin, moment } = self;
        let key = |bytes: &'static [u8; 1]| Key { bytes, hash: hasher.hash(bytes) };
        let key = |number: u8| key(&NAMES[usize::from(number)]);
        let deadline_at = |deadline: u64| moment.now.saturating_add(deadline);
        let now = moment.now;
        // Whatever a step touches that is due goes first.
        twin.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| now <= deadline));
        match step {
            Step::Set(number, length, lifetime) => {
                let lifetime = match lifetime {
                    Lifetime::Until(deadline) => Lifetime::Until(deadline_at(deadline)),
                    other => other,
                };
                let value = vec![number; length];
                shard.set(&key(number), &value, lifetime, moment);
                let old = twin.get(&number).and_then(|(_, deadline)| *deadline);
                let deadline = match lifetime {
                    Lifetime::Keep => old,
                    Lifetime::Forever => None,
                    Lifetime::Until(deadline) => Some(deadline),
                };
                twin.insert(number, (value, deadline));
            }
            Step::Append(number, length) => {
                let length = shard.append(&key(number), &vec![7; length], moment).map(|_| length);
                assert_eq!(length.is_some(), twin.contains_key(&number));
                if let (Some(length), Some((value, _))) = (length, twin.get_mut(&number)) {
                    value.resize(value.len() + length, 7);
                }
            }
            Step::Edit(number, length) => {
                let edited = shard.edit(&key(number), moment, |bytes| bytes.resize(length, 9));
                assert_eq!(edited.is_some(), twin.contains_key(&number));
                if let Some((value, _)) = twin.get_mut(&number) {
                    value.resize(length, 9);
                }
            }
            Step::Remove(number) => {
                assert_eq!(shard.remove(&key(number), moment), twin.remove(&number).is_some());
            }
            Step::Move(from, to) => {
                let entry = shard.take(&key(from), moment);
                let moved = twin.remove(&from);
                assert_eq!(entry.is_some(), moved.is_some());
                if let (Some(entry), Some(moved)) = (entry, moved) {
                    let entry = entry.view().copied_to(key(to).bytes);
                    shard.insert_entry(&key(to), entry, moment);
                    twin.insert(to, moved);
                }
            }
            Step::Deadline(number, deadline) => {
                let deadline = deadline.map(deadline_at);
                let known = shard.set_deadline(&key(number), deadline, moment);
                assert_eq!(known, twin.contains_key(&number));
                if let Some((_, old)) = twin.get_mut(&number) {
                    *old = deadline;
                }
            }
            Step::Look(number) => {
                let entry = shard.read(&key(number), moment);
                let seen = entry.map(|entry| (entry.value().bytes().to_vec(), entry.deadline()));
                assert_eq!(seen.as_ref(), twin.get(&number));
            }
            Step::Evict(number) => {
                shard.evict(key(number).hash, key(number).bytes);
                twin.remove(&number);
            }
            Step::Wait(time) => moment.now += time,
            Step::Expire(limit) => {
                let removed = shard.expire_due(moment, limit);
                let mut due = 0;
                shard.table.for_each(|entry| due += usize::from(entry.is_expired(now)));
                assert!(removed == limit || due == 0, "{due} keys are due and were not found");
            }
            Step::Clear => {
                drop(shard.clear());
                twin.clear();
            }
        }
        self.assert_same();
    }

    fn assert_same(&self) {
        let mut held = Twin::new();
        let (mut memory, mut indexed) = (0, 0);
        self.shard.table.for_each(|entry| {
            memory += entry.memory();
            indexed += usize::from(entry.index_place().is_some());
            if !entry.is_expired(self.moment.now) {
                held.insert(entry.key()[0], (entry.value().bytes().to_vec(), entry.deadline()));
            }
        });
        let mut twin = self.twin.clone();
        twin.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| self.moment.now <= deadline));
        assert_eq!(held, twin);
        assert_eq!(self.shard.volatile_len(), indexed);
        assert_eq!(
            self.shard.memory(),
            memory + self.shard.table.memory() + self.shard.expiry.memory(),
            "the accounts and what is there differ"
        );
    }
}

/// One name per number.
static NAMES: [[u8; 1]; KEYS as usize] = {
    let mut names = [[0]; KEYS as usize];
    let mut number = 0;
    while number < KEYS {
        names[number as usize][0] = number;
        number += 1;
    }
    names
};

proptest! {
    #[test]
    fn a_shard_is_a_map_with_deadlines(steps in proptest::collection::vec(step(), 1..400)) {
        let mut pair = Pair::new();
        steps.into_iter().for_each(|step| pair.apply(step));
        (0..KEYS).for_each(|number| pair.apply(Step::Remove(number)));
        prop_assert!(pair.shard.is_empty() && pair.shard.volatile_len() == 0);
    }
}
