//! A file that is open, and a part of it in memory.

use std::io;
use std::ops::Range;
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
    /// Where the disk has refused a long read: what begins there is read in short ones, since each refusal takes long.
    refused: Range<u64>,
}

impl Window {
    /// Forgets what it has, for another file.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.refused = 0..0;
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
        let least = (at + needed as u64).next_multiple_of(SECTOR).min(until) - at;
        let usual = (needed.max(READ_BYTES) as u64).min(until - at);
        let length = if self.refused.contains(&at) { least } else { usual };
        match self.fill_with(file, at, length as usize) {
            // A sector that the disk refuses must not hide those before it.
            Err(_) if least < length => {
                self.refused = at..at + length;
                self.fill_with(file, at, least as usize)
            }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// A file of zeros with one sector that the disk refuses, and how often it has.
    struct Refusing {
        sector: u64,
        refusals: AtomicUsize,
    }

    impl PlacedRead for Refusing {
        fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
            if at < (self.sector + 1) * SECTOR && at + into.len() as u64 > self.sector * SECTOR {
                self.refusals.fetch_add(1, Relaxed);
                return Err(io::Error::other("a bad sector"));
            }
            Ok(into.len())
        }

        fn length(&self) -> io::Result<u64> {
            Ok(2 * READ_BYTES as u64)
        }
    }

    #[test]
    fn records_before_a_sector_that_is_refused_cost_one_refusal_together() {
        let sector = READ_BYTES as u64 / SECTOR - 1;
        let disk = Arc::new(Refusing { sector, refusals: AtomicUsize::new(0) });
        let bytes = Arc::clone(&disk) as Arc<dyn PlacedRead>;
        let file = OpenFile { id: FileId { stream: 1, number: 1 }, place: "a file".into(), bytes };
        let (mut window, until) = (Window::default(), 2 * READ_BYTES as u64);
        for at in (0..sector * SECTOR).step_by(100) {
            let needed = 100.min(sector * SECTOR - at) as usize;
            assert!(window.bytes(&file, at, needed, until).is_ok_and(|bytes| bytes.len() >= needed), "{at}");
        }
        assert_eq!(disk.refusals.load(Relaxed), 1);
        assert!(window.bytes(&file, sector * SECTOR, 100, until).is_err());
        let behind = window.bytes(&file, (sector + 1) * SECTOR, 100, until);
        assert!(behind.is_ok_and(|bytes| bytes.len() > SECTOR as usize), "it reads much at once again");
    }
}
