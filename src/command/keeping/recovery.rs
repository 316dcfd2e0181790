//! What an earlier server has kept of the limiter, taken back.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Services;
use crate::cache::Keyspace;
use crate::clock::Now;
use crate::journal::{Journal, OpenError, Options};
use crate::limit::algorithm::{Nanos, StateBytes, shift_state};
use crate::limit::records::Record;
use crate::limit::{millis_of, nanos};

/// Opens the journal in `folder` and takes back what it has.
///
/// # Errors
/// If the folder cannot be had, or what it has is damaged.
pub(super) fn open(services: &Services, folder: &Path, options: Options) -> Result<Arc<Journal>, OpenError> {
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
                let set = services.limits.policies.restore(name, definition);
                set.map_err(|error| format!("the policy {name}: {error}"))?;
            }
            Record::Forgotten { name } => drop(services.limits.policies.remove(name.as_bytes())),
        }
        Ok(())
    })?;
    let now = services.clock.now();
    services.visit_store(now, |keyspace| {
        for ((database, key), (written_at, ends_at, state)) in counters {
            restore(keyspace, database as usize, &key, &state, ends_at, shift(written_at, now));
        }
    });
    Ok(journal)
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
    use std::time::Duration;

    use super::*;
    use crate::limit::algorithm::{FixedWindow, NANOS_PER_SECOND, Parameters};

    /// What is left of a window of two minutes that was taken whole, after a restart at `restarted`.
    #[track_caller]
    fn check(taken: Now, written: Now, restarted: Now, seconds_left: u64) {
        let parameters = Parameters { limit: 1, period_millis: 120_000, burst: None, on_change: None };
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
