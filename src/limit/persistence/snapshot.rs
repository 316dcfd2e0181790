//! The whole state of the limiter, written into a snapshot.
//!
//! The state is copied in steps, each with the gate entered for a few shards only.  Commands that run meanwhile may be in
//! it or not; the counters they change are noted and copied into the journal behind it.

use super::TAG;
use super::service::{PersistentLimits, Records, counter, time, visit_store};
use crate::journal::Snapshot;
use crate::limit::{millis_of, nanos};

/// Shards that are read before other threads that want the gate have their turn.
const SHARDS_PER_STEP: usize = 16;

impl PersistentLimits {
    pub(super) fn copy_into(&self, snapshot: &mut Snapshot) {
        let now = self.services.clock.now();
        let store = &self.services.store;
        let mut records = Records::new(|record| snapshot.append(TAG, record));
        records.append(time(now));
        self.services.limits.each_setting(|record| records.append(record));
        let reservations = &self.services.limits.reservations;
        let reserved = reservations.written();
        reservations.each_record(&reserved, |record| records.append(record));
        let due = millis_of(nanos(now) + self.threshold);
        for database in 0..store.database_count() {
            let shards: Vec<_> = visit_store(&self.services, now, |_| store.shards(database).collect());
            for step in shards.chunks(SHARDS_PER_STEP) {
                visit_store(&self.services, now, |keyspace| {
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
