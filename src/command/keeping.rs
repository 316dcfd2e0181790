//! What of the rate limiter outlives the server: policies, and counters that matter for long.
//!
//! Nobody waits for it.  Twice a second what has changed is written to the limiter's journal, which is synced soon after,
//! so that a crash loses less than the last second.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Services;
use crate::cache::eviction::Recency;
use crate::cache::{EntryRef, Keyspace, Moment};
use crate::clock::Now;
use crate::journal::{Journal, OpenError, Options, RECORD_MAX, Status};
use crate::limit::algorithm::{NANOS_PER_SECOND, Nanos, StateBytes, shift_state};
use crate::limit::policies::Table;
use crate::limit::records::Record;
use crate::limit::{millis_of, moment_of_millis, nanos};

/// The least time from one sync to the next.
const SYNC_INTERVAL: Duration = Duration::from_millis(250);

/// What keeps the limiter's state.  Only the thread that keeps house writes.
#[derive(Default)]
pub struct LimitKeeper(Mutex<Keeper>);

#[derive(Default)]
struct Keeper {
    /// Where; none to keep nothing.
    folder: Option<PathBuf>,
    /// Made when there is something to write.
    journal: Option<Arc<Journal>>,
    /// The policies that are written.
    policies: Option<Arc<Table>>,
    /// From how long on a counter is kept.
    long: Nanos,
}

impl Services {
    /// Takes back what `folder` has of an earlier server, and keeps there from now on what matters for longer
    /// than `seconds`.
    ///
    /// # Errors
    /// If the folder cannot be had, or what it has is damaged.
    pub fn keep_limits_in(&self, folder: &Path, seconds: u64) -> Result<(), OpenError> {
        let mut keeper = self.limit_keeper.0.lock();
        keeper.folder = Some(folder.to_owned());
        keeper.long = seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(1);
        keeper.policies = Some(Arc::clone(&self.limits.policies.load()));
        if folder.exists() {
            self.open_journal(&mut keeper)?;
            keeper.policies = Some(Arc::clone(&self.limits.policies.load()));
        }
        self.store.changed_counters().follow(Some(keeper.long));
        Ok(())
    }

    fn open_journal(&self, keeper: &mut Keeper) -> Result<(), OpenError> {
        let Some(folder) = &keeper.folder else { return Ok(()) };
        let options = Options { sync_interval: SYNC_INTERVAL, ..Options::new("limits") };
        let (mut counters, mut written_at) = (HashMap::new(), (0, 0));
        let (journal, _) = Journal::open(folder, options, &mut |bytes| {
            let record = Record::decode(bytes).ok_or_else(|| "it is no record of the limiter".to_owned())?;
            match record {
                Record::Time { wall_micros, moment } => written_at = (wall_micros, moment),
                Record::Counter { database, ends_at, key, state } => {
                    counters.insert((database, key.to_vec()), (written_at, ends_at, state.to_vec()));
                }
                Record::Removed { database, key } => drop(counters.remove(&(database, key.to_vec()))),
                Record::Policy { name, definition } => {
                    let definition = serde_json::from_slice(definition).map_err(|error| error.to_string())?;
                    let set = self.limits.policies.restore(name, definition);
                    set.map_err(|error| format!("the policy {name}: {error}"))?;
                }
                Record::Forgotten { name } => drop(self.limits.policies.remove(name.as_bytes())),
            }
            Ok(())
        })?;
        keeper.journal = Some(journal);
        let now = self.clock.now();
        self.view(now, |keyspace| {
            for ((database, key), (written_at, ends_at, state)) in counters {
                restore(keyspace, database as usize, &key, &state, ends_at, shift(written_at, now));
            }
        });
        Ok(())
    }

