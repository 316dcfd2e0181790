//! Taking back the limiter of an earlier server.

use std::collections::{BTreeMap, HashMap};

use super::Record;
use super::service::visit_store;
use crate::clock::Now;
use crate::command::Services;
use crate::limit::algorithm::{Nanos, StateBytes, shift_state};
use crate::limit::definition::Definition;
use crate::limit::lists::ListName;
use crate::limit::reservations::{Reservation, ReservationId};
use crate::limit::{millis_of, nanos};
use crate::store::Keyspace;

/// The time at which a record was written: wall time in microseconds, and the moment on the limiter's scale.
type WrittenAt = (i64, Nanos);

/// The state that the records come to.
#[derive(Default)]
pub(super) struct Recovered {
    /// The time of the records that come next.
    written_at: WrittenAt,
    counters: HashMap<(u32, Box<[u8]>), Counter>,
    /// The policies that clients have set, and none under each name that they have deleted.
    policies: BTreeMap<String, Option<Definition>>,
    allow: Vec<Box<[u8]>>,
    deny: Vec<Box<[u8]>>,
    /// Until when.
    blocks: HashMap<Box<[u8]>, (WrittenAt, Nanos)>,
    reservations: HashMap<ReservationId, (WrittenAt, Reservation)>,
}

struct Counter {
    written_at: WrittenAt,
    ends_at: Nanos,
    state: Box<[u8]>,
}

impl Recovered {
    pub(super) fn replay(&mut self, bytes: &[u8]) -> Result<(), String> {
        match Record::decode(bytes).ok_or_else(|| "it is no record of the limiter".to_owned())? {
            Record::Time { wall_micros, timestamp } => self.written_at = (wall_micros, timestamp),
            Record::Counter { database, ends_at, key, state } => {
                let counter = Counter { written_at: self.written_at, ends_at, state: state.into() };
                self.counters.insert((database, key.into()), counter);
            }
            Record::Removed { database, key } => drop(self.counters.remove(&(database, key.into()))),
            Record::Policy { name, definition } => {
                let definition = serde_json::from_slice(definition);
                let definition = definition.map_err(|error| format!("the policy {name}: {error}"))?;
                self.policies.insert(name.to_owned(), Some(definition));
            }
            Record::Forgotten { name } => drop(self.policies.insert(name.to_owned(), None)),
            Record::Voided { name } => drop(self.policies.remove(name)),
            Record::Listed { list, pattern } => {
                let patterns = self.list(list);
                if !patterns.iter().any(|other| **other == *pattern) {
                    patterns.push(pattern.into());
                }
            }
            Record::Unlisted { list, pattern } => self.list(list).retain(|other| **other != *pattern),
            Record::Blocked { until, key } => {
                self.blocks.insert(key.into(), (self.written_at, until));
            }
            Record::Unblocked { key } => drop(self.blocks.remove(key)),
            Record::Reserved { id, reservation } => {
                let reservation = Reservation::decode(reservation);
                let reservation = reservation.ok_or_else(|| "it is no reservation".to_owned())?;
                self.reservations.insert(id, (self.written_at, reservation));
            }
            Record::Ended { id } => drop(self.reservations.remove(&id)),
        }
        Ok(())
    }

    fn list(&mut self, list: ListName) -> &mut Vec<Box<[u8]>> {
        match list {
            ListName::Allow => &mut self.allow,
            ListName::Deny => &mut self.deny,
        }
    }

    pub(super) fn restore(self, services: &Services) {
        let now = services.clock.now();
        let limits = &services.limits;
        for (policy, error) in limits.policies.restore(self.policies) {
            tracing::error!(policy, %error, "a policy of an earlier server is not allowed any more and is left out");
        }
        let blocks = self.blocks.into_iter().map(|(key, (at, until))| (key, moved(until, at, now)));
        limits.lists.restore(
            self.allow,
            self.deny,
            blocks.filter(|(_, until)| *until > nanos(now)).collect(),
        );
        let databases = services.store.database_count();
        let reservations =
            self.reservations.into_iter().filter(|(_, (_, reservation))| reservation.database < databases);
        limits.reservations.restore(reservations.map(|(id, (at, mut reservation))| {
            reservation.taken_at = moved(reservation.taken_at, at, now);
            reservation.ends_at = moved(reservation.ends_at, at, now);
            (id, reservation)
        }));
        visit_store(services, now, |keyspace| {
            for ((database, key), counter) in self.counters {
                restore(keyspace, database as usize, &key, &counter);
            }
        });
    }
}

