//! Files of streams on an intact disk: written, sealed, opened again, written anew, removed.

use std::sync::Arc;

use quartet::disk::{Disk, Folder};
use quartet::random::Random;
use quartet::stream::message::StoredMessage;
use quartet::stream::segment::{
    AppendError, Appender, BatchLimits, Directory, FileId, READ_BYTES, RECORD_MAX, SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN, SUBJECT_MAX, Segments, open, remove_others, rewrite, search, segment_bytes,
};
use roaring::RoaringTreemap;

use super::{FILE_BYTES, Message, STREAM, Twin, extend, filled, read_all, read_in_batches, read_one};
use crate::support::simulated_disk::SimulatedDisk;

/// The files that were named, opened again.
fn reopened(disk: &dyn Disk, segments: &Segments) -> (Segments, Vec<Arc<Directory>>) {
    let opened = segments.entries().into_iter().map(|entry| {
        let opened = open(disk, STREAM, &entry).expect("the disk works");
        assert_eq!(opened.damages, []);
        assert_eq!(opened.segment.entry(), entry);
        (opened.segment, opened.directory)
    });
    let (segments, directories) = opened.unzip();
    (Segments::new(segments), directories)
}

fn check_all(segments: &Segments, twin: &Twin) {
    for from in [0, 1, 50, 120, 1000] {
        let expected: Vec<_> = twin.range(from..).map(|(at, message)| (*at, message.clone())).collect();
        assert_eq!(read_all(segments, from), (expected.clone(), false), "from {from}");
        for limits in [(1, u64::MAX), (7, 500), (usize::MAX, u64::MAX)] {
            let limits = BatchLimits { messages: limits.0, bytes: limits.1 };
            assert_eq!(read_in_batches(segments, from, &limits), expected, "from {from}");
        }
    }
    for sequence in 0..twin.keys().next_back().map_or(5, |last| last + 5) {
        let found = read_one(segments, sequence).expect("nothing is damaged");
        assert_eq!(found.as_ref(), twin.get(&sequence), "{sequence}");
    }
}

#[test]
fn messages_are_read_as_they_were_written_also_after_a_start() {
    let (disk, segments, twin) = filled(1, 300);
    let entries = segments.entries();
    assert!(entries.len() > 5 && entries.iter().rev().skip(1).all(|entry| entry.is_sealed));
    assert!(entries.last().is_some_and(|entry| !entry.is_sealed));
    check_all(&segments, &twin);
    let (segments, directories) = reopened(&*disk, &segments);
    check_all(&segments, &twin);
    let counted: u64 =
        directories.iter().flat_map(|directory| directory.subjects()).map(|row| row.count).sum();
    assert_eq!(counted, twin.len() as u64);
}

#[test]
fn an_appender_goes_on_where_the_last_has_ended() {
    let (disk, mut segments, mut twin) = filled(2, 20);
    let mut random = Random::with_seed(3);
    let mut number = 10;
    for _ in 0..20 {
        let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, number, FILE_BYTES);
        if let Some(last) = segments.last() {
            appender.resume(last).expect("the disk works");
        }
        extend(&mut appender, &mut twin, 10, &mut random);
        let (written, next_number) = appender.finish().expect("the disk works");
        assert!(!written.is_empty() && next_number >= number);
        number = next_number;
        segments.install(written);
        check_all(&segments, &twin);
        (segments, _) = reopened(&*disk, &segments);
    }
    check_all(&segments, &twin);
    let (unsealed, sealed): (Vec<_>, Vec<_>) =
        segments.entries().into_iter().partition(|entry| !entry.is_sealed);
    assert!(unsealed.len() == 1 && sealed.len() > 3);
}

#[test]
fn bytes_that_nobody_has_named_do_not_count() {
    let (disk, mut segments, mut twin) = filled(4, 10);
    let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 10, FILE_BYTES);
    appender.resume(segments.last().expect("there is a file")).expect("the disk works");
    let (mut random, mut unnamed) = (Random::with_seed(5), twin.clone());
    extend(&mut appender, &mut unnamed, 60, &mut random);
    drop(appender.finish().expect("the disk works"));
    let named = segments.entries();
    let is_named = |id: FileId| id.stream == STREAM && named.iter().any(|entry| entry.number == id.number);
    let removed = remove_others(&*disk, is_named).expect("the disk works");
    assert!(!removed.is_empty() && removed.iter().all(|id| id.number >= 10));
    (segments, _) = reopened(&*disk, &segments);
    check_all(&segments, &twin);
    // The place is free for others.
    let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 10, FILE_BYTES);
    appender.resume(segments.last().expect("there is a file")).expect("the disk works");
    extend(&mut appender, &mut twin, 60, &mut random);
    segments.install(appender.finish().expect("the disk works").0);
    check_all(&reopened(&*disk, &segments).0, &twin);
}

