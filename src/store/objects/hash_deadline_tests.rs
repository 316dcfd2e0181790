//! Hashes whose fields expire, exercised at random against a plain map: packed and as tables, with a few and with very many fields
//! that fall due together.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use super::hash::{HashLimits, HashWriter};
use crate::random::Random;
use crate::store::entries::Deadline;
use crate::store::hash::KeyHasher;
use crate::store::interests::WatchFlag;
use crate::store::lifetime::LifetimeBounds;
use crate::store::object::{Hash, Pairs, Parts};
use crate::store::random_steps::steps;
use crate::store::recency::{AccessContext, Recency};
use crate::store::shard::{Key, Shard};

/// The fields that a look removes at most.
const STEP: usize = 64;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<Deadline>)>;

/// A shard with one hash, and what that should hold.
struct Pair {
    shard: Shard,
    hasher: KeyHasher,
    limits: HashLimits,
    now: Deadline,
    model: Model,
}

impl Pair {
    fn new(entries: usize) -> Pair {
        let hasher = KeyHasher::new(7);
        let shard = Shard::new(hasher.clone(), None, None);
        Pair { shard, hasher, limits: HashLimits { entries, value: 64 }, now: 1, model: Model::new() }
    }

    fn key(&self) -> Key<'static> {
        Key { bytes: b"key", hash: self.hasher.hash(b"key") }
    }

    fn access(&self) -> AccessContext {
        AccessContext { now: self.now, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED }
    }

    fn write<R>(&mut self, write: impl FnOnce(&mut HashWriter<'_>) -> R) -> R {
        let (key, access, limits) = (self.key(), self.access(), self.limits);
        self.shard.write_hash(&key, limits, &access, write).expect("it is a hash")
    }

    fn set(&mut self, field: &[u8], value: &[u8]) {
        let is_new = self.model.insert(field.to_vec(), (value.to_vec(), None)).is_none();
        assert_eq!(self.write(|hash| hash.set(field, value)), is_new);
    }

    /// Writes the value of a field, which keeps its deadline.
    fn set_value(&mut self, field: &[u8], value: &[u8]) {
        let deadline = self.model.get(field).and_then(|(_, deadline)| *deadline);
        let is_new = self.model.insert(field.to_vec(), (value.to_vec(), deadline)).is_none();
        assert_eq!(self.write(|hash| hash.set_value(field, value)), is_new);
    }

    fn set_deadline(&mut self, field: &[u8], deadline: Option<Deadline>) {
        let known = self.model.get_mut(field).map(|(_, known)| *known = deadline);
        assert_eq!(self.write(|hash| hash.set_deadline(field, deadline)), known.is_some());
    }

    fn remove(&mut self, field: &[u8]) {
        let was_there = self.model.remove(field).is_some();
        assert_eq!(self.write(|hash| hash.remove(field)), was_there);
    }

    fn wait_until(&mut self, now: Deadline) {
        self.now = now;
        self.model.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| now <= deadline));
    }

    /// A client's look at the hash; none if there is no such key.
    fn look(&mut self) -> Option<Parts<'_>> {
        let (key, access) = (self.key(), self.access());
        self.shard.peek(&key, &access).map(|entry| entry.parts().expect("it has parts"))
    }

    fn len(&mut self) -> usize {
        self.look().map_or(0, |parts| parts.hash().expect("it is a hash").len())
    }

    fn assert_same(&mut self) {
        let model = self.model.clone();
        let Some(parts) = self.look() else { return assert!(model.is_empty()) };
        let hash = parts.hash().expect("it is a hash");
        assert_eq!(hash.len(), model.len());
        let expected: BTreeMap<_, _> =
            model.iter().map(|(field, (value, _))| (field.clone(), value.clone())).collect();
        let (mut held, mut scanned, mut placed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        hash.for_each(|field, value| assert!(held.insert(field.to_vec(), value.to_vec()).is_none()));
        let mut cursor = 0;
        loop {
            cursor =
                hash.scan(cursor, 7, |field, value| drop(scanned.insert(field.to_vec(), value.to_vec())));
            if cursor == 0 {
                break;
            }
        }
        let places: Vec<usize> = (0..hash.len()).rev().chain([0; 2]).collect();
        hash.visit_places(&places, |field, value| placed.push((field.to_vec(), value.to_vec())));
        assert_eq!((&held, &scanned), (&expected, &expected));
        assert_eq!(placed.len(), places.len());
        assert_eq!(placed.into_iter().collect::<BTreeMap<_, _>>(), expected);
        for (field, (value, deadline)) in &model {
            assert_eq!(hash.get(field).as_deref(), Some(value.as_slice()));
            assert_eq!(parts.field_deadline(field), *deadline);
        }
    }
}

