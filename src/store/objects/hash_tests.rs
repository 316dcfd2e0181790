//! Hashes exercised at random against a plain map, in both forms and from one to the other.
//!
//! `QUARTET_LONG=1` takes a million steps, and `QUARTET_SHORT=1` a few.

use std::collections::BTreeMap;

use super::hash::{HashLimits, HashWriter};
use crate::random::Random;
use crate::store::entries::{Deadline, Entry};
use crate::store::hash::{KeyHasher, PARTS_MAX};
use crate::store::lifetime::LifetimeBounds;
use crate::store::object::{Hash, Object, PackedKind};
use crate::store::random_steps::steps;
use crate::store::recency::{AccessContext, Recency};
use crate::store::shard::{Key, Shard};

/// A hash in an entry of its own, and what it should hold.
struct Pair {
    entry: Entry,
    hasher: KeyHasher,
    limits: HashLimits,
    model: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Pair {
    fn new(entries: usize, value: usize) -> Pair {
        Pair {
            entry: Entry::new_packed(b"key", PackedKind::Hash, None),
            hasher: KeyHasher::new(7),
            limits: HashLimits { entries, value },
            model: BTreeMap::new(),
        }
    }

    fn writer(&mut self) -> HashWriter<'_> {
        HashWriter::over(&mut self.entry, self.limits, &self.hasher)
    }

