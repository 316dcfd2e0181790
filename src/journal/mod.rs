//! The journal: what a service has promised to remember is on the disk before the promise is heard.
//!
//! A service appends a record under its own lock, which costs a copy and no wait for the disk, and gets the position
//! that its reply has to wait for.  A writer thread takes all that was appended meanwhile, writes it and syncs once
//! for everybody who waits.  At the start the records come back in their order.  What one operation of the service
//! has to say may take several records: they come back all together or not at all.
//!
//! The files are segments, each with a number and the position where it begins, and at most one snapshot that counts:
//! the state before the segment with its number.  A journal that could not be synced has failed for good; a new start
//! finds out what the disk really has.  One that lacks room or descriptors stalls: it tries again until it has them.
//!
//! No sockets, no `async`; [`disk`] is the only part that touches files.

pub mod disk;
mod operations;
mod pending;
mod record;
mod recovery;
mod segment;
mod snapshot;
mod waiters;
mod writer;

pub use record::RECORD_MAX;
pub use recovery::{OpenError, Recovered, Replay, TornEnd};
pub use snapshot::Snapshot;
pub use writer::Writer;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::clock::Clock;
use crate::lock_order::{Condvar, Mutex, MutexGuard, rank};
use crate::wait::{Durable, Lost, Position};
use disk::{Disk, Folder, FolderError};
use pending::Pending;
use waiters::Waiters;

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is called in the log and as a thread.
    pub name: &'static str,
    /// A segment with this many bytes is followed by a new one.
    pub segment_max: u64,
    /// A snapshot is due after this many bytes, and after twice those of the last snapshot.
    pub snapshot_after: u64,
    /// Nothing new is admitted while this many bytes wait to be written.
    pub pending_max: usize,
    /// The least time from one sync to the next unless somebody waits: zero for a sync as soon as anything was appended,
    /// more to lose at most what was said in such an interval.
    pub sync_interval: Duration,
}

impl Options {
    /// What fits most services: 64 MiB to each limit, synced at once.
    pub fn new(name: &'static str) -> Options {
        Options {
            name,
            segment_max: 64 << 20,
            snapshot_after: 64 << 20,
            pending_max: 64 << 20,
            sync_interval: Duration::ZERO,
        }
    }
}

/// Why nothing can be promised now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdmitted {
    /// The disk is behind by as much as may wait for it.
    Behind,
    /// The disk has no room, or the system no descriptors: what was begun is tried again and again.
    Stalled,
    /// The disk has failed; only a new start helps.
    Failed,
}

/// How a journal fares, for INFO and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The end of all that was appended.
    pub appended: Position,
    /// The end of what is on the disk.
    pub synced: Position,
    /// Syncs since the start.
    pub syncs: u64,
    /// How long the last write with its sync took.
    pub last_sync_micros: u64,
    /// Bytes of the last snapshot, zero if there is none.
    pub snapshot_bytes: u64,
    /// Why it cannot be written: for good, or at the moment.
    pub failure: Option<String>,
}

impl Status {
    /// That of a journal that cannot be had.
    pub fn unavailable(reason: String) -> Status {
        Status {
            appended: Position(0),
            synced: Position(0),
            syncs: 0,
            last_sync_micros: 0,
            snapshot_bytes: 0,
            failure: Some(reason),
        }
    }
}

/// One service's journal.  Dropped, it writes the rest and ends its thread.
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>, { rank::JOURNAL_THREAD }>,
}

/// What the ends of a journal share.
struct Shared {
    disk: Arc<dyn Disk>,
    options: Options,
    /// Measures how long a sync takes.
    clock: Clock,
    state: Mutex<State, { rank::JOURNAL }>,
    /// The writer's thread.  It sleeps without the mutex: one that wakes up to take it keeps it from those who append,
    /// for as long as it takes the system to get the thread going.
    writer: OnceLock<Thread>,
    /// A segment was begun, or the journal has failed.
    changed: Condvar,
    synced: AtomicU64,
    waiters: Mutex<Waiters, { rank::JOURNAL_WAITERS }>,
    failure: OnceLock<String>,
    /// The writer could not write when it last tried and will try again: nobody waits for that.
    is_stalled: AtomicBool,
    /// The writer has ended: nothing that is not on the disk will be.
    is_closed: AtomicBool,
    is_snapshot_begun: AtomicBool,
    snapshot_bytes: AtomicU64,
    syncs: AtomicU64,
    last_sync_micros: AtomicU64,
}

