//! What all streams share: the fan-out, the journal, the clock, and the list of streams that wait for the disk.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};

use super::figures::Totals;
use super::persistence::StreamFolder;
use super::record::Record;
use super::shared::Stream;
use super::streams::Streams;
use super::timeouts::Timeouts;
use super::upkeep::WallOffset;
use crate::clock::{Clock, Now};
use crate::delivery::{Effects, FanOut, Sender};
use crate::journal;
use crate::journal::keeper::{JournalHandle, ServiceJournal};
use crate::journal::{Appended, NotAdmitted, Tag};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Durable, Lost, Position};

/// The tag of the streams' records.
pub(super) const TAG: Tag = Tag(3);

/// After how long another thread settles what the thread that was to settle it has not, in microseconds.
const RELIEF_MICROS: u64 = 20_000;

/// The parts of the server that streams work with.
#[derive(Clone)]
pub struct Surroundings {
    /// The fan-out, which delivers messages.
    pub fan_out: Arc<FanOut>,
    /// The journal of all services.
    pub journal: Arc<JournalHandle>,
    /// The clock.
    pub clock: Arc<Clock>,
}

/// What events of streams tell of the server and of its clients.
pub struct Introduction {
    /// The server's name.
    pub server: String,
    /// The client with this number; none if it has gone.
    pub client: Box<dyn Fn(u64, Now) -> Option<Sender> + Send + Sync>,
}

/// See the module's text.
pub(super) struct Hub {
    pub(super) fan_out: Arc<FanOut>,
    pub(super) journal: ServiceJournal,
    handle: Arc<JournalHandle>,
    pub(super) clock: Arc<Clock>,
    /// When the server started, in microseconds since 1970.
    pub(super) started: i64,
    pub(super) folder: StreamFolder,
    /// Streams with changes that the disk may not have yet, each once, and from which position on it has the first of them.
    unsettled: Mutex<Vec<(Arc<Stream>, Position)>, { rank::STREAMS_UNSETTLED }>,
    /// When the alarm is set for those that no worker has settled, in microseconds.
    relief_at: AtomicU64,
    /// The workers with their wakers, which settle streams once the disk has more.
    settlers: Mutex<Vec<(ThreadId, Waker)>, { rank::STREAM_SETTLERS }>,
    /// When a stream or one of its consumers has something to do, in microseconds of the clock of deadlines, and their numbers.
    deadlines: Mutex<BTreeSet<(u64, (u64, u64))>, { rank::STREAM_DEADLINES }>,
    /// The numbers of streams and consumers that were given last; none is given twice.
    pub(super) last_stream: AtomicU64,
    pub(super) last_consumer: AtomicU64,
    pub(super) wall_offset: WallOffset,
    /// The table that this is the hub of.
    streams: OnceLock<Weak<Streams>>,
    introduction: OnceLock<Introduction>,
    /// The readers that follow streams, and the number that one of them was given last.
    pub(super) followers: AtomicUsize,
    pub(super) last_follower: AtomicU64,
    /// The deadlines of waits.
    pub(super) timeouts: Timeouts,
    /// The streams of which so much waits for the disk that publishers are to be slowed down.
    pub(super) crowded: AtomicUsize,
    /// Counts of what happened to messages.
    pub(super) totals: Totals,
    /// Requests of the API, and those of them that were refused.
    pub(super) requests: AtomicU64,
    pub(super) refusals: AtomicU64,
    /// The streams of an earlier server have to resume.
    is_resumed: AtomicBool,
    /// The journal has the state of all streams, so records may be appended.
    is_attached: AtomicBool,
}

impl Hub {
    pub(super) fn new(surroundings: Surroundings, folder: StreamFolder) -> Hub {
        let Surroundings { fan_out, journal: handle, clock } = surroundings;
        Hub {
            fan_out,
            journal: ServiceJournal::new(&handle, TAG),
            handle,
            started: clock.now().wall_micros(),
            clock,
            folder,
            unsettled: Mutex::default(),
            relief_at: AtomicU64::new(0),
            settlers: Mutex::default(),
            deadlines: Mutex::default(),
            last_stream: AtomicU64::new(0),
            last_consumer: AtomicU64::new(0),
            wall_offset: WallOffset::default(),
            streams: OnceLock::new(),
            introduction: OnceLock::new(),
            followers: AtomicUsize::new(0),
            last_follower: AtomicU64::new(0),
            timeouts: Timeouts::default(),
            crowded: AtomicUsize::new(0),
            totals: Totals::default(),
            requests: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            is_resumed: AtomicBool::new(false),
            is_attached: AtomicBool::new(false),
        }
    }

