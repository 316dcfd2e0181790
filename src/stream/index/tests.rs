//! The index against a plain list of all messages, and what it takes in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::random::Random;
use crate::stream::filter::Filter;
use quartet_protocol::broker::subject::matches;

const FILTERS: &[&[&str]] = &[
    &[],
    &[">"],
    &["a.>"],
    &["a.*.x"],
    &["*.3.x"],
    &["a.1.x"],
    &["b.2.y", "a.2.x"],
    &["a.*.x", "a.1.>", "a.1.x"],
    &["c"],
    &["none.>"],
];

/// Every stored message by its sequence: subject and size.
#[derive(Default)]
struct Twin {
    stored: BTreeMap<u64, (String, u64)>,
    last: u64,
}

impl Twin {
    fn of<'t>(&'t self, filters: &'t [&str], from: u64) -> impl DoubleEndedIterator<Item = (u64, &'t str)> {
        let is_wanted = |subject: &str| {
            let mut filters = filters.iter();
            filters.len() == 0 || filters.any(|filter| matches(filter.as_bytes(), subject.as_bytes()))
        };
        let all = self.stored.range(from..).map(|(sequence, (subject, _))| (*sequence, &**subject));
        all.filter(move |(_, subject)| is_wanted(subject))
    }

    fn first(&self) -> u64 {
        self.stored.keys().next().copied().unwrap_or(self.last + 1)
    }
}

fn subject_at(random: &mut Random) -> String {
    let (first, third) = (["a", "b"][random.below(2)], ["x", "y"][random.below(2)]);
    if random.below(10) == 0 { "c".to_owned() } else { format!("{first}.{}.{third}", random.below(5)) }
}

fn check(index: &Index, twin: &Twin, random: &mut Random) {
    assert_eq!((index.first(), index.last()), (twin.first(), twin.last));
    assert_eq!(index.messages(), twin.stored.len() as u64);
    assert_eq!(index.bytes(), twin.stored.values().map(|(_, size)| size).sum::<u64>());
    let gone = (twin.first()..=twin.last).filter(|sequence| !twin.stored.contains_key(sequence));
    assert_eq!(index.deleted().iter().collect::<Vec<_>>(), gone.collect::<Vec<_>>());
    let from = random.below(twin.last as usize + 3) as u64;
    assert_eq!(index.stored_from(from), twin.stored.range(from..).next().map(|(sequence, _)| *sequence));
    for patterns in FILTERS {
        check_filter(index, twin, patterns, from);
    }
}

fn check_filter(index: &Index, twin: &Twin, patterns: &[&str], from: u64) {
    let filter = &Filter::of(patterns.iter().map(|pattern| pattern.as_bytes()));
    let wanted: Vec<(u64, &str)> = twin.of(patterns, from).collect();
    match index.count_from(from, filter) {
        Count::Exact(count) => assert_eq!(count, wanted.len() as u64, "{patterns:?} from {from}"),
        Count::AtLeast(count, open) => {
            assert!(!index.keeps_sequences());
            let rest = wanted.iter().filter(|(_, subject)| open.contains(subject.as_bytes())).count() as u64;
            assert_eq!(count + rest, wanted.len() as u64, "{patterns:?} from {from}");
        }
    }
    let next = wanted.first().map(|(sequence, _)| *sequence);
    match index.next(from, filter) {
        Next::None => assert_eq!(next, None, "{patterns:?} from {from}"),
        Next::At(at) => assert_eq!(next, Some(at), "{patterns:?} from {from}"),
        Next::NotBefore(bound) => {
            assert!(!index.keeps_sequences() && bound >= from && next.is_none_or(|next| next >= bound));
        }
    }
    let newest: BTreeMap<&str, u64> =
        twin.of(patterns, 0).map(|(sequence, subject)| (subject, sequence)).collect();
    let found = index.last_of_each(filter, newest.len()).expect("there are not more subjects");
    assert_eq!(found.len(), newest.len());
    assert!(found.is_sorted_by_key(|(_, last)| last.sequence));
    for (subject, last) in &found {
        let newest = newest[std::str::from_utf8(subject).expect("it is text")];
        assert!(if last.is_exact { last.sequence == newest } else { last.sequence > newest });
    }
    if !newest.is_empty() {
        assert_eq!(index.last_of_each(filter, newest.len() - 1), Err(TooManySubjects));
    }
    let last = index.last_matching(filter);
    let newest = newest.into_values().max();
    assert!(last.is_none_or(|last| if last.is_exact {
        Some(last.sequence) == newest
    } else {
        Some(last.sequence) > newest
    }));
    assert_eq!(last.is_none(), newest.is_none());
}

