//! A stream's own files: written, read, cut, damaged, and after a loss of power.

mod chapters;
mod damage;
mod files;
mod idle;
mod killed;
mod offline;
mod order;
mod pains;
mod power;
mod power_cuts;
mod random;
mod refused;
mod restarts;
mod settling;
mod slowed;
mod stalled;
mod unknown;
mod unreadable;
mod upkeep;
mod watched_api;

use std::collections::BTreeMap;
use std::sync::Arc;

use quartet::disk::Disk;
use quartet::random::Random;
use quartet::stream::message::StoredMessage;
use quartet::stream::segment::{Appender, Batch, BatchLimits, Reached, ReadError, Reader, Segments};

use crate::support::simulated_disk::SimulatedDisk;

const STREAM: u64 = 7;

/// Small, so that a few messages fill several files.
const FILE_BYTES: u64 = 6000;

/// A message of a test, all of which follows from its sequence and the seed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Message {
    time: i64,
    subject: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Message {
    fn random(random: &mut Random, sequence: u64) -> Message {
        let subject = format!("orders.{}.{}", random.below(3), random.below(5)).into_bytes();
        let headers = if random.below(3) == 0 { b"NATS/1.0\r\nA: b\r\n\r\n".to_vec() } else { Vec::new() };
        let length = if random.below(30) == 0 { random.below(9000) } else { random.below(300) };
        let payload = (0..length).map(|_| random.below(256) as u8).collect();
        Message { time: sequence as i64 * 10, subject, headers, payload }
    }

    fn stored(&self, sequence: u64) -> StoredMessage<'_> {
        let Message { time, subject, headers, payload } = self;
        StoredMessage { sequence, time: *time, subject, headers, payload }
    }

    fn of(stored: &StoredMessage<'_>) -> (u64, Message) {
        let StoredMessage { sequence, time, subject, headers, payload } = *stored;
        let (subject, headers, payload) = (subject.to_vec(), headers.to_vec(), payload.to_vec());
        (sequence, Message { time, subject, headers, payload })
    }
}

/// All messages of a stream.
type Twin = BTreeMap<u64, Message>;

/// Appends `count` random messages behind all others, with holes between.
fn extend(appender: &mut Appender, twin: &mut Twin, count: usize, random: &mut Random) {
    for _ in 0..count {
        let last = twin.keys().next_back().copied().unwrap_or_default();
        let sequence = last + 1 + random.below(12).saturating_sub(9) as u64;
        let message = Message::random(random, sequence);
        appender.append(&message.stored(sequence)).expect("the disk works");
        twin.insert(sequence, message);
    }
}

/// A disk with a stream of `count` messages in several files, the last of them without a footer.  They were written in several
/// steps, so there are chapters in the files.
fn filled(seed: u64, count: usize) -> (Arc<SimulatedDisk>, Segments, Twin) {
    let disk = Arc::new(SimulatedDisk::default());
    let (mut random, mut twin) = (Random::with_seed(seed), Twin::new());
    let (mut segments, mut number) = (Segments::default(), 1);
    while twin.len() < count {
        let step = (1 + random.below(10)).min(count - twin.len());
        add(&disk, &mut segments, &mut twin, &mut number, step, &mut random);
    }
    (disk, segments, twin)
}

/// Appends random messages, as a snapshot does.
fn add(
    disk: &Arc<SimulatedDisk>,
    segments: &mut Segments,
    twin: &mut Twin,
    number: &mut u64,
    count: usize,
    random: &mut Random,
) {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let mut appender = Appender::new(disk, STREAM, *number, FILE_BYTES);
    segments.last().into_iter().for_each(|last| appender.resume(last).expect("the disk works"));
    extend(&mut appender, twin, count, random);
    let (written, next_number) = appender.finish().expect("the disk works");
    segments.install(written);
    *number = next_number;
}

/// Every message from a sequence on, as a reader comes to them, and whether it came to damage.
fn read_all(segments: &Segments, from: u64) -> (Vec<(u64, Message)>, bool) {
    let (mut found, mut is_damaged, mut next) = (Vec::new(), false, from);
    while let Some(segment) = segments.at_or_behind(next) {
        next = segment.summary().last + 1;
        let mut reader = Reader::new(segment, from);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => found.push(Message::of(&message)),
                Ok(None) => break,
                Err(ReadError::Damaged(_)) => is_damaged = true,
                Err(error) => panic!("{error}"),
            }
        }
    }
    (found, is_damaged)
}

/// The same by batches, with one buffer.
fn read_in_batches(segments: &Segments, from: u64, limits: &BatchLimits) -> Vec<(u64, Message)> {
    let (mut found, mut batch) = (Vec::new(), Batch::default());
    let Some(segment) = segments.at_or_behind(from) else { return found };
    let mut reader = Reader::new(segment, from);
    loop {
        batch.clear();
        let reached = reader.read_batch(&mut batch, limits, |_| true).expect("the disk works");
        assert!(batch.len() <= limits.messages && batch.damages().is_empty());
        assert!(reached == Reached::End || !batch.is_empty());
        found.extend(batch.messages().map(|message| Message::of(&message)));
        if reached == Reached::End {
            let next = reader.segment().summary().last + 1;
            let Some(segment) = segments.at_or_behind(next) else { return found };
            reader = reader.go_on(segment, from);
        }
    }
}

/// One message by its sequence.
fn read_one(segments: &Segments, sequence: u64) -> Result<Option<Message>, ReadError> {
    let Some(segment) = segments.at_or_behind(sequence) else { return Ok(None) };
    let mut batch = Batch::default();
    let message = segment.read_message(sequence, &mut batch)?;
    Ok(message.map(|message| Message::of(&message).1))
}
