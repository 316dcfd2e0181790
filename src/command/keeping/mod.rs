//! What of the rate limiter outlives the server: what operators have set, counters that matter for long, reservations.
//!
//! What operators set is written as they set it (see [`Keeping`](crate::limit::keeping::Keeping)).  For counters nobody
//! waits: twice a second those that have changed are written to the limiter's journal, which is synced soon after, so that
//! a crash loses less than the last second.  A thread of its own makes the journal and writes the counters: it alone waits
//! for the disk, and it visits the store in short steps, so that others seldom wait for it.

mod recovery;
mod snapshot;
mod thread;

pub use thread::KeeperThread;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Services;
use crate::clock::Now;
use crate::journal::{Journal, OpenError, Options, RECORD_MAX, Status};
use crate::limit::algorithm::{NANOS_PER_SECOND, Nanos};
use crate::limit::records::Record;
use crate::limit::reservations::ReservationId;
use crate::limit::{moment_of_millis, nanos};
use crate::store::{AccessContext, EntryRef, Keyspace};

/// The least time from one sync to the next.
const SYNC_INTERVAL: Duration = Duration::from_millis(250);

/// The least time between two attempts to make the journal.
const RETRY_MILLIS: u64 = 1_000;

/// Counters looked at before others who want the gate have their turn.
const COUNTERS_PER_STEP: usize = 256;

/// What keeps the limiter's state.  Its owner alone writes, so nobody waits for it.
pub struct LimitKeeper {
    services: Arc<Services>,
    folder: PathBuf,
    /// Made when there is something to write.
    journal: Option<Arc<Journal>>,
    /// When making it has failed last, in milliseconds of the server's clock.
    tried_at: Option<u64>,
    /// From how long on a counter is kept.
    long: Nanos,
}

impl Services {
    /// Calls `write` with the name and the state of every service's journal, once there is one.  Takes no lock that is
    /// held while somebody waits for the disk or the gate.
    pub fn each_journal(&self, mut write: impl FnMut(&'static str, Status)) {
        if let Some(journal) = self.locks.journal() {
            write("locks", journal.status());
        } else if let Some(reason) = self.locks.failure() {
            write("locks", Status::unavailable(String::clone(&reason)));
        }
        let keeping = &self.limits.keeping;
        if let Some(journal) = keeping.journal() {
            write("limits", journal.status());
        } else if let Some(reason) = keeping.failure() {
            write("limits", Status::unavailable(String::clone(&reason)));
        }
    }
}

impl LimitKeeper {
    /// Takes back what `folder` has of an earlier server, and keeps there from now on what matters for longer
    /// than `seconds`.
    ///
    /// # Errors
    /// If the folder cannot be had, or what it has is damaged.
    pub fn open(services: &Arc<Services>, folder: PathBuf, seconds: u64) -> Result<LimitKeeper, OpenError> {
        let exists = folder.exists();
        let mut keeper = LimitKeeper {
            services: Arc::clone(services),
            folder,
            journal: None,
            tried_at: None,
            long: seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(1),
        };
        if exists {
            keeper.open_journal()?;
            services.limits.keeping.set_ready();
        }
        services.limits.keeping.turn_on();
        services.store.dirty().follow(Some(keeper.long));
        Ok(keeper)
    }

    fn open_journal(&mut self) -> Result<(), OpenError> {
        let options = Options { sync_interval: SYNC_INTERVAL, ..Options::new("limits") };
        let journal = recovery::open(&self.services, &self.folder, options)?;
        let keeping = &self.services.limits.keeping;
        // Moments that are written from now on are those of this server's clock.
        journal.append(&time(self.services.clock.now()).encoded());
        keeping.publish(Arc::clone(&journal));
        self.journal = Some(journal);
        Ok(())
    }

    /// Makes the journal, unless that has just failed; false if there is none.
    fn make_journal(&mut self) -> bool {
        let now = self.services.clock.now();
        let is_tried = self.tried_at.is_some_and(|tried| now.millis() < tried + RETRY_MILLIS);
        if is_tried {
            return false;
        }
        let keeping = Arc::clone(&self.services.limits.keeping);
        if let Err(error) = self.open_journal() {
            self.tried_at = Some(now.millis());
            let reason = error.to_string();
            if keeping.failure().is_none_or(|known| *known != reason) {
                tracing::error!(
                    reason,
                    "what is set for the limiter cannot be kept; it is tried again every second"
                );
            }
            keeping.fail(reason);
            return false;
        }
        if keeping.failure().is_some() {
            tracing::warn!("what is set for the limiter is kept again");
        }
        self.services.limits.each_setting(|record| keeping.write([record]));
        keeping.set_ready();
        true
    }

