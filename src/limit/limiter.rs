//! The limiter at work: the one place that decides operations, whichever door they come through.

use std::sync::Arc;

use super::Limits;
use super::admission::{Admission, CheckAnswer, Summary};
use super::algorithm::{self, Decision, NANOS_PER_MILLI, Nanos, StateBytes};
use super::counters::{Changed, CounterStore, Counters};
use super::definition::Scope;
use super::operation::{
    Check, Demand, LimitError, Mode, Operation, Refund, Reserve, Reset, Settle, Throttle,
};
use super::plan::{Outcome, Plan};
use super::policies::{Table, find};
use super::policy::{CounterName, Policy, checked_key};
use super::queue::{DueWaiter, QueuedCheck};
use super::reservations::Reservation;

/// How long a waiter waits until it is looked at again if its counters are held for long.
const HELD_PAUSE: Nanos = 5 * NANOS_PER_MILLI;

/// The limiter on the counters of one database, for one operation.
pub struct Limiter<'l, C> {
    /// The state that all threads share.
    pub limits: &'l Limits,
    /// The policies, which do not change while an operation is done.
    pub policies: &'l Table,
    /// The counters.
    pub counters: C,
    /// The database of the counters.
    pub database: usize,
    /// The time of the operation.
    pub now: Nanos,
    /// The number of the thread, for statistics.
    pub thread: usize,
    /// When the operation has given the limiter something to do by itself; see
    /// [`Limits::next_due`](super::Limits::next_due).
    pub due: Option<Nanos>,
}

impl<'l, C: CounterStore> Limiter<'l, C> {
    /// Does an operation.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn run<O: Operation<'l>>(&mut self, operation: O) -> Result<O::Answer, LimitError> {
        operation.run(self)
    }

    /// The policy of this name.
    pub(super) fn policy(&self, name: &[u8]) -> Result<&'l Arc<Policy>, LimitError> {
        find(self.policies, name)
    }

    pub(super) fn lock<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) -> Result<(), LimitError> {
        Ok(self.counters.lock(self.database, names)?)
    }

    fn plan(&self, demands: &[Demand<'l>]) -> Result<Plan<'l>, LimitError> {
        Plan::of(demands, self.limits, self.policies, self.now)
    }

    /// Decides an admission whose counters are locked, and counts the decision if it is final.  It is not if the check
    /// `can_wait` and is refused for now, or `is_behind` other waiters.
    fn admit(
        &mut self,
        plan: &mut Plan<'_>,
        mode: Mode,
        can_wait: bool,
        is_behind: bool,
    ) -> Result<Attempt, LimitError> {
        let (counters, now) = (&mut self.counters, self.now);
        let outcome = match mode {
            Mode::UpTo => plan.take_left(counters, now)?,
            Mode::Take | Mode::Wait(_) if !is_behind => plan.take(counters, now)?,
            Mode::Take | Mode::Wait(_) | Mode::Peek => plan.peek(counters, now)?,
        };
        // A client that can never be admitted need not wait to be told so, and holds up nobody behind it.
        let has_to_wait = can_wait && (is_behind || !outcome.allowed) && !plan.summary(&outcome).is_final();
        if !has_to_wait && mode != Mode::Peek {
            plan.count(&outcome, self.thread, self.limits);
        }
        Ok(Attempt { outcome, has_to_wait })
    }

    fn wait<'p>(
        &mut self,
        plan: &Plan<'p>,
        outcome: &Outcome,
        patience: Nanos,
    ) -> Result<CheckAnswer<'p>, LimitError> {
        let (queue, summary) = (&self.limits.queue, plan.summary(outcome));
        let ticket = queue.join(plan, self.database, &summary, patience, self.now)?;
        self.note_due(queue.next_due());
        Ok(CheckAnswer::Waits { ticket, refused: Summary { allowed: false, ..summary } })
    }

    /// Has the waiters for these counters decided again soon, since something was given back.
    pub(super) fn wake<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) {
        let mut is_any_woken = false;
        for name in names {
            is_any_woken |= self.limits.queue.wake(self.database, name);
        }
        if is_any_woken {
            self.note_due(self.limits.queue.next_due());
        }
    }

    fn note_due(&mut self, due: Option<Nanos>) {
        self.due = self.due.into_iter().chain(due).min();
    }

    /// Decides a waiter again, and answers it or lets it wait on.
    pub fn serve(&mut self, waiter: &DueWaiter) {
        match self.try_serve(waiter) {
            // It is looked at again soon.
            Err(LimitError::Held) if !waiter.is_last => {
                self.limits.queue.postpone(waiter.id, Some(HELD_PAUSE), self.now);
            }
            Err(error) => {
                self.limits.queue.answer(waiter.id, Err(error));
            }
            Ok(()) => {}
        }
    }

    fn try_serve(&mut self, waiter: &DueWaiter) -> Result<(), LimitError> {
        let queue = &self.limits.queue;
        let mut plan = waiter.check.plan(self.limits, self.policies, self.now)?;
        self.lock(plan.counters())?;
        let Attempt { outcome, has_to_wait } = self.admit(&mut plan, Mode::Take, !waiter.is_last, false)?;
        if has_to_wait {
            queue.postpone(waiter.id, plan.summary(&outcome).retry_after, self.now);
            return Ok(());
        }
        let is_heard = queue.answer(waiter.id, Ok(plan.report(&outcome, None).to_owned()));
        if outcome.allowed && !is_heard {
            self.give_back(&plan);
        }
        Ok(())
    }

    /// Gives back the costs of a check whose client has gone.
    ///
    /// # Errors
    /// If a counter is held for long.
    pub fn take_back(&mut self, check: &QueuedCheck) -> Result<(), LimitError> {
        if let Ok(plan) = check.plan(self.limits, self.policies, self.now) {
            self.lock(plan.counters())?;
            self.give_back(&plan);
        }
        Ok(())
    }

    fn give_back(&mut self, plan: &Plan<'_>) {
        // If the key of a counter holds another kind of value by now, the costs have gone with the counter.
        let _ = plan.refund(&mut self.counters, self.now, self.now);
        self.wake(plan.counters());
    }

    /// Ends a reservation that nobody ended in time as its policies say.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind, or is held for long.
    pub fn expire(&mut self, reservation: &Reservation) -> Result<(), LimitError> {
        self.lock(reservation.counters())?;
        let ended = reservation.expire(&mut self.counters, self.now);
        self.wake(reservation.counters());
        Ok(ended?)
    }
}

