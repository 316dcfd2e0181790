//! A service and its way into the journal: from before there is one until after the next start, and what it is told of the end
//! of a server and of a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use quartet::clock::Now;
use quartet::disk::Disk;
use quartet::journal::keeper::{Interrupted, JournalHandle, Keeper, Persistent, Rest, ServiceJournal};
use quartet::journal::{Appended, Snapshot, Tag, Writer};
use quartet::random::Random;
use quartet::wait::Position;

use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

const TAG: Tag = Tag(9);

/// A service that remembers words and where they are in the journal.
struct Words {
    journal: ServiceJournal,
    words: Mutex<Vec<(String, Position)>>,
    /// What it was told of the server before.
    last_stop: Mutex<Option<bool>>,
    snapshots_finished: Arc<AtomicUsize>,
}

/// The keeper's end of it.
struct Kept(Arc<Words>);

impl Words {
    fn new(handle: &Arc<JournalHandle>) -> Arc<Words> {
        let (words, last_stop) = (Mutex::default(), Mutex::default());
        let journal = ServiceJournal::new(handle, TAG);
        Arc::new(Words { journal, words, last_stop, snapshots_finished: Arc::default() })
    }

    fn add(&self, word: &str) -> Appended {
        let (first, rest) = word.split_at(word.len() / 2);
        let mut words = self.words.lock();
        let appended = self.journal.append_parts(&[first.as_bytes(), rest.as_bytes()]);
        words.push((word.to_owned(), appended.start));
        appended
    }

    /// How many of the words can be read in the journal.
    fn readable(&self) -> usize {
        let mut reader = self.journal.reader().expect("there is a journal");
        let words = self.words.lock().clone();
        words
            .iter()
            .filter(|(word, at)| reader.read(*at, 0).is_ok_and(|read| read == word.as_bytes()))
            .count()
    }
}

impl Persistent for Kept {
    fn tag(&self) -> Tag {
        TAG
    }

    fn replay(&mut self, record: &[u8], position: Position, _now: Now) -> Result<(), String> {
        let word = String::from_utf8(record.to_vec()).map_err(|error| error.to_string())?;
        self.0.words.lock().push((word, position));
        Ok(())
    }

    fn note_last_stop(&mut self, was_in_order: bool) {
        assert_eq!(self.0.last_stop.lock().replace(was_in_order), None, "it is told once");
    }

    fn resume(&mut self, _now: Now) -> bool {
        assert!(self.0.last_stop.lock().is_some(), "it is told before it begins");
        self.0.journal.turn_on();
        false
    }

    fn attach(&mut self, is_new: bool) {
        let mut words = self.0.words.lock();
        self.0.journal.attach();
        for (word, start) in words.iter_mut().filter(|_| is_new) {
            *start = self.0.journal.append_parts(&[word.as_bytes()]).start;
        }
    }

    fn snapshot(&mut self, _snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        let words = self.0.words.lock().clone();
        let finished = Arc::clone(&self.0.snapshots_finished);
        Ok(Some(Box::new(move |snapshot| {
            words.iter().for_each(|(word, _)| snapshot.append(TAG, word.as_bytes()));
            snapshot.on_finished(move || {
                finished.fetch_add(1, Relaxed);
            });
            Ok(())
        })))
    }
}

struct Server {
    words: Arc<Words>,
    handle: Arc<JournalHandle>,
    keeper: Keeper,
    writer: Writer,
}

impl Server {
    fn open(disk: &SimulatedDisk) -> Server {
        let handle = Arc::<JournalHandle>::default();
        let words = Words::new(&handle);
        Server::with(disk, handle, words)
    }

