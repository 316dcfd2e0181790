//! A snapshot: the state of all services, which makes all of the journal before some place superfluous.
//!
//! The services give their states as records; replaying them restores the states.  They are written beside the
//! journal, on another thread than the writer's, so that a reply that waits for a sync does not wait for a snapshot.
//!
//! A state that is too large to be written down at once is given in steps, between which its service goes on.  So the
//! parts of a snapshot have different ages.  The journal's records from the place of the snapshot on bring all of them to
//! the same state, because services replay them so that it does not matter which of them a part has seen.  A snapshot
//! counts only once the disk has all that any part has seen.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::record::{self, Links, Tag};
use super::segment::{self, FileId};
use super::shared::Shared;
use crate::disk::DiskFile;
use crate::lock_order;
use crate::wait::Position;

/// Bytes that are gathered before they are written.
const SPILLED_BYTES: usize = 1 << 20;

/// A snapshot that is being made.  Dropped unfinished it leaves everything as it was.
pub struct Snapshot {
    shared: Arc<Shared>,
    sequence: u64,
    start: Position,
    /// Records that are not written yet.
    bytes: Vec<u8>,
    /// Bytes of records that are.
    written: u64,
    /// Where they are, under a draft name.
    draft: Option<Box<dyn DiskFile>>,
    /// Why nothing more is written.
    error: Option<io::Error>,
    /// What is done once it has replaced the older files.
    then: Vec<Box<dyn FnOnce() + Send>>,
}

impl Snapshot {
    pub(super) fn new(shared: Arc<Shared>, sequence: u64, start: Position) -> Snapshot {
        let (bytes, then) = (Vec::new(), Vec::new());
        Snapshot { shared, sequence, start, bytes, written: 0, draft: None, error: None, then }
    }

    /// Its place in the journal: the records before it are to be in the snapshot, those from it on are replayed over it.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Adds a record of the state, which is not empty.
    pub fn append(&mut self, tag: Tag, payload: &[u8]) {
        assert!(!payload.is_empty(), "a record says something");
        record::encode(tag, &[payload], self.end(), Links::default(), &mut self.bytes);
    }

    fn end(&self) -> Position {
        Position(self.start.0 + self.written + self.bytes.len() as u64)
    }

    /// Calls `then` once the snapshot counts and the files that it replaces are removed: what only those files needed
    /// is needed no more.  It is called on the thread that finishes the snapshot, under no lock, before another snapshot
    /// can be begun; never if the snapshot comes to nothing.
    pub fn on_finished(&mut self, then: impl FnOnce() + Send + 'static) {
        self.then.push(Box::new(then));
    }

    /// Writes the added records if they are many, so that a large snapshot is not held in memory.  Waits for the disk: not
    /// to be called under a lock.
    pub fn spill(&mut self) {
        if self.bytes.len() >= SPILLED_BYTES && self.error.is_none() {
            self.error = self.write_bytes().err();
        }
    }

    /// Puts the snapshot on the disk, then removes the files that it replaces.  Waits for the disk, and for the writer to
    /// have written all that was appended until now, which any part may have seen.  If the snapshot cannot be written
    /// the journal goes on without it.
    ///
    /// # Errors
    /// The disk's, which is also logged; that of a journal that has failed.
    pub fn finish(self) -> io::Result<()> {
        let seen = self.shared.state.lock().pending.position;
        self.finish_after(seen)
    }

    /// The same for a snapshot that was begun before anything was appended, and that is to replace the journal by itself:
    /// it waits for nothing that the writer does.
    ///
    /// # Errors
    /// As [`Snapshot::finish`].
    pub fn finish_alone(self) -> io::Result<()> {
        let start = self.start;
        self.finish_after(start)
    }

    fn finish_after(mut self, seen: Position) -> io::Result<()> {
        record::encode_end(self.end(), &mut self.bytes);
        let written = match self.error.take() {
            Some(error) => Err(error),
            None => self.publish(seen),
        };
        let name = self.shared.options.name;
        match &written {
            Ok(()) => {
                tracing::debug!(journal = name, bytes = self.written, "wrote a snapshot");
                self.then.drain(..).for_each(|then| then());
            }
            Err(error) => tracing::warn!(journal = name, %error, "cannot write a snapshot"),
        }
        written
    }

    fn id(&self) -> FileId {
        FileId::snapshot(self.sequence)
    }

    /// Writes the added records behind the written ones.
    fn write_bytes(&mut self) -> io::Result<()> {
        lock_order::assert_nothing_held("waits for the disk");
        if self.draft.is_none() {
            self.draft = Some(segment::create_draft(&*self.shared.disk, self.id(), self.start)?);
        }
        if let Some(draft) = &mut self.draft {
            draft.write(&self.bytes)?;
        }
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn publish(&mut self, seen: Position) -> io::Result<()> {
        self.shared.wait_until_begun(self.sequence)?;
        self.shared.wait_until_synced(seen)?;
        self.write_bytes()?;
        let (disk, id) = (Arc::clone(&self.shared.disk), self.id());
        if let Some(draft) = &mut self.draft {
            segment::name_draft(&*disk, id, &mut **draft)?;
            disk.sync_names()?;
        }
        self.draft = None;
        self.shared.snapshot_bytes.store(self.written, Ordering::Relaxed);
        self.shared.segments.forget_before(self.sequence);
        for name in disk.list()? {
            if FileId::parse(&name).is_some_and(|file| file.sequence < self.sequence) {
                disk.remove(&name)?;
            }
        }
        Ok(())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.draft.take().is_some() {
            // If it stays it takes room until the next start, which removes it.
            let _ = self.shared.disk.remove(&segment::draft_name(self.id()));
        }
        self.shared.is_snapshot_begun.store(false, Ordering::Release);
    }
}