/// Random messages and removals.  With `corrects`, storage is asked about every bound.
fn run(seed: u64, of_subject: Option<u64>, corrects: bool) {
    let mut random = Random::with_seed(seed);
    let (mut index, mut twin) = (Index::new(1, of_subject), Twin::default());
    for _ in 0..300 {
        match random.below(10) {
            0..5 => {
                let (subject, size) = (subject_at(&mut random), random.below(100) as u64);
                let sequence = twin.last + 1 + random.below(20).saturating_sub(18) as u64;
                index.add(sequence, subject.as_bytes(), size);
                twin.stored.insert(sequence, (subject, size));
                twin.last = sequence;
            }
            5 if random.below(20) == 0 => {
                index.clear(twin.last + 3);
                twin.stored.clear();
                twin.last += 2;
            }
            6 if random.below(5) == 0 => {
                index.skip(twin.last + 2);
                twin.last += 2;
            }
            action => {
                let at = if action < 8 { twin.first() } else { random.below(twin.last as usize + 2) as u64 };
                let gone = twin.stored.remove(&at);
                let (subject, size) = gone.clone().unwrap_or_default();
                assert_eq!(index.remove(at, subject.as_bytes(), size), gone.is_some());
            }
        }
        if corrects {
            correct(&mut index, &twin);
        }
        check(&index, &twin, &mut random);
    }
}

fn correct(index: &mut Index, twin: &Twin) {
    let subjects: BTreeSet<&str> = twin.stored.values().map(|(subject, _)| &**subject).collect();
    for subject in subjects {
        let filters = [subject];
        let ends = [twin.of(&filters, 0).next(), twin.of(&filters, 0).next_back()];
        let [Some((first, _)), Some((last, _))] = ends else { continue };
        index.correct_first(subject.as_bytes(), first);
        index.correct_last(subject.as_bytes(), last);
        let known = index.subject(subject.as_bytes()).expect("it has messages");
        assert_eq!((known.first.sequence, known.last.sequence), (first, last));
        assert_eq!(known.count, twin.of(&filters, 0).count() as u64);
    }
}

#[test]
fn the_index_knows_what_a_list_knows() {
    for seed in 0..5 {
        run(seed, None, false);
        run(seed, None, true);
        run(seed, Some(1), false);
    }
}

#[test]
fn short_histories_are_known_exactly() {
    for seed in 0..5 {
        run(seed, Some(HISTORY_MAX), false);
    }
    let mut index = Index::new(1, Some(5));
    (1..=5).for_each(|sequence| index.add(sequence, b"key", 1));
    assert!(index.remove(3, b"key", 1) && index.remove(1, b"key", 1) && index.remove(5, b"key", 1));
    assert_eq!(index.sequences(b"key"), Some(vec![2, 4]));
    assert_eq!(index.sequences(b"other"), Some(Vec::new()));
}

#[test]
fn histories_are_kept_for_two_to_sixty_four_messages() {
    let keeps = |max| Index::new(1, max).keeps_sequences();
    let kept = [None, Some(1), Some(2), Some(HISTORY_MAX), Some(HISTORY_MAX + 1)].map(keeps);
    assert_eq!(kept, [false, false, true, true, false]);
    let mut index = Index::new(1, Some(5));
    assert!(!index.change_history(Some(10)) && index.keeps_sequences());
    assert!(!index.change_history(None) && !index.keeps_sequences());
    assert!(index.change_history(Some(10)));
}

#[test]
fn a_stream_begins_where_it_is_told_and_goes_on_behind_what_was_given() {
    let mut index = Index::new(100, None);
    assert_eq!((index.first(), index.last()), (100, 99));
    index.add(100, b"a", 7);
    index.clear(0);
    assert_eq!((index.first(), index.last(), index.messages(), index.bytes()), (101, 100, 0, 0));
    index.clear(200);
    assert_eq!((index.first(), index.last()), (200, 199));
}

#[test]
fn long_holes_are_crossed() {
    let mut index = Index::new(1, None);
    index.add(1, b"a", 1);
    for hole in [1, 2, 3, 63, 64, 65, 1000, 300_000] {
        let next = index.last() + hole + 1;
        index.add(next, b"a", 1);
        for from in next - hole..=next {
            assert_eq!(index.stored_from(from), Some(next), "hole of {hole} from {from}");
            if hole > 1000 && from > next - hole + 10 && from < next - 10 {
                break;
            }
        }
        assert_eq!(index.stored_from(next - hole - 1), Some(next - hole - 1));
        assert_eq!(index.stored_from(next + 1), None);
    }
}

