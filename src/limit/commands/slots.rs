//! RL.ENTER, RL.LEAVE and RL.RENEW: so many at the same time, each with a slot of its own.

use super::words::{Words, policy};
use super::{answer, keys};
use crate::command::{Call, Command, Flags};
use crate::limit::algorithm::{Nanos, SlotId, checked_span};
use crate::limit::check::NotACounter;
use crate::limit::nanos;
use crate::limit::slots::{Entry, SlotCounter, SlotError, slot_of, text_of};
use crate::limit::stored::StoredCounters;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.enter",
        syntax: "policy key [TTL milliseconds]",
        summary: "Takes a slot of a policy whose limit is one of concurrency, for a time (the limit's period unless told \
                  otherwise). Returns the slot, or null if it was refused, and then what RL.CHECK does.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        handler: enter,
        ..SLOTS
    },
    Command {
        name: "rl.leave",
        syntax: "policy key slot",
        summary: "Gives a slot back. Returns 1, or 0 if its time was over.",
        handler: leave,
        ..SLOTS
    },
    Command {
        name: "rl.renew",
        syntax: "policy key slot [TTL milliseconds]",
        summary: "Starts the time of a slot anew. Returns 1, or 0 if it was over already.",
        handler: renew,
        ..SLOTS
    },
];

/// What the rows share.  The key of the counter follows from the policy, so the handlers lock.
const SLOTS: Command = Command {
    complexity: "O(N) where N is the number of slots that are held.",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
    find_keys: Some(keys::of_slots),
    ..super::ROW
};

fn enter(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (limits, now) = (&call.services.limits, nanos(call.now()));
    let table = limits.policies.load();
    let policy = policy(&table, call.arguments.at(1))?;
    let entry = Entry::new(policy, call.arguments.at(2), limits, now)?;
    let lease = lease(Words::new(call.arguments.from(3)), entry.slots())?;
    let mut counters = StoredCounters::lock(call.keyspace, entry.counters());
    let entered = entry.enter(&mut counters, lease, limits, now, call.slot)?;
    answer::write_slot(call.output, entered.slot.map(text_of), &entered.check.summary(&entered.outcome));
    Ok(())
}

fn leave(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let now = nanos(call.now());
    with_slot(call, |slots, counters, slot, _| slots.leave(counters, slot, now))
}

fn renew(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let now = nanos(call.now());
    with_slot(call, |slots, counters, slot, lease| slots.renew(counters, slot, lease, now))
}

/// Does something with the slot that the request names, and answers whether it was held.
fn with_slot(
    call: &mut Call<'_, '_>,
    act: impl FnOnce(&SlotCounter, &mut StoredCounters<'_, '_>, SlotId, Nanos) -> Result<bool, NotACounter>,
) -> Result<(), Refusal> {
    let services = call.services;
    let table = services.limits.policies.load();
    let slots = SlotCounter::new(policy(&table, call.arguments.at(1))?, call.arguments.at(2))?;
    let lease = lease(Words::new(call.arguments.from(4)), &slots)?;
    let mut is_held = false;
    if let Some(slot) = slot_of(call.arguments.at(3)) {
        let name = || [slots.name.as_slice()].into_iter();
        is_held = act(&slots, &mut StoredCounters::lock(call.keyspace, name()), slot, lease)?;
        services.wake_waiting(call.keyspace.database, name());
    }
    call.output.integer(i64::from(is_held));
    Ok(())
}

/// The time of a slot that the last words say.
fn lease(mut words: Words<'_>, slots: &SlotCounter) -> Result<Nanos, Refusal> {
    let lease = if words.accept(b"TTL") { checked_span("ttl", words.integer()?)? } else { slots.lease() };
    words.end()?;
    Ok(lease)
}

impl From<SlotError> for Refusal {
    fn from(error: SlotError) -> Refusal {
        match error {
            SlotError::NotSlots(name) => Refusal::new(format!(
                "ERR the policy '{name}' is not one limit with the algorithm concurrency"
            )),
            SlotError::NoRoom => super::no_room(),
            SlotError::Invalid(invalid) => invalid.into(),
            SlotError::NotACounter(other) => other.into(),
        }
    }
}
