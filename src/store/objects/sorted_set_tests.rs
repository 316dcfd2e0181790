//! Sorted sets exercised at random against a plain map, in both forms and from one to the other.
//!
//! `QUARTET_LONG=1` takes a million steps, and `QUARTET_SHORT=1` a few.

use std::collections::BTreeMap;

use super::sorted_set::{SortedSetLimits, SortedSetWriter};
use crate::random::Random;
use crate::store::entries::Entry;
use crate::store::hash::{KeyHasher, PARTS_MAX};
use crate::store::object::{Bound, Object, PackedKind, SortedSet};
use crate::store::random_steps::steps;

/// A sorted set in an entry of its own, and what it should hold.
struct Pair {
    entry: Entry,
    hasher: KeyHasher,
    limits: SortedSetLimits,
    model: BTreeMap<Vec<u8>, f64>,
}

impl Pair {
    fn new(entries: usize, value: usize) -> Pair {
        Pair {
            entry: Entry::new_packed(b"key", PackedKind::SortedSet, None),
            hasher: KeyHasher::new(7),
            limits: SortedSetLimits { entries, value },
            model: BTreeMap::new(),
        }
    }

    fn writer(&mut self) -> SortedSetWriter<'_> {
        SortedSetWriter::over(&mut self.entry, self.limits, &self.hasher)
    }

    fn sorted_set(&self) -> SortedSet<'_> {
        self.entry.view().parts().and_then(|parts| parts.sorted_set()).expect("it is a sorted set")
    }

    fn encoding(&self) -> &'static str {
        self.entry.view().parts().map(|parts| parts.encoding()).expect("it is a sorted set")
    }

    fn set(&mut self, member: &[u8], score: f64) {
        let is_new = self.writer().set(member, score);
        assert_eq!(is_new, self.model.insert(member.to_vec(), score).is_none());
        assert_eq!(self.sorted_set().score(member), Some(score));
    }

    fn remove(&mut self, member: &[u8]) {
        assert_eq!(self.writer().remove(member), self.model.remove(member).is_some());
        assert_eq!(self.sorted_set().score(member), None);
    }

    /// The members in their order.
    fn ordered(&self) -> Vec<(Vec<u8>, f64)> {
        let mut ordered: Vec<_> = self.model.iter().map(|(member, score)| (member.clone(), *score)).collect();
        ordered.sort_by(|(member, score), (other, other_score)| {
            score.partial_cmp(other_score).expect("scores are numbers").then_with(|| member.cmp(other))
        });
        ordered
    }

    fn remove_ranks(&mut self, start: usize, count: usize) {
        let ordered = self.ordered();
        let end = (start + count).min(ordered.len());
        let start = start.min(end);
        self.writer().remove_ranks(start..end);
        for (member, _) in &ordered[start..end] {
            self.model.remove(member);
        }
    }

    /// Compares all that can be asked.
    fn assert_same(&self, random: &mut Random) {
        let (ordered, sorted_set) = (self.ordered(), self.sorted_set());
        assert_eq!(sorted_set.len(), ordered.len());
        // To ask for memory changes nothing, whether the members are there or not.
        if let Some(object) = self.entry.view().object() {
            let members: Vec<&[u8]> = self.model.keys().map(Vec::as_slice).chain([&b"none"[..]]).collect();
            members.chunks(PARTS_MAX).for_each(|members| object.prefetch(members));
        }
        let start = random.below(ordered.len() + 1);
        let end = start + random.below(ordered.len() + 1 - start);
        for range in [0..ordered.len(), start..end] {
            for is_reversed in [false, true] {
                let mut seen = Vec::new();
                sorted_set
                    .visit(range.clone(), is_reversed, |member, score| seen.push((member.to_vec(), score)));
                if is_reversed {
                    seen.reverse();
                }
                assert_eq!(seen, ordered[range.clone()]);
            }
        }
        for _ in 0..8 {
            let Some((member, score)) = ordered.get(random.below(ordered.len() + 1)) else { continue };
            let counted = |bound: Bound<'_>| {
                ordered.iter().filter(|(member, score)| bound.is_behind(*score, || member)).count()
            };
            for bound in [
                Bound::BelowScore(*score),
                Bound::UpToScore(*score),
                Bound::BelowScore(*score + 0.5),
                Bound::Below(*score, member),
                Bound::UpTo(*score, member),
                Bound::Start,
                Bound::End,
            ] {
                assert_eq!(sorted_set.count(bound), counted(bound), "{bound:?}");
            }
            assert_eq!(sorted_set.rank(member), Some((counted(Bound::Below(*score, member)), *score)));
            let place = counted(Bound::Below(*score, member));
            sorted_set.visit_places(&[place], |other, _| assert_eq!(other, member));
        }
        let (mut cursor, mut scanned) = (0, BTreeMap::new());
        loop {
            cursor = sorted_set.scan(cursor, 1 + random.below(50), |member, score| {
                scanned.insert(member.to_vec(), score);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, self.model);
        if let Some(Object::SortedSet(tree)) = self.entry.view().object() {
            tree.check();
        }
    }
}