/// An attempt to admit a check.
struct Attempt {
    outcome: Outcome,
    /// Whether the outcome is not final, and nothing was taken.
    has_to_wait: bool,
}

impl<'o> Operation<'o> for Check<'_, 'o> {
    type Answer = CheckAnswer<'o>;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<CheckAnswer<'o>, LimitError> {
        let mut plan = limiter.plan(self.demands)?;
        let patience = if let Mode::Wait(patience) = self.mode { patience } else { 0 };
        limiter.lock(plan.counters())?;
        let own = plan.items().iter().map(|item| item.counter.as_slice());
        let is_behind = patience > 0 && limiter.limits.queue.has_waiters(limiter.database, own);
        let Attempt { outcome, has_to_wait } =
            limiter.admit(&mut plan, self.mode, patience > 0, is_behind)?;
        if self.mode != Mode::Peek && plan.lacks_room(&outcome) {
            return Err(LimitError::NoRoom);
        }
        if has_to_wait {
            return limiter.wait(&plan, &outcome, patience);
        }
        Ok(CheckAnswer::Decided(match self.mode {
            Mode::UpTo => Admission::of_left(plan, outcome),
            _ => Admission::new(plan, outcome),
        }))
    }
}

impl Throttle<'_> {
    /// Decides it.  It needs no policies, and its counter is locked already.
    ///
    /// # Errors
    /// If there is no room for the counter, or its key holds a value of another kind.
    #[inline]
    pub fn decide(
        self,
        limits: &Limits,
        counters: &mut impl Counters,
        now: Nanos,
    ) -> Result<Decision, LimitError> {
        let Throttle { key, bucket, cost } = self;
        if cost == 0 {
            return Ok(counters.update(key, |state| {
                let (mut adopted, limit) = (StateBytes::new(), bucket.limit());
                let kept_for = limit.adopt(state, now, &mut adopted);
                let changed =
                    kept_for.map(|kept_for| Changed { state: adopted, kept_for, is_decrease: true });
                (limit.peek(state, 0, now), changed)
            })?);
        }
        counters.update(key, |state| {
            if state.is_empty() && limits.budget.is_exhausted() {
                return (Err(LimitError::NoRoom), None);
            }
            let mut changed = StateBytes::new();
            let decision = algorithm::take(&bucket, state, cost, now, &mut changed);
            let (kept_for, is_decrease) = (decision.reset_after, !decision.allowed);
            let changed = (!changed.is_empty()).then_some(Changed { state: changed, kept_for, is_decrease });
            (Ok(decision), changed)
        })?
    }
}

