//! Files are damaged behind the journal's back.

use quartet::disk::Disk;
use quartet::journal::{Journal, OpenError, Tag};

use super::ledger::{Ledger, small};
use crate::support::simulated_disk::SimulatedDisk;

/// Bytes of the head of a file.
const HEAD: usize = 36;

const LINES: &[&str] =
    &["one", "a second line", "three", "the fourth, which is longer", "five", "six", "the seventh line"];

/// A closed journal of a snapshot and some segments.
fn closed() -> (SimulatedDisk, Vec<String>) {
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    for (number, line) in LINES.iter().enumerate() {
        ledger.add(line);
        if number % 2 == 1 {
            ledger.step();
        }
        if number == 1 {
            ledger.snapshot();
        }
    }
    ledger.close();
    (disk, ledger.lines)
}

fn names(disk: &SimulatedDisk) -> Vec<String> {
    disk.list().expect("the disk works")
}

#[test]
fn a_closed_journal_shows_every_flipped_bit_and_every_cut() {
    let (disk, _) = closed();
    let files = names(&disk);
    assert!(files.len() >= 4, "a snapshot and several segments: {files:?}");
    for name in &files {
        let whole = disk.contents(name);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                let opened = Ledger::open(&disk.with(name, Some(flipped)));
                assert!(opened.is_err(), "{name}: bit {bit} of byte {at}");
            }
            let opened = Ledger::open(&disk.with(name, Some(whole[..at].to_vec())));
            assert!(opened.is_err(), "{name}: cut at {at}");
        }
    }
}

#[test]
fn the_end_of_an_open_journal_may_be_torn_and_nothing_else() {
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    ledger.add("one");
    ledger.add("two");
    ledger.step();
    let last_group = disk.contents("000000000001.segment").len();
    ledger.add("three");
    ledger.add("four");
    ledger.step();
    let name = "000000000001.segment";
    let whole = disk.contents(name);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        match Ledger::open(&disk.with(name, Some(flipped))) {
            Ok((opened, recovered)) => {
                assert!(at >= last_group, "byte {at} was known to be on the disk");
                assert!(recovered.torn.is_some());
                assert_eq!(opened.lines[..], ledger.lines[..opened.lines.len()]);
                assert!(opened.lines.len() >= 2);
            }
            Err(OpenError::Damaged { offset, .. }) => assert!(at < last_group && offset <= at as u64),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

/// Opens a journal of which the disk refuses one byte, for each byte; then the disk reads it again, and nothing is lost.
fn check_refusals(disk: &SimulatedDisk, lines: &[String]) {
    for name in names(disk) {
        let whole = disk.contents(&name);
        for at in 0..whole.len() {
            let copy = disk.with(&name, Some(whole.clone()));
            copy.refuse_byte(Some((&name, at)));
            match Ledger::open(&copy) {
                // The head of a file is one piece.
                Err(OpenError::Unreadable { file, offset, .. }) => {
                    assert_eq!(
                        (file, offset),
                        (format!("simulated/{name}"), if at < HEAD { 0 } else { at as u64 })
                    );
                }
                Err(error) => panic!("{name}, byte {at}: {error}"),
                Ok(_) => panic!("{name}, byte {at}: the start goes on"),
            }
            copy.refuse_byte(None);
            let (opened, _) = Ledger::open(&copy).expect("the disk reads it again");
            assert_eq!(opened.lines, lines, "{name}, byte {at}");
        }
    }
}

#[test]
fn a_place_that_the_disk_refuses_stops_the_start_and_loses_nothing() {
    let (disk, lines) = closed();
    check_refusals(&disk, &lines);
    // Not even a torn end is cut off before such a place: who knows what was there.
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    for line in ["one", "two", "three"] {
        ledger.add(line);
        ledger.step();
    }
    let name = "000000000001.segment";
    let whole = disk.contents(name);
    let torn = disk.with(name, Some(whole[..whole.len() - 1].to_vec()));
    check_refusals(&torn, &ledger.lines[..2]);
    let laid_out = disk.with(name, Some([&whole[..], &[0; 20]].concat()));
    check_refusals(&laid_out, &ledger.lines);
}

#[test]
fn a_missing_file_is_missed() {
    let (disk, _) = closed();
    let files = names(&disk);
    // The last segment is empty: it only says that the one before it is whole.
    for name in &files[..files.len() - 1] {
        let Err(error) = Ledger::open(&disk.with(name, None)) else { panic!("{name} is missing") };
        assert!(matches!(error, OpenError::Missing { .. }), "{name}: {error}");
    }
}

#[test]
fn errors_are_one_line_with_the_file_the_place_and_the_remedy() {
    let (disk, _) = closed();
    let name = "000000000003.segment";
    let mut bytes = disk.contents(name);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = Ledger::open(&disk.with(name, Some(bytes))).err().expect("it is damaged");
    let expected = "simulated/000000000003.segment is damaged at byte 61: the checksum of a record is wrong; \
                    restore simulated/ from a copy, or move it away to start without what it holds";
    assert_eq!(error.to_string(), expected);
    disk.refuse_byte(Some((name, 61)));
    let error = Ledger::open(&disk).err().expect("it is refused");
    let expected = "cannot read simulated/000000000003.segment from byte 61 on: a bad block; if the disk does not read it \
                    later, restore simulated/ from a copy, or move it away to start without what it holds";
    assert_eq!(error.to_string(), expected);
    let error = Ledger::open(&disk.with(name, None)).err().expect("it is missing");
    assert!(error.to_string().starts_with("simulated/000000000003.segment is missing; restore"));
}

#[test]
fn a_record_that_its_service_does_not_understand_stops_the_start() {
    let (disk, lines) = closed();
    let stranger = lines[5].clone();
    let mut replay = |_: Tag, record: &[u8], _| {
        if record == stranger.as_bytes() { Err("no such line".to_owned()) } else { Ok(()) }
    };
    let error =
        Journal::open_on(std::sync::Arc::new(disk), small(), &mut replay).err().expect("one is refused");
    assert!(error.to_string().contains("no such line"), "{error}");
}

#[test]
fn an_operation_that_lost_its_end_is_torn_only_where_nothing_was_written_after_it() {
    let name = "000000000001.segment";
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    ledger.add("one");
    ledger.step();
    let first = disk.contents(name).len();
    ledger.add_together(&["two", "three"]);
    ledger.step();
    let whole = disk.contents(name);
    // The first of them has three bytes, with a head of eight and a tag.
    let between = first + 8 + 1 + 3;
    let (opened, recovered) =
        Ledger::open(&disk.with(name, Some(whole[..between].to_vec()))).expect("it is torn");
    assert_eq!(opened.lines, ["one"]);
    let torn = recovered.torn.expect("something was cut off");
    assert_eq!((torn.offset, torn.reason), (first as u64, "the file ends within an operation"));
    // Room laid out behind it changes nothing.
    let laid_out = [&whole[..between], &[0; 100]].concat();
    let (opened, recovered) = Ledger::open(&disk.with(name, Some(laid_out))).expect("it is torn");
    assert_eq!((opened.lines.len(), recovered.torn.map(|torn| torn.offset)), (1, Some(first as u64)));
    // With a later segment it had been on the disk.
    ledger.close();
    let error = Ledger::open(&disk.with(name, Some(whole[..between].to_vec()))).err().expect("it is damaged");
    assert!(error.to_string().contains("the file ends within an operation"), "{error}");
}
