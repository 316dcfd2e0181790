//! The keeper's end of the rate limiter.
//!
//! Operators' changes are appended as they are made (see [`Persistence`](super::Persistence)).  For counters no reply waits:
//! twice a second the changed ones are copied into the journal, so that a crash loses less than the last second.
//! They are copied in short steps, so that other threads seldom wait for the store.

use std::sync::Arc;

use super::replay::Recovered;
use super::{FORMER_FOLDER, Record, TAG};
use crate::clock::Now;
use crate::command::Services;
use crate::journal::keeper::{Dormant, Interrupted, Persistent, Rest};
use crate::journal::{RECORD_MAX, Snapshot, Tag};
use crate::limit::algorithm::{NANOS_PER_SECOND, Nanos};
use crate::limit::reservations::ReservationId;
use crate::limit::{nanos, timestamp_of_millis};
use crate::store::{AccessContext, EntryRef, Keyspace};
use crate::wait::Position;

/// Counters that are copied before other threads that want the gate have their turn.
const COUNTERS_PER_STEP: usize = 256;

/// The keeper's end of the limiter.  While it is not to be kept, the records of an earlier server stay as they are.
pub(in crate::limit) fn persistent(services: &Arc<Services>) -> Box<dyn Persistent> {
    let settings = services.settings.current();
    match settings.limit_kept_from {
        seconds @ 1.. if settings.dir.is_some() => Box::new(PersistentLimits::new(services, seconds)),
        _ => Box::new(Dormant::new(TAG, Some(FORMER_FOLDER))),
    }
}

/// Bytes of records that are copied into one operation of the journal.
const OPERATION_BYTES: usize = 1 << 20;

/// See the module's text.
pub(super) struct PersistentLimits {
    pub(super) services: Arc<Services>,
    /// From how long on a counter is kept.
    pub(super) threshold: Nanos,
    /// The state of an earlier server, until all records are replayed.
    recovered: Option<Recovered>,
}

impl PersistentLimits {
    /// Has counters that matter for longer than `seconds` outlive the server.
    fn new(services: &Arc<Services>, seconds: u64) -> PersistentLimits {
        let threshold = seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(1);
        services.limits.persistence.journal().turn_on();
        PersistentLimits { services: Arc::clone(services), threshold, recovered: None }
    }
}

impl Persistent for PersistentLimits {
    fn tag(&self) -> Tag {
        TAG
    }

    fn former_folder(&self) -> Option<&'static str> {
        Some(FORMER_FOLDER)
    }

    fn replay(&mut self, record: &[u8], _position: Position, _now: Now) -> Result<(), String> {
        self.recovered.get_or_insert_default().replay(record)
    }

    fn resume(&mut self, _now: Now) -> bool {
        if let Some(recovered) = self.recovered.take() {
            recovered.restore(&self.services);
        }
        self.services.store.dirty().follow(Some(self.threshold));
        false
    }

    fn attach(&mut self, is_new: bool) {
        let limits = &self.services.limits;
        let persistence = &limits.persistence;
        persistence.journal().attach();
        // Moments that are written from now on are those of this server's clock.
        persistence.journal().append([time(self.services.clock.now()).encoded().as_slice()]);
        if is_new {
            limits.each_setting(|record| persistence.write([record]));
        }
    }

    fn has_changes(&self) -> bool {
        !self.services.store.dirty().is_empty() || self.services.limits.reservations.has_changed()
    }

    fn copy_changes(&mut self) {
        if !self.has_changes() {
            return;
        }
        let (now, limits) = (self.services.clock.now(), &self.services.limits);
        let journal = limits.persistence.journal();
        // Copies that are not appended yet.
        let (mut copied, mut bytes) = (Vec::<Vec<u8>>::new(), 0);
        let append = |copied: &mut Vec<Vec<u8>>| {
            journal.append_quietly(copied.iter().map(Vec::as_slice));
            copied.clear();
        };
        let mut records = Records::new(|record| {
            bytes += record.len();
            copied.push(record.to_vec());
            if bytes >= OPERATION_BYTES {
                append(&mut copied);
                bytes = 0;
            }
        });
        records.append(time(now));
        // A crash leaves all of these records or none, so a reservation gives back once.  If there are too many for one
        // operation it may leave the first without the last.  Then a reservation must not give back twice, or more than it
        // has taken: its end is written before the counters that it was given back to, and its beginning after those that it
        // was taken from.
        let reservations = &limits.reservations;
        let changed_reservations = reservations.take_changed();
        records.append_ended(&reservations.ended(&changed_reservations));
        self.copy_changed_counters(now, &mut records);
        // These may have given back to a counter just before it was written.
        records.append_ended(&reservations.take_ended());
        reservations.each_record(&changed_reservations, |record| records.append(record));
        records.report_too_long();
        append(&mut copied);
    }

    /// FLUSHALL and SWAPDB change all counters at once, which is not told name by name.
    fn wants_snapshot(&self) -> bool {
        self.services.store.dirty().is_all()
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        let dirty = self.services.store.dirty();
        dirty.take_all();
        self.copy_into(snapshot);
        if dirty.is_all() {
            // Part of the counters are as they were before, part as they are now.
            return Err(Interrupted);
        }
        Ok(None)
    }
}