/// A moment that was written at `written_at`, on this server's scale.
fn moved(timestamp: Nanos, written_at: WrittenAt, now: Now) -> Nanos {
    timestamp.saturating_add_signed(shift(written_at, now))
}

/// By how many nanoseconds moments of the server that wrote them have to be moved: as much wall time has passed
/// as the clocks say, and none if the wall clock was set back.
fn shift((wall_micros, timestamp): WrittenAt, now: Now) -> i64 {
    let passed = now.wall_micros().saturating_sub(wall_micros).max(0).saturating_mul(1_000);
    (nanos(now) as i64).saturating_sub(timestamp as i64).saturating_sub(passed)
}

fn restore(keyspace: &mut Keyspace<'_>, database: usize, key: &[u8], counter: &Counter) {
    let now = keyspace.now();
    let deadline = millis_of(moved(counter.ends_at, counter.written_at, now));
    if deadline <= now.millis() || database >= keyspace.store().database_count() {
        return;
    }
    let mut shifted = StateBytes::new();
    shift_state(&counter.state, shift(counter.written_at, now), &mut shifted);
    let key = keyspace.store().key(key);
    let id = keyspace.store().shard_of(database, key.hash);
    keyspace.with_shard(id, |shard, access| shard.set_pinned_state(&key, &shifted, Some(deadline), access));
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
    fn records_of_every_age_are_replayed_in_their_order() {
        let definition = br#"{"limits":[{"algorithm":"fixed","limit":1,"period_ms":1000}]}"#;
        let reserved = [[1; 4].as_slice(), &[0; 16]].concat();
        let mut recovered = Recovered::default();
        for record in [
            Record::Time { wall_micros: 5, timestamp: 7 },
            Record::Counter { database: 0, ends_at: 9, key: b"a", state: &[1] },
            Record::Counter { database: 0, ends_at: 9, key: b"b", state: &[1] },
            Record::Removed { database: 0, key: b"b" },
            Record::Policy { name: "api", definition },
            Record::Policy { name: "void", definition },
            Record::Forgotten { name: "default" },
            Record::Voided { name: "void" },
            Record::Listed { list: ListName::Allow, pattern: b"x" },
            Record::Listed { list: ListName::Deny, pattern: b"x" },
            Record::Listed { list: ListName::Deny, pattern: b"x" },
            Record::Listed { list: ListName::Deny, pattern: b"y" },
            Record::Unlisted { list: ListName::Allow, pattern: b"x" },
            Record::Blocked { until: 11, key: b"eve" },
            Record::Blocked { until: 11, key: b"adam" },
            Record::Unblocked { key: b"adam" },
            Record::Reserved { id: 1, reservation: &reserved },
            Record::Reserved { id: 2, reservation: &reserved },
            Record::Ended { id: 1 },
            Record::Ended { id: 3 },
        ] {
            recovered.replay(&record.encoded()).expect("it is a record");
        }
        assert_eq!(recovered.counters.keys().collect::<Vec<_>>(), [&(0, Box::from(*b"a"))]);
        let said: Vec<_> = recovered.policies.iter().map(|(name, said)| (&**name, said.is_some())).collect();
        assert_eq!(said, [("api", true), ("default", false)]);
        assert_eq!(recovered.deny, [Box::from(*b"x"), Box::from(*b"y")]);
        assert!(recovered.allow.is_empty());
        assert_eq!(recovered.blocks, HashMap::from([(Box::from(*b"eve"), ((5, 7), 11))]));
        assert_eq!(recovered.reservations.keys().collect::<Vec<_>>(), [&2]);
        assert!(recovered.replay(&[200]).is_err(), "a record of a later version stops the start");
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
