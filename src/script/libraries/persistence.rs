//! The keeper's end of the libraries.
//!
//! A change is appended under the lock that orders changes, and its reply waits until the disk has it.  A record says
//! what a library is and not what was changed, so those that a snapshot has seen are replayed over it without harm.

use std::sync::Arc;

use super::record::Record;
use super::{Libraries, Table};
use crate::clock::Now;
use crate::journal::keeper::{Interrupted, Persistent, Rest};
use crate::journal::{Snapshot, Tag};
use crate::wait::Position;

/// The tag of the libraries' records.
pub(super) const TAG: Tag = Tag(4);

/// See the module's text.
struct PersistentLibraries {
    libraries: Arc<Libraries>,
    /// What the records so far have said.
    recovered: Table,
}

/// The keeper's end of these libraries.
pub(crate) fn persistent(libraries: &Arc<Libraries>) -> Box<dyn Persistent> {
    Box::new(PersistentLibraries { libraries: Arc::clone(libraries), recovered: Table::default() })
}

impl Persistent for PersistentLibraries {
    fn tag(&self) -> Tag {
        TAG
    }

    fn replay(&mut self, record: &[u8], _position: Position, _now: Now) -> Result<(), String> {
        let table = &mut self.recovered;
        match Record::decode(record).ok_or("a record of a library of functions is damaged")? {
            Record::Library(library) => table.put_again(&library),
            Record::Deleted(name) => table.take(&name),
            Record::Flushed => *table = Table::default(),
        }
        Ok(())
    }

    fn resume(&mut self, _now: Now) -> bool {
        self.libraries.restore(std::mem::take(&mut self.recovered));
        false
    }

    fn attach(&mut self, is_new: bool) {
        self.libraries.attach(is_new);
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        let table = self.libraries.load();
        let libraries = table.libraries().map(|library| Record::Library(Arc::clone(library)));
        libraries.for_each(|record| snapshot.append(TAG, &record.encoded()));
        Ok(None)
    }
}