    /// Writes what has changed since this was last called.
    pub fn keep_limits(&self, now: Now) {
        let keeper = &mut *self.limit_keeper.0.lock();
        let policies = Arc::clone(&self.limits.policies.load());
        let Some(written) = keeper.policies.clone() else { return };
        let changed = self.store.changed_counters();
        let policies_changed = !Arc::ptr_eq(&written, &policies);
        if !policies_changed && changed.is_empty() {
            return;
        }
        if keeper.journal.is_none()
            && let Err(error) = self.open_journal(keeper)
        {
            tracing::error!(%error, "rate limits will not outlive the server");
            *keeper = Keeper::default();
            return changed.follow(None);
        }
        let Some(journal) = &keeper.journal else { return };
        if journal.admit().is_err() {
            // The names stay noted; a disk that has failed is said in the log by the journal.
            return;
        }
        let mut bytes = Vec::new();
        let mut append = |record: Record<'_>| {
            record.encode(&mut bytes);
            if fits(&bytes) {
                journal.append(&bytes);
            }
        };
        append(time(now));
        if policies_changed {
            write_policies(&written, &policies, &mut append);
            keeper.policies = Some(policies);
        }
        self.view(now, |keyspace| {
            for (place, key) in changed.take() {
                let database = self.store.database_at(place);
                let hashed = keyspace.store().key(&key);
                let id = keyspace.store().shard_of(database, hashed.hash);
                keyspace.with_shard(id, |shard, moment| {
                    let counter = shard.peek(&hashed, moment).and_then(|entry| counter(database, entry));
                    append(counter.unwrap_or(Record::Removed { database: database as u32, key: &key }));
                });
            }
        });
        // What FLUSHALL and SWAPDB have done is not told name by name.
        if changed.take_all() || journal.is_snapshot_due() {
            self.snapshot_limits(keeper, now);
        }
    }

    /// Calls `write` with the name and the state of every service's journal, once there is one.
    pub fn each_journal(&self, mut write: impl FnMut(&'static str, Status)) {
        if let Some(journal) = self.locks.journal() {
            write("locks", journal.status());
        }
        let limits = self.limit_keeper.0.lock().journal.clone();
        if let Some(journal) = limits {
            write("limits", journal.status());
        }
    }

    /// Writes everything, and ends the journal: the server stops.
    pub fn close_limits(&self) {
        let now = self.clock.now();
        self.keep_limits(now);
        let keeper = &*self.limit_keeper.0.lock();
        self.snapshot_limits(keeper, now);
        if let Some(journal) = &keeper.journal {
            journal.close();
        }
    }

    /// Writes all that is kept, which makes what was written before superfluous.
    fn snapshot_limits(&self, keeper: &Keeper, now: Now) {
        let Some(mut snapshot) = keeper.journal.as_ref().and_then(|journal| journal.begin_snapshot()) else {
            return;
        };
        let mut bytes = Vec::new();
        let mut append = |record: Record<'_>| {
            record.encode(&mut bytes);
            if fits(&bytes) {
                snapshot.append(&bytes);
            }
        };
        append(time(now));
        if let Some(policies) = &keeper.policies {
            write_policies(&crate::limit::Limits::new(1).policies.load(), policies, &mut append);
        }
        let due = millis_of(nanos(now) + keeper.long);
        self.view(now, |keyspace| {
            for database in 0..self.store.database_count() {
                keyspace.for_each_shard(database, |shard, moment| {
                    shard.for_each(moment, |entry| {
                        let matters = entry.deadline().is_some_and(|deadline| deadline >= due);
                        if let Some(counter) = counter(database, entry).filter(|_| matters) {
                            append(counter);
                        }
                    });
                });
            }
        });
        // The result is in the log.
        let _ = snapshot.finish();
    }

    /// Runs `step` on a view of the store in which nothing is locked.
    fn view<R>(&self, now: Now, step: impl FnOnce(&mut Keyspace<'_>) -> R) -> R {
        let gate = self.store.gate().enter(self.timekeeper);
        let moment = Moment { now: now.millis(), recency: Recency::of(&self.settings, now) };
        let mut keyspace = Keyspace::new(&self.store, now, moment);
        let result = step(&mut keyspace);
        self.settle(self.timekeeper, &mut keyspace);
        drop(gate);
        result
    }
}