#[test]
fn a_hash_whose_fields_expire_is_a_map_with_deadlines() {
    let steps = steps(40_000);
    let mut random = Random::with_seed(19);
    let mut pair = Pair::new(100);
    for step in 0..steps {
        if step % 4_000 == 0 {
            pair = Pair { now: pair.now, ..Pair::new([0, 100, 600][random.below(3)]) };
        }
        // Deadlines lie on few milliseconds, so that many fall due together.
        let deadline = pair.now / 1_000 * 1_000 + 1_000 * (1 + random.below(2) as Deadline);
        let field = format!("field:{}", random.below(500)).into_bytes();
        let value = vec![b'x'; random.below(if step % 97 == 0 { 300 } else { 20 })];
        match random.below(400) {
            0 => pair.wait_until(pair.now + 1 + random.below(1_200) as Deadline),
            1..=4 => drop(pair.shard.expire_due(&pair.access(), 1 + random.below(100))),
            5 if pair.model.len() < 20 => {
                let (key, access) = (pair.key(), pair.access());
                pair.shard.remove(&key, &access);
                pair.model.clear();
            }
            6..120 => pair.set(&field, &value),
            120..180 => pair.set_value(&field, &value),
            180..300 => pair.set_deadline(&field, Some(deadline)),
            300..320 => pair.set_deadline(&field, None),
            _ => pair.remove(&field),
        }
        let field = format!("field:{}", random.below(500)).into_bytes();
        let expected = pair.model.get(&field).map(|(value, _)| value.clone());
        let seen = pair
            .look()
            .and_then(|parts| parts.hash().expect("it is a hash").get(&field).map(|value| value.to_vec()));
        assert_eq!(seen, expected);
        if step % 61 == 0 {
            pair.assert_same();
        }
    }
}

/// A hash of so many fields whose deadline is 10, and as many as `lasting` without one, when these have passed.
fn due(fields: usize, lasting: usize) -> Pair {
    let mut pair = Pair::new(0);
    (0..lasting).for_each(|number| pair.set(format!("lasting:{number}").as_bytes(), b"value"));
    for number in 0..fields {
        let field = format!("field:{number}").into_bytes();
        pair.set(&field, b"value");
        pair.set_deadline(&field, Some(10));
    }
    pair.wait_until(11);
    pair
}

#[test]
fn a_look_removes_a_step_of_the_fields_that_are_due_and_hides_the_others() {
    let mut pair = due(1_000, 3);
    let everything = AccessContext { now: 11, ..pair.access() };
    assert_eq!(pair.len(), 3, "nobody sees a field that is due");
    assert!(matches!(pair.look().map(|parts| parts.hash()), Some(Ok(Hash::Expiring(_)))));
    pair.assert_same();
    // Three looks so far, each of which has removed a step.
    assert_eq!(pair.shard.expire_due(&everything, usize::MAX), 1_000 - 3 * STEP);
    assert!(matches!(pair.look().map(|parts| parts.hash()), Some(Ok(Hash::Plain(Pairs::Table(_))))));
    pair.assert_same();
    // As many as a step are gone at once.
    let mut pair = due(STEP, 3);
    assert_eq!(pair.len(), 3);
    assert_eq!(pair.shard.expire_due(&everything, usize::MAX), 0);
}

#[test]
fn hidden_fields_are_written_anew_and_a_hash_with_no_others_goes() {
    let mut pair = due(1_000, 1);
    assert_eq!(pair.len(), 1);
    pair.set(b"field:999", b"new");
    pair.set_value(b"field:998", b"new");
    pair.remove(b"field:997");
    pair.set_deadline(b"field:996", Some(50));
    pair.assert_same();
    assert_eq!(pair.len(), 3);
    for field in [&b"field:999"[..], b"field:998", b"lasting:0"] {
        pair.remove(field);
    }
    assert_eq!(pair.shard.len(), 0, "a hash of hidden fields is none");
}

#[test]
fn what_is_watched_changes_when_fields_expire_and_not_when_hidden_ones_are_removed() {
    let mut pair = due(1_000, 1);
    let key = pair.key();
    let changes = |pair: &mut Pair| {
        let flag = WatchFlag::default();
        pair.shard.watch(key.bytes, &flag);
        assert_eq!(pair.len(), 1);
        flag.load(Relaxed)
    };
    assert_eq!([changes(&mut pair), changes(&mut pair), changes(&mut pair)], [true, false, false]);
}

#[test]
fn a_value_too_long_for_the_small_form_makes_a_table() {
    let mut pair = Pair::new(512);
    pair.set(b"field", b"value");
    pair.set_deadline(b"field", Some(1_000));
    assert!(matches!(pair.look().map(|parts| parts.hash()), Some(Ok(Hash::Plain(Pairs::Packed(_))))));
    pair.set_value(b"field", &[b'x'; 70_000]);
    assert!(matches!(pair.look().map(|parts| parts.hash()), Some(Ok(Hash::Plain(Pairs::Table(_))))));
    pair.set(&[b'x'; 70_000], b"value");
    pair.set_deadline(&[b'x'; 70_000], Some(1_001));
    pair.assert_same();
    pair.wait_until(1_001);
    pair.assert_same();
}

#[test]
fn a_small_hash_whose_fields_expire_takes_little() {
    let mut pair = Pair::new(512);
    pair.set(b"field", b"value");
    let without = pair.shard.memory_parts().entries;
    pair.set_deadline(b"field", Some(1 << 41));
    let with = pair.shard.memory_parts().entries;
    assert!(with - without <= 200, "{without} and {with}");
    for number in 0..10 {
        pair.set(format!("field{number}").as_bytes(), format!("{number:08}").as_bytes());
    }
    let without = pair.shard.memory_parts().entries;
    (0..10).for_each(|number| pair.set_deadline(format!("field{number}").as_bytes(), Some(1 << 41)));
    let each = (pair.shard.memory_parts().entries - without) / 10;
    assert!(each <= 20, "{each}");
}
