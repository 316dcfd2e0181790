//! Ids are known for their window, and a naive twin knows the same.

use super::*;
use crate::random::Random;

const SEED: [u64; 2] = [3, 5];
const START: i64 = 1_700_000_000_000_000_000;

fn ids(window: i64) -> MessageIds {
    MessageIds::new(SEED, window)
}

#[test]
fn an_id_is_known_for_its_window_and_not_longer() {
    let mut ids = ids(1000);
    ids.insert(b"a", 5, START);
    assert_eq!(ids.find(b"a", START + 999), Some(5));
    assert_eq!(ids.find(b"a", START + 1000), None);
    assert_eq!(ids.find(b"b", START), None);
    ids.insert(b"a", 6, START + 1000);
    assert_eq!(ids.find(b"a", START + 1000), Some(6));
    // A duplicate does not prolong it, and a message that was told already changes nothing.
    ids.insert(b"a", 6, START + 1500);
    ids.insert(b"b", 4, START + 1500);
    assert_eq!((ids.find(b"a", START + 2000), ids.find(b"b", START + 1500)), (None, None));
}

#[test]
fn another_window_counts_for_ids_that_are_known() {
    let mut ids = ids(1000);
    ids.insert(b"a", 1, START);
    ids.set_window(100);
    assert_eq!(ids.find(b"a", START + 100), None);
    ids.set_window(10_000);
    assert_eq!(ids.find(b"a", START + 9_999), Some(1));
}

#[test]
fn a_message_that_was_deleted_frees_its_id() {
    let mut ids = ids(1000);
    for sequence in 1..=3 {
        ids.insert(format!("{sequence}").as_bytes(), sequence, START);
    }
    ids.forget(2);
    ids.forget(99);
    assert_eq!([b"1", b"2", b"3"].map(|id| ids.find(id, START)), [Some(1), None, Some(3)]);
    assert_eq!(ids.known(3, START).map(|id| id.sequence).max(), Some(3));
    assert!(ids.known(3, START).all(|id| id.sequence != 2));
    ids.insert(b"2", 4, START);
    assert_eq!(ids.find(b"2", START), Some(4));
    ids.clear();
    assert_eq!([b"1", b"2", b"3"].map(|id| ids.find(id, START)), [None; 3]);
    ids.insert(b"2", 5, START);
    assert_eq!(ids.find(b"2", START), Some(5));
}

#[test]
fn a_purge_frees_no_id_of_a_message_behind_it() {
    let mut ids = ids(1000);
    for sequence in 1..=4 {
        ids.insert(format!("{sequence}").as_bytes(), sequence, START);
    }
    ids.clear_before(3);
    assert_eq!([b"1", b"2", b"3", b"4"].map(|id| ids.find(id, START)), [None, None, Some(3), Some(4)]);
    ids.insert(b"1", 5, START);
    assert_eq!(ids.find(b"1", START), Some(5));
    ids.clear_before(6);
    assert!(ids.is_empty());
}

