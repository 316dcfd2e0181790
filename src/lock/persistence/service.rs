//! The keeper's end of the table of locks.
//!
//! A snapshot of a million leases takes long, so it is written in steps on a thread of its own, between which the table
//! serves others; see [`SnapshotWalk`].

use std::sync::{Arc, Weak};

use super::TAG;
use super::snapshot::SnapshotWalk;
use crate::clock::Now;
use crate::journal::keeper::{Interrupted, Persistent, Rest};
use crate::journal::{Snapshot, Tag};
use crate::lock::durability::Durability;
use crate::lock::model::fences;
use crate::lock::scheduler::Core;
use crate::lock::shared::{Locks, Shared, State};
use crate::wait::Position;

/// See the module's text.
struct PersistentLocks {
    table: Arc<Shared>,
    has_replayed: bool,
}

impl Locks {
    /// The keeper's end.
    pub fn persistent(&self) -> Box<dyn Persistent> {
        Box::new(PersistentLocks { table: Arc::clone(&self.state), has_replayed: false })
    }
}

impl Persistent for PersistentLocks {
    fn tag(&self) -> Tag {
        TAG
    }

    fn former_folder(&self) -> Option<&'static str> {
        Some("locks")
    }

    fn replay(&mut self, record: &[u8], _position: Position, now: Now) -> Result<(), String> {
        self.has_replayed = true;
        let replayed = self.table.lock().core.replay(record, now.micros());
        replayed.map_err(|_| "a record does not fit those before it".to_owned())
    }

    /// Ends leases and sessions that have ended with the server before.  Where leases are not kept, the leases of an earlier
    /// server are forgotten for good: another owner may hold a resource by the time that leases are kept again.
    fn resume(&mut self, now: Now) -> bool {
        let State { core, events, persistence, .. } = &mut *self.table.lock();
        if persistence.durability != Durability::Full {
            let (last, memory_limit) = (core.model.fence_bound(), core.model.memory_limit);
            *core = Core::default();
            core.limit_memory(memory_limit);
            core.skip_fences_to(last);
        }
        core.skip_fences_to(fences::of_clock(now));
        if persistence.durability == Durability::Fence {
            core.reserve_fences();
        }
        events.keeps = persistence.durability;
        core.recovered(now.micros(), events);
        if !self.has_replayed && events.has_records() {
            // A range of fences: it is written for the first lock.
            events.clear_records();
            persistence.note(core, persistence.last.unwrap_or_default());
        }
        self.has_replayed && persistence.durability != Durability::Full
    }

    fn attach(&mut self, is_new: bool) {
        let State { core, events, persistence, .. } = &mut *self.table.lock();
        persistence.journal.attach();
        if persistence.durability == Durability::None {
            return;
        }
        if !is_new {
            persistence.append(core, events);
            return;
        }
        let mut records: Vec<Vec<u8>> = Vec::new();
        core.snapshot(persistence.durability == Durability::Full, |record| records.push(record.to_vec()));
        events.clear_records();
        let position = persistence.journal.append(records.iter().map(Vec::as_slice));
        persistence.note(core, position);
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        let state = self.table.lock();
        if state.persistence.durability == Durability::Full {
            let table = Arc::downgrade(&self.table);
            return Ok(Some(Box::new(move |snapshot| write_in_steps(&table, snapshot))));
        }
        state.core.snapshot(false, |record| snapshot.append(TAG, record));
        Ok(None)
    }
}

/// Writes the table into a snapshot in steps, between which it serves others.  Nothing comes of it if the table is gone
/// meanwhile.
fn write_in_steps(table: &Weak<Shared>, snapshot: &mut Snapshot) -> Result<(), Interrupted> {
    let (mut walk, mut bytes, mut ends) = (SnapshotWalk::default(), Vec::new(), Vec::new());
    loop {
        let table = table.upgrade().ok_or(Interrupted)?;
        let mut state = table.lock();
        let is_last = state.core.snapshot_step(&mut walk, |record| {
            bytes.extend_from_slice(record);
            ends.push(bytes.len());
        });
        if is_last {
            let persistence = &mut state.persistence;
            // From here on the journal has nothing that a part of the snapshot has seen.
            Core::end_snapshot(|record| persistence.last = Some(persistence.journal.append([record])));
        }
        drop(state);
        drop(table);
        let mut start = 0;
        for end in ends.drain(..) {
            snapshot.append(TAG, &bytes[start..end]);
            start = end;
        }
        bytes.clear();
        snapshot.spill();
        if is_last {
            return Ok(());
        }
        std::thread::yield_now();
    }
}