#[test]
fn files_at_the_head_are_dropped_whole_and_can_still_be_read() {
    let (disk, mut segments, twin) = filled(6, 200);
    let readers = Segments::new(segments.from(0));
    let first = segments.entries()[2].first + 1;
    let gone = segments.take_before(first);
    assert_eq!(gone.iter().map(|id| id.number).collect::<Vec<_>>(), [1, 2]);
    let is_named = |id: FileId| segments.entries().iter().any(|entry| entry.number == id.number);
    assert_eq!(remove_others(&*disk, is_named).expect("the disk works"), gone);
    assert_eq!(disk.list().expect("the disk works").len(), segments.entries().len());
    check_all(&readers, &twin);
    assert_eq!(segments.take_before(0), []);
    assert_eq!(segments.take_before(u64::MAX).len(), readers.entries().len() - 2);
}

#[test]
fn a_file_is_written_anew_without_what_is_gone() {
    let (disk, mut segments, mut twin) = filled(7, 200);
    let deleted: RoaringTreemap = (1..=twin.keys().next_back().copied().unwrap_or_default())
        .filter(|sequence| !twin.contains_key(sequence) || (40..100).contains(sequence) && sequence % 5 != 0)
        .collect();
    twin.retain(|sequence, _| !deleted.contains(*sequence));
    let worth = segments.worth_rewriting(1, &deleted);
    assert!((1..segments.entries().len() / 2).contains(&worth.len()));
    let mut number = 100;
    for segment in worth {
        let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, number, FILE_BYTES);
        rewrite(&segment, &mut appender, |sequence| !deleted.contains(sequence)).expect("the disk works");
        let (written, next_number) = appender.finish().expect("the disk works");
        assert!(written.iter().all(|segment| segment.entry().is_sealed));
        number = next_number;
        segments.replace(segment.id(), written);
    }
    assert!(segments.worth_rewriting(1, &deleted).is_empty());
    let (segments, directories) = reopened(&*disk, &segments);
    let (found, _) = read_all(&segments, 0);
    let live: Vec<_> = found.into_iter().filter(|(sequence, _)| !deleted.contains(*sequence)).collect();
    assert_eq!(live, twin.into_iter().collect::<Vec<_>>());
    let live = directories.iter().flat_map(|directory| directory.live(1..=u64::MAX, &deleted));
    let counted = search::count(&segments.from(0), 0, &deleted, |_| true).expect("the disk works");
    assert_eq!(live.map(|subject| subject.count).sum::<u64>(), counted);
}

#[test]
fn a_time_leads_to_its_message() {
    let (_, segments, twin) = filled(8, 300);
    for time in (0..3000).step_by(7) {
        let expected = twin.iter().find(|(_, message)| message.time >= time).map(|(sequence, _)| *sequence);
        let segment = segments.from(0).into_iter().find(|segment| segment.summary().last_time >= time);
        let found = segment.and_then(|segment| segment.sequence_at_time(time).expect("the disk works"));
        assert_eq!(found, expected, "{time}");
    }
}

#[test]
fn names_of_other_things_are_left_alone() {
    let disk = SimulatedDisk::default();
    for name in ["LOCK", "notes.txt", "0000000007-0000000001.messages"] {
        drop(disk.create(name).expect("the disk works"));
    }
    assert_eq!(remove_others(&disk, |_| false).expect("the disk works").len(), 1);
    assert_eq!(disk.list().expect("the disk works"), ["LOCK", "notes.txt"]);
}

#[test]
fn long_messages_are_kept_and_too_long_ones_refused() {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(disk, STREAM, 1, SEGMENT_BYTES_MAX);
    let (subject, payload) = (vec![b's'; SUBJECT_MAX], vec![b'p'; 3 * READ_BYTES]);
    let message = Message { time: 1, subject, headers: Vec::new(), payload };
    appender.append(&message.stored(1)).expect("it is short enough");
    let too_long = vec![0; RECORD_MAX];
    let refused = appender.append(&StoredMessage { payload: &too_long, ..message.stored(2) });
    assert!(matches!(refused, Err(AppendError::TooLong { sequence: 2 })));
    let small = Message { payload: Vec::new(), subject: b"s".to_vec(), ..message.clone() };
    appender.append(&small.stored(2)).expect("an error before has changed nothing");
    let (written, _) = appender.finish().expect("the disk works");
    let found = read_all(&Segments::new(written), 0);
    assert_eq!(found, (vec![(1, message), (2, small)], false));
}

