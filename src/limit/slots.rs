//! The slots of one key under a policy with the algorithm `concurrency`: taken, renewed and given back by name.

use super::Limits;
use super::algorithm::{Algorithm, Concurrency, InvalidParameter, Limit, Nanos, SlotId, StateBytes};
use super::check::{Check, Counted, Counters, Demand, Mode, NotACounter, Outcome, Rule};
use super::policy::{CounterName, Policy, checked_key};

/// What the algorithm remembers.
type Slots = <Concurrency as Algorithm>::State;

/// Why nothing can be done with the slots of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotError {
    /// The policy of this name is not one limit with the algorithm `concurrency`.
    NotSlots(Box<str>),
    /// There is no room for a counter of the key.
    NoRoom,
    /// The key or the time is not allowed.
    Invalid(InvalidParameter),
    /// Something else is at the counter's key.
    NotACounter(NotACounter),
}

impl From<InvalidParameter> for SlotError {
    fn from(invalid: InvalidParameter) -> SlotError {
        SlotError::Invalid(invalid)
    }
}

impl From<NotACounter> for SlotError {
    fn from(other: NotACounter) -> SlotError {
        SlotError::NotACounter(other)
    }
}

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
    /// Its key in the store, to be locked before anything is done with it.
    pub name: CounterName,
}

impl SlotCounter {
    /// The counter of `key` under `policy`.
    ///
    /// # Errors
    /// If the policy is not about slots, or there can be no such key.
    pub fn new(policy: &Policy, key: &[u8]) -> Result<SlotCounter, SlotError> {
        let mut limits = policy.limits_of(checked_key(key)?);
        match (limits.next(), limits.next()) {
            (Some((_, Limit::Concurrency(concurrency), name)), None) => Ok(SlotCounter { concurrency, name }),
            _ => Err(SlotError::NotSlots(policy.name().into())),
        }
    }

    /// How long a slot is leased unless its holder says otherwise.
    pub fn lease(&self) -> Nanos {
        self.concurrency.lease()
    }

    /// Gives a slot back; false if it was not held any more.
    ///
    /// # Errors
    /// If something else is at the counter's key.
    pub fn leave(&self, counters: &mut impl Counters, slot: SlotId, now: Nanos) -> Result<bool, NotACounter> {
        self.change(counters, now, |slots| self.concurrency.leave(slots, slot, now))
    }

    /// Starts the time of a slot anew; false if it was over already.
    ///
    /// # Errors
    /// If something else is at the counter's key.
    pub fn renew(
        &self,
        counters: &mut impl Counters,
        slot: SlotId,
        lease: Nanos,
        now: Nanos,
    ) -> Result<bool, NotACounter> {
        self.change(counters, now, |slots| self.concurrency.renew(slots, slot, lease, now))
    }

    /// Lets `act` change the slots, and keeps them if it says that it did.
    fn change(
        &self,
        counters: &mut impl Counters,
        now: Nanos,
        act: impl FnOnce(&mut Slots) -> bool,
    ) -> Result<bool, NotACounter> {
        let Some(mut slots) = Concurrency::decode(counters.state(&self.name)?) else { return Ok(false) };
        let is_changed = act(&mut slots);
        if is_changed {
            self.keep(counters, &slots, now);
            counters.keep_less(&self.name);
        }
        Ok(is_changed)
    }

    fn keep(&self, counters: &mut impl Counters, slots: &Slots, now: Nanos) {
        let mut changed = StateBytes::new();
        Concurrency::encode(slots, &mut changed);
        counters.keep(&self.name, &changed, self.concurrency.reset_after(slots, now));
    }
}

/// The wish for a slot, made out so that the caller can lock [`Entry::counters`].
pub struct Entry<'d> {
    slots: SlotCounter,
    check: Check<'d>,
}

/// What became of it.
pub struct Entered<'d> {
    /// The slot; none if it was refused, and also if it was let through without one: by a list, or by a policy that only
    /// counts.
    pub slot: Option<SlotId>,
    /// The check that decided; of an entry that succeeded it tells what is left.
    pub check: Check<'d>,
    /// What that check came to.
    pub outcome: Outcome,
}

impl<'d> Entry<'d> {
    /// Makes out a wish for a slot of `key` under `policy`.
    ///
    /// # Errors
    /// As [`SlotCounter::new`].
    pub fn new(
        policy: &'d Policy,
        key: &'d [u8],
        limits: &Limits,
        now: Nanos,
    ) -> Result<Entry<'d>, SlotError> {
        let slots = SlotCounter::new(policy, key)?;
        let demand = Demand { rule: Rule::Policy(policy), key, cost: 1 };
        Ok(Entry { slots, check: Check::new([demand], limits, now)? })
    }

    /// The counter of the slots.
    pub fn slots(&self) -> &SlotCounter {
        &self.slots
    }

    /// The counters that have to be locked.
    pub fn counters(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.check.counters()
    }

    /// Takes a slot for `lease` if one is free, and counts what the policy decided; `thread` is the number of the one that
    /// asks.
    ///
    /// # Errors
    /// If there is no room for the counter, or something else is at its key.
    pub fn enter(
        self,
        counters: &mut impl Counters,
        lease: Nanos,
        limits: &Limits,
        now: Nanos,
        thread: usize,
    ) -> Result<Entered<'d>, SlotError> {
        let mut outcome = self.check.decide(counters, Mode::Peek, now)?;
        if outcome.answers.iter().any(|answer| answer.counted == Counted::InPlace) {
            // A slot is left by the name of its key, so it cannot be in a counter that keys share.
            return Err(SlotError::NoRoom);
        }
        let SlotCounter { concurrency, name } = &self.slots;
        let granted = outcome.answers.first_mut().filter(|answer| answer.decision.allowed && outcome.allowed);
        let Some(granted) = granted else {
            self.check.count(&outcome, thread, limits);
            return Ok(Entered { slot: None, check: self.check, outcome });
        };
        let state = counters.state(name)?;
        if state.is_empty() {
            // Only looking has not said so.
            granted.counted = Counted::New;
        }
        self.check.count(&outcome, thread, limits);
        let mut slots = Concurrency::decode(state).unwrap_or_default();
        let slot = concurrency.enter(&mut slots, 1, lease, now);
        self.slots.keep(counters, &slots, now);
        let mut check = self.check;
        check.ask_for(0);
        let outcome = check.decide(counters, Mode::Peek, now)?;
        Ok(Entered { slot: Some(slot), check, outcome })
    }
}