struct State {
    pending: Pending,
    /// The last segment that is on the disk.
    begun: u64,
    is_closing: bool,
    /// Somebody waits for a sync that was to be put off.
    is_waited_for: bool,
    /// The writer sleeps and has to be told of work.
    is_writer_idle: bool,
    /// The writer is told once so many operations are pending.
    wanted_operations: usize,
    /// Why the writer could not write when it last tried and will try again.
    stall: Option<String>,
}

impl Journal {
    /// Opens the journal in `folder`, makes it if there is none, and replays what it holds.
    ///
    /// # Errors
    /// If the folder cannot be had, if what had been on the disk is not there as it was written, or if `replay` does
    /// not understand a record.
    pub fn open(
        folder: &Path,
        options: Options,
        replay: &mut Replay<'_>,
    ) -> Result<(Arc<Journal>, Recovered), OpenError> {
        let disk = Folder::open(folder).map_err(|error| match error {
            FolderError::Owned => OpenError::Owned { folder: folder.display().to_string() },
            FolderError::Io(error) => OpenError::Io { what: format!("use {}", folder.display()), error },
        })?;
        let (journal, writer, recovered) = Journal::open_on(Arc::new(disk), options, replay)?;
        journal.start(writer).map_err(|error| OpenError::Io { what: "start a thread".to_owned(), error })?;
        Ok((journal, recovered))
    }

