//! The slots of one key under a policy with the algorithm `concurrency`: taken, renewed and given back by name.

use super::admission::Admission;
use super::algorithm::{Algorithm, Concurrency, Limit, Nanos, SlotId, StateBytes};
use super::counters::{CounterStore, Counters, NotACounter};
use super::limiter::Limiter;
use super::operation::{Demand, Enter, Lease, Leave, LimitError, Operation, Renew, Slots};
use super::plan::{Counted, Plan};
use super::policies::{Table, find};
use super::policy::{CounterName, Policy, checked_key};

/// The state of the algorithm.
type State = <Concurrency as Algorithm>::State;

/// How clients write the name of a slot.
pub fn text_of(slot: SlotId) -> String {
    format!("{slot:016x}")
}

/// The slot of a name that a client wrote; none if no slot can have it.
pub fn slot_of(text: &[u8]) -> Option<SlotId> {
    std::str::from_utf8(text).ok().and_then(|text| SlotId::from_str_radix(text, 16).ok())
}

/// The counter of one key's slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotCounter {
    concurrency: Concurrency,
    /// Its key in the store.
    pub name: CounterName,
}

/// The answer to [`Enter`].
pub struct Entered<'o> {
    /// The slot; none if it was refused, and also if no slot is needed because a list or a policy in shadow mode allows the
    /// key.
    pub slot: Option<SlotId>,
    /// The counter of the slot.
    pub counter: SlotCounter,
    /// How long the slot is leased.
    pub lease: Nanos,
    /// The decision; after a slot was taken it tells how many are left.
    pub admission: Admission<'o>,
}

impl SlotCounter {
    /// The counter of `key` under `policy`.
    ///
    /// # Errors
    /// If the policy is not about slots, or the key is empty or too long.
    pub fn new(policy: &Policy, key: &[u8]) -> Result<SlotCounter, LimitError> {
        let mut limits = policy.limits_of(checked_key(key)?);
        match (limits.next(), limits.next()) {
            (Some((_, Limit::Concurrency(concurrency), name)), None) => Ok(SlotCounter { concurrency, name }),
            _ => Err(LimitError::NotSlots(policy.name().into())),
        }
    }

    fn lease(&self, lease: Lease) -> Nanos {
        match lease {
            Lease::For(span) => span,
            Lease::OfPolicy(least) => self.concurrency.lease().max(least),
        }
    }

    /// Lets `act` change the slots, and keeps them if it returns that it did.
    fn change(
        &self,
        counters: &mut impl Counters,
        now: Nanos,
        act: impl FnOnce(&Concurrency, &mut State) -> bool,
    ) -> Result<bool, NotACounter> {
        let Some(mut slots) = Concurrency::decode(counters.state(&self.name)?) else { return Ok(false) };
        let is_changed = act(&self.concurrency, &mut slots);
        if is_changed {
            self.keep(counters, &slots, now);
            counters.note_decrease(&self.name);
        }
        Ok(is_changed)
    }

    fn keep(&self, counters: &mut impl Counters, slots: &State, now: Nanos) {
        let mut changed = StateBytes::new();
        Concurrency::encode(slots, &mut changed);
        counters.keep(&self.name, &changed, self.concurrency.reset_after(slots, now));
    }
}

impl Slots<'_> {
    /// Their counter.
    ///
    /// # Errors
    /// If there is no such policy, it is not about slots, or the key is empty or too long.
    pub fn counter(&self, policies: &Table) -> Result<SlotCounter, LimitError> {
        match *self {
            Slots::Of { policy, key } => SlotCounter::new(find(policies, policy)?, key),
            Slots::In(counter) => Ok(counter.clone()),
        }
    }
}

impl<'o> Operation<'o> for Enter<'o> {
    type Answer = Entered<'o>;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<Entered<'o>, LimitError> {
        let policy = limiter.policy(self.policy)?;
        let counter = SlotCounter::new(policy, self.key)?;
        let (lease, now) = (counter.lease(self.lease), limiter.now);
        let mut plan = Plan::new(now);
        plan.add(Demand::of_policy(self.policy, self.key, 1), Some(policy), limiter.limits)?;
        limiter.lock(plan.counters())?;
        let mut outcome = plan.peek(&mut limiter.counters, now)?;
        if outcome.answers.iter().any(|answer| answer.counted == Counted::ByFallback) {
            // A slot is left by the name of its key, so it cannot be in a counter that keys share.
            return Err(LimitError::NoRoom);
        }
        let granted = outcome.answers.first_mut().filter(|answer| answer.decision.allowed && outcome.allowed);
        let Some(granted) = granted else {
            plan.count(&outcome, limiter.thread, limiter.limits);
            return Ok(Entered { slot: None, counter, lease, admission: Admission::new(plan, outcome) });
        };
        let state = limiter.counters.state(&counter.name)?;
        if state.is_empty() {
            // A look does not tell that the counter is new.
            granted.counted = Counted::New;
        }
        plan.count(&outcome, limiter.thread, limiter.limits);
        let mut slots = Concurrency::decode(state).unwrap_or_default();
        let slot = counter.concurrency.enter(&mut slots, 1, lease, now);
        counter.keep(&mut limiter.counters, &slots, now);
        plan.ask_for(0);
        let outcome = plan.peek(&mut limiter.counters, now)?;
        Ok(Entered { slot: Some(slot), counter, lease, admission: Admission::new(plan, outcome) })
    }
}

impl<'o> Operation<'o> for Renew<'o> {
    type Answer = bool;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<bool, LimitError> {
        let counter = self.slots.counter(limiter.policies)?;
        let (lease, now) = (counter.lease(self.lease), limiter.now);
        change(limiter, &counter, self.slot, |concurrency, slots, slot| {
            concurrency.renew(slots, slot, lease, now)
        })
    }
}

impl<'o> Operation<'o> for Leave<'o> {
    type Answer = bool;

    fn run<C: CounterStore>(self, limiter: &mut Limiter<'o, C>) -> Result<bool, LimitError> {
        let (counter, now) = (self.slots.counter(limiter.policies)?, limiter.now);
        change(limiter, &counter, self.slot, |concurrency, slots, slot| concurrency.leave(slots, slot, now))
    }
}

/// Does something with a slot, and returns whether it was held.
fn change<C: CounterStore>(
    limiter: &mut Limiter<'_, C>,
    counter: &SlotCounter,
    slot: Option<SlotId>,
    act: impl FnOnce(&Concurrency, &mut State, SlotId) -> bool,
) -> Result<bool, LimitError> {
    let Some(slot) = slot else { return Ok(false) };
    let name = || std::iter::once(counter.name.as_slice());
    limiter.lock(name())?;
    let now = limiter.now;
    let is_held =
        counter.change(&mut limiter.counters, now, |concurrency, slots| act(concurrency, slots, slot))?;
    limiter.wake(name());
    Ok(is_held)
}
