//! Records in parts: what was appended in pieces comes back whole, at the position that its append returned.

use std::sync::Arc;

use quartet::journal::{Appended, Groups, Journal, Options, Tag, record_length};
use quartet::random::Random;
use quartet::wait::Position;

use super::ledger::{LINES, Ledger};
use crate::support::simulated_disk::{SimulatedDisk, Trouble};

/// A record's payload with the position where it begins.
type Record = (Vec<u8>, Position);

/// The payload of a record in up to four parts, some of them empty.
fn parts(random: &mut Random) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> =
        (0..random.below(4)).map(|part| vec![part as u8; random.below(12)]).collect();
    parts.push(vec![9; 1 + random.below(5)]);
    parts
}

/// Appends operations of one and of several records, some of them in open groups, and returns the records with their places.
fn appended(disk: &SimulatedDisk, random: &mut Random) -> Vec<Record> {
    let groups = Arc::<Groups>::default();
    let options = Options { segment_max: 60, groups: Arc::clone(&groups), ..Options::new("test") };
    let (journal, mut writer, _) =
        Journal::open_on(Arc::new(disk.clone()), options, &mut |_, _, _| Ok(())).expect("the disk is empty");
    let (mut group, mut records) = (None, Vec::new());
    for _ in 0..40 {
        let payloads: Vec<Vec<Vec<u8>>> = (0..1 + random.below(3)).map(|_| parts(random)).collect();
        let slices: Vec<Vec<&[u8]>> =
            payloads.iter().map(|parts| parts.iter().map(Vec::as_slice).collect()).collect();
        let places = match slices.as_slice() {
            [parts] => journal.append_parts(LINES, parts),
            operation => journal.append_records_quietly(LINES, operation),
        };
        let mut at = places.start;
        for payload in payloads {
            let payload = payload.concat();
            let end = Position(at.0 + record_length(payload.len()));
            records.push((payload, std::mem::replace(&mut at, end)));
        }
        assert_eq!((places.end, journal.appended()), (at, at));
        match random.below(4) {
            0 => group = Some(groups.open()),
            1 => group = None,
            2 => writer.step(),
            _ => {}
        }
    }
    drop(group);
    writer.finish();
    records
}

#[test]
fn records_in_parts_come_back_whole_and_where_they_were() {
    for seed in 0..50 {
        let (disk, mut random) = (SimulatedDisk::default(), Random::with_seed(seed));
        let records = appended(&disk, &mut random);
        let mut found: Vec<Record> = Vec::new();
        let mut replay = |tag: Tag, record: &[u8], position| {
            assert_eq!(tag, LINES);
            found.push((record.to_vec(), position));
            Ok(())
        };
        Journal::open_on(Arc::new(disk), Options::new("test"), &mut replay).expect("it was closed");
        assert_eq!(found, records, "seed {seed}");
    }
}

#[test]
fn records_of_a_snapshot_have_its_position() {
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    ["one", "two"].into_iter().for_each(|line| ledger.add(line));
    let start = ledger.journal.begin_snapshot().expect("none is being made").start();
    assert_eq!(start, ledger.journal.appended());
    ledger.snapshot();
    let behind = ledger.journal.append_parts(LINES, &[b"th", b"", b"ree"]);
    assert_eq!(behind.start, start);
    ledger.step();
    let mut found: Vec<Record> = Vec::new();
    let mut replay = |_: Tag, record: &[u8], position| {
        found.push((record.to_vec(), position));
        Ok(())
    };
    Journal::open_on(Arc::new(disk), Options::new("test"), &mut replay).expect("nothing is damaged");
    assert_eq!(found, [b"one".as_slice(), b"two", b"three"].map(|line| (line.to_vec(), start)));
}

#[test]
fn what_a_failed_journal_is_given_is_nowhere() {
    let disk = SimulatedDisk::default();
    let (mut ledger, _) = Ledger::open(&disk).expect("the disk is empty");
    disk.expect_trouble(Trouble::Error(disk.operations() + 1));
    ledger.add("one");
    ledger.step();
    assert!(ledger.journal.has_failed());
    let appended = ledger.journal.append_parts(LINES, &[b"two"]);
    assert_eq!(appended, Appended { start: Appended::NOWHERE, end: Position(u64::MAX) });
}
