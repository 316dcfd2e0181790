//! Records are read back while the journal is written: where they are, as they were, and with few reads of the disk.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::journal::{
    Journal, OPEN_SEGMENTS_MAX, Options, READ_BYTES, ReadError, Reader, Tag, Writer, record_length,
};
use quartet::wait::Position;

use super::ledger::{LINES, Ledger};
use crate::support::process::Folder;
use crate::support::segments::{FIRST_SEGMENT, RECORD_HEAD, SEGMENT_HEAD};
use crate::support::simulated_disk::SimulatedDisk;

fn open(disk: &SimulatedDisk, segment_max: u64) -> (Arc<Journal>, Writer) {
    let options = Options { segment_max, ..Options::new("test") };
    let opened = Journal::open_on(Arc::new(disk.clone()), options, &mut |_, _, _| Ok(()));
    let (journal, writer, _) = opened.expect("nothing is damaged");
    (journal, writer)
}

/// A record of so many bytes with its head and its tag.
fn payload_of(length: usize) -> Vec<u8> {
    vec![b'x'; length - record_length(0) as usize]
}

/// Where each of so many records of this length begins, all of which are on the disk.
fn written(journal: &Journal, writer: &mut Writer, count: usize, length: usize) -> Vec<Position> {
    let payload = payload_of(length);
    let starts = (0..count).map(|_| journal.append_parts(LINES, &[&payload]).start).collect();
    writer.step();
    starts
}

fn is_removed(reader: &mut Reader, at: Position) -> bool {
    matches!(reader.read(at, 0), Err(ReadError::Removed { position }) if position == at)
}

#[test]
fn a_record_is_read_once_it_is_on_the_disk() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 1 << 20);
    let mut reader = journal.reader(LINES);
    let first = journal.append_parts(LINES, &[b"the ", b"first"]);
    assert!(matches!(reader.read(first.start, 0), Err(ReadError::NotSynced { .. })));
    writer.step();
    let second = journal.append_parts(LINES, &[b"second"]);
    assert_eq!(reader.read(first.start, 0).expect("it is synced"), b"the first");
    let error = reader.read(second.start, 0).expect_err("it is not synced").to_string();
    assert_eq!(error, "the journal has nothing on the disk at its position 18");
    writer.step();
    assert_eq!(reader.read(second.start, 0).expect("it is synced"), b"second");
    assert_eq!(reader.read(first.start, 0).expect("it is still there"), b"the first");
}

#[test]
fn neighbours_come_from_one_read() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 64 << 20);
    let starts = written(&journal, &mut writer, 3000, 256);
    let mut reader = journal.reader(LINES);
    // Who says how far it is going to read needs one read.
    for start in &starts[..1000] {
        reader.read(*start, 1000 * 256).expect("it is there");
    }
    assert_eq!(disk.take_placed_reads(), [1000 * 256]);
    // What comes next comes in full windows, whatever is expected of each record.
    for start in &starts[1000..] {
        reader.read(*start, 256).expect("it is there");
    }
    assert_eq!(disk.take_placed_reads(), [READ_BYTES, 2000 * 256 - READ_BYTES]);
    // No window is larger, whatever is expected.
    reader.read(starts[0], usize::MAX).expect("it is there");
    assert_eq!(disk.take_placed_reads(), [READ_BYTES]);
}

#[test]
fn a_record_far_away_is_read_alone() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 64 << 20);
    let long = written(&journal, &mut writer, 2, 400_000);
    let short = written(&journal, &mut writer, 3000, 256);
    let mut reader = journal.reader(LINES);
    for (at, expected, reads) in [
        (short[10], 256, vec![256]),
        (short[2000], 100, vec![100, 256]),
        (short[900], 0, vec![4096]),
        (long[0], 400_000, vec![READ_BYTES, 400_000]),
        // It is the next one.
        (long[1], 0, vec![READ_BYTES, 400_000]),
        // Nothing is read beyond what is on the disk.
        (short[2999], 10_000, vec![256]),
    ] {
        reader.read(at, expected).expect("it is there");
        assert_eq!(disk.take_placed_reads(), reads, "{at:?}, {expected} expected");
    }
}

#[test]
fn every_flipped_bit_is_told_with_its_place_and_concerns_one_record() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 1 << 20);
    let starts = ["one", "two", "three"].map(|line| journal.append_parts(LINES, &[line.as_bytes()]).start);
    writer.step();
    let whole = disk.contents(FIRST_SEGMENT);
    let (from, until) = [starts[1], starts[2]].map(|start| SEGMENT_HEAD + start.0 as usize).into();
    for at in from..until {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let mut file = disk.create(FIRST_SEGMENT).expect("the disk works");
            file.write(&flipped).expect("the disk works");
            let mut reader = journal.reader(LINES);
            let Err(ReadError::Damaged { file, offset, .. }) = reader.read(starts[1], 0) else {
                panic!("bit {bit} of byte {at}");
            };
            assert_eq!((file, offset), (format!("simulated/{FIRST_SEGMENT}"), from as u64));
            assert_eq!(reader.read(starts[0], 0).expect("it is whole"), b"one");
            assert_eq!(reader.read(starts[2], 0).expect("it is whole"), b"three");
        }
    }
}