    fn with(disk: &SimulatedDisk, handle: Arc<JournalHandle>, words: Arc<Words>) -> Server {
        let now = Now::at(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
        let services: Vec<Box<dyn Persistent>> = vec![Box::new(Kept(Arc::clone(&words)))];
        let opened = Keeper::open_on(&handle, Arc::new(disk.clone()), Vec::new(), services, now);
        let (keeper, writer) = opened.expect("the disk works");
        Server { words, handle, keeper, writer }
    }

    fn last_stop(&self) -> bool {
        self.words.last_stop.lock().expect("it was told")
    }

    fn stop(self) {
        // The keeper may have a snapshot to write, which waits for the writer.
        let journal = Arc::clone(self.handle.journal().expect("it was opened"));
        journal.start(self.writer).expect("there are threads");
        self.keeper.close();
    }
}

fn texts(words: &Words) -> Vec<String> {
    words.words.lock().iter().map(|(word, _)| word.clone()).collect()
}

#[test]
fn a_service_appends_before_there_is_a_journal() {
    let (disk, handle) = (SimulatedDisk::default(), Arc::<JournalHandle>::default());
    let words = Words::new(&handle);
    let early = words.add("early");
    assert_eq!(early, Appended { start: Appended::NOWHERE, end: Position(0) });
    assert!(handle.is_awaited(), "the keeper is asked for a journal");
    assert!(words.journal.reader().is_none() && !words.journal.is_behind());
    assert_eq!(words.journal.synced(), None);
    assert_eq!(words.journal.poll_synced(early.end, Waker::noop()), Poll::Pending);
    let mut server = Server::with(&disk, handle, words);
    let late = server.words.add("late");
    assert_eq!(server.words.journal.synced(), None, "what was there before is not on the disk");
    assert_eq!(server.words.readable(), 0);
    server.writer.step();
    assert_eq!(server.words.journal.synced(), Some(late.end));
    assert_eq!(server.words.journal.poll_synced(early.end, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(server.words.readable(), 2, "the early one has got a place");
    server.stop();
    // A start leaves all where it is; the next snapshot, from which nothing is read, comes a little later.
    let mut server = Server::open(&disk);
    assert_eq!(texts(&server.words), ["early", "late"]);
    assert_eq!(server.words.readable(), 2);
    server.words.add("next");
    server.writer.step();
    assert_eq!(server.words.readable(), 3);
    server.stop();
    assert_eq!(Server::open(&disk).words.readable(), 0);
}

#[test]
fn a_service_learns_how_the_server_before_has_ended() {
    let disk = SimulatedDisk::default();
    let server = Server::open(&disk);
    assert!(server.last_stop(), "there was none");
    server.words.add("one");
    server.stop();
    let mut server = Server::open(&disk);
    assert!(server.last_stop());
    server.words.add("two");
    server.writer.step();
    drop(server);
    let server = Server::open(&disk);
    assert!(!server.last_stop(), "it was killed");
    // Killed again, before anything was appended.
    drop(server);
    let server = Server::open(&disk);
    assert!(!server.last_stop());
    server.stop();
    let server = Server::open(&disk);
    assert!(server.last_stop());
    assert_eq!(texts(&server.words), ["one", "two"]);
    // The rest cannot be written.  Of a server of which nothing reaches the disk the next one knows nothing.
    for (written, was_in_order) in [(None, true), (Some("three"), false)] {
        let mut server = Server::open(&disk);
        if let Some(word) = written {
            server.words.add(word);
            server.writer.step();
        }
        server.words.add("lost");
        disk.expect_trouble(Trouble::Full(disk.operations() + 1, u64::MAX));
        server.stop();
        disk.expect_trouble(Trouble::Full(0, 0));
        assert_eq!(Server::open(&disk).last_stop(), was_in_order);
    }
    assert_eq!(texts(&Server::open(&disk).words), ["one", "two", "three"]);
}

#[test]
fn a_stop_in_which_the_power_fails_is_in_order_only_if_nothing_is_lost() {
    let (mut random, mut told) = (Random::with_seed(6), [0, 0]);
    for at in 1..12 {
        let disk = SimulatedDisk::default();
        let mut server = Server::open(&disk);
        server.words.add("one");
        server.writer.step();
        server.words.add("two");
        disk.expect_trouble(Trouble::PowerLostAfter(disk.operations() + at));
        server.stop();
        for survival in [Survival::Nothing, Survival::Everything, Survival::Blocks(1), Survival::Blocks(8)] {
            let server = Server::open(&disk.after_power_loss(survival, &mut random));
            let is_whole = texts(&server.words) == ["one", "two"];
            assert!(is_whole || !server.last_stop(), "{at}, {survival:?}");
            told[usize::from(server.last_stop())] += 1;
        }
    }
    assert!(told[0] > 2 && told[1] > 2, "{told:?}");
}

#[test]
fn a_service_learns_that_a_snapshot_counts_and_what_it_replaces_is_gone() {
    let disk = SimulatedDisk::default();
    let mut server = Server::open(&disk);
    server.words.add("one");
    server.writer.step();
    let names = || disk.list().expect("the disk works");
    let journal = Arc::clone(server.handle.journal().expect("it was opened"));
    let mut snapshot = journal.begin_snapshot().expect("none is being made");
    snapshot.append(TAG, b"one");
    let before = names();
    let seen = Arc::new(Mutex::new(Vec::new()));
    snapshot.on_finished({
        let (disk, seen, journal) = (disk.clone(), Arc::clone(&seen), Arc::clone(&journal));
        move || {
            assert!(journal.begin_snapshot().is_none(), "it is still being made");
            *seen.lock() = disk.list().expect("the disk works");
        }
    });
    server.writer.step();
    assert!(seen.lock().is_empty(), "not before the end");
    snapshot.finish().expect("the disk works");
    assert_eq!(*seen.lock(), names());
    assert!(!names().contains(&before[0]));
    // One that comes to nothing is not told of.
    let count = Arc::clone(&server.words.snapshots_finished);
    let mut unfinished = journal.begin_snapshot().expect("none is being made");
    unfinished.on_finished(|| panic!("it was dropped"));
    drop(unfinished);
    let mut failed = journal.begin_snapshot().expect("none is being made");
    failed.on_finished(|| panic!("it has failed"));
    disk.expect_trouble(Trouble::Full(disk.operations() + 1, u64::MAX));
    assert!(failed.finish().is_err());
    disk.expect_trouble(Trouble::Full(0, 0));
    assert_eq!(count.load(Relaxed), 0);
    // The keeper's own, behind a start.
    server.stop();
    let server = Server::open(&disk);
    let count = Arc::clone(&server.words.snapshots_finished);
    assert_eq!(count.load(Relaxed), 0);
    server.stop();
    assert_eq!(count.load(Relaxed), 1);
}
