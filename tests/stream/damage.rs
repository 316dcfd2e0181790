//! Files that are cut anywhere, flipped anywhere, or mixed up: nothing wrong is ever returned as right, what cannot be read
//! is told, and everything else is read.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::random::Random;
use quartet::stream::segment::{
    Appender, Damage, FileEntry, FileId, ReadError, RewriteError, Segments, open, rewrite,
};

use super::{FILE_BYTES, STREAM, Twin, extend, filled, read_all, read_one};
use crate::support::simulated_disk::SimulatedDisk;

/// Bytes before the first record of a file.
const HEAD: usize = 32;

fn name_of(entry: &FileEntry) -> String {
    FileId { stream: STREAM, number: entry.number }.name()
}

fn opened(disk: &dyn Disk, entries: &[FileEntry]) -> (Segments, Vec<Damage>) {
    let opened = entries.iter().map(|entry| open(disk, STREAM, entry).expect("it is there"));
    let (segments, damages): (Vec<_>, Vec<_>) = opened.map(|opened| (opened.segment, opened.damages)).unzip();
    (Segments::new(segments), damages.concat())
}

/// Reads everything in every way, and says how many messages are lost.
fn check(disk: &dyn Disk, entries: &[FileEntry], twin: &Twin, context: &str) -> usize {
    let (segments, damages) = opened(disk, entries);
    let (found, _) = read_all(&segments, 0);
    assert!(found.is_sorted_by_key(|(sequence, _)| *sequence), "{context}");
    for (sequence, message) in &found {
        assert_eq!(twin.get(sequence), Some(message), "{context}: sequence {sequence}");
    }
    let mut lost = 0;
    for (sequence, message) in twin {
        match read_one(&segments, *sequence) {
            Ok(Some(found)) => assert_eq!(found, *message, "{context}: sequence {sequence}"),
            Ok(None) => panic!("{context}: sequence {sequence} is denied"),
            Err(ReadError::Damaged(damage)) => {
                assert!(damage.concerns(*sequence), "{context}: {damage}");
                lost += 1;
            }
            Err(error) => panic!("{context}: {error}"),
        }
    }
    assert_eq!(lost, twin.len() - found.len(), "{context}: what is not read is told");
    for damage in damages {
        let concerned = twin.keys().filter(|sequence| damage.concerns(**sequence)).count();
        assert!(concerned <= lost, "{context}: {damage}");
        assert!(damage.to_string().contains("simulated/"), "{damage}");
    }
    lost
}

/// A stream of three files, the last of them unsealed, and a file of it.
fn three_files() -> (Arc<SimulatedDisk>, Vec<FileEntry>, Twin) {
    let (mut seed, mut count) = (0, 30);
    loop {
        let (disk, segments, twin) = filled(seed, count);
        match segments.entries().len() {
            3 => return (disk, segments.entries(), twin),
            0..3 => count += 1,
            _ => (seed, count) = (seed + 1, 30),
        }
    }
}

#[test]
fn a_file_may_be_cut_at_every_byte() {
    let (disk, entries, twin) = three_files();
    assert_eq!(check(&*disk, &entries, &twin, "whole"), 0);
    for entry in &entries[1..] {
        let bytes = disk.contents(&name_of(entry));
        let messages = twin.range(entry.first..=entry.last).count();
        for end in 0..bytes.len() {
            let cut = disk.with(&name_of(entry), Some(bytes[..end].to_vec()));
            let lost = check(&cut, &entries, &twin, &format!("file {} cut at {end}", entry.number));
            assert!(lost <= messages);
            assert!(end > 60 || lost == messages, "nothing is left of the file");
        }
    }
}

#[test]
fn any_byte_may_be_flipped() {
    let (disk, entries, twin) = three_files();
    for entry in &entries[1..] {
        let bytes = disk.contents(&name_of(entry));
        let messages: Vec<u64> =
            twin.range(entry.first..=entry.last).map(|(sequence, _)| *sequence).collect();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let flipped = disk.with(&name_of(entry), Some(flipped));
            let directory = open(&flipped, STREAM, entry).expect("it is there").directory;
            let known: Vec<u64> = directory.rows().map(|row| row.sequence).collect();
            assert_eq!(known, messages, "file {} flipped at {at}: all are known", entry.number);
            let lost = check(&flipped, &entries, &twin, &format!("file {} flipped at {at}", entry.number));
            assert!(lost <= 1, "one byte belongs to one message, {lost} are lost");
        }
    }
}