impl PersistentLimits {
    fn copy_changed_counters(&self, now: Now, records: &mut Records<impl FnMut(&[u8])>) {
        let store = &self.services.store;
        let mut names = store.dirty().take().peekable();
        while names.peek().is_some() {
            visit_store(&self.services, now, |keyspace| {
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
}

/// Runs `step` on a view of the store in which nothing is locked, for a thread that is not at the gate.
pub(super) fn visit_store<R>(services: &Services, now: Now, step: impl FnOnce(&mut Keyspace<'_>) -> R) -> R {
    let gate = services.store.gate().enter(services.timekeeper);
    let access = AccessContext::of(&services.settings.current(), now);
    let mut keyspace = Keyspace::new(&services.store, now, access);
    let result = step(&mut keyspace);
    services.settle(services.timekeeper, &mut keyspace);
    drop(gate);
    result
}

/// Where records go, encoded.
pub(super) struct Records<W> {
    write: W,
    bytes: Vec<u8>,
    /// How many the journal does not take.
    too_long: usize,
}

impl<W: FnMut(&[u8])> Records<W> {
    pub(super) fn new(write: W) -> Records<W> {
        Records { write, bytes: Vec::new(), too_long: 0 }
    }

    /// Writes a record, unless the journal does not take one so long: it is about a key that is.
    pub(super) fn append(&mut self, record: Record<'_>) {
        record.encode(&mut self.bytes);
        if self.bytes.len() < RECORD_MAX {
            (self.write)(&self.bytes);
        } else {
            self.too_long += 1;
        }
    }

    pub(super) fn append_ended(&mut self, reservations: &[ReservationId]) {
        reservations.iter().for_each(|&id| self.append(Record::Ended { id }));
    }

    /// Says in the log how many were left out; not before all locks are released.
    pub(super) fn report_too_long(&self) {
        if self.too_long > 0 {
            let count = self.too_long;
            tracing::warn!(count, "rate limits with keys too long for the journal do not outlive the server");
        }
    }
}

pub(super) fn time(now: Now) -> Record<'static> {
    Record::Time { wall_micros: now.wall_micros(), timestamp: nanos(now) }
}

/// A counter as a record; none of another kind of value.
pub(super) fn counter(database: usize, entry: EntryRef<'_>) -> Option<Record<'_>> {
    let state = entry.pinned_state().ok()?;
    let ends_at = timestamp_of_millis(entry.deadline()?);
    Some(Record::Counter { database: database as u32, ends_at, key: entry.key(), state })
}
