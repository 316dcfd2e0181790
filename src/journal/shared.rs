//! The state that the ends of a journal share: threads that append, waiters for a sync, the writer, snapshots.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::thread::Thread;

use super::Options;
use super::append::Appended;
use super::pending::Pending;
use super::record::Tag;
use super::segments::Segments;
use super::waiters::Waiters;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::lock_order::{Condvar, Mutex, MutexGuard, rank};
use crate::wait::{Lost, Position, thread_waker};

/// See the module's text.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    /// Measures how long a sync takes.
    pub(super) clock: Clock,
    pub(super) state: Mutex<State, { rank::JOURNAL }>,
    /// The writer's thread.  It sleeps without the mutex: one that wakes up to take it keeps it from threads that append,
    /// for as long as it takes the system to get the thread going.
    pub(super) writer: OnceLock<Thread>,
    /// A segment was begun, or the journal has failed.
    pub(super) changed: Condvar,
    pub(super) synced: AtomicU64,
    pub(super) segments: Segments,
    pub(super) waiters: Mutex<Waiters, { rank::JOURNAL_WAITERS }>,
    pub(super) failure: OnceLock<String>,
    /// The writer could not write when it last tried and will try again.  No reply waits for that.
    pub(super) is_stalled: AtomicBool,
    /// The writer has ended: nothing that is not on the disk will be.
    pub(super) is_closed: AtomicBool,
    /// Records were appended quietly: the writer was not told.
    pub(super) has_quiet: AtomicBool,
    /// Half of what may wait for the writer does.
    pub(super) is_behind: AtomicBool,
    pub(super) is_snapshot_begun: AtomicBool,
    pub(super) snapshot_bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) last_sync_micros: AtomicU64,
}

pub(super) struct State {
    pub(super) pending: Pending,
    /// The last segment that is on the disk.
    pub(super) begun: u64,
    pub(super) is_closing: bool,
    /// The writer sleeps and has to be told of work.
    pub(super) is_writer_idle: bool,
    /// The writer is told once so many operations are pending.
    pub(super) wanted_operations: usize,
    /// Why the writer could not write when it last tried and will try again.
    pub(super) stall: Option<String>,
}

impl Shared {
    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn can_write(&self) -> bool {
        !self.has_failed() && !self.is_stalled.load(Ordering::Acquire)
    }

    fn outcome(&self, position: Position) -> Option<Result<(), Lost>> {
        if position.0 <= self.synced.load(Ordering::Acquire) {
            return Some(Ok(()));
        }
        (!self.can_write() || self.is_closed.load(Ordering::Acquire)).then_some(Err(Lost))
    }

