//! A service for the tests of the journal: it remembers lines, and which of them were acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet::disk::Disk;
use quartet::journal::{
    Appended, Journal, OpenError, Options, ReadError, Recovered, Tag, Writer, record_length,
};
use quartet::wait::{Durable, Position};

/// The tag of its records.
pub(crate) const LINES: Tag = Tag(77);

/// Lines, each a record; a snapshot holds all of them.
pub(crate) struct Ledger {
    pub(crate) lines: Vec<String>,
    /// How many lines there were before each operation that added some.
    pub(crate) operations: Vec<usize>,
    /// How many of the lines were acknowledged.
    pub(crate) acknowledged: usize,
    pub(crate) journal: Arc<Journal>,
    /// The lines by the positions where their records begin.  A snapshot's have none of their own.
    starts: BTreeMap<Position, String>,
    /// The position of every line that waits.
    waiting: Vec<Position>,
    writer: Option<Writer>,
}

/// Small files, so that there are many of them.
pub(crate) fn small() -> Options {
    Options { segment_max: 43, ..Options::new("ledger") }
}

impl Ledger {
    pub(crate) fn open(disk: &(impl Disk + Clone + 'static)) -> Result<(Ledger, Recovered), OpenError> {
        let (mut lines, mut starts) = (Vec::new(), BTreeMap::new());
        let mut replay = |tag: Tag, record: &[u8], position| {
            assert_eq!(tag, LINES);
            let line = String::from_utf8(record.to_vec()).map_err(|error| error.to_string())?;
            // A record of the journal itself comes later than those of the snapshot.
            starts.insert(position, line.clone());
            lines.push(line);
            Ok(())
        };
        let (journal, writer, recovered) = Journal::open_on(Arc::new(disk.clone()), small(), &mut replay)?;
        let acknowledged = lines.len();
        let (operations, waiting) = (Vec::new(), Vec::new());
        let ledger =
            Ledger { lines, operations, acknowledged, journal, starts, waiting, writer: Some(writer) };
        Ok((ledger, recovered))
    }

    /// Adds a line, which nobody is told of yet.
    pub(crate) fn add(&mut self, line: &str) {
        self.add_together(&[line]);
    }

    /// Adds several lines in one operation.
    pub(crate) fn add_together(&mut self, lines: &[&str]) {
        self.operations.push(self.lines.len());
        self.lines.extend(lines.iter().map(|line| (*line).to_owned()));
        let appended = self.journal.append_records(LINES, lines.iter().map(|line| [line.as_bytes()]));
        self.waiting.extend(lines.iter().map(|_| appended.end));
        let mut at = appended.start;
        for line in lines.iter().filter(|_| appended.start != Appended::NOWHERE) {
            self.starts.insert(at, (*line).to_owned());
            at.0 += record_length(line.len());
        }
    }

    /// Reads every line back that is on the disk and not only in a snapshot, and returns how many there are.
    pub(crate) fn read_back(&self) -> usize {
        let (mut reader, mut count) = (self.journal.reader(LINES), 0);
        for (at, line) in &self.starts {
            match reader.read(*at, 0) {
                Ok(record) => assert_eq!(record, line.as_bytes()),
                Err(ReadError::NotSynced { position }) => assert!(position >= self.journal.synced()),
                Err(ReadError::Removed { .. }) => continue,
                Err(error) => panic!("{line} at {at:?}: {error}"),
            }
            count += usize::from(*at < self.journal.synced());
        }
        count
    }

    /// Lets the writer take a step and counts the lines that are on the disk as acknowledged.
    pub(crate) fn step(&mut self) {
        self.writer.as_mut().expect("the ledger is open").step();
        self.hear();
    }

    fn hear(&mut self) {
        let is_told = |position: &Position| {
            matches!(self.journal.poll_synced(*position, Waker::noop()), Poll::Ready(Ok(())))
        };
        let told = self.waiting.iter().take_while(|position| is_told(position)).count();
        self.waiting.drain(..told);
        self.acknowledged += told;
    }

    /// Makes a snapshot; nothing is wrong if the disk refuses.
    pub(crate) fn snapshot(&mut self) {
        let Some(mut snapshot) = self.journal.begin_snapshot() else { return };
        self.lines.iter().for_each(|line| snapshot.append(LINES, line.as_bytes()));
        self.step();
        let _ = snapshot.finish();
    }

    /// Writes the rest and seals it.
    pub(crate) fn close(&mut self) {
        self.writer.take().expect("the ledger is open").finish();
        self.hear();
    }
}
