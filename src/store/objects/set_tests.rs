//! Sets exercised at random against a plain one, in all forms and from one to the other.
//!
//! `QUARTET_LONG=1` takes a million steps, and `QUARTET_SHORT=1` a few.

use std::collections::BTreeSet;

use super::set::{SetLimits, SetWriter};
use crate::random::Random;
use crate::store::entries::Entry;
use crate::store::hash::{KeyHasher, PARTS_MAX};
use crate::store::object::{Object, PackedKind, Set};
use crate::store::random_steps::steps;

/// A set in an entry of its own, and what it should hold.
struct Pair {
    entry: Entry,
    hasher: KeyHasher,
    limits: SetLimits,
    model: BTreeSet<Vec<u8>>,
}

impl Pair {
    fn new(integers: usize, entries: usize, value: usize) -> Pair {
        Pair {
            entry: Entry::new_packed(b"key", PackedKind::Integers, None),
            hasher: KeyHasher::new(7),
            limits: SetLimits { integers, entries, value },
            model: BTreeSet::new(),
        }
    }

    fn writer(&mut self) -> SetWriter<'_> {
        SetWriter::over(&mut self.entry, self.limits, &self.hasher)
    }

    fn set(&self) -> Set<'_> {
        self.entry.view().parts().and_then(|parts| parts.set()).expect("it is a set")
    }

    fn encoding(&self) -> &'static str {
        self.entry.view().parts().map(|parts| parts.encoding()).expect("it is a set")
    }

    fn add(&mut self, member: &[u8]) {
        assert_eq!(self.writer().add(member), self.model.insert(member.to_vec()));
        assert!(self.set().contains(member));
    }

    fn remove(&mut self, member: &[u8]) {
        assert_eq!(self.writer().remove(member), self.model.remove(member));
        assert!(!self.set().contains(member));
    }

    fn assert_same(&self) {
        let set = self.set();
        assert_eq!(set.len(), self.model.len());
        let (mut seen, mut placed, mut scanned) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        set.for_each(|member| assert!(seen.insert(member.to_vec())));
        set.visit_places(&(0..set.len()).collect::<Vec<_>>(), |member| {
            placed.insert(member.to_vec());
        });
        // To ask for memory changes nothing, whether the members are there or not.
        if let Some(object) = self.entry.view().object() {
            let members: Vec<&[u8]> = self.model.iter().map(Vec::as_slice).chain([&b"none"[..]]).collect();
            members.chunks(PARTS_MAX).for_each(|members| object.prefetch(members));
        }
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, 7, |member| {
                scanned.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((&seen, &placed, &scanned), (&self.model, &self.model, &self.model));
        if let Some(Object::Set(table)) = self.entry.view().object() {
            table.check();
        }
    }
}

fn member(number: usize, kind: usize) -> Vec<u8> {
    match (kind, number % 40) {
        (0, 0) => (number as i64 * -3_000_000_000).to_string().into_bytes(),
        (0, 1) => (number as i64 * 70_000).to_string().into_bytes(),
        (0, _) => number.to_string().into_bytes(),
        (_, 0) => vec![b'm'; 200 + number / 10],
        (_, 1) => format!("0{number}").into_bytes(),
        (_, 2..20) => number.to_string().into_bytes(),
        _ => format!("member:{number}").into_bytes(),
    }
}

#[test]
fn a_set_is_a_set_in_all_forms() {
    let steps = steps(30_000);
    let mut random = Random::with_seed(3);
    let mut pair = Pair::new(60, 40, 100);
    let (mut members, mut kind, mut additions) = (50, 0, 5);
    for step in 0..steps {
        if step % 1_500 == 0 {
            (members, kind) = ([60, 300, 5_000][random.below(3)], random.below(2));
            additions = 1 + random.below(7);
        }
        let member = member(random.below(members), kind);
        match random.below(64) {
            0 => pair.entry = pair.entry.view().copied_to(b"copy"),
            1 => {
                pair.limits = SetLimits {
                    integers: random.below(200),
                    entries: random.below(200),
                    value: random.below(300),
                };
            }
            2 if step % 4 == 0 => {
                pair.entry = Entry::new_packed(b"key", PackedKind::Integers, None);
                pair.model.clear();
            }
            _ if random.below(8) < additions => pair.add(&member),
            _ => pair.remove(&member),
        }
        if step % 256 == 0 || pair.model.len() < 30 && step % 16 == 0 {
            pair.assert_same();
        }
    }
    pair.assert_same();
}

/// A member that is there from the first step of a scan to the last is seen, whatever is added and removed between.
#[test]
fn a_scan_sees_what_stays() {
    for seed in 0..20 {
        let mut random = Random::with_seed(seed);
        let mut pair = Pair::new(0, 0, 0);
        let stays = 50 + random.below(2_000);
        (0..stays).for_each(|number| pair.add(&number.to_be_bytes()));
        let (mut cursor, mut seen) = (0, BTreeSet::new());
        loop {
            cursor = pair.set().scan(cursor, 1 + random.below(30), |member| {
                seen.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
            let (first, adds) = (stays + random.below(3_000), random.below(2) == 0);
            for number in first..first + random.below(300) {
                if adds { pair.add(&number.to_be_bytes()) } else { pair.remove(&number.to_be_bytes()) }
            }
        }
        assert!((0..stays).all(|number| seen.contains(number.to_be_bytes().as_slice())), "seed {seed}");
    }
}

#[test]
fn forms_follow_from_the_limits() {
    let mut pair = Pair::new(4, 3, 10);
    (0..3).for_each(|number| pair.add(number.to_string().as_bytes()));
    assert_eq!(pair.encoding(), "intset");
    pair.remove(b"0");
    pair.add(b"word");
    assert_eq!(pair.encoding(), "listpack");
    pair.add(b"9");
    assert_eq!(pair.encoding(), "hashtable");
    let mut pair = Pair::new(4, 3, 10);
    (0..4).for_each(|number| pair.add(number.to_string().as_bytes()));
    assert_eq!(pair.encoding(), "intset");
    pair.add(b"4");
    assert_eq!(pair.encoding(), "hashtable");
    let mut pair = Pair::new(4, 3, 10);
    pair.add(b"a long member");
    assert_eq!(pair.encoding(), "hashtable");
}

#[test]
fn sets_take_few_bytes_for_a_member() {
    const MEMBERS: usize = 100_000;
    let mut pair = Pair::new(512, 128, 64);
    (0..100).for_each(|number| pair.add((number * 300).to_string().as_bytes()));
    assert!((210..=250).contains(&pair.entry.view().memory()), "{}", pair.entry.view().memory());
    for number in 0..MEMBERS {
        pair.writer().add(format!("member:{number:09}").as_bytes());
    }
    // Sixteen bytes of the member, two of its head, and a slot of the table.
    let each = pair.entry.view().memory() / MEMBERS;
    assert!((28..=33).contains(&each), "{each}");
}
