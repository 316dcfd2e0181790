//! How the table of locks outlives the server: its records, and the waits of replies that depend on them.

mod replay;
mod service;
mod snapshot;

pub use replay::BadRecord;
pub use snapshot::SnapshotWalk;

use std::collections::VecDeque;
use std::sync::Arc;

use super::durability::Durability;
use super::model::events::Events;
use super::refused::Refused;
use super::scheduler::Core;
use crate::journal::keeper::{JournalHandle, ServiceJournal};
use crate::journal::{NotAdmitted, Tag};
use crate::wait::{Barrier, Position};

/// The tag of the locks' records.
const TAG: Tag = Tag(1);

/// The table's side of the journal; it belongs to the table, under its lock.
pub(super) struct Persistence {
    journal: Arc<ServiceJournal>,
    durability: Durability,
    /// The end of the last record of this table, if there is one.
    last: Option<Position>,
    /// Ends of ranges of fences, each with the position from which on its fences may be given out.
    ranges: VecDeque<(u64, Position)>,
    /// Fences up to this may be given out.
    confirmed: u64,
    /// The last fence after the last operation.
    last_fence: u64,
    /// The operation that runs was refused because the disk takes nothing now.
    has_refused: bool,
}

impl Default for Persistence {
    fn default() -> Persistence {
        Persistence::new(&Arc::default(), Durability::None)
    }
}

impl Persistence {
    pub(super) fn new(handle: &Arc<JournalHandle>, durability: Durability) -> Persistence {
        let journal = ServiceJournal::new(handle, TAG);
        if durability != Durability::None {
            journal.turn_on();
        }
        Persistence {
            journal: Arc::new(journal),
            durability,
            last: None,
            ranges: VecDeque::new(),
            confirmed: 0,
            last_fence: 0,
            has_refused: false,
        }
    }

    /// The way into the journal.
    pub(super) fn journal(&self) -> &Arc<ServiceJournal> {
        &self.journal
    }

    /// Whether something may be promised.
    pub(super) fn admit(&mut self) -> Result<(), Refused> {
        self.journal.admit().map_err(|reason| {
            self.has_refused = true;
            match reason {
                NotAdmitted::Unmade(reason) => Refused::NoFolder(String::clone(&reason)),
                NotAdmitted::Behind => Refused::DiskBehind,
                NotAdmitted::Stalled => Refused::DiskStalled,
                NotAdmitted::Failed => Refused::DiskFailed,
            }
        })
    }

    /// Appends the records of an operation.  Returns the wait of a reply that depends on the operation.
    pub(super) fn keep(&mut self, core: &Core, events: &mut Events) -> Option<Barrier> {
        if self.durability == Durability::None {
            return None;
        }
        let has_records = self.append(core, events);
        if std::mem::take(&mut self.has_refused) {
            // That the disk takes nothing now depends on nothing that is to be on the disk, and would wait for it.
            return None;
        }
        // A grant whose fence was reserved before has no record.
        let has_granted =
            std::mem::replace(&mut self.last_fence, core.model.last_fence()) != core.model.last_fence();
        if !has_records && !has_granted && !self.journal.can_write() {
            // A refusal for that reason, or a reply about an operation that has changed nothing, does not wait.
            return None;
        }
        let position = match self.durability {
            Durability::None => return None,
            Durability::Fence => self.range_of(core.model.last_fence())?,
            // Every reply depends on what was done before, so that has to be on the disk too.
            Durability::Full => self.last?,
        };
        self.journal.barrier(position)
    }

    /// Appends the records of an operation: after a crash all of them are there, or none.  True if there were any.
    fn append(&mut self, core: &Core, events: &mut Events) -> bool {
        let has_records = events.has_records();
        if has_records {
            let position = self.journal.append(events.records());
            events.clear_records();
            self.note(core, position);
        }
        has_records
    }

    /// From this position on the journal has the table as it is now.
    fn note(&mut self, core: &Core, position: Position) {
        self.last = Some(position);
        if self.durability == Durability::Fence {
            self.ranges.push_back((core.model.fence_bound(), position));
        }
    }

    /// The position from which on a fence may be given out; none if it may be already.
    fn range_of(&mut self, fence: u64) -> Option<Position> {
        if fence <= self.confirmed {
            return None;
        }
        while let Some(&(upto, position)) = self.ranges.front()
            && self.journal.is_synced(position)
        {
            self.confirmed = upto;
            self.ranges.pop_front();
        }
        let range = self.ranges.iter().find(|(upto, _)| fence <= *upto);
        range.map(|(_, position)| *position).filter(|_| fence > self.confirmed)
    }
}
