//! The libraries of functions that clients have loaded: one table for all threads, which outlives the server.
//!
//! | file | has |
//! |---|---|
//! | `header` | the first line of a library |
//! | `library` | a library and its functions |
//! | `table` | the libraries at one time, and which of them fit together |
//! | `record` | a change as the journal has it |
//! | `persistence` | how the table outlives the server |
//!
//! Calls read the table without a lock; a change replaces all of it, so it is seen whole or not at all.  The table knows no Lua: each
//! thread compiles a library when it first calls one of its functions.

mod header;
mod library;
mod persistence;
mod record;
mod table;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::journal::keeper::{JournalHandle, ServiceJournal};
use crate::journal::{NotAdmitted, RECORD_MAX};
use crate::lock_order::{Mutex, rank};
use crate::refusal::Refusal;
use crate::wait::{Barrier, Position};
use record::Record;

pub(crate) use header::{ENGINE, Header, INVALID_NAME, is_name};
pub(crate) use library::{Function, Library};
pub(crate) use persistence::persistent;
pub(crate) use table::{
    ALL_CODE_MAX, CODE_MAX, Change, DESCRIPTION_MAX, FUNCTIONS_MAX, Joining, LIBRARIES_MAX, NAME_MAX,
    TEXTS_MAX, Table,
};

/// See the head of the file.
pub struct Libraries {
    table: ArcSwap<Table>,
    /// The end of the last record; held while the table is replaced.
    last: Mutex<Option<Position>, { rank::LIBRARIES }>,
    journal: ServiceJournal,
}

impl Libraries {
    /// No libraries; `keeps` says that they outlive the server.
    pub fn new(handle: &Arc<JournalHandle>, keeps: bool) -> Libraries {
        let journal = ServiceJournal::new(handle, persistence::TAG);
        if keeps {
            journal.turn_on();
        }
        Libraries { table: ArcSwap::default(), last: Mutex::default(), journal }
    }

    /// The way into the journal.
    pub fn journal(&self) -> &ServiceJournal {
        &self.journal
    }

    /// The libraries as they are now.
    pub(crate) fn load(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// Makes a change, whole or not at all, and returns what its reply has to wait for.
    ///
    /// # Errors
    /// If it may not be made, or could not be written down.
    pub(crate) fn change(&self, change: &Change<'_>) -> Result<Option<Barrier>, Refusal> {
        let last = &mut *self.last.lock();
        let before = self.table.load();
        let after = before.after(change)?;
        let records: Vec<Vec<u8>> = records_of(change).iter().map(Record::encoded).collect();
        // The limits of a library keep its record far below; what is longer would end the server.
        if records.iter().any(|record| record.len() >= RECORD_MAX) {
            return Err(Refusal::new("ERR the library is too long to be written down"));
        }
        self.journal.admit().map_err(|reason| not_kept(&reason))?;
        self.publish(&before, after);
        if !self.journal.is_on() {
            return Ok(None);
        }
        let end = self.journal.append(records.iter().map(Vec::as_slice));
        *last = Some(end);
        Ok(self.journal.barrier(end))
    }

    /// What a reply has to wait for that tells of the libraries: the last change.
    pub(crate) fn barrier(&self) -> Option<Barrier> {
        let last = *self.last.lock();
        self.journal.barrier(last?)
    }

    fn publish(&self, before: &Table, after: Table) {
        // What stays is known all the time: threads that look meanwhile would forget it, and what its functions keep.
        after.libraries().for_each(|library| library.set_known(true));
        let stays = |library: &Arc<Library>| {
            after.library(&library.name).is_some_and(|there| Arc::ptr_eq(there, library))
        };
        before.libraries().filter(|library| !stays(library)).for_each(|library| library.set_known(false));
        self.table.store(Arc::new(after));
    }

    /// Takes the libraries of an earlier server back.
    fn restore(&self, table: Table) {
        let _last = self.last.lock();
        self.publish(&Table::default(), table);
    }

    /// From now on changes are appended.
    fn attach(&self, is_new: bool) {
        let last = &mut *self.last.lock();
        self.journal.attach();
        let table = self.table.load();
        if is_new && self.journal.is_on() && table.libraries().len() > 0 {
            let libraries = table.libraries().map(|library| Record::Library(Arc::clone(library)).encoded());
            let records: Vec<Vec<u8>> = libraries.collect();
            *last = Some(self.journal.append(records.iter().map(Vec::as_slice)));
        }
    }
}

/// A change as the journal has it.
fn records_of(change: &Change<'_>) -> Vec<Record> {
    match change {
        Change::Load { library, .. } => vec![Record::Library(Arc::clone(library))],
        Change::Restore { libraries, joining } => {
            let flushed = (*joining == Joining::Flush).then_some(Record::Flushed);
            flushed
                .into_iter()
                .chain(libraries.iter().map(|library| Record::Library(Arc::clone(library))))
                .collect()
        }
        Change::Delete(name) => vec![Record::Deleted((*name).into())],
        Change::Flush => vec![Record::Flushed],
    }
}

/// The refusal of a change that could not be written down.
fn not_kept(reason: &NotAdmitted) -> Refusal {
    Refusal::new(match reason {
        NotAdmitted::Unmade(reason) => format!(
            "MISCONF the libraries would be lost, so nothing is changed: {reason}.  It is tried again every second"
        ),
        NotAdmitted::Behind => "TRYAGAIN the disk is behind with the journal of the libraries".to_owned(),
        NotAdmitted::Stalled => {
            "TRYAGAIN the journal of the libraries cannot be written at the moment; the log says why.  \
                                 It goes on by itself once that has passed"
                .to_owned()
        }
        NotAdmitted::Failed => {
            "MISCONF the journal of the libraries cannot be written, so nothing is changed; the log says \
                                why.  Start the server anew once the disk is well"
                .to_owned()
        }
    })
}