#[test]
fn errors_name_the_file_the_place_and_the_reason() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 1 << 20);
    let starts = written(&journal, &mut writer, 2, 20);
    let other = journal.append_parts(Tag(1), &[b"of another service"]).start;
    writer.step();
    let error = |at, reader: &mut Reader| reader.read(at, 0).expect_err("it is wrong").to_string();
    let mut reader = journal.reader(LINES);
    assert_eq!(
        error(other, &mut reader),
        "simulated/000000000001.segment is damaged at byte 76: the record is another service's"
    );
    assert_eq!(
        error(Position(starts[1].0 + RECORD_HEAD as u64), &mut reader),
        "simulated/000000000001.segment is damaged at byte 64: the length of a record is out of range"
    );
    let (journal, _writer) = open(&disk, 1 << 20);
    disk.remove(FIRST_SEGMENT).expect("the disk works");
    assert_eq!(
        error(starts[0], &mut journal.reader(LINES)),
        "cannot read simulated/000000000001.segment: entity not found"
    );
}

#[test]
fn a_removed_segment_is_readable_for_those_who_have_it() {
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    let (mut holder, mut other) = (ledger.journal.reader(LINES), ledger.journal.reader(LINES));
    let lines = ["of the first segment", "of the first segment too", "of the second"];
    let starts = lines.map(|line| {
        let start = ledger.journal.appended();
        ledger.add(line);
        ledger.step();
        start
    });
    let length = record_length(lines[0].len()) as usize;
    assert_eq!(holder.read(starts[0], length).expect("it is there"), lines[0].as_bytes());
    ledger.snapshot();
    disk.take_placed_reads();
    assert_eq!(holder.read(starts[1], 0).expect("it has the file"), lines[1].as_bytes());
    assert_eq!(disk.take_placed_reads().len(), 1);
    assert!(is_removed(&mut other, starts[0]) && is_removed(&mut other, starts[2]));
    assert_eq!(disk.open_files(), 1, "the journal does not keep it open");
    // Another segment takes its place.
    assert!(is_removed(&mut holder, starts[2]));
    holder.release();
    assert_eq!(disk.open_files(), 0);
    let error = holder.read(starts[0], 0).expect_err("it is gone").to_string();
    assert_eq!(error, "a snapshot has replaced what the journal had at its position 0");
}

#[test]
fn replayed_segments_are_readable_and_few_stay_open() {
    let disk = SimulatedDisk::default();
    let (journal, mut writer) = open(&disk, 1);
    let starts = written(&journal, &mut writer, 50, 100);
    writer.finish();
    drop(journal);
    let (journal, _writer) = open(&disk, 1);
    assert_eq!(disk.open_files(), 0);
    let mut reader = journal.reader(LINES);
    for round in 0..2 {
        for (number, start) in starts.iter().enumerate() {
            assert_eq!(reader.read(*start, 0).expect("it was replayed"), payload_of(100));
            // The reader has one more.
            let open = disk.open_files();
            assert!(open <= OPEN_SEGMENTS_MAX + 1, "round {round}, segment {number}: {open}");
        }
    }
    drop(reader);
    assert_eq!(disk.open_files(), OPEN_SEGMENTS_MAX);
}

#[test]
fn records_are_read_while_others_are_written() {
    let folder = Folder::new();
    let options = Options { segment_max: 20_000, ..Options::new("test") };
    let (journal, _) =
        Journal::open(folder.path(), options, &mut |_, _, _| Ok(())).expect("a temporary folder");
    let writes = |number: usize| number.to_string().repeat(1 + number % 50);
    std::thread::scope(|scope| {
        let (sender, places) = std::sync::mpsc::channel();
        scope.spawn({
            let journal = Arc::clone(&journal);
            move || {
                for number in 0..3000 {
                    let appended = journal.append_parts(LINES, &[writes(number).as_bytes()]);
                    sender.send((number, appended)).expect("somebody reads");
                }
            }
        });
        let mut reader = journal.reader(LINES);
        for (number, appended) in places {
            while journal.synced() < appended.end {
                std::thread::yield_now();
            }
            let record = reader.read(appended.start, 0);
            assert_eq!(record.expect("it is synced"), writes(number).as_bytes());
        }
    });
}
