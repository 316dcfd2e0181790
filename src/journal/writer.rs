//! The writer: takes all appended records, writes them, syncs once for all waiters, and wakes them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::pending::{Cut, Taken};
use super::segment::{self, FileId};
use super::shared::{Shared, State};
use crate::disk::DiskFile;
use crate::lock_order;
use crate::wait::Position;

/// The longest time for which a sync is put off so that more records share it.
const GATHERING_MAX: Duration = Duration::from_millis(1);

/// How long to wait before trying again after an error that passes.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A buffer that grew beyond this in a burst is given back.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// The end of a journal that writes.  A thread of its own does so, or a test, a step at a time.
pub struct Writer {
    shared: Arc<Shared>,
    file: Box<dyn DiskFile>,
    sequence: u64,
    /// True if the segment that is written has records.
    has_records: bool,
    /// The buffer that is not being appended to.
    spare: Vec<u8>,
    /// How many operations the last step wrote.
    last_batch: usize,
    /// A batch that was taken and is not written, because of an error that passes.
    unwritten: Option<Batch>,
}

/// The records that one step writes.
struct Batch {
    bytes: Vec<u8>,
    cuts: Vec<Cut>,
    end: Position,
    /// Bytes that are on the disk.
    written: usize,
    /// Segments that were begun.
    begun: usize,
}

/// Why a step did not write everything.
enum Obstacle {
    /// The written bytes are sound, and trying again may succeed.
    Passing(io::Error),
    /// The contents of the disk are unknown.
    Final(io::Error),
}