    /// See [`Durable::poll_synced`](crate::wait::Durable::poll_synced).
    pub(super) fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if let Some(known) = self.outcome(position) {
            return Poll::Ready(known);
        }
        let mut waiters = self.waiters.lock();
        // The writer publishes before it looks for waiters.
        if let Some(known) = self.outcome(position) {
            return Poll::Ready(known);
        }
        waiters.insert(position, waker);
        drop(waiters);
        if self.has_quiet.load(Ordering::Acquire) {
            // Now a reply waits for records that no reply was expected to wait for.
            self.wake_writer();
        }
        Poll::Pending
    }

    /// Has this thread wait until a position is on the disk.
    pub(super) fn wait_until_synced(&self, position: Position) -> io::Result<()> {
        let waker = thread_waker();
        loop {
            match self.poll_synced(position, &waker) {
                Poll::Ready(Ok(())) => return Ok(()),
                Poll::Ready(Err(Lost)) => return Err(io::Error::other("the journal has ended or stalls")),
                Poll::Pending => std::thread::park(),
            }
        }
    }

    fn is_half_full(&self, pending: &Pending) -> bool {
        pending.bytes.len() >= self.options.pending_max / 2
    }

    /// Updates the flag that tells appending threads whether too much waits.  Called under the lock, whenever that may have changed.
    pub(super) fn note_pending(&self, pending: &Pending) {
        let is_behind = self.is_half_full(pending);
        // All threads look at it, so it is written only when it changes.
        if self.is_behind.load(Ordering::Relaxed) != is_behind {
            self.is_behind.store(is_behind, Ordering::Relaxed);
        }
    }

    /// Tells the writer of appended records, if it waits for some.
    pub(super) fn tell_writer(&self, mut state: MutexGuard<'_, State>) {
        if !state.pending.is_ready() {
            return;
        }
        let is_full = self.is_half_full(&state.pending);
        let is_waited_for = state.is_writer_idle || state.pending.operations == state.wanted_operations;
        // The next thread that appends need not say it again.
        state.is_writer_idle = false;
        drop(state);
        if is_full || is_waited_for {
            self.wake_writer();
        }
    }

    /// Appends the records of an operation and tells the writer, unless no reply is to wait for them.
    pub(super) fn append<'r, R: AsRef<[&'r [u8]]>>(
        &self,
        tag: Tag,
        records: impl IntoIterator<Item = R>,
        is_quiet: bool,
    ) -> Appended {
        let mut state = self.state.lock();
        if self.has_failed() {
            // It would only gather.  A waiter for this position is told of the failure.
            return Appended::FAILED;
        }
        let start = state.pending.position;
        let is_grouped = self.options.groups.are_open();
        state.pending.append(tag, records, self.options.segment_max, is_grouped);
        if is_grouped {
            self.options.groups.note_records(true);
            if !self.options.groups.are_open() {
                // The thread that closed the last one meanwhile may have found nothing to end.
                state.pending.close_group();
            }
        }
        self.note_pending(&state.pending);
        let appended = Appended { start, end: state.pending.position };
        if is_quiet {
            self.has_quiet.store(true, Ordering::Release);
            if !self.is_half_full(&state.pending) {
                return appended;
            }
        }
        self.tell_writer(state);
        appended
    }

    /// Makes the records that were appended while groups were open whole, if none is open any more.
    pub(super) fn end_group(&self) {
        let mut state = self.state.lock();
        if !self.options.groups.are_open() {
            self.options.groups.note_records(false);
            state.pending.close_group();
            self.tell_writer(state);
        }
    }

    pub(super) fn wake_writer(&self) {
        if let Some(thread) = self.writer.get() {
            thread.unpark();
        }
    }

    /// Everything up to `position` is on the disk.
    pub(super) fn publish(&self, position: Position) {
        self.synced.store(position.0, Ordering::Release);
        let woken = self.waiters.lock().take_up_to(position);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing is written for the time being.
    pub(super) fn stall(&self, reason: String) {
        let mut state = self.state.lock();
        let is_new = state.stall.as_ref() != Some(&reason);
        state.stall = Some(reason.clone());
        drop(state);
        // It may take long, so neither a snapshot nor a client waits for it.
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

    /// The batch that waited is written.
    pub(super) fn go_on(&self) {
        self.is_stalled.store(false, Ordering::Release);
        let stall = self.state.lock().stall.take();
        if stall.is_some() {
            tracing::warn!(journal = self.options.name, "the journal is written again");
        }
    }

    /// The writer has written all that it ever will.
    pub(super) fn note_closed(&self) {
        self.is_closed.store(true, Ordering::Release);
        let woken = self.waiters.lock().take_all();
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing more will be on the disk.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!(
            journal = self.options.name,
            reason,
            "the journal has failed: nothing that needs it is promised until the server is started anew"
        );
        // A journal fails once: the writer stops there.
        let _ = self.failure.set(reason);
        let mut state = self.state.lock();
        state.pending.clear();
        self.note_pending(&state.pending);
        drop(state);
        self.changed.notify_all();
        let woken = self.waiters.lock().take_all();
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits until a segment is on the disk, but not for a writer that stalls.
    pub(super) fn wait_until_begun(&self, sequence: u64) -> io::Result<()> {
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