/// Whether the journal takes a record; one that is longer is about a key that is.
fn fits(record: &[u8]) -> bool {
    let fits = record.len() <= RECORD_MAX;
    if !fits {
        tracing::warn!(bytes = record.len(), "a rate limit with a key this long does not outlive the server");
    }
    fits
}

fn time(now: Now) -> Record<'static> {
    Record::Time { wall_micros: now.wall_micros(), moment: nanos(now) }
}

/// A counter as a record; none of another kind of value.
fn counter(database: usize, entry: EntryRef<'_>) -> Option<Record<'_>> {
    let state = entry.counter().ok()?;
    let ends_at = moment_of_millis(entry.deadline()?);
    Some(Record::Counter { database: database as u32, ends_at, key: entry.key(), state })
}

/// What makes the policies `to` of the policies `from`.
fn write_policies(from: &Table, to: &Table, append: &mut impl FnMut(Record<'_>)) {
    for (name, policy) in to {
        let is_same = from.get(name).is_some_and(|other| other.definition() == policy.definition());
        if !is_same {
            let definition = serde_json::to_vec(policy.definition()).expect("a definition is plain data");
            append(Record::Policy { name: policy.name(), definition: &definition });
        }
    }
    for policy in from.values().filter(|policy| !to.contains_key(policy.name().as_bytes())) {
        append(Record::Forgotten { name: policy.name() });
    }
}

/// By how many nanoseconds moments of the server that wrote them have to be moved: as much wall time has passed
/// as the clocks say, and none if the wall clock was set back.
fn shift((wall_micros, moment): (i64, Nanos), now: Now) -> i64 {
    let passed = now.wall_micros().saturating_sub(wall_micros).max(0).saturating_mul(1_000);
    (nanos(now) as i64).saturating_sub(moment as i64).saturating_sub(passed)
}

fn restore(
    keyspace: &mut Keyspace<'_>,
    database: usize,
    key: &[u8],
    state: &[u8],
    ends_at: Nanos,
    shift: i64,
) {
    let deadline = millis_of(ends_at.saturating_add_signed(shift));
    if deadline <= keyspace.now().millis() || database >= keyspace.store().database_count() {
        return;
    }
    let mut shifted = StateBytes::new();
    shift_state(state, shift, &mut shifted);
    let key = keyspace.store().key(key);
    let id = keyspace.store().shard_of(database, key.hash);
    keyspace.with_shard(id, |shard, moment| shard.set_counter(&key, &shifted, Some(deadline), moment));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::algorithm::{FixedWindow, Parameters};

    /// What is left of a window of two minutes that was taken whole, after a restart at `restarted`.
    #[track_caller]
    fn check(taken: Now, written: Now, restarted: Now, seconds_left: u64) {
        let parameters = Parameters { limit: 1, period_millis: 120_000, burst: None };
        let limit = FixedWindow::new(parameters).expect("the parameters are valid").limit();
        let (mut state, mut moved) = (StateBytes::new(), StateBytes::new());
        assert!(limit.take(&[], 1, nanos(taken), &mut state).allowed);
        shift_state(&state, shift((written.wall_micros(), nanos(written)), restarted), &mut moved);
        let decision = limit.peek(&moved, 1, nanos(restarted));
        assert_eq!(decision.reset_after, seconds_left * NANOS_PER_SECOND);
    }

    #[test]
    fn windows_go_on_over_restarts_and_reboots() {
        let at = |boot, wall| Now::at(Duration::from_secs(boot), Duration::from_secs(wall));
        let (taken, written) = (at(1_000, 50_000), at(1_010, 50_010));
        check(taken, written, at(1_040, 50_040), 80);
        check(taken, written, at(5, 50_070), 50);
        check(taken, written, at(900_000, 50_119), 1);
        // A wall clock that was set back tells nothing of how much time has passed.
        check(taken, written, at(5, 40_000), 110);
    }
}