#[test]
fn anything_may_happen_to_a_file() {
    let (disk, entries, twin) = three_files();
    for seed in 0..400 {
        let mut random = Random::with_seed(seed);
        let mut files: Vec<Vec<u8>> = entries.iter().map(|entry| disk.contents(&name_of(entry))).collect();
        for _ in 0..1 + random.below(6) {
            let (from, other) = (random.below(3), random.below(3));
            let length = 1 + random.below(2000);
            let start = random.below(files[from].len().max(1));
            let part: Vec<u8> = files[other].iter().skip(random.below(3000)).take(length).copied().collect();
            let end = (start + length).min(files[from].len());
            match random.below(5) {
                0 => files[from][start..end].fill(0),
                1 => drop(files[from].splice(start..end, part)),
                2 => drop(files[from].splice(start..start, part)),
                3 => drop(files[from].drain(start..end)),
                _ => files[from][start..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
            }
        }
        let mut mixed = (*disk).clone();
        for (entry, bytes) in entries.iter().zip(files) {
            mixed = mixed.with(&name_of(entry), Some(bytes));
        }
        check(&mixed, &entries, &twin, &format!("seed {seed}"));
    }
}

#[test]
fn a_file_of_another_place_is_none_of_this_stream() {
    let (disk, entries, twin) = three_files();
    let foreign = disk.contents(&name_of(&entries[0]));
    let swapped = disk.with(&name_of(&entries[1]), Some(foreign));
    let lost = check(&swapped, &entries, &twin, "swapped");
    assert_eq!(lost, twin.range(entries[1].first..=entries[1].last).count());
    let missing = disk.with(&name_of(&entries[1]), None);
    assert!(open(&missing, STREAM, &entries[1]).is_err());
}

#[test]
fn a_damaged_file_is_neither_written_on_nor_written_anew() {
    let (disk, entries, mut twin) = three_files();
    let last = entries[2];
    let mut bytes = disk.contents(&name_of(&last));
    bytes[last.length as usize / 4] ^= 1;
    bytes[last.length as usize - 1] ^= 1;
    let damaged = disk.with(&name_of(&last), Some(bytes));
    let (mut segments, damages) = opened(&damaged, &entries);
    // Since its last chapter is damaged, the start has gone through its messages and come to the other damage.
    let [record, chapter] = &damages[..] else { panic!("{damages:?}") };
    assert!(record.to_string().contains("cannot be read"), "{record}");
    assert!(chapter.to_string().ends_with("no message is lost"), "{chapter}");
    let mut appender = Appender::new(Arc::new(damaged.clone()), STREAM, 10, FILE_BYTES);
    let segment = segments.last().expect("there is a file").clone();
    let refused = rewrite(&segment, &mut appender, |_| true);
    assert!(matches!(refused, Err(RewriteError::Read(ReadError::Damaged(_)))));
    let mut appender = Appender::new(Arc::new(damaged.clone()), STREAM, 20, FILE_BYTES);
    appender.resume(&segment).expect("the disk works");
    extend(&mut appender, &mut twin, 5, &mut Random::with_seed(1));
    segments.install(appender.finish().expect("the disk works").0);
    let entries = segments.entries();
    assert_eq!((entries[2].length, entries[3].number), (last.length, 20));
    assert_eq!(check(&damaged, &entries, &twin, "written on"), 1);
}

/// A start does not come to it any more, as in a sealed file.
#[test]
fn a_file_with_a_damaged_message_is_written_on() {
    let (disk, entries, mut twin) = three_files();
    let mut bytes = disk.contents(&name_of(&entries[2]));
    bytes[HEAD + 20] ^= 1;
    let damaged = disk.with(&name_of(&entries[2]), Some(bytes));
    let (mut segments, damages) = opened(&damaged, &entries);
    assert_eq!(damages, []);
    let mut appender = Appender::new(Arc::new(damaged.clone()), STREAM, 20, FILE_BYTES);
    appender.resume(segments.last().expect("there is a file")).expect("the disk works");
    extend(&mut appender, &mut twin, 40, &mut Random::with_seed(1));
    segments.install(appender.finish().expect("the disk works").0);
    let entries = segments.entries();
    assert!(entries[2].is_sealed && entries.len() > 3);
    assert_eq!(check(&damaged, &entries, &twin, "written on"), 1);
}
