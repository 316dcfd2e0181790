//! Files of streams over losses of power, failed writes and a full disk: what a snapshot has named is there.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::random::Random;
use quartet::stream::segment::{
    AppendError, Appender, FileEntry, FileId, Segments, open, remove_others, rewrite,
};

use super::{FILE_BYTES, Message, STREAM, Twin, read_all};
use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

/// A stream as its last snapshot knows it.
#[derive(Clone, Default)]
struct Named {
    entries: Vec<FileEntry>,
    next_number: u64,
    messages: Twin,
}

/// What a server does between two snapshots.  An error is the end of the attempt.
fn move_messages(
    disk: &SimulatedDisk,
    segments: &mut Segments,
    named: &Named,
    random: &mut Random,
) -> Option<Named> {
    let mut twin = named.messages.clone();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut appender = Appender::new(Arc::clone(&disk), STREAM, named.next_number, FILE_BYTES);
    if random.below(4) == 0 {
        let entries = segments.entries();
        let segment = segments.at_or_behind(entries.get(random.below(entries.len() + 1))?.first)?;
        twin.retain(|sequence, _| {
            *sequence < segment.summary().first || sequence % 3 != 0 || *sequence > segment.summary().last
        });
        rewrite(&segment, &mut appender, |sequence| twin.contains_key(&sequence)).ok()?;
        let (written, next_number) = appender.finish().ok()?;
        segments.replace(segment.id(), written);
        return Some(Named { entries: segments.entries(), next_number, messages: twin });
    }
    if let Some(last) = segments.last() {
        appender.resume(last).ok()?;
    }
    for _ in 0..1 + random.below(60) {
        let sequence = twin.keys().next_back().copied().unwrap_or_default() + 1;
        let message = Message::random(random, sequence);
        match appender.append(&message.stored(sequence)) {
            Ok(()) => drop(twin.insert(sequence, message)),
            Err(AppendError::Io(_)) => return None,
            Err(error) => panic!("{error}"),
        }
    }
    let (written, next_number) = appender.finish().ok()?;
    segments.install(written);
    if random.below(5) == 0 {
        let first = twin.keys().nth(random.below(twin.len())).copied().unwrap_or_default();
        segments.take_before(first);
        let first = segments.entries().first().map_or(first, |entry| entry.first);
        twin.retain(|sequence, _| *sequence >= first);
    }
    Some(Named { entries: segments.entries(), next_number, messages: twin })
}

/// A start: what is not named goes away, the rest is opened and is as it was.
fn start(disk: &SimulatedDisk, named: &Named, context: &str) -> Segments {
    let is_named = |id: FileId| named.entries.iter().any(|entry| entry.number == id.number);
    remove_others(disk, is_named).expect("the disk works again");
    let opened = named.entries.iter().map(|entry| open(disk, STREAM, entry).expect("it is there"));
    let segments = opened.map(|opened| {
        assert_eq!(opened.damages, [], "{context}");
        opened.segment
    });
    let segments = Segments::new(segments.collect());
    let (found, is_damaged) = read_all(&segments, 0);
    assert!(!is_damaged, "{context}");
    let expected: Vec<_> =
        named.messages.iter().map(|(sequence, message)| (*sequence, message.clone())).collect();
    assert_eq!(found, expected, "{context}");
    segments
}

fn survival(random: &mut Random) -> Survival {
    match random.below(4) {
        0 => Survival::Nothing,
        1 => Survival::Everything,
        _ => Survival::Blocks(1 << random.below(12)),
    }
}

#[test]
fn what_a_snapshot_has_named_survives_the_loss_of_power() {
    for seed in 0..200 {
        let mut random = Random::with_seed(seed);
        let (mut disk, mut named) = (SimulatedDisk::default(), Named { next_number: 1, ..Named::default() });
        let mut segments = Segments::default();
        for round in 0..12 {
            let at = disk.operations() + random.below(12) as u64;
            let has_trouble = random.below(2) == 0;
            if has_trouble {
                let trouble = [Trouble::PowerLostBefore(at), Trouble::PowerLostAfter(at)][random.below(2)];
                disk.expect_trouble(trouble);
            }
            if let Some(moved) = move_messages(&disk, &mut segments, &named, &mut random) {
                named = moved;
            }
            if has_trouble || random.below(3) == 0 {
                disk = disk.after_power_loss(survival(&mut random), &mut random);
                segments = start(&disk, &named, &format!("seed {seed}, round {round}"));
            }
        }
    }
}

#[test]
fn an_attempt_that_failed_is_made_again() {
    for seed in 0..200 {
        let mut random = Random::with_seed(seed);
        let (disk, mut named) = (SimulatedDisk::default(), Named { next_number: 1, ..Named::default() });
        let mut segments = Segments::default();
        for round in 0..12 {
            let at = disk.operations() + random.below(8) as u64;
            disk.expect_trouble([Trouble::Error(at), Trouble::Full(at, at + 3)][random.below(2)]);
            let before = Segments::new(segments.from(0));
            match move_messages(&disk, &mut segments, &named, &mut random) {
                Some(moved) => named = moved,
                None => segments = before,
            }
            disk.expect_trouble(Trouble::Error(0));
            let (found, is_damaged) = read_all(&segments, 0);
            assert!(!is_damaged && found.len() == named.messages.len(), "seed {seed}, round {round}");
            let lost = disk.after_power_loss(survival(&mut random), &mut random);
            start(&lost, &named, &format!("seed {seed}, round {round}"));
        }
    }
}