    /// Sets the table that this is the hub of.
    pub(super) fn belong_to(&self, streams: Weak<Streams>) {
        // It is set once.
        let _ = self.streams.set(streams);
    }

    /// The table of all streams, while there is one.
    pub(super) fn streams(&self) -> Option<Arc<Streams>> {
        self.streams.get()?.upgrade()
    }

    pub(super) fn introduce(&self, introduction: Introduction) {
        // It is set once.
        let _ = self.introduction.set(introduction);
    }

    /// What events tell of the server and its clients; none where there is no server around the streams.
    pub(super) fn introduction(&self) -> Option<&Introduction> {
        self.introduction.get()
    }

    /// Whether streams are kept on the disk at all.  Otherwise all of them are in memory.
    pub(super) fn is_kept(&self) -> bool {
        self.journal.is_on()
    }

    /// Whether a stream that is to be kept can be: the journal is there.
    pub(super) fn is_attached(&self) -> bool {
        self.is_attached.load(Ordering::Acquire)
    }

    pub(super) fn attach(&self) {
        self.journal.attach();
        self.is_attached.store(true, Ordering::Release);
        self.is_resumed.store(true, Ordering::Release);
    }

    /// Whether the streams of an earlier server have to resume now; true once.
    pub(super) fn take_resumed(&self) -> bool {
        self.is_resumed.swap(false, Ordering::AcqRel)
    }

    /// Whether a new change may be appended.
    ///
    /// # Errors
    /// The reason why it may not.
    pub(super) fn admit(&self) -> Result<(), NotAdmitted> {
        if self.is_attached() && self.journal.can_write() && !self.journal.is_behind() {
            return Ok(());
        }
        // While it is behind, publishers are slowed down, so that it seldom refuses one.
        self.journal.admit()
    }

    /// Whether as much waits for the disk as may.  What nobody waits for is not to be appended then.
    pub(super) fn is_full(&self) -> bool {
        self.journal.is_behind() && self.journal.admit().is_err()
    }

    /// Appends a record.
    pub(super) fn append(&self, record: &Record<'_>) -> Appended {
        self.journal.append_parts(&record.parts(&mut Vec::new()))
    }

    /// Whether the disk has everything up to a position, or streams are not kept on the disk.
    pub(super) fn is_synced(&self, position: Position) -> bool {
        position == Position::default() || self.journal.is_synced(position)
    }

    /// Lists a stream whose changes the disk may not have yet, so that it is settled once the disk has them.
    pub(super) fn list_until(&self, stream: &Arc<Stream>, position: Position) {
        if !stream.is_listed.swap(true, Ordering::AcqRel) {
            self.unsettled.lock().push((Arc::clone(stream), position));
            // While the disk takes nothing, nobody is woken; the housekeeping settles streams twice a second.
            if self.has_failed() || self.journal.can_write() || self.is_synced(position) {
                self.wait_for(position);
                self.set_relief();
            }
        }
    }

    /// Sets the alarm for the case that the worker which is woken is busy for long.
    fn set_relief(&self) {
        let now = self.clock.now().micros();
        if self.relief_at.load(Ordering::Relaxed) <= now {
            let at = now + RELIEF_MICROS;
            self.relief_at.store(at, Ordering::Relaxed);
            self.fan_out.wake_by(at);
        }
    }

    /// Registers the waker of this thread with the journal, or those of all workers if it is none of them.  One worker settles
    /// what the disk has, so others need not be woken.
    fn wait_for(&self, position: Position) {
        let own = thread::current().id();
        let settlers = {
            let settlers = self.settlers.lock();
            match settlers.iter().find(|(thread, _)| *thread == own) {
                Some((_, waker)) => vec![waker.clone()],
                None => settlers.iter().map(|(_, waker)| waker.clone()).collect(),
            }
        };
        for waker in settlers {
            if self.is_synced(position) || self.handle.poll_synced(position, &waker).is_ready() {
                waker.wake();
            }
        }
    }

    /// Has this thread settle streams: `waker` is woken when there are some.
    pub(super) fn add_settler(&self, waker: Waker) {
        self.settlers.lock().push((thread::current().id(), waker));
    }