    /// Writes what has changed since this was last called.
    pub fn keep(&mut self) {
        let changed = self.services.store.dirty();
        let keeping = &self.services.limits.keeping;
        let is_due = match &self.journal {
            Some(journal) => journal.is_snapshot_due(),
            None => keeping.is_asked_for(),
        };
        if changed.is_empty() && !self.services.limits.reservations.has_changed() && !is_due {
            return;
        }
        if self.journal.is_none() && !self.make_journal() {
            // The names stay noted.
            return;
        }
        let Some(journal) = self.journal.clone() else { return };
        if journal.admit().is_err() {
            // The names stay noted here too; the journal says in the log what is wrong.
            return;
        }
        let now = self.services.clock.now();
        let mut records = Records::new(|record| {
            journal.append(record);
        });
        records.append(time(now));
        // A crash may leave the first of these records without the last, and must not have a reservation give back twice, or
        // what it has not taken.  So its end is written before the counters that it was given back to, and its beginning
        // after those that it was taken from.
        let reservations = &self.services.limits.reservations;
        let changed_reservations = reservations.take_changed();
        records.append_ended(&reservations.ended(&changed_reservations));
        self.write_changed(now, &mut records);
        // These may have given back to a counter just before it was written.
        records.append_ended(&reservations.take_ended());
        reservations.each_record(&changed_reservations, |record| records.append(record));
        records.report_too_long();
        // What FLUSHALL and SWAPDB have done is not told name by name.
        if self.services.store.dirty().take_all() || journal.is_snapshot_due() {
            self.snapshot();
        }
    }

    fn write_changed(&self, now: Now, records: &mut Records<impl FnMut(&[u8])>) {
        let store = &self.services.store;
        let mut names = store.dirty().take().peekable();
        while names.peek().is_some() {
            self.visit(now, |keyspace| {
                for (physical, key) in names.by_ref().take(COUNTERS_PER_STEP) {
                    let database = store.logical_database(physical);
                    let hashed = store.key(&key);
                    let id = store.shard_of(database, hashed.hash);
                    keyspace.with_shard(id, |shard, access| {
                        let counter = shard.peek(&hashed, access).and_then(|entry| counter(database, entry));
                        let removed = Record::Removed { database: database as u32, key: &key };
                        records.append(counter.unwrap_or(removed));
                    });
                }
            });
        }
    }

    /// Writes everything, and ends the journal: the server stops.
    pub fn close(mut self) {
        self.tried_at = None;
        self.keep();
        self.snapshot();
        if let Some(journal) = &self.journal {
            journal.close();
        }
    }

    /// Runs `step` on a view of the store in which nothing is locked.
    fn visit<R>(&self, now: Now, step: impl FnOnce(&mut Keyspace<'_>) -> R) -> R {
        self.services.visit_store(now, step)
    }
}

impl Services {
    /// Runs `step` on a view of the store in which nothing is locked, for a thread that is not at the gate.
    fn visit_store<R>(&self, now: Now, step: impl FnOnce(&mut Keyspace<'_>) -> R) -> R {
        let gate = self.store.gate().enter(self.timekeeper);
        let access = AccessContext::of(&self.settings.current(), now);
        let mut keyspace = Keyspace::new(&self.store, now, access);
        let result = step(&mut keyspace);
        self.settle(self.timekeeper, &mut keyspace);
        drop(gate);
        result
    }
}

/// Where records go, encoded.
struct Records<W> {
    write: W,
    bytes: Vec<u8>,
    /// How many the journal does not take.
    too_long: usize,
}

impl<W: FnMut(&[u8])> Records<W> {
    fn new(write: W) -> Records<W> {
        Records { write, bytes: Vec::new(), too_long: 0 }
    }

    /// Writes a record, unless the journal does not take one so long: it is about a key that is.
    fn append(&mut self, record: Record<'_>) {
        record.encode(&mut self.bytes);
        if self.bytes.len() <= RECORD_MAX {
            (self.write)(&self.bytes);
        } else {
            self.too_long += 1;
        }
    }

    fn append_ended(&mut self, reservations: &[ReservationId]) {
        reservations.iter().for_each(|&id| self.append(Record::Ended { id }));
    }

    /// Says in the log how many were left out; not before all locks are released.
    fn report_too_long(&self) {
        if self.too_long > 0 {
            let count = self.too_long;
            tracing::warn!(count, "rate limits with keys too long for the journal do not outlive the server");
        }
    }
}

fn time(now: Now) -> Record<'static> {
    Record::Time { wall_micros: now.wall_micros(), timestamp: nanos(now) }
}

/// A counter as a record; none of another kind of value.
fn counter(database: usize, entry: EntryRef<'_>) -> Option<Record<'_>> {
    let state = entry.pinned_state().ok()?;
    let ends_at = moment_of_millis(entry.deadline()?);
    Some(Record::Counter { database: database as u32, ends_at, key: entry.key(), state })
}
