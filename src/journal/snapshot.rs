//! A snapshot: the state of a service at one place of its journal, which makes all before that place superfluous.
//!
//! The service begins it under its own lock, which costs no wait for the disk, and gives its state as records, which
//! replayed make that state anew.  They are written beside the journal, on another thread than the writer's, so that
//! nobody who waits for a sync waits for a snapshot.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::record::{self, Links};
use super::segment::{self, FileId};
use crate::lock_order;
use crate::wait::Position;

/// A snapshot that is being made.  Dropped unfinished it leaves everything as it was.
pub struct Snapshot {
    shared: Arc<Shared>,
    sequence: u64,
    start: Position,
    bytes: Vec<u8>,
}

impl Snapshot {
    pub(super) fn new(shared: Arc<Shared>, sequence: u64, start: Position) -> Snapshot {
        Snapshot { shared, sequence, start, bytes: Vec::new() }
    }

    /// Adds a record of the state, which is not empty.
    pub fn append(&mut self, payload: &[u8]) {
        assert!(!payload.is_empty(), "an empty record is the end of a snapshot");
        self.encode(payload);
    }

    fn encode(&mut self, payload: &[u8]) {
        let position = Position(self.start.0 + self.bytes.len() as u64);
        record::encode(payload, position, Links::default(), &mut self.bytes);
    }

    /// Puts the snapshot on the disk, then removes what it makes superfluous.  Waits for the disk, and for the writer
    /// to come to the snapshot's place.  If it cannot be written the journal goes on without it.
    ///
    /// # Errors
    /// The disk's, which is also logged; that of a journal that has failed.
    pub fn finish(mut self) -> io::Result<()> {
        self.encode(&[]);
        let written = self.write();
        let name = self.shared.options.name;
        match &written {
            Ok(()) => tracing::debug!(journal = name, bytes = self.bytes.len(), "wrote a snapshot"),
            Err(error) => tracing::warn!(journal = name, %error, "cannot write a snapshot"),
        }
        written
    }

    /// The same, on a thread of its own.
    pub fn finish_in_background(self) {
        let name = self.shared.options.name;
        let thread = std::thread::Builder::new().name(format!("{name} snapshot"));
        // The result is in the log.
        let spawned = thread.spawn(move || drop(self.finish()));
        if let Err(error) = spawned {
            tracing::warn!(journal = name, %error, "cannot start a thread for a snapshot");
        }
    }

    fn write(&self) -> io::Result<()> {
        lock_order::assert_nothing_held("waits for the disk");
        self.shared.wait_until_begun(self.sequence)?;
        let disk = &*self.shared.disk;
        segment::create(disk, FileId::snapshot(self.sequence), self.start, &self.bytes)?;
        self.shared.snapshot_bytes.store(self.bytes.len() as u64, Ordering::Relaxed);
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
        self.shared.is_snapshot_begun.store(false, Ordering::Release);
    }
}
