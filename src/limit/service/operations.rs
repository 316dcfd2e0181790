//! The limiter's operations on the store, and its own work when something falls due.

use super::counters::StoredCounters;
use crate::clock::Now;
use crate::command::{Awaited, CLOSED_PAUSE, Services};
use crate::delivery::Effects;
use crate::limit::limiter::Limiter;
use crate::limit::operation::{LimitError, Operation};
use crate::limit::policies::Table;
use crate::limit::queue::QueuedAnswer;
use crate::limit::{millis_of, nanos};
use crate::store::{AccessContext, HeldForLong, Keyspace, Patience};
use crate::wait::Ticket;

/// How many reservations and how many waiters are looked at before the time is read again.
const STEPS_MAX: usize = 1_000;

impl Awaited for QueuedAnswer {
    /// Ends the wait.  The thread that keeps the time gives granted costs back: this one may be at the gate.
    fn cancel(ticket: &Ticket<QueuedAnswer>, services: &Services, now: Now, _: &mut Effects) {
        services.limits.queue.leave(ticket);
        services.alarm.set(now.millis());
    }
}

impl Services {
    /// Does an operation of the limiter on the counters of the view's database, and returns its answer or why it was not done; the
    /// view has nothing locked.  `thread` is the number of the thread that asks.
    ///
    /// # Errors
    /// If something holds a counter for longer than the view is patient.  Then nothing was done.
    pub fn run_limit<'o, O: Operation<'o>>(
        &'o self,
        operation: O,
        policies: &'o Table,
        keyspace: &mut Keyspace<'_>,
        thread: usize,
    ) -> Result<Result<O::Answer, LimitError>, HeldForLong> {
        let (answer, held_by) = self.with_limiter(policies, keyspace, thread, |limiter| {
            let answer = limiter.run(operation);
            (answer, limiter.counters.held_by())
        });
        match (answer, held_by) {
            (Err(LimitError::Held), Some(reason)) => Err(reason),
            (answer, _) => Ok(answer),
        }
    }

    /// Tells the limiter whether there is memory for more counters: after the setting or their memory has changed.
    pub fn update_counter_budget(&self) {
        let limit = self.settings.current().limit_maxmemory;
        self.limits.budget.set_exhausted(limit != 0 && self.store.pinned_memory() >= limit);
    }

    /// Counts the keys of the policies that have as many as they may have, since some of them have gone meanwhile.  To be
    /// called now and then.
    pub fn count_keys_of_full_policies(&self) {
        self.update_counter_budget();
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

    /// Ends the reservations whose time is over, and decides the waiters that may be admitted by now.
    pub fn advance_limits(&self, now: Now) {
        if !self.store.gate().is_open(self.timekeeper) {
            // The thread that keeps the time for all services does not wait here.
            return self.alarm.set(now.after(CLOSED_PAUSE).millis());
        }
        let (timestamp, limits) = (nanos(now), &self.limits);
        let mut held = Vec::new();
        for _ in 0..STEPS_MAX {
            let Some((id, reservation)) = limits.reservations.close_due(timestamp) else { break };
            match self.at_gate(now, reservation.database, |limiter| limiter.expire(&reservation)) {
                Ok(()) => {}
                Err(LimitError::Held) => held.push((id, reservation)),
                Err(_) => tracing::warn!(
                    "a reservation could not be given back: a key of its counters holds something else"
                ),
            }
        }
        let mut unclaimed = Vec::new();
        while let Some(check) = limits.queue.take_unclaimed() {
            if self.at_gate(now, check.database, |limiter| limiter.take_back(&check)).is_err() {
                unclaimed.push(check);
            }
        }
        let is_held_up = !held.is_empty() || !unclaimed.is_empty();
        held.into_iter().for_each(|(id, reservation)| limits.reservations.open(id, reservation));
        unclaimed.into_iter().for_each(|check| limits.queue.put_unclaimed(check));
        for _ in 0..STEPS_MAX {
            let Some(waiter) = limits.queue.due(timestamp) else { break };
            self.at_gate(now, waiter.check.database, |limiter| limiter.serve(&waiter));
        }
        let due = if is_held_up { Some(nanos(now.after(CLOSED_PAUSE))) } else { limits.next_due() };
        self.set_alarm(due);
    }

    fn set_alarm(&self, due: Option<u64>) {
        if let Some(due) = due {
            self.alarm.set(millis_of(due));
        }
    }

    fn with_limiter<'o, R>(
        &'o self,
        policies: &'o Table,
        keyspace: &mut Keyspace<'_>,
        thread: usize,
        step: impl FnOnce(&mut Limiter<'o, StoredCounters<'_, '_>>) -> R,
    ) -> R {
        let (database, now) = (keyspace.database, nanos(keyspace.now()));
        let counters = StoredCounters::new(keyspace, &self.clock);
        let limits = &self.limits;
        let mut limiter = Limiter { limits, policies, counters, database, now, thread, due: None };
        let result = step(&mut limiter);
        self.set_alarm(limiter.due);
        result
    }

    /// Runs a step of the thread that keeps the time, which is not at the gate.
    fn at_gate<R>(
        &self,
        now: Now,
        database: usize,
        step: impl FnOnce(&mut Limiter<'_, StoredCounters<'_, '_>>) -> R,
    ) -> R {
        let slot = self.timekeeper;
        let gate = self.store.gate().enter(slot);
        let access = AccessContext::of(&self.settings.current(), now);
        let mut keyspace = Keyspace::new(&self.store, now, access);
        keyspace.database = database;
        keyspace.patience = Patience::Nobody;
        let policies = self.limits.policies.load();
        let result = self.with_limiter(&policies, &mut keyspace, slot, step);
        keyspace.unlock();
        self.settle(slot, &mut keyspace);
        drop(gate);
        result
    }
}