#[test]
fn no_more_ids_come_in_than_there_may_be() {
    assert_eq!(ids(1000).ids_max, IDS_MAX);
    let mut ids = MessageIds { ids_max: 100, ..ids(1000) };
    for sequence in 1..100 {
        ids.insert(&sequence.to_string().into_bytes(), sequence, START);
    }
    assert!(!ids.is_full());
    ids.insert(b"100", 100, START + 500);
    assert!(ids.is_full());
    // There is room again once the first have left.
    ids.retire(ids.next_retirement().expect("there are ids"));
    assert!(!ids.is_full() && ids.find(b"100", START + 1000) == Some(100));
    ids.retire(ids.next_retirement().expect("there is one"));
    assert!(ids.is_empty() && ids.next_retirement().is_none() && ids.memory() < 10_000);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_ids_for_ever() {
    let mut ids = ids(1000);
    ids.insert(b"a", 1, START + 1_000_000);
    ids.insert(b"b", 2, START);
    assert_eq!((ids.find(b"a", START + 999), ids.find(b"b", START + 999)), (Some(1), Some(2)));
    assert_eq!((ids.find(b"a", START + 1000), ids.find(b"b", START + 1000)), (None, None));
}

#[test]
fn sequences_may_be_far_apart() {
    let mut ids = ids(1000);
    ids.insert(b"a", 1, START);
    ids.insert(b"b", DISTANCE_MAX, START + 1);
    ids.insert(b"c", 1 << 60, START + 2);
    assert_eq!((ids.find(b"a", START + 2), ids.find(b"c", START + 2)), (None, Some(1 << 60)));
    ids.insert(b"d", u64::MAX - 1, START + 3);
    assert_eq!(ids.find(b"d", START + 3), Some(u64::MAX - 1));
}

/// The hash is on disks, so it never changes.
#[test]
fn the_hash_is_the_one_that_snapshots_have() {
    let mut ids = ids(1000);
    ids.insert(b"order-17", 9, START);
    let known: Vec<KnownId> = ids.known(9, START).collect();
    assert_eq!(known, [KnownId { hash: 0x00f8_6bab_c44c_1716_d013_ae39, sequence: 9 }]);
}

#[test]
fn an_id_takes_at_most_twenty_four_bytes() {
    for count in [10_000, 30_000, 100_000, 300_000] {
        let mut ids = ids(120_000_000_000);
        for sequence in 1..=count {
            ids.insert(format!("id-{sequence}").as_bytes(), sequence, START + sequence as i64 * 100_000);
        }
        let each = ids.memory() as f64 / count as f64;
        assert!(ids.len() as u64 == count && each <= 24.0, "{each} bytes for each of {count}");
    }
}

#[test]
fn ids_that_have_left_take_little() {
    let (mut ids, window) = (ids(50_000), 50_000);
    for sequence in 1..=200_000_u64 {
        ids.insert(&sequence.to_le_bytes(), sequence, START + sequence as i64);
        if sequence > window && sequence.is_multiple_of(997) {
            let each = ids.memory() as f64 / window as f64;
            assert!(each <= 24.0, "{each} bytes for each that is known");
        }
    }
    // The rest leaves though seldom any more comes.
    for step in 1..=8_u64 {
        let sequence = 200_000 + step;
        ids.insert(&sequence.to_le_bytes(), sequence, START + 200_000 + step as i64 * 6_250);
    }
    assert!(ids.len() < 10_000, "{}", ids.len());
}

/// What a stream would know that keeps everything.
#[derive(Default)]
struct Twin {
    /// Id, sequence, time, and whether it was beyond the window at some time.
    known: Vec<(u64, u64, i64, bool)>,
    /// The longest window so far: by a part of it an id may be forgotten before its time.
    longest: i64,
}

impl Twin {
    fn check(&mut self, id: u64, window: i64, now: i64, found: Option<u64>) {
        for (_, _, time, was_gone) in &mut self.known {
            *was_gone |= now - *time >= window - self.longest / MARKS_A_WINDOW;
        }
        let newest = self.known.iter().rev().find(|(known, ..)| *known == id);
        match newest {
            Some((_, sequence, time, false)) => {
                assert_eq!(found, Some(*sequence), "{id} of {} ago", now - time);
            }
            Some((_, sequence, time, true)) if now - time < window => {
                assert!(found.is_none_or(|found| found == *sequence));
            }
            _ => assert_eq!(found, None, "{id}"),
        }
    }
}

#[test]
fn it_knows_what_a_naive_twin_knows() {
    for seed in 0..8 {
        let mut random = Random::with_seed(seed);
        let (mut window, mut now, mut last) = (20_000, START, 0);
        let (mut ids, mut twin) = (ids(window), Twin { longest: window, ..Twin::default() });
        for _ in 0..6_000 {
            let step = if random.below(300) == 0 { 30_000 } else { 20 };
            now += random.below(step) as i64;
            last += 1 + random.below(3) as u64;
            let id = random.below(3_000) as u64;
            let found = ids.find(&id.to_le_bytes(), now);
            twin.check(id, window, now, found);
            if found.is_none() {
                ids.insert(&id.to_le_bytes(), last, now);
                twin.known.push((id, last, now, false));
            }
            match random.below(600) {
                0..60 => {
                    let sequence = last - random.below(200).min(last as usize) as u64;
                    ids.forget(sequence);
                    twin.known.retain(|(_, known, ..)| *known != sequence);
                }
                60 => {
                    ids.clear();
                    twin.known.clear();
                }
                61 | 62 => {
                    window = 2_000 + random.below(30_000) as i64;
                    twin.longest = twin.longest.max(window);
                    ids.set_window(window);
                }
                63..70 => ids.retire(now),
                70..75 => {
                    let through = last - random.below(2).min(last as usize) as u64 * 40;
                    ids = restored(&ids, window, through, now);
                    twin.known.retain(|(_, sequence, ..)| *sequence <= through);
                }
                _ => {}
            }
            twin.known.retain(|(_, _, time, _)| now - time < twin.longest);
        }
    }
}

/// What a start makes of a snapshot.
fn restored(ids: &MessageIds, window: i64, through: u64, now: i64) -> MessageIds {
    let mut restored = MessageIds::new(SEED, window);
    restored.restore_marks(&ids.marks(through, now));
    ids.known(through, now).for_each(|id| restored.restore(id));
    restored
}