    /// Opens the journal on a disk.  Nothing is written until the writer takes a step or is started.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        options: Options,
        replay: &mut Replay<'_>,
    ) -> Result<(Arc<Journal>, Writer, Recovered), OpenError> {
        let recovered = recovery::recover(&*disk, replay)?;
        if let Some(torn) = &recovered.torn {
            tracing::warn!(
                journal = options.name,
                file = torn.file,
                offset = torn.offset,
                reason = torn.reason,
                "cut off the end of the journal, which is not what was written.  A crash in the last write leaves \
                 that, and nobody was told of such a write; but if the disk has lost what it had confirmed, \
                 operations that were acknowledged are gone with it"
            );
        }
        let (position, sequence) = (recovered.position, recovered.sequence);
        let id = segment::FileId::segment(sequence);
        let file = segment::create(&*disk, id, position)
            .map_err(|error| recovery::failed(&*disk, "make", &id.name(), error))?;
        let pending = Pending::new(position, sequence, recovered.segment_bytes);
        let shared = Arc::new(Shared {
            disk,
            options,
            clock: Clock::machine(),
            state: Mutex::new(State {
                pending,
                begun: sequence,
                is_closing: false,
                is_waited_for: false,
                is_writer_idle: false,
                wanted_operations: usize::MAX,
                stall: None,
            }),
            writer: OnceLock::new(),
            changed: Condvar::default(),
            synced: AtomicU64::new(position.0),
            waiters: Mutex::default(),
            failure: OnceLock::new(),
            is_stalled: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_snapshot_begun: AtomicBool::new(false),
            snapshot_bytes: AtomicU64::new(recovered.snapshot_bytes),
            syncs: AtomicU64::new(0),
            last_sync_micros: AtomicU64::new(0),
        });
        let writer = Writer::new(Arc::clone(&shared), file, sequence);
        Ok((Arc::new(Journal { shared, thread: Mutex::new(None) }), writer, recovered))
    }

    /// Lets the writer run on a thread of its own.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(&self, writer: Writer) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(format!("{} journal", self.shared.options.name));
        *self.thread.lock() = Some(thread.spawn(move || writer.run())?);
        Ok(())
    }

    /// Whether a service may begin something that it will have to write down.  Asked before a command changes
    /// anything; what was begun is always appended, so the limit is exceeded by no more than the commands that run.
    ///
    /// # Errors
    /// If it may not, why.
    pub fn admit(&self) -> Result<(), NotAdmitted> {
        if self.has_failed() {
            return Err(NotAdmitted::Failed);
        }
        let state = self.shared.state.lock();
        if state.stall.is_some() {
            return Err(NotAdmitted::Stalled);
        }
        if state.pending.bytes.len() >= self.shared.options.pending_max {
            return Err(NotAdmitted::Behind);
        }
        Ok(())
    }

    /// Appends an operation that one record says; see [`Journal::append_all`].
    pub fn append(&self, payload: &[u8]) -> Position {
        self.append_all([payload])
    }

    /// Appends the records of one operation, none of which is empty or longer than [`RECORD_MAX`] bytes, however many
    /// there are.  A start after a crash finds all of them or none.  Returns the position that is on the disk when they
    /// are.  Called under the lock of the service, so that the order is that of its changes; does not wait for the disk.
    pub fn append_all<'r>(&self, records: impl IntoIterator<Item = &'r [u8]>) -> Position {
        let mut state = self.shared.state.lock();
        if self.has_failed() {
            // It would only gather; whoever waits for this position is told.
            return Position(u64::MAX);
        }
        state.pending.append(records, self.shared.options.segment_max);
        let position = state.pending.position;
        self.shared.tell_writer(state);
        position
    }

    /// The end of what is on the disk.
    pub fn synced(&self) -> Position {
        Position(self.shared.synced.load(Ordering::Acquire))
    }

    /// True once the disk has failed: nothing is promised any more until a new start.
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed()
    }

    /// False while nothing can be promised, because the disk has failed or has no room just now.
    pub fn can_write(&self) -> bool {
        self.shared.can_write()
    }

    /// True if enough was appended for a snapshot to pay and none is being made.
    pub fn is_snapshot_due(&self) -> bool {
        let last = self.shared.snapshot_bytes.load(Ordering::Relaxed);
        let enough = self.shared.options.snapshot_after.max(last.saturating_mul(2));
        !self.shared.is_snapshot_begun.load(Ordering::Acquire)
            && !self.has_failed()
            && self.shared.state.lock().pending.since_snapshot >= enough
    }

    /// Begins a snapshot of the state as it is now: all that was appended before is in it, and nothing that is
    /// appended later.  Called under the lock of the service; none if one is being made already.
    pub fn begin_snapshot(&self) -> Option<Snapshot> {
        if self.has_failed() || self.shared.is_snapshot_begun.swap(true, Ordering::AcqRel) {
            return None;
        }
        let mut state = self.shared.state.lock();
        let sequence = state.pending.cut();
        state.pending.since_snapshot = 0;
        let position = state.pending.position;
        self.shared.tell_writer(state);
        Some(Snapshot::new(Arc::clone(&self.shared), sequence, position))
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        let (appended, stall) = {
            let state = self.shared.state.lock();
            (state.pending.position, state.stall.clone())
        };
        Status {
            appended,
            synced: self.synced(),
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            last_sync_micros: self.shared.last_sync_micros.load(Ordering::Relaxed),
            snapshot_bytes: self.shared.snapshot_bytes.load(Ordering::Relaxed),
            failure: self.shared.failure.get().cloned().or(stall),
        }
    }

    /// Writes the rest, syncs it and ends the writer's thread.  Nothing is appended afterwards.
    pub fn close(&self) {
        self.shared.state.lock().is_closing = true;
        self.shared.wake_writer();
        let thread = self.thread.lock().take();
        // Who was woken by the writer may be the last to have let go of the journal, on that very thread.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic of the thread has been reported, and there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Durable for Journal {
    fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        self.shared.poll_synced(position, waker)
    }
}

impl Shared {
    fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    fn can_write(&self) -> bool {
        !self.has_failed() && !self.is_stalled.load(Ordering::Acquire)
    }

