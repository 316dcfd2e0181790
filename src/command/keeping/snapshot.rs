//! All that is kept of the limiter, written anew, which makes what was written before superfluous.

use super::{LimitKeeper, Records, counter, time};
use crate::journal::Snapshot;
use crate::limit::{millis_of, nanos};

/// Shards that are read before others who want the gate have their turn.
const SHARDS_PER_STEP: usize = 16;

/// How often a snapshot is begun anew since databases were exchanged or emptied meanwhile, before it is left for later.
const ATTEMPTS_MAX: usize = 3;

impl LimitKeeper {
    /// Writes a snapshot.  The state is copied in steps, each with the gate entered for a few shards only, and goes to the
    /// disk once all of it is in memory.
    ///
    /// Commands that run meanwhile may be in it or not; the counters they change are noted and written behind it.  What
    /// concerns all counters at once is not noted one by one, so the snapshot is begun anew if that happens.
    pub(super) fn snapshot(&self) {
        let Some(journal) = &self.journal else { return };
        let dirty = self.services.store.dirty();
        for _ in 0..ATTEMPTS_MAX {
            let Some(mut snapshot) = journal.begin_snapshot() else { return };
            self.copy_into(&mut snapshot);
            if !dirty.take_all() {
                // The result is in the log.
                let _ = snapshot.finish();
                return;
            }
        }
        // The next look at what has changed tries again.
        dirty.mark_all();
    }

    fn copy_into(&self, snapshot: &mut Snapshot) {
        let now = self.services.clock.now();
        let store = &self.services.store;
        let mut records = Records::new(|record| snapshot.append(record));
        records.append(time(now));
        self.services.limits.each_setting(|record| records.append(record));
        let reservations = &self.services.limits.reservations;
        let reserved = reservations.written();
        reservations.each_record(&reserved, |record| records.append(record));
        let due = millis_of(nanos(now) + self.long);
        for database in 0..store.database_count() {
            let shards: Vec<_> = self.visit(now, |_| store.shards(database).collect());
            for step in shards.chunks(SHARDS_PER_STEP) {
                self.visit(now, |keyspace| {
                    for &id in step {
                        keyspace.with_shard(id, |shard, access| {
                            shard.for_each(access, |entry| {
                                let matters = entry.deadline().is_some_and(|deadline| deadline >= due);
                                if let Some(counter) = counter(database, entry).filter(|_| matters) {
                                    records.append(counter);
                                }
                            });
                        });
                    }
                });
            }
        }
        // These may have given back to a counter just before it was copied.
        records.append_ended(&reservations.ended(&reserved));
        records.report_too_long();
    }
}
