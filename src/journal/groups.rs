//! Groups: the records of a transaction, which may belong to several services, count together or not at all.
//!
//! While a group is open, everything that any thread appends belongs together, and the writer leaves it alone.  So the
//! records keep the order of the changes: put aside until the end of their transaction, they would come behind records
//! that depend on them.  Groups that overlap become one, so transactions take turns: if some thread always had one open,
//! nothing would be written.  A group is open for as long as a transaction runs, which waits for nothing; other threads
//! that append meanwhile wait for their sync by so much longer.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::shared::Shared;
use crate::lock_order::{Mutex, MutexGuard, rank};

/// The groups of a journal.  They may be opened before there is one.
#[derive(Default)]
pub struct Groups {
    /// Held by a transaction while its group is open.
    turn: Mutex<(), { rank::JOURNAL_TURN }>,
    open: AtomicUsize,
    /// Records were appended that have to be made whole when no group is open any more.
    has_records: AtomicBool,
    /// The journal that has the records; making it may have failed before.
    journal: Mutex<Weak<Shared>, { rank::JOURNAL_OF_GROUPS }>,
}

/// An open group.  Dropped, it is closed.
pub struct Group<'g>(&'g Groups);

impl Groups {
    /// Opens a group: the records that are appended before it is dropped are all there after a crash, or none is.
    pub fn open(&self) -> Group<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Group(self)
    }

    /// Waits until no other transaction has its turn.  A thread that has the gate alone needs no turn, since no other one runs a transaction.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Notes whether records wait for a group to be closed.
    pub(super) fn note_records(&self, has_records: bool) {
        self.has_records.store(has_records, Ordering::SeqCst);
    }

    /// Says which journal has the records.
    pub(super) fn belong_to(&self, journal: Weak<Shared>) {
        *self.journal.lock() = journal;
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let Group(groups) = self;
        let is_last = groups.open.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && groups.has_records.load(Ordering::SeqCst) {
            let journal = groups.journal.lock().upgrade();
            if let Some(journal) = journal {
                journal.end_group();
            }
        }
    }
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Groups").field("open", &self.open).finish_non_exhaustive()
    }
}
