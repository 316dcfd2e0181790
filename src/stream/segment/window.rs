//! A file that is open, and a part of it in memory.

use std::io;
use std::sync::Arc;

use super::file::FileId;
use crate::disk::{Disk, PlacedRead};

/// Bytes that are read at once, unless one record is longer.
pub const READ_BYTES: usize = 256 << 10;

/// Bytes that a disk reads, or refuses, together.
pub(super) const SECTOR: u64 = 4096;

/// A file of a stream, open for reading.  It can be read as long as somebody has it, also after it was removed.
#[derive(Clone)]
pub(super) struct OpenFile {
    pub(super) id: FileId,
    /// Where it is, for people.
    pub(super) place: Arc<str>,
    bytes: Arc<dyn PlacedRead>,
}

impl OpenFile {
    pub(super) fn open(disk: &dyn Disk, id: FileId) -> io::Result<OpenFile> {
        let name = id.name();
        Ok(OpenFile { id, place: disk.describe(&name).into(), bytes: disk.open(&name)? })
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        self.bytes.length()
    }

    /// All bytes of a range, or fewer if the file ends before.
    pub(super) fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.bytes.read_at(&mut bytes, at)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// A part of a file in memory, in a buffer that is used again and again.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Forgets what it has, for another file.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What is in memory from the place `at` on.
    pub(super) fn rest(&self, at: u64) -> &[u8] {
        let skipped = at.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.bytes.get(skipped..)).unwrap_or_default()
    }

    /// The bytes from `at` on: at least `needed`, and more if they are in memory; fewer only if the file, or the part of it
    /// before `until`, ends earlier.
    pub(super) fn bytes(&mut self, file: &OpenFile, at: u64, needed: usize, until: u64) -> io::Result<&[u8]> {
        let wanted = (needed as u64).min(until.saturating_sub(at)) as usize;
        if self.rest(at).len() < wanted {
            self.fill(file, at, needed, until)?;
        }
        Ok(self.rest(at))
    }

    fn fill(&mut self, file: &OpenFile, at: u64, needed: usize, until: u64) -> io::Result<()> {
        let length = (needed.max(READ_BYTES) as u64).min(until - at);
        let least = (at + needed as u64).next_multiple_of(SECTOR).min(until) - at;
        match self.fill_with(file, at, length as usize) {
            // A sector that the disk refuses must not hide those before it.
            Err(_) if least < length => self.fill_with(file, at, least as usize),
            other => other,
        }
    }

    fn fill_with(&mut self, file: &OpenFile, at: u64, length: usize) -> io::Result<()> {
        self.bytes.clear();
        // A single long record does not keep its memory.
        self.bytes.shrink_to(length.max(READ_BYTES));
        self.bytes.resize(length, 0);
        self.start = at;
        let read = file.bytes.read_at(&mut self.bytes, at);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}
