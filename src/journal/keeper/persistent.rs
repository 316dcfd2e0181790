//! What the keeper asks of a service that it keeps.

use crate::clock::Now;
use crate::journal::{Snapshot, Tag};
use crate::wait::Position;

/// The rest of a service's part of a snapshot, which may take long and is written on another thread.
pub type Rest = Box<dyn FnOnce(&mut Snapshot) -> Result<(), Interrupted> + Send>;

/// Something happened to a service that makes its part of a snapshot useless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

/// A service as the keeper sees it.
pub trait Persistent: Send {
    /// The tag of its records, for good.
    fn tag(&self) -> Tag;

    /// The folder in which earlier versions kept a journal of this service alone.
    fn former_folder(&self) -> Option<&'static str> {
        None
    }

    /// Restores a record of an earlier server; they come in the order in which they were appended.  The position is where
    /// the record begins, by which it can be read again.  Those of a snapshot cannot be: all of them have the position of the
    /// snapshot, and those of a former folder the first one.
    ///
    /// # Errors
    /// Why it cannot be restored, which stops the start.
    fn replay(&mut self, record: &[u8], position: Position, now: Now) -> Result<(), String>;

    /// Says whether the server before stopped cleanly, so that the records are all that it ever appended; also true if
    /// there was none.  Otherwise it may have appended more, which clients that did not wait for the disk may have seen.
    /// the disk.  A server of which nothing has reached the disk is not known of: a service to which that matters appends a
    /// record when it begins, and waits for it.  Called once, behind the last record and before the service begins.
    fn note_last_stop(&mut self, _was_in_order: bool) {}

    /// All records are restored.  Called once, before [`Persistent::note_last_stop`].
    ///
    /// # Errors
    /// Why what they say is not there, which stops the start: nothing is removed then.
    fn end_replay(&mut self, _now: Now) -> Result<(), String> {
        Ok(())
    }

    /// All records are restored, or there are none: the service begins, and no client uses it yet.  True if the records
    /// must not be restored again, so that the start fails if no snapshot can replace them.
    fn resume(&mut self, now: Now) -> bool;

    /// From now on the service appends its changes.  Before that it appends the state that the journal does not have: all of
    /// it if the journal `is_new`, or the changes of [`Persistent::resume`].
    fn attach(&mut self, is_new: bool);

    /// True if there are changes that the service does not append at once, but in [`Persistent::copy_changes`].
    fn has_changes(&self) -> bool {
        false
    }

    /// Appends these changes.  Called twice a second.
    fn copy_changes(&mut self) {}

    /// True if there are changes that only a snapshot can record.
    fn wants_snapshot(&self) -> bool {
        false
    }

    /// Writes the whole state into a snapshot.  No changes are copied meanwhile.  A part that may take long is given back, to
    /// be written while the keeper goes on.
    ///
    /// # Errors
    /// If the snapshot has to be begun anew.
    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted>;
}
