//! Chapters: what the directory of a file is put together from at a start, as long as the file is written to.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::random::Random;
use quartet::stream::message::StoredMessage;
use quartet::stream::segment::{
    Appender, FileEntry, FileId, Opened, SEGMENT_BYTES_MAX, SUBJECT_MAX, Segments, open,
};

use super::{FILE_BYTES, Message, STREAM, Twin, add, extend, read_all, read_one};
use crate::support::simulated_disk::SimulatedDisk;

/// Bytes at the end of a file in which the place of its last chapter stands.
const TRAILER: usize = 20;

/// The most that one start reads of a file whose chapters are short: its head and its end.
const READ_MAX: usize = 17 << 10;

fn name_of(entry: &FileEntry) -> String {
    FileId { stream: STREAM, number: entry.number }.name()
}

fn last_entry(segments: &Segments) -> FileEntry {
    segments.last().expect("there is a file").entry()
}

/// Where the last chapter of a file begins.
fn last_chapter(bytes: &[u8]) -> usize {
    let place = bytes[bytes.len() - TRAILER..].first_chunk().expect("eight bytes");
    u64::from_le_bytes(*place) as usize
}

/// The file opened by its chapters.
fn by_chapters(disk: &SimulatedDisk, entry: &FileEntry) -> Opened {
    disk.take_placed_reads();
    let opened = open(disk, STREAM, entry).expect("the disk works");
    assert_eq!((&opened.damages, opened.segment.entry()), (&Vec::new(), *entry));
    opened
}

/// The file opened by going through its records, since the end of the last chapter is damaged.
fn by_records(disk: &SimulatedDisk, entry: &FileEntry) -> Opened {
    let mut bytes = disk.contents(&name_of(entry));
    bytes.truncate(entry.length as usize);
    *bytes.last_mut().expect("it is not empty") ^= 1;
    let opened = open(&disk.with(&name_of(entry), Some(bytes)), STREAM, entry).expect("the disk works");
    let [damage] = &opened.damages[..] else { panic!("{:?}", opened.damages) };
    assert!(damage.to_string().ends_with("no message is lost"), "{damage}");
    opened
}

/// Messages of a hundred bytes, each in a step of its own.
fn one_by_one(count: u64) -> (Arc<SimulatedDisk>, Segments) {
    let disk = Arc::new(SimulatedDisk::default());
    let (mut segments, payload) = (Segments::default(), [b'p'; 100]);
    for sequence in 1..=count {
        let subject = format!("orders.{}", sequence % 50);
        let subject = subject.as_bytes();
        let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 1, SEGMENT_BYTES_MAX);
        segments.last().into_iter().for_each(|last| appender.resume(last).expect("the disk works"));
        let message = StoredMessage { sequence, time: 0, subject, headers: b"", payload: &payload };
        appender.append(&message).expect("the disk works");
        segments.install(appender.finish().expect("the disk works").0);
    }
    (disk, segments)
}

#[test]
fn chapters_say_what_the_records_say() {
    for seed in 0..60 {
        let disk = Arc::new(SimulatedDisk::default());
        let (mut random, mut twin) = (Random::with_seed(seed), Twin::new());
        let (mut segments, mut number) = (Segments::default(), 1);
        for _ in 0..40 {
            let most = [1, 3, 30][random.below(3)];
            let step = 1 + random.below(most);
            add(&disk, &mut segments, &mut twin, &mut number, step, &mut random);
            let entry = last_entry(&segments);
            if entry.is_sealed {
                continue;
            }
            let (read, scanned) = (by_chapters(&disk, &entry), by_records(&disk, &entry));
            assert_eq!(read.directory, scanned.directory, "seed {seed}");
            assert_eq!(read.segment.summary(), scanned.segment.summary(), "seed {seed}");
            assert_eq!(segments.last().and_then(|last| last.directory_in_memory()), Some(&read.directory));
            if random.below(2) == 0 {
                segments.install(vec![read.segment]);
            }
        }
        let expected: Vec<_> = twin.iter().map(|(sequence, message)| (*sequence, message.clone())).collect();
        assert_eq!(read_all(&segments, 0), (expected, false), "seed {seed}");
        for (sequence, message) in &twin {
            assert_eq!(read_one(&segments, *sequence).expect("it is there").as_ref(), Some(message));
        }
    }
}

