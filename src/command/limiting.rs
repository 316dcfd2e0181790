//! What the rate limiter does by itself, on the store: it ends reservations, and decides for those who wait.

use super::{Awaited, Services};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::limit::algorithm::{InvalidParameter, Nanos};
use crate::limit::check::{Check, Mode};
use crate::limit::reservations::Reservation;
use crate::limit::stored::StoredCounters;
use crate::limit::summary::Summary;
use crate::limit::waiting::{Admission, Answer, Request, Turn, Undecided};
use crate::limit::{millis_of, nanos};
use crate::store::{AccessContext, Keyspace};
use crate::wait::Ticket;

/// So many reservations and so many of those who wait are looked at before the time is read again.
const STEPS_MAX: usize = 1_000;

impl Awaited for Answer {
    /// The thread that keeps the time gives back what was granted: this one may be at the gate.
    fn cancel(ticket: &Ticket<Answer>, services: &Services, now: Now, _: &mut Effects) {
        services.limits.waiting.leave(ticket);
        services.alarm.set(now.millis());
    }
}

impl Services {
    /// Opens a reservation and has it end by itself if nobody else ends it.
    pub fn reserve(&self, id: u64, reservation: Reservation) {
        let ends_at = reservation.ends_at;
        self.limits.reservations.open(id, reservation);
        self.alarm.set(millis_of(ends_at));
    }

    /// Lets a check that was refused wait for its admission, `patience` nanoseconds at most.
    ///
    /// # Errors
    /// If too many wait.
    pub fn wait_for_admission(
        &self,
        request: Request,
        check: &Check<'_>,
        summary: &Summary<'_>,
        patience: Nanos,
        now: Now,
    ) -> Result<Ticket<Answer>, InvalidParameter> {
        let waiting = &self.limits.waiting;
        // What is refused only because others came first may be had as soon as they are gone.
        let retry_after = if summary.allowed { Some(0) } else { summary.retry_after };
        let ticket = waiting.join(request, check, retry_after, patience, nanos(now))?;
        self.set_alarm_for_waiting();
        Ok(ticket)
    }

    /// Has those who wait for these counters decided again soon, since something was given back.
    pub fn wake_waiting<'c>(&self, database: usize, counters: impl Iterator<Item = &'c [u8]>) {
        let mut woken = false;
        for counter in counters {
            woken |= self.limits.waiting.wake(database, counter);
        }
        if woken {
            self.set_alarm_for_waiting();
        }
    }

    /// Counts the keys of the policies that have as many as they may have: some of them have gone meanwhile.  To be
    /// called now and then.
    pub fn count_keys_of_full_policies(&self) {
        self.look_for_room();
        let table = self.limits.policies.load();
        let full = table.values().filter(|policy| policy.is_full());
        let mut counted: Vec<_> = full
            .filter_map(|policy| Some((policy, policy.counted_prefix()?, policy.statistics.keys_made(), 0)))
            .collect();
        if counted.is_empty() {
            return;
        }
        self.store.visit_each(|shard| {
            shard.for_each_pinned(|entry| {
                // The counter that keys without one share is no key's own.
                let is_of =
                    |prefix: &[u8]| entry.key().strip_prefix(prefix).is_some_and(|key| !key.is_empty());
                let of = counted.iter_mut().find(|(_, prefix, ..)| is_of(prefix));
                if let Some((.., keys)) = of {
                    *keys += 1;
                }
            });
        });
        for (policy, _, made_before, keys) in counted {
            policy.statistics.note_keys(keys, made_before);
        }
    }

    /// Ends reservations whose time is over, and decides for those who wait.
    pub fn advance_limits(&self, now: Now) {
        let timestamp = nanos(now);
        for _ in 0..STEPS_MAX {
            let Some(reservation) = self.limits.reservations.close_due(timestamp) else { break };
            let ended = self.with_counters(
                self.timekeeper,
                now,
                reservation.database,
                reservation.counters(),
                |counters| reservation.expire(counters, timestamp),
            );
            if ended.is_err() {
                tracing::warn!(
                    "a reservation could not be given back: a key of its counters holds something else"
                );
            }
            self.wake_waiting(reservation.database, reservation.counters());
        }
        while let Some(request) = self.limits.waiting.next_unheard() {
            self.give_back(&request, now);
        }
        for _ in 0..STEPS_MAX {
            let Some(turn) = self.limits.waiting.turn(timestamp) else { break };
            self.decide_turn(turn, now);
        }
        if let Some(ends_at) = self.limits.reservations.next_end() {
            self.alarm.set(millis_of(ends_at));
        }
        self.set_alarm_for_waiting();
    }

    fn decide_turn(&self, turn: Turn, now: Now) {
        let (slot, timestamp, waiting) = (self.timekeeper, nanos(now), &self.limits.waiting);
        let table = self.limits.policies.load();
        let check = match Check::new(turn.request.demands(&table), &self.limits, timestamp) {
            Ok(check) => check,
            Err(invalid) => {
                waiting.answer(turn.id, Err(Undecided::Invalid(invalid)));
                return;
            }
        };
        let outcome = self.with_counters(slot, now, turn.request.database, check.counters(), |counters| {
            check.decide(counters, Mode::Take, timestamp)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(other) => {
                waiting.answer(turn.id, Err(Undecided::NotACounter(other)));
                return;
            }
        };
        let summary = check.summary(&outcome);
        // A list may refuse the key by now, for good.
        let is_hopeless = !summary.allowed && summary.retry_after.is_none();
        if !summary.allowed && !turn.is_last && !is_hopeless {
            return waiting.wait_on(turn.id, summary.retry_after, timestamp);
        }
        check.count(&outcome, slot, &self.limits);
        let is_heard = waiting.answer(turn.id, Ok(Admission::new(&check, &outcome)));
        if summary.allowed && !is_heard {
            self.give_back(&turn.request, now);
        }
    }

    /// Gives back what nobody came to fetch.
    fn give_back(&self, request: &Request, now: Now) {
        let timestamp = nanos(now);
        let table = self.limits.policies.load();
        let Ok(check) = Check::new(request.demands(&table), &self.limits, timestamp) else { return };
        let _ = self.with_counters(self.timekeeper, now, request.database, check.counters(), |counters| {
            check.refund(counters, timestamp, timestamp)
        });
        self.wake_waiting(request.database, check.counters());
    }

    fn set_alarm_for_waiting(&self) {
        if let Some(turn) = self.limits.waiting.next_turn() {
            self.alarm.set(millis_of(turn));
        }
    }

    /// Runs `step` with these counters locked, for a thread that is not at the gate.
    fn with_counters<'c, R>(
        &self,
        slot: usize,
        now: Now,
        database: usize,
        counters: impl Iterator<Item = &'c [u8]>,
        step: impl FnOnce(&mut StoredCounters<'_, '_>) -> R,
    ) -> R {
        let gate = self.store.gate().enter(slot);
        let access = AccessContext::of(&self.settings.current(), now);
        let mut keyspace = Keyspace::new(&self.store, now, access);
        keyspace.database = database;
        let result = step(&mut StoredCounters::lock(&mut keyspace, counters));
        keyspace.unlock();
        self.settle(slot, &mut keyspace);
        drop(gate);
        result
    }
}