#[test]
fn a_restored_index_equals_the_former() {
    let mut index = Index::new(1, None);
    let mut restored = Index::new(1, None);
    restored.restore(2, 4, [3].into_iter().collect());
    restored.add_stored(2, b"b", 5);
    restored.add_many(b"a", 1, 4, 4, 9);
    for (sequence, subject) in [(1, "a"), (2, "b"), (3, "b"), (4, "a")] {
        index.add(sequence, subject.as_bytes(), if sequence == 2 { 5 } else { 9 });
    }
    assert!(index.remove(1, b"a", 9) && index.remove(3, b"b", 9));
    let state = |index: &Index| (index.first(), index.last(), index.messages(), index.bytes());
    assert_eq!(state(&restored), state(&index));
    assert_eq!(restored.subject(b"a"), index.subject(b"a"));
    assert_eq!(restored.count_from(3, &Filter::of([&b"b"[..]])), Count::Exact(0));
}

#[test]
fn a_subject_takes_less_than_a_hundred_bytes() {
    const SUBJECTS: u64 = 300_000;
    let mut index = Index::new(1, Some(1));
    let mut text_bytes = 0;
    for number in 0..SUBJECTS {
        let subject = format!("orders.{}.region.{number}", number % 100);
        text_bytes += subject.len();
        index.add(number + 1, subject.as_bytes(), 128);
    }
    let each = index.subjects_memory() as f64 / SUBJECTS as f64;
    println!("{each:.1} bytes a subject, {:.1} of them text", text_bytes as f64 / SUBJECTS as f64);
    // The allocator rounds a text up by less than 16 bytes.
    assert!(each + 16.0 <= 100.0, "{each} bytes");
    assert_eq!(index.matching(b"orders.7.*.>").count(), 3000);
}

/// Messages are added, lost and removed at random: an unknown one counts as stored, and for every filter.
#[test]
fn unknown_messages_are_stored_messages_of_any_subject() {
    for seed in 0..20 {
        let mut random = Random::with_seed(seed);
        let mut index = Index::new(1, [None, Some(5)][random.below(2)]);
        // Whether a stored message is known.
        let mut twin: BTreeMap<u64, bool> = BTreeMap::new();
        for _ in 0..300 {
            let of_any = |twin: &BTreeMap<u64, bool>, random: &mut Random| {
                twin.keys().nth(random.below(twin.len().max(1))).copied().unwrap_or_default()
            };
            match random.below(4) {
                0 | 1 => {
                    let sequence = index.last() + 1 + random.below(9).saturating_sub(6) as u64;
                    index.add(sequence, if sequence.is_multiple_of(2) { b"even" } else { b"odd" }, 10);
                    twin.insert(sequence, true);
                }
                part => {
                    let start = of_any(&twin, &mut random);
                    for sequence in start..start + [1, 1, 12][random.below(3)] {
                        let subject: &[u8] = if sequence.is_multiple_of(2) { b"even" } else { b"odd" };
                        if part == 2 {
                            let former = twin.get_mut(&sequence).map(std::mem::take);
                            assert_eq!(index.lose(sequence, subject, 10), former.unwrap_or_default());
                        } else {
                            assert_eq!(index.remove(sequence, subject, 10), twin.remove(&sequence).is_some());
                        }
                    }
                }
            }
            let known = || twin.iter().filter(|(_, is_known)| **is_known).map(|(sequence, _)| *sequence);
            let unknown: Vec<u64> = twin.iter().filter(|(_, known)| !**known).map(|(at, _)| *at).collect();
            assert_eq!(index.unknown().iter().collect::<Vec<_>>(), unknown);
            assert_eq!((index.messages(), index.bytes()), (twin.len() as u64, known().count() as u64 * 10));
            assert_eq!(index.first(), twin.keys().next().copied().unwrap_or(index.last() + 1));
            let at = random.below(index.last() as usize + 3) as u64;
            assert_eq!(index.stored_from(at), twin.range(at..).next().map(|(sequence, _)| *sequence));
            assert_eq!(index.known_from(at), known().find(|sequence| *sequence >= at));
            assert_eq!(index.known_before(at), known().rfind(|sequence| *sequence < at));
            assert_eq!(index.last_unknown(at), unknown.iter().copied().rfind(|other| *other <= at));
            assert!(index.unknown_from(at).eq(unknown.iter().copied().filter(|other| *other >= at)));
            let odd = known().filter(|sequence| *sequence >= index.first() && sequence % 2 == 1).count();
            let counted = index.count_from(0, &Filter::of([&b"odd"[..]]));
            assert_eq!(counted, Count::Exact(odd as u64 + unknown.len() as u64));
        }
        let (mut restored, unknown) = (Index::new(1, None), index.unknown().clone());
        restored.restore(index.first(), index.last(), index.deleted().clone());
        for (sequence, _) in twin.iter().filter(|(_, is_known)| **is_known) {
            restored.add_stored(*sequence, if sequence % 2 == 0 { b"even" } else { b"odd" }, 10);
        }
        restored.add_unknown(unknown);
        assert_eq!((restored.messages(), restored.bytes()), (index.messages(), index.bytes()));
    }
}