impl<'o> Operation<'o> for Refund<'o> {
    type Answer = Admission<'o>;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<Admission<'o>, LimitError> {
        let mut plan = limiter.plan(&[Demand::of_policy(self.policy, self.key, self.amount)])?;
        limiter.lock(plan.counters())?;
        plan.refund(&mut limiter.counters, limiter.now, limiter.now)?;
        limiter.wake(plan.counters());
        // The answer tells how much is left now, not whether there is as much again.
        plan.ask_for(0);
        let outcome = plan.peek(&mut limiter.counters, limiter.now)?;
        Ok(Admission::new(plan, outcome))
    }
}

impl Reset<'_> {
    /// The counters that it removes.
    ///
    /// # Errors
    /// If there is no such policy, or the key is empty or too long.
    pub fn counters(&self, policies: &Table) -> Result<Vec<CounterName>, LimitError> {
        let policy = find(policies, self.policy)?;
        let own = policy.limits_of(checked_key(self.key)?);
        let own = own.filter(|(part, ..)| policy.parts()[*part].scope == Scope::Key);
        Ok(own.map(|(.., name)| name).collect())
    }
}

impl<'o> Operation<'o> for Reset<'o> {
    type Answer = usize;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<usize, LimitError> {
        let names = self.counters(limiter.policies)?;
        let slices = || names.iter().map(|name| name.as_slice());
        limiter.lock(slices())?;
        let removed = limiter.counters.remove_all(&names)?;
        limiter.wake(slices());
        Ok(removed)
    }
}

impl<'o> Operation<'o> for Reserve<'_, 'o> {
    type Answer = Admission<'o>;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<Admission<'o>, LimitError> {
        limiter.limits.reservations.check_room()?;
        let mut plan = limiter.plan(self.demands)?;
        limiter.lock(plan.counters())?;
        let Attempt { outcome, .. } = limiter.admit(&mut plan, Mode::Take, false, false)?;
        if outcome.allowed {
            // Other threads may have taken from the counters after this operation's time was read and before they were
            // locked.  The reservation is not older than that.
            let now = limiter.counters.time();
            let reservation = Reservation::new(&plan, &outcome, limiter.database, now, now + self.span);
            limiter.open(self.id, reservation);
        }
        Ok(Admission::new(plan, outcome))
    }
}

impl<C: CounterStore> Limiter<'_, C> {
    fn open(&mut self, id: u64, reservation: Reservation) {
        self.note_due(Some(reservation.ends_at));
        self.limits.reservations.open(id, reservation);
    }
}

impl Operation<'_> for Settle {
    type Answer = bool;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'_, C>) -> Result<bool, LimitError> {
        let Some(reservation) = limiter.limits.reservations.close(self.id) else { return Ok(false) };
        // The counters may lie in another database than the client has selected.
        limiter.database = reservation.database;
        let mut settle = || {
            limiter.lock(reservation.counters())?;
            Ok(reservation.commit(&mut limiter.counters, self.used, limiter.now)?)
        };
        if let Err(error) = settle() {
            // It stays open, to be ended once the key is out of the way.
            limiter.open(self.id, reservation);
            return Err(error);
        }
        limiter.wake(reservation.counters());
        Ok(true)
    }
}