#[test]
fn sequences_far_apart_are_in_files_of_their_own() {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(disk, STREAM, 1, SEGMENT_BYTES_MAX);
    let message = Message::random(&mut Random::with_seed(1), 1);
    let far = 1 + u64::from(u32::MAX);
    let sequences = [1, far, far + 1, u64::MAX - 1];
    for sequence in sequences {
        appender.append(&message.stored(sequence)).expect("the disk works");
    }
    let segments = Segments::new(appender.finish().expect("the disk works").0);
    assert_eq!(segments.entries().len(), 3);
    for sequence in sequences {
        assert_eq!(read_one(&segments, sequence).expect("it is there"), Some(message.clone()));
    }
}

#[test]
fn the_size_of_files_follows_from_the_limit_of_the_stream() {
    assert_eq!(segment_bytes(None), SEGMENT_BYTES_MAX);
    assert_eq!(segment_bytes(Some(1)), SEGMENT_BYTES_MIN);
    assert_eq!(segment_bytes(Some(10 * SEGMENT_BYTES_MIN * 8)), SEGMENT_BYTES_MAX);
    assert_eq!(segment_bytes(Some(2 * SEGMENT_BYTES_MIN * 8)), 2 * SEGMENT_BYTES_MIN);
}

#[test]
fn a_message_takes_less_than_a_byte_of_memory() {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(disk, STREAM, 1, SEGMENT_BYTES_MIN);
    let payload = [b'p'; 128];
    let count = 100_000;
    for sequence in 1..=count {
        let subject = format!("orders.{}", sequence % 1000);
        let subject = subject.as_bytes();
        let message = StoredMessage { sequence, time: 0, subject, headers: b"", payload: &payload };
        appender.append(&message).expect("the disk works");
    }
    appender.seal().expect("the disk works");
    let segments = Segments::new(appender.finish().expect("the disk works").0);
    let each = segments.memory() as f64 / count as f64;
    let length: u64 = segments.entries().iter().map(|entry| entry.length).sum();
    println!("{each:.2} bytes of memory and {:.1} on the disk a message", length as f64 / count as f64);
    assert!(each <= 1.0, "{each}");
    let wanted = |subject: &[u8]| subject.ends_with(b"7");
    let counted =
        search::count(&segments.from(1), 50_001, &RoaringTreemap::new(), wanted).expect("the disk works");
    assert_eq!(counted, 5000);
}

#[test]
fn files_in_a_folder_are_as_on_the_simulated_disk() {
    let path = std::env::temp_dir().join(format!("quartet-segments-{}", std::process::id()));
    let folder = Arc::new(Folder::open(&path).expect("a temporary folder"));
    let (mut random, mut twin) = (Random::with_seed(9), Twin::new());
    let mut segments = Segments::default();
    let mut number = 1;
    for _ in 0..3 {
        let mut appender = Appender::new(Arc::clone(&folder) as Arc<dyn Disk>, STREAM, number, FILE_BYTES);
        if let Some(last) = segments.last() {
            appender.resume(last).expect("the disk works");
        }
        extend(&mut appender, &mut twin, 30, &mut random);
        let (written, next_number) = appender.finish().expect("the disk works");
        number = next_number;
        segments.install(written);
    }
    // Bytes behind the end are cut off.
    let last = segments.last().expect("there is a file").entry();
    let name = FileId { stream: STREAM, number: last.number }.name();
    let mut file = folder.resume(&name, last.length).expect("it is there");
    file.write(b"torn").expect("the disk works");
    let (segments, _) = reopened(&*folder, &segments);
    assert_eq!(folder.open(&name).and_then(|file| file.length()).expect("it is there"), last.length);
    assert!(folder.resume(&name, last.length + 1).is_err());
    check_all(&segments, &twin);
    remove_others(&*folder, |_| false).expect("the disk works");
    check_all(&segments, &twin);
    folder.remove_folder().expect("it is empty");
}
