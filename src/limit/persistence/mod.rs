//! How the limiter outlives the server: operators' settings, counters that matter for long, reservations.
//!
//! An operator's change (policies, lists, blocks) is appended to the journal under the lock that orders such changes, and
//! the reply waits until the disk has it: see [`Persistence::barrier`].  Counters and reservations are
//! copied into the journal now and then, and no reply waits for that: see `service`.

mod records;
mod replay;
mod service;
mod snapshot;

pub use records::Record;
pub(super) use records::take;
pub(super) use service::persistent;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::journal::keeper::{JournalHandle, ServiceJournal};
use crate::journal::{NotAdmitted, Tag};
use crate::wait::{Barrier, Position};

/// The tag of the limiter's records.
const TAG: Tag = Tag(2);

/// The folder in which earlier versions kept a journal of the limiter alone.
const FORMER_FOLDER: &str = "limits";

/// The reason why an operator's change cannot be written down, and the remedy.
pub fn explanation(reason: &NotAdmitted) -> Cow<'static, str> {
    match reason {
        NotAdmitted::Unmade(reason) => format!(
            "what is set for the limiter would be lost, so nothing is changed: {reason}.  It is tried again every second"
        )
        .into(),
        NotAdmitted::Behind => "the disk is behind with the journal of the limits".into(),
        NotAdmitted::Stalled => "the journal of the limits cannot be written at the moment; the log says why.  It goes on \
                                 by itself once that has passed"
            .into(),
        NotAdmitted::Failed => "the journal of the limits cannot be written, so nothing is changed; the log says why.  Start \
                                the server anew once the disk is well"
            .into(),
    }
}

/// The journal as operators' changes use it.
pub struct Persistence {
    journal: ServiceJournal,
    /// True once an operator has set something.
    has_written: AtomicBool,
    /// The end of the last record of an operator's change.
    last: AtomicU64,
}

impl Persistence {
    /// Nothing is kept before this is turned on.
    pub(super) fn new(handle: &Arc<JournalHandle>) -> Persistence {
        let journal = ServiceJournal::new(handle, TAG);
        Persistence { journal, has_written: AtomicBool::new(false), last: AtomicU64::new(0) }
    }

    /// The way into the journal.
    pub fn journal(&self) -> &ServiceJournal {
        &self.journal
    }

    /// True if anything is kept.
    pub fn is_on(&self) -> bool {
        self.journal.is_on()
    }

    /// Whether something may be set that has to outlive the server; to be asked before anything is changed.
    ///
    /// # Errors
    /// If it could not be written down; see [`explanation`] for the reason and the remedy.
    pub fn admit(&self) -> Result<(), NotAdmitted> {
        self.journal.admit()
    }

    /// Appends an operator's change; after a crash all of it is there, or nothing.  Called under the lock that
    /// orders such changes; does not wait for the disk.
    pub fn write<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) {
        self.append(records, |journal, encoded| journal.append(encoded.iter().map(Vec::as_slice)));
    }

    /// The same for a change that the limiter has made by itself, for which no reply waits.
    pub fn write_quietly(&self, record: Record<'_>) {
        self.append([record], |journal, encoded| journal.append_quietly(encoded.iter().map(Vec::as_slice)));
    }

    fn append<'r>(
        &self,
        records: impl IntoIterator<Item = Record<'r>>,
        append: impl FnOnce(&ServiceJournal, &[Vec<u8>]) -> Position,
    ) {
        if !self.is_on() {
            return;
        }
        let encoded: Vec<Vec<u8>> = records.into_iter().map(|record| record.encoded()).collect();
        if encoded.is_empty() {
            return;
        }
        let position = append(&self.journal, &encoded);
        self.last.fetch_max(position.0, Ordering::AcqRel);
        self.has_written.store(true, Ordering::Release);
    }

    /// The wait of a reply until all changes before it are on the disk; none if they are.
    pub fn barrier(&self) -> Option<Barrier> {
        if !self.has_written.load(Ordering::Acquire) {
            return None;
        }
        self.journal.barrier(Position(self.last.load(Ordering::Acquire)))
    }
}