    /// This thread ends.  Others settle what it was to.
    pub(super) fn remove_settler(&self) {
        let own = thread::current().id();
        let others = {
            let mut settlers = self.settlers.lock();
            settlers.retain(|(thread, _)| *thread != own);
            settlers.clone()
        };
        others.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Takes the streams that wait for the disk.
    pub(super) fn take_unsettled(&self) -> Vec<Arc<Stream>> {
        let unsettled = std::mem::take(&mut *self.unsettled.lock());
        unsettled.into_iter().map(|(stream, _)| stream).collect()
    }

    /// Takes those of them that can be settled now.  The others stay with the threads that wait for them.
    pub(super) fn take_overdue(&self) -> Vec<Arc<Stream>> {
        let is_over = self.has_failed() || self.is_stalled();
        let mut unsettled = self.unsettled.lock();
        let overdue: Vec<_> =
            unsettled.extract_if(.., |(_, position)| is_over || self.is_synced(*position)).collect();
        if !unsettled.is_empty() {
            self.set_relief();
        }
        overdue.into_iter().map(|(stream, _)| stream).collect()
    }

    /// Notes when a stream (its number and zero) or a consumer (both numbers) has something to do next, instead of the time that was
    /// noted before.
    pub(super) fn set_deadline(
        &self,
        whose: (u64, u64),
        former: &mut Option<u64>,
        next: Option<u64>,
        effects: &mut Effects,
    ) {
        if *former == next {
            return;
        }
        self.forget_deadline(whose, former);
        if let Some(next) = next {
            self.deadlines.lock().insert((next, whose));
            effects.set_deadline(next);
        }
        *former = next;
    }

    /// Notes that it has nothing to do.
    pub(super) fn forget_deadline(&self, whose: (u64, u64), former: &mut Option<u64>) {
        if let Some(former) = former.take() {
            self.deadlines.lock().remove(&(former, whose));
        }
    }

    /// The streams and consumers that are due by `now`, and when the next one is due.
    pub(super) fn due(&self, now: u64) -> (Vec<(u64, u64)>, Option<u64>) {
        let deadlines = self.deadlines.lock();
        let due = deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, whose)| *whose).collect();
        let next = deadlines.iter().find(|(at, _)| *at > now).map(|(at, _)| *at);
        (due, next)
    }

    /// Makes the journal, and wakes the workers when it is made or cannot be.
    pub(super) fn wait_until_made(&self) {
        drop(self.journal.barrier(Position::default()));
        self.wait_for(Position::default());
    }

    /// Ready once the disk has everything up to a position, or cannot have it.
    pub(super) fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if self.is_synced(position) { Poll::Ready(Ok(())) } else { self.handle.poll_synced(position, waker) }
    }

    /// Reads what the journal has of messages; none if there is no journal.
    pub(super) fn reader(&self) -> Option<journal::Reader> {
        self.journal.reader()
    }

    /// Whether the disk has failed: nothing is kept any more until a new start.
    pub(super) fn has_failed(&self) -> bool {
        self.handle.journal().is_some_and(|journal| journal.has_failed())
    }

    /// Whether the disk takes nothing now, for whatever reason.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_attached() && !self.journal.can_write()
    }

    /// Whether so much waits for the disk that publishers are to be slowed down.
    pub(super) fn is_behind(&self) -> bool {
        self.journal.is_behind()
    }

    /// Whether publishers of some streams are to be slowed down.
    pub(super) fn are_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) > 0 || self.is_behind()
    }

    /// The numbers of the next stream and the next consumer.
    pub(super) fn next_ids(&self) -> (u64, u64) {
        (self.last_stream.load(Ordering::Relaxed) + 1, self.last_consumer.load(Ordering::Relaxed) + 1)
    }

    /// A stream has this number.
    pub(super) fn note_stream(&self, id: u64) {
        self.last_stream.fetch_max(id, Ordering::Relaxed);
    }

    /// A consumer has this number.
    pub(super) fn note_consumer(&self, id: u64) {
        self.last_consumer.fetch_max(id, Ordering::Relaxed);
    }

    /// Where everything ends that a consumer has appended.
    pub(super) fn appended(&self) -> Position {
        self.handle.journal().map_or(Position::default(), |journal| journal.appended())
    }
}