fn member(number: usize) -> Vec<u8> {
    match number % 50 {
        0 => vec![b'm'; 200 + number / 10],
        1 => number.to_string().repeat(7).into_bytes(),
        2..20 => number.to_string().into_bytes(),
        _ => format!("member:{number}").into_bytes(),
    }
}

fn score(random: &mut Random) -> f64 {
    match random.below(8) {
        0 => random.below(4) as f64 / 4.0,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -(random.below(1_000_000) as f64),
        _ => random.below(300) as f64,
    }
}

#[test]
fn a_sorted_set_is_a_map_in_order() {
    let steps = steps(30_000);
    let mut random = Random::with_seed(11);
    let mut pair = Pair::new(40, 100);
    // How many members there are among, and how many of eight steps add: it grows, and shrinks to nothing.
    let (mut members, mut additions) = (50, 5);
    for step in 0..steps {
        if step % 3_000 == 0 {
            members = [60, 2_000, 9_000][random.below(3)];
            additions = 1 + random.below(7);
        }
        let member = member(random.below(members));
        match random.below(64) {
            0 => pair.remove_ranks(random.below(members), random.below(4)),
            1 if step % 7 == 0 => pair.remove_ranks(random.below(members / 2), random.below(members)),
            2 => pair.entry = pair.entry.view().copied_to(b"copy"),
            3 => pair.limits = SortedSetLimits { entries: random.below(200), value: random.below(300) },
            4 if step % 5 == 0 => {
                pair.entry = Entry::new_packed(b"key", PackedKind::SortedSet, None);
                pair.model.clear();
            }
            _ if random.below(8) < additions => pair.set(&member, score(&mut random)),
            _ => pair.remove(&member),
        }
        if step % 256 == 0 || pair.model.len() < 30 && step % 16 == 0 {
            pair.assert_same(&mut random);
        }
    }
    pair.assert_same(&mut random);
}

#[test]
fn members_of_one_score_are_in_their_own_order() {
    let mut pair = Pair::new(0, 0);
    for number in 0..2_000 {
        pair.set(format!("{:04}", number * 7919 % 2_000).as_bytes(), 0.0);
    }
    assert_eq!(pair.sorted_set().count(Bound::BelowMember(b"0100")), 100);
    assert_eq!(pair.sorted_set().count(Bound::UpToMember(b"0100")), 101);
    assert_eq!(pair.sorted_set().range_of_members(Bound::Start, Bound::BelowMember(b"1"), false), 0..1_000);
    pair.assert_same(&mut Random::with_seed(1));
}

/// A member that is there from the first step of a scan to the last is seen, whatever is added, moved and removed between.
#[test]
fn a_scan_sees_what_stays() {
    for seed in 0..20 {
        let mut random = Random::with_seed(seed);
        let mut pair = Pair::new(0, 0);
        let stays = 50 + random.below(2_000);
        let name = |number: usize| number.to_be_bytes();
        (0..stays).for_each(|number| pair.set(&name(number), score(&mut Random::with_seed(number as u64))));
        let (mut cursor, mut seen) = (0, std::collections::BTreeSet::new());
        loop {
            cursor = pair.sorted_set().scan(cursor, 1 + random.below(30), |member, _| {
                seen.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
            let first = stays + random.below(3_000);
            let adds = random.below(2) == 0;
            for number in first..first + random.below(300) {
                if adds { pair.set(&name(number), score(&mut random)) } else { pair.remove(&name(number)) }
            }
            pair.set(&name(random.below(stays)), score(&mut random));
        }
        assert!((0..stays).all(|number| seen.contains(name(number).as_slice())), "seed {seed}");
    }
}

#[test]
fn a_sorted_set_of_ten_members_takes_little() {
    let mut pair = Pair::new(128, 64);
    for number in 0..10 {
        pair.set(format!("member{number}").as_bytes(), 40.0 + f64::from(number));
    }
    assert!((100..=112).contains(&pair.entry.view().memory()), "{}", pair.entry.view().memory());
}

#[test]
fn a_large_sorted_set_takes_few_bytes_for_a_member() {
    const MEMBERS: usize = 100_000;
    let mut random = Random::with_seed(5);
    let mut pair = Pair::new(128, 64);
    for number in 0..MEMBERS {
        pair.writer().set(format!("member:{number:09}").as_bytes(), random.below(1_000_000) as f64 / 8.0);
    }
    // Sixteen bytes of the member, eight of its score, two of its head, and a slot of the table.
    let each = pair.entry.view().memory() / MEMBERS;
    assert!((36..=46).contains(&each), "{each}");
    for number in 100..MEMBERS {
        pair.writer().remove(format!("member:{number:09}").as_bytes());
    }
    assert!(pair.entry.view().memory() < 32_000, "{}", pair.entry.view().memory());
}

#[test]
fn a_packed_sorted_set_has_a_most_of_bytes() {
    let mut pair = Pair::new(usize::MAX, usize::MAX);
    pair.set(&[7; 59_000], 1.0);
    assert_eq!(pair.encoding(), "listpack");
    pair.set(&[8; 2_000], 0.5);
    assert_eq!((pair.encoding(), pair.sorted_set().len()), ("skiplist", 2));
    pair.set(&vec![9; 200_000], -1.0);
    pair.remove(&[7; 59_000]);
    pair.assert_same(&mut Random::with_seed(1));
}