    fn hash(&self) -> Hash<'_> {
        self.entry.view().parts().and_then(|parts| parts.hash()).expect("it is a hash")
    }

    fn set(&mut self, field: &[u8], value: &[u8]) {
        let is_new = self.model.insert(field.to_vec(), value.to_vec()).is_none();
        assert_eq!(self.writer().set(field, value), is_new);
        assert_eq!(self.hash().get(field).as_deref(), Some(value));
    }

    fn remove(&mut self, field: &[u8]) {
        assert_eq!(self.writer().remove(field), self.model.remove(field).is_some());
        assert!(self.hash().get(field).is_none());
    }

    fn assert_same(&self) {
        let hash = self.hash();
        assert_eq!(hash.len(), self.model.len());
        let (mut held, mut scanned) = (BTreeMap::new(), BTreeMap::new());
        hash.for_each(|field, value| assert!(held.insert(field.to_vec(), value.to_vec()).is_none()));
        let mut cursor = 0;
        loop {
            cursor = hash.scan(cursor, 7, |field, value| {
                scanned.insert(field.to_vec(), value.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((&held, &scanned), (&self.model, &self.model));
        if let Some(Object::Hash(table)) = self.entry.view().object() {
            table.check();
        }
        // To ask for memory changes nothing, whether the fields are there or not.
        if let Some(object) = self.entry.view().object() {
            let fields: Vec<&[u8]> = self.model.keys().map(Vec::as_slice).chain([&b"none"[..]]).collect();
            fields.chunks(PARTS_MAX).for_each(|fields| object.prefetch(fields));
        }
    }
}

/// Lengths on both sides of those at which a field or a value is kept apart from its page.
fn bytes(number: usize, length: usize) -> Vec<u8> {
    let length = if length < 30 { [254, 255, 300][length % 3] } else { length % 30 };
    let mut bytes = number.to_string().into_bytes();
    bytes.resize(length.max(bytes.len()), b'x');
    bytes
}

#[test]
fn a_hash_is_a_map_in_both_forms() {
    let steps = steps(30_000);
    let mut random = Random::with_seed(3);
    let mut pair = Pair::new(40, 100);
    let (mut fields, mut additions) = (50, 5);
    for step in 0..steps {
        if step % 1_500 == 0 {
            fields = [60, 300, 5_000][random.below(3)];
            additions = 1 + random.below(7);
        }
        let number = random.below(fields);
        let field = bytes(number, number);
        match random.below(64) {
            0 => pair.entry = pair.entry.view().copied_to(b"copy"),
            1 => pair.limits = HashLimits { entries: random.below(200), value: random.below(300) },
            2 if step % 4 == 0 => {
                pair.entry = Entry::new_packed(b"key", PackedKind::Hash, None);
                pair.model.clear();
            }
            _ if random.below(8) < additions => pair.set(&field, &bytes(step, random.below(900))),
            _ => pair.remove(&field),
        }
        if step % 256 == 0 || pair.model.len() < 30 && step % 16 == 0 {
            pair.assert_same();
        }
    }
    pair.assert_same();
}

#[test]
fn the_form_follows_from_the_limits() {
    let mut pair = Pair::new(3, 10);
    (0..3).for_each(|number| pair.set(format!("field{number}").as_bytes(), b"0123456789"));
    assert_eq!(pair.entry.view().parts().map(|parts| parts.encoding()), Ok("listpack"));
    pair.set(b"field3", b"");
    assert_eq!(pair.entry.view().parts().map(|parts| parts.encoding()), Ok("hashtable"));
    (0..3).for_each(|number| pair.remove(format!("field{number}").as_bytes()));
    pair.assert_same();
    let mut pair = Pair::new(3, 10);
    pair.set(b"field", b"01234567890");
    assert_eq!(pair.entry.view().parts().map(|parts| parts.encoding()), Ok("hashtable"));
}

#[test]
fn hashes_take_few_bytes_for_a_field() {
    const FIELDS: usize = 100_000;
    let mut pair = Pair::new(512, 64);
    for number in 0..FIELDS {
        pair.writer().set(format!("field:{number:010}").as_bytes(), format!("value:{number:010}").as_bytes());
    }
    // Sixteen bytes of field and value, two of their lengths, and a slot of the table.
    let each = pair.entry.view().memory() / FIELDS;
    assert!((44..=52).contains(&each), "{each}");
}

#[test]
fn a_deadline_in_a_small_hash_takes_few_bytes() {
    const FIELDS: usize = 10;
    // The packed form of so many fields is none.
    let mut pair = Pair::new(0, 0);
    (0..FIELDS).for_each(|number| pair.set(format!("field{number}").as_bytes(), b"value"));
    let without = pair.entry.view().memory();
    for number in 0..FIELDS {
        let is_there = pair.writer().set_deadline(format!("field{number}").as_bytes(), Some(1_000));
        assert!(is_there);
    }
    let each = (pair.entry.view().memory() - without) / FIELDS;
    assert!(each <= 24, "{each}");
    (0..FIELDS).for_each(|number| pair.remove(format!("field{number}").as_bytes()));
    assert_eq!(pair.hash().len(), 0);
}

fn at(now: Deadline) -> AccessContext {
    AccessContext { now, recency: Recency::UNTRACKED, lifetimes: LifetimeBounds::UNBOUNDED }
}

/// A shard with one hash, of so many fields whose deadline is 10 and as many as `lasting` without one.
fn shard_with_fields(fields: u32, lasting: u32) -> Shard {
    let hasher = KeyHasher::new(7);
    let mut shard = Shard::new(hasher.clone(), None, None);
    let key = Key { bytes: b"key", hash: hasher.hash(b"key") };
    let limits = HashLimits { entries: 0, value: 0 };
    let written = shard.write_hash(&key, limits, &at(0), |hash| {
        (0..fields + lasting).for_each(|field| {
            hash.set(&field.to_be_bytes(), b"value");
        });
        (0..fields).for_each(|field| assert!(hash.set_deadline(&field.to_be_bytes(), Some(10))));
    });
    assert_eq!(written, Ok(()));
    shard
}

fn fields_left(shard: &Shard) -> usize {
    let mut left = 0;
    shard.entries.for_each(|entry| {
        let hash = entry.parts().and_then(|parts| parts.hash()).expect("it is a hash");
        left += hash.len();
    });
    left
}

#[test]
fn fields_that_expire_count_against_the_limit_of_a_step() {
    let mut shard = shard_with_fields(150, 2);
    assert_eq!(shard.expire_due(&at(10), 64), 0, "in the millisecond of their deadline they are there");
    for removed in [64, 64, 22, 0] {
        // Nobody sees those that are left to later steps.
        assert_eq!((shard.expire_due(&at(11), 64), fields_left(&shard)), (removed, 2));
    }
    assert_eq!((shard.len(), shard.counts.expired), (1, 0));
}

#[test]
fn a_hash_all_of_whose_fields_expire_goes_as_a_whole() {
    let mut shard = shard_with_fields(150, 0);
    assert_eq!(shard.expire_due(&at(11), 64), 1);
    assert_eq!((shard.len(), shard.counts.expired), (0, 1));
}