#[test]
fn a_start_reads_no_message() {
    let disk = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 1, SEGMENT_BYTES_MAX);
    extend(&mut appender, &mut Twin::new(), 1000, &mut Random::with_seed(1));
    let segments = Segments::new(appender.finish().expect("the disk works").0);
    let entry = last_entry(&segments);
    assert!(entry.length > 200_000);
    assert_eq!(by_chapters(&disk, &entry).directory.rows().count(), 1000);
    assert!(disk.take_placed_reads().iter().sum::<usize>() < READ_MAX);
}

#[test]
fn many_steps_make_few_chapters_and_few_bytes() {
    const COUNT: u64 = 2000;
    let (disk, segments) = one_by_one(COUNT);
    let entry = last_entry(&segments);
    assert_eq!(by_chapters(&disk, &entry).directory.rows().count() as u64, COUNT);
    let reads = disk.take_placed_reads().len();
    assert!(reads <= 2 + COUNT.ilog2() as usize, "{reads} reads");
    let records = segments.last().expect("there is a file").summary().bytes - 4 * COUNT;
    let beyond = (entry.length - records) as f64 / COUNT as f64;
    println!("{beyond:.0} bytes of chapters a message");
    // Of each chapter what every one has, and a row of each message for each time that it is taken over.
    let most = 140.0 + 5.0 * (COUNT as f64).ln() / 1.5_f64.ln() + 50.0 * 11.0 / 5.0;
    assert!(beyond < most, "{beyond} of {most}");
}

#[test]
fn what_was_written_behind_the_last_chapter_is_cut_off() {
    let (disk, segments) = one_by_one(30);
    let entry = last_entry(&segments);
    let whole = disk.contents(&name_of(&entry));
    let mut random = Random::with_seed(3);
    let mut unnamed = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 1, SEGMENT_BYTES_MAX);
    unnamed.resume(segments.last().expect("there is a file")).expect("the disk works");
    let mut twin: Twin = [(30, Message::random(&mut random, 30))].into();
    extend(&mut unnamed, &mut twin, 20, &mut random);
    drop(unnamed.finish().expect("the disk works"));
    let longer = disk.contents(&name_of(&entry));
    for end in whole.len()..longer.len() {
        let mut torn = longer[..end].to_vec();
        let zeros = whole.len() + random.below(end - whole.len() + 1);
        torn[zeros..].fill(0);
        let disk = disk.with(&name_of(&entry), Some(torn));
        assert_eq!(by_chapters(&disk, &entry).directory.rows().count(), 30);
        assert_eq!(disk.contents(&name_of(&entry)), whole);
    }
}

#[test]
fn what_the_disk_refuses_of_the_messages_stops_no_start() {
    let disk = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 1, FILE_BYTES);
    let message =
        Message { payload: b"a bad sector".to_vec(), ..Message::random(&mut Random::with_seed(1), 1) };
    appender.append(&message.stored(1)).expect("the disk works");
    let segments = Segments::new(appender.finish().expect("the disk works").0);
    let entry = last_entry(&segments);
    disk.refuse_reads_of(&[b"a bad sector"]);
    assert_eq!(by_chapters(&disk, &entry).directory.rows().count(), 1);
    // What it refuses of the chapter may be there at the next start, so it is not taken for damage.
    disk.refuse_reads_of(&[b"QUARTETC"]);
    let error = open(&*disk, STREAM, &entry).err().expect("it is refused").to_string();
    let place = entry.length as usize - TRAILER;
    assert!(error.contains(&format!("its directory at byte {place} cannot be read")), "{error}");
    disk.refuse_reads_of(&[]);
    assert_eq!(by_chapters(&disk, &entry).directory.rows().count(), 1);
}

