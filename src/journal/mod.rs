//! The journal: a service's promise is on the disk before its client hears it.
//!
//! All services share one journal, and each record carries the tag of its service.  A service appends a record under
//! its own lock, which costs a copy and no wait for the disk, and gets the position that its reply has to wait for.  A
//! writer thread takes everything that was appended meanwhile, writes it and syncs once for all waiters.  At the start
//! the records come back in their order.  An operation may need several records, and a transaction the records of
//! several services: they come back all together or not at all.  A service that keeps its data here reads single records
//! while the journal is written ([`Reader`]).
//!
//! The files are segments, each with a number and the position where it begins, and at most one snapshot that counts:
//! the state before the segment with its number.  A journal that could not be synced has failed for good; a new start
//! finds out what the disk has.  A journal that lacks room or descriptors stalls: it tries again until it has them.
//!
//! [`keeper`] opens the journal, and takes snapshots of the services that share it.
//!
//! No sockets, no `async`; [`crate::disk`] is the only part that touches files.

mod append;
mod groups;
pub mod keeper;
mod operations;
mod pending;
mod reader;
mod record;
mod recovery;
mod segment;
mod segments;
mod shared;
mod snapshot;
mod waiters;
mod writer;

pub use append::Appended;
pub use groups::{Group, Groups};
pub use reader::{READ_BYTES, ReadError, Reader};
pub use record::{RECORD_MAX, Tag, record_length};
pub use recovery::{OpenError, Recovered, Replay, TornEnd};
pub use segments::OPEN_SEGMENTS_MAX;
pub use snapshot::Snapshot;
pub use writer::Writer;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::disk::{Disk, Folder, FolderError, Untouched};
use crate::lock_order::{Condvar, Mutex, rank};
use crate::wait::{Durable, Lost, Position};
use pending::Pending;
use segments::Segments;
use shared::{Shared, State};

/// Shows all records of a journal that nobody has open.  Nothing on the disk is changed.
///
/// # Errors
/// As [`Journal::open`].
pub fn read_through(disk: &Arc<dyn Disk>, replay: &mut Replay<'_>) -> Result<Recovered, OpenError> {
    let mut replay_bytes = |bytes: &[u8], position| match Tag::split(bytes) {
        Some((tag, record)) => replay(tag, record, position),
        None => Err("a record is empty".to_owned()),
    };
    let untouched = Untouched(Arc::clone(disk));
    recovery::recover(&untouched, segment::VERSION..=segment::VERSION, &mut replay_bytes)
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the log and as a thread.
    pub name: &'static str,
    /// A segment with this many bytes is followed by a new one.
    pub segment_max: u64,
    /// A snapshot is due after this many bytes, and after twice those of the last snapshot.
    pub snapshot_after: u64,
    /// Nothing new is admitted while this many bytes wait to be written.
    pub pending_max: usize,
    /// The groups that are open, which may have been opened before the journal.
    pub groups: Arc<Groups>,
}

impl Options {
    /// The usual limits: 64 MiB each.
    pub fn new(name: &'static str) -> Options {
        Options {
            name,
            segment_max: 64 << 20,
            snapshot_after: 64 << 20,
            pending_max: 64 << 20,
            groups: Arc::default(),
        }
    }
}

/// Why nothing can be promised now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotAdmitted {
    /// There is no journal, for this reason; making it is tried again and again.
    Unmade(Arc<String>),
    /// The disk is behind by as much as may wait for it.
    Behind,
    /// The disk has no room, or the system no descriptors: the write is tried again and again.
    Stalled,
    /// The disk has failed; only a new start helps.
    Failed,
}

/// How a journal fares, for INFO and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The end of all that was appended.
    pub appended: Position,
    /// The end of all records that are on the disk.
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
    /// The status of a journal that cannot be made.
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

/// A journal.  Dropped, it writes the rest and ends its thread.
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>, { rank::JOURNAL_THREAD }>,
}

impl Journal {
    /// Opens the journal in `folder`, makes it if there is none, and replays its records.
    ///
    /// # Errors
    /// If the folder cannot be owned, if its contents are damaged, or if `replay` does not understand a record.
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
        let mut replay_bytes = |bytes: &[u8], position| match Tag::split(bytes) {
            Some((tag, record)) => replay(tag, record, position),
            None => Err("a record is empty".to_owned()),
        };
        let recovered = recovery::recover(&*disk, segment::VERSION..=segment::VERSION, &mut replay_bytes)?;
        recovered.warn_of_torn_end(options.name);
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
                is_writer_idle: false,
                wanted_operations: usize::MAX,
                stall: None,
            }),
            writer: OnceLock::new(),
            changed: Condvar::default(),
            synced: AtomicU64::new(position.0),
            segments: Segments::default(),
            waiters: Mutex::default(),
            failure: OnceLock::new(),
            is_stalled: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            has_quiet: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            is_snapshot_begun: AtomicBool::new(false),
            snapshot_bytes: AtomicU64::new(recovered.snapshot_bytes),
            syncs: AtomicU64::new(0),
            last_sync_micros: AtomicU64::new(0),
        });
        let replayed = recovered.segments.iter().copied();
        replayed
            .chain([(sequence, position)])
            .for_each(|(sequence, start)| shared.segments.begin(sequence, start));
        shared.options.groups.belong_to(Arc::downgrade(&shared));
        let writer = Writer::new(Arc::clone(&shared), file, sequence);
        Ok((Arc::new(Journal { shared, thread: Mutex::new(None) }), writer, recovered))
    }

    /// Lets the writer run on a thread of its own.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(&self, writer: Writer) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(self.shared.options.name.to_owned());
        *self.thread.lock() = Some(thread.spawn(move || writer.run())?);
        Ok(())
    }

    /// The end of everything that was appended.
    pub fn appended(&self) -> Position {
        self.shared.state.lock().pending.position
    }

    /// Whether a service may begin something that it will have to write down.  Asked before a command changes
    /// anything; the records of a command that has begun are always appended, so the limit is exceeded by no more than the
    /// commands that run.
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

    /// Has the writer write the records that were appended quietly, without waiting for it.
    pub fn flush(&self) {
        if self.shared.has_quiet.load(Ordering::Acquire) {
            self.shared.wake_writer();
        }
    }

    /// True from when half of what may wait for the disk does: callers that append should slow down, before
    /// [`Journal::admit`] refuses anything.  A caller that has appended something and waits for its end
    /// ([`Durable::poll_synced`]) is woken when all that waited has been written, or when it cannot be written;
    /// it asks again then, since others may have appended meanwhile.
    pub fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Relaxed)
    }

    /// Reads records of the service with this tag back.
    pub fn reader(&self, tag: Tag) -> Reader {
        Reader::new(Arc::clone(&self.shared), tag)
    }

    /// The end of all records that are on the disk.
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

    /// Begins a snapshot: all that was appended before is to be in it.  None if one is being made, if the journal has
    /// failed, or while a group is open, which lies in one segment.
    pub fn begin_snapshot(&self) -> Option<Snapshot> {
        let mut state = self.shared.state.lock();
        if self.has_failed()
            || state.pending.has_group()
            || self.shared.is_snapshot_begun.swap(true, Ordering::AcqRel)
        {
            return None;
        }
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
        // A waiter that the writer has woken may be the last to let go of the journal, on the writer's own thread.
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