impl Obstacle {
    /// The kind of an error before a sync.  Until then nothing is acknowledged, and the same bytes can be
    /// written to the same place again: a lack of room, memory or descriptors is no reason to give up.
    fn before_sync(error: io::Error) -> Obstacle {
        use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
        let descriptors =
            [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| errno.raw_os_error());
        let lacks_descriptors = error.raw_os_error().is_some_and(|raw| descriptors.contains(&raw));
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge | OutOfMemory | WouldBlock => Obstacle::Passing(error),
            _ if lacks_descriptors => Obstacle::Passing(error),
            _ => Obstacle::Final(error),
        }
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, file: Box<dyn DiskFile>, sequence: u64) -> Writer {
        Writer {
            shared,
            file,
            sequence,
            has_records: false,
            spare: Vec::new(),
            last_batch: 0,
            unwritten: None,
        }
    }

    /// Writes and syncs the records appended until now.  A failed sync is the journal's failure, and for good: the
    /// contents of the disk are unknown, and trying again would only seem to help.  After a lack of room or descriptors the
    /// next step tries again.
    pub fn step(&mut self) {
        // The batch that waited for room comes first.
        if let Some(batch) = self.unwritten.take() {
            self.try_to_write(batch);
        }
        if self.unwritten.is_none()
            && let Some(batch) = self.take_pending()
        {
            self.try_to_write(batch);
        }
    }

    fn try_to_write(&mut self, mut batch: Batch) {
        match self.write(&mut batch) {
            Ok(()) => {
                self.shared.go_on();
                let mut bytes = batch.bytes;
                bytes.clear();
                bytes.shrink_to(SPARE_BYTES_MAX);
                self.spare = bytes;
            }
            Err(Obstacle::Passing(error)) => {
                self.shared.stall(self.reason(&batch, &error));
                self.unwritten = Some(batch);
            }
            Err(Obstacle::Final(error)) => self.shared.fail(self.reason(&batch, &error)),
        }
    }

    fn take_pending(&mut self) -> Option<Batch> {
        let State { pending, wanted_operations, .. } = &mut *self.shared.state.lock();
        if self.shared.has_failed() {
            return None;
        }
        self.shared.has_quiet.store(false, Ordering::Release);
        let Taken { bytes, cuts, operations, end } = pending.take(&mut self.spare)?;
        self.shared.note_pending(pending);
        *wanted_operations = usize::MAX;
        self.last_batch = operations;
        Some(Batch { bytes, cuts, end, written: 0, begun: 0 })
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), Obstacle> {
        while let Some(&cut) = batch.cuts.get(batch.begun) {
            self.commit(&batch.bytes[batch.written..cut.at], cut.position)?;
            batch.written = cut.at;
            self.begin(cut.sequence, cut.position)?;
            batch.begun += 1;
        }
        self.commit(&batch.bytes[batch.written..], batch.end)
    }

    /// Why a batch cannot be written, with the file that is next.
    fn reason(&self, batch: &Batch, error: &io::Error) -> String {
        let segment = match batch.cuts.get(batch.begun) {
            Some(cut) if cut.at == batch.written => cut.sequence,
            _ => self.sequence,
        };
        let file = self.shared.disk.describe(&FileId::segment(segment).name());
        format!("cannot write {file}: {error}")
    }

    /// Writes records of the segment and waits until they are on the disk.
    fn commit(&mut self, bytes: &[u8], end: Position) -> Result<(), Obstacle> {
        if bytes.is_empty() {
            return Ok(());
        }
        lock_order::assert_nothing_held("waits for the disk");
        let before = self.shared.clock.now();
        self.file.extend(bytes).map_err(Obstacle::before_sync)?;
        self.file.sync().map_err(Obstacle::Final)?;
        self.has_records = true;
        let micros = self.shared.clock.now().micros() - before.micros();
        self.shared.last_sync_micros.store(micros, Ordering::Relaxed);
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.shared.publish(end);
        Ok(())
    }

    fn begin(&mut self, sequence: u64, position: Position) -> Result<(), Obstacle> {
        let disk = &*self.shared.disk;
        let placed = segment::place(disk, FileId::segment(sequence), position);
        self.file = placed.map_err(Obstacle::before_sync)?;
        disk.sync_names().map_err(Obstacle::Final)?;
        self.shared.segments.begin(sequence, position);
        self.sequence = sequence;
        self.has_records = false;
        let mut state = self.shared.state.lock();
        state.begun = sequence;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Writes the rest and seals the segment: that there is a next one proves that this one is whole.
    pub fn finish(mut self) {
        self.shared.state.lock().pending.close_group();
        self.step();
        if self.has_records && !self.shared.has_failed() {
            self.shared.state.lock().pending.cut();
            self.step();
        }
        if let Some(batch) = self.unwritten.take()
            && (batch.written < batch.bytes.len() || !self.shared.state.lock().pending.bytes.is_empty())
        {
            self.shared.fail("it could not be written before the server stopped".to_owned());
        }
        self.shared.note_closed();
    }

    /// Writes until the journal is closed.
    pub(super) fn run(mut self) {
        // It is set once: a journal has one writer.
        let _ = self.shared.writer.set(thread::current());
        while self.wait_for_work() {
            self.gather();
            self.step();
            if self.unwritten.is_some() {
                self.sleep_until(Some(RETRY_INTERVAL), |state| state.is_closing);
            }
        }
        self.finish();
    }

    /// Waits until there is something to write; false once the journal is closed.
    fn wait_for_work(&self) -> bool {
        let mut is_closing = false;
        self.sleep_until(None, |state| {
            is_closing = state.is_closing;
            let has_work =
                (state.pending.is_ready() || self.unwritten.is_some()) && !self.shared.has_failed();
            // Every time: a thread may have told it of work where there was none, as a snapshot of an empty segment does.
            state.is_writer_idle = !is_closing && !has_work;
            !state.is_writer_idle
        });
        !is_closing
    }

    /// Waits for as many operations as the last sync served, for half as long as it took: a client that was served then
    /// and asks again at once shares this sync and not the next.  A single client never waits.
    fn gather(&self) {
        let last_sync = Duration::from_micros(self.shared.last_sync_micros.load(Ordering::Relaxed));
        self.sleep_until(Some((last_sync / 2).min(GATHERING_MAX)), |state| {
            state.wanted_operations = self.last_batch;
            state.is_closing || state.pending.operations >= self.last_batch
        });
    }

    /// Sleeps until `is_over` says so, which is asked whenever the writer is told of something, or for so long.
    fn sleep_until(&self, longest: Option<Duration>, mut is_over: impl FnMut(&mut State) -> bool) {
        let clock = &self.shared.clock;
        let end = longest.map(|longest| clock.now().after(longest).micros());
        while !is_over(&mut self.shared.state.lock()) {
            let Some(end) = end else {
                thread::park();
                continue;
            };
            let now = clock.now().micros();
            if now >= end {
                return;
            }
            thread::park_timeout(Duration::from_micros(end - now));
        }
    }
}