/// A file as the version before chapters has written it.
fn of_the_version_before(disk: &SimulatedDisk, entry: &FileEntry) -> (SimulatedDisk, FileEntry) {
    let mut bytes = disk.contents(&name_of(entry));
    bytes.truncate(last_chapter(&bytes));
    bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&sum.to_le_bytes());
    let entry = FileEntry { length: bytes.len() as u64, ..*entry };
    (disk.with(&name_of(&entry), Some(bytes)), entry)
}

#[test]
fn a_file_of_the_version_before_is_read_and_then_sealed() {
    let disk = Arc::new(SimulatedDisk::default());
    let (mut random, mut twin) = (Random::with_seed(5), Twin::new());
    let (mut segments, mut number) = (Segments::default(), 1);
    add(&disk, &mut segments, &mut twin, &mut number, 5, &mut random);
    let (disk, entry) = of_the_version_before(&disk, &last_entry(&segments));
    let disk = Arc::new(disk);
    let mut segments = Segments::new(vec![by_chapters(&disk, &entry).segment]);
    add(&disk, &mut segments, &mut twin, &mut number, 5, &mut random);
    let entries = segments.entries();
    assert_eq!(entries.iter().map(|entry| entry.is_sealed).collect::<Vec<_>>(), [true, false]);
    let opened = entries.iter().map(|entry| by_chapters(&disk, entry).segment).collect();
    let expected: Vec<_> = twin.into_iter().collect();
    assert_eq!(read_all(&Segments::new(opened), 0), (expected, false));
}

#[test]
fn a_file_whose_chapter_would_be_too_long_is_sealed() {
    let disk = Arc::new(SimulatedDisk::default());
    let mut appender = Appender::new(Arc::clone(&disk) as Arc<dyn Disk>, STREAM, 1, SEGMENT_BYTES_MAX);
    for sequence in 1..=300_u64 {
        let mut subject = vec![b's'; SUBJECT_MAX];
        subject[..8].copy_from_slice(&sequence.to_be_bytes());
        let subject = subject.as_slice();
        let message = StoredMessage { sequence, time: 0, subject, headers: b"", payload: b"" };
        appender.append(&message).expect("the disk works");
    }
    let segments = Segments::new(appender.finish().expect("the disk works").0);
    let entry = last_entry(&segments);
    assert!(entry.is_sealed);
    assert_eq!(by_chapters(&disk, &entry).directory.rows().count(), 300);
}

#[test]
fn a_damaged_chapter_between_messages_hides_none() {
    let (disk, segments) = one_by_one(8);
    let entry = last_entry(&segments);
    let bytes = disk.contents(&name_of(&entry));
    let end = last_chapter(&bytes);
    let magic = bytes[..end].windows(8).position(|window| window == b"QUARTETC").expect("there is one");
    let first = last_chapter(&bytes[..magic + 8]);
    for at in first..magic + 8 {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let opened = open(&disk.with(&name_of(&entry), Some(flipped)), STREAM, &entry).expect("it is there");
        let is_in_use = !opened.damages.is_empty();
        assert!(opened.damages.iter().all(|damage| damage.to_string().ends_with("no message is lost")));
        let segments = Segments::new(vec![opened.segment]);
        let (found, is_damaged) = read_all(&segments, 0);
        assert_eq!(found.len(), 8, "byte {at}");
        assert!(!is_damaged || at < first + 8, "byte {at}: only heads are looked at");
        assert!(!is_in_use || is_damaged || at >= first + 8);
        let found = segments.last().expect("there is a file").sequence_at_time(0).expect("nothing is hidden");
        assert_eq!(found, Some(1));
    }
}