    fn outcome(&self, position: Position) -> Option<Result<(), Lost>> {
        if position.0 <= self.synced.load(Ordering::Acquire) {
            return Some(Ok(()));
        }
        (!self.can_write() || self.is_closed.load(Ordering::Acquire)).then_some(Err(Lost))
    }

    /// See [`Durable::poll_synced`].
    fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if let Some(known) = self.outcome(position) {
            return Poll::Ready(known);
        }
        let mut waiters = self.waiters.lock();
        // Whoever publishes does so before looking for waiters.
        if let Some(known) = self.outcome(position) {
            return Poll::Ready(known);
        }
        waiters.insert(position, waker);
        drop(waiters);
        if !self.options.sync_interval.is_zero() {
            // Somebody waits, so this sync is not put off.
            self.state.lock().is_waited_for = true;
            self.wake_writer();
        }
        Poll::Pending
    }

    /// Has this thread wait until a position is on the disk.
    fn wait_until_synced(&self, position: Position) -> io::Result<()> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match self.poll_synced(position, &waker) {
                Poll::Ready(Ok(())) => return Ok(()),
                Poll::Ready(Err(Lost)) => return Err(io::Error::other("the journal has ended or stalls")),
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// Tells the writer of what was appended, if it waits for that.
    fn tell_writer(&self, mut state: MutexGuard<'_, State>) {
        let is_full = state.pending.bytes.len() >= self.options.pending_max / 2;
        let is_waited_for = state.is_writer_idle || state.pending.operations == state.wanted_operations;
        // Whoever comes next need not say it again.
        state.is_writer_idle = false;
        drop(state);
        if is_full || is_waited_for {
            self.wake_writer();
        }
    }

    fn wake_writer(&self) {
        if let Some(thread) = self.writer.get() {
            thread.unpark();
        }
    }

    /// Everything up to `position` is on the disk.
    fn publish(&self, position: Position) {
        self.synced.store(position.0, Ordering::Release);
        let woken = self.waiters.lock().take_up_to(position);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing is written for the time being.
    fn stall(&self, reason: String) {
        let mut state = self.state.lock();
        let is_new = state.stall.as_ref() != Some(&reason);
        state.stall = Some(reason.clone());
        drop(state);
        // It may take long, so nobody waits for it: neither a snapshot nor a client.
        self.changed.notify_all();
        self.is_stalled.store(true, Ordering::Release);
        let woken = self.waiters.lock().take_all();
        woken.into_iter().for_each(Waker::wake);
        if is_new {
            tracing::error!(
                journal = self.options.name,
                reason,
                "the journal stalls: nothing that needs it is promised until it can be written, which is tried \
                 again and again"
            );
        }
    }

    /// What was to be written was.
    fn go_on(&self) {
        self.is_stalled.store(false, Ordering::Release);
        let stall = self.state.lock().stall.take();
        if stall.is_some() {
            tracing::warn!(journal = self.options.name, "the journal is written again");
        }
    }

    /// The writer has written all that it ever will.
    fn note_closed(&self) {
        self.is_closed.store(true, Ordering::Release);
        let woken = self.waiters.lock().take_all();
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing more will be on the disk.
    fn fail(&self, reason: String) {
        tracing::error!(
            journal = self.options.name,
            reason,
            "the journal has failed: nothing that needs it is promised until the server is started anew"
        );
        // A journal fails once: the writer stops there.
        let _ = self.failure.set(reason);
        let mut state = self.state.lock();
        state.pending.bytes = Vec::new();
        state.pending.operations = 0;
        drop(state);
        self.changed.notify_all();
        let woken = self.waiters.lock().take_all();
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits until a segment is on the disk, but not for a writer that stalls.
    fn wait_until_begun(&self, sequence: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        while state.begun < sequence {
            if self.has_failed() {
                return Err(io::Error::other("the journal has failed"));
            }
            if state.stall.is_some() {
                return Err(io::Error::other("the journal stalls"));
            }
            self.changed.wait(&mut state);
        }
        Ok(())
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
