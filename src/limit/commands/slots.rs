//! RL.ENTER, RL.LEAVE and RL.RENEW: so many at the same time, each with a slot of its own.

use super::answer;
use super::check::decide;
use super::words::{Words, policy};
use crate::command::{Call, Command, Flags};
use crate::limit::algorithm::{Algorithm, Concurrency, Limit, Nanos, SlotId, StateBytes, checked_span};
use crate::limit::check::{Check, Counted, Counters, Demand, Mode, Rule};
use crate::limit::nanos;
use crate::limit::policy::{CounterName, Policy, checked_key};
use crate::limit::stored::StoredCounters;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.enter",
        syntax: "policy key [TTL milliseconds]",
        summary: "Takes a slot of a policy whose limit is one of concurrency, for a time (the limit's period unless told \
                  otherwise). Returns the slot, or null if it was refused, and then what RL.CHECK does.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::WALKS),
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
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::WALKS),
    ..super::ROW
};

fn enter(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (limits, now) = (&call.services.limits, nanos(call.now()));
    let table = limits.policies.load();
    let policy = policy(&table, call.arguments.at(1))?;
    let key = call.arguments.at(2);
    let (concurrency, counter) = concurrency_of(policy, key)?;
    let lease = lease(Words::new(call.arguments.from(3)), concurrency)?;
    let demand = Demand { rule: Rule::Policy(policy), key, cost: 1 };
    let check = Check::new([demand], limits, now)?;
    let outcome = decide(call, &check, Mode::Peek)?;
    if outcome.answers.iter().any(|answer| answer.counted == Counted::InPlace) {
        // A slot is left by the name of its key, so it cannot be in a counter that keys share.
        return Err(super::no_room());
    }
    check.count(&outcome, call.slot);
    // Who is on a list, or is let through by a policy that only counts, holds no slot.
    let has_room = outcome.answers.first().is_some_and(|answer| answer.decision.allowed);
    if !outcome.allowed || !has_room {
        answer::write_slot(call.output, None, &check.summary(&outcome));
        return Ok(());
    }
    let counters = &mut StoredCounters(call.keyspace);
    let slot = change(counters, concurrency, &counter, now, |slots| concurrency.enter(slots, 1, lease, now))?;
    let left = Check::new([Demand { cost: 0, ..demand }], limits, now)?;
    let outcome = left.decide(counters, Mode::Peek, now)?;
    answer::write_slot(call.output, Some(slot), &left.summary(&outcome));
    Ok(())
}

fn leave(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let now = nanos(call.now());
    let left = with_slot(call, |concurrency, slots, slot, _| concurrency.leave(slots, slot, now))?;
    call.output.integer(i64::from(left));
    Ok(())
}

fn renew(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let now = nanos(call.now());
    let renewed =
        with_slot(call, |concurrency, slots, slot, lease| concurrency.renew(slots, slot, lease, now))?;
    call.output.integer(i64::from(renewed));
    Ok(())
}

/// What an algorithm of concurrency remembers.
type Slots = <Concurrency as Algorithm>::State;

/// Does something with the slot that the request names.
fn with_slot(
    call: &mut Call<'_, '_>,
    act: impl FnOnce(&Concurrency, &mut Slots, SlotId, Nanos) -> bool,
) -> Result<bool, Refusal> {
    let (services, now) = (call.services, nanos(call.now()));
    let table = services.limits.policies.load();
    let policy = policy(&table, call.arguments.at(1))?;
    let (concurrency, counter) = concurrency_of(policy, call.arguments.at(2))?;
    let slot = std::str::from_utf8(call.arguments.at(3)).ok();
    let slot = slot.and_then(|slot| SlotId::from_str_radix(slot, 16).ok());
    let lease = lease(Words::new(call.arguments.from(4)), concurrency)?;
    let Some(slot) = slot else { return Ok(false) };
    let mut counters = StoredCounters::lock(call.keyspace, [counter.as_slice()].into_iter());
    let done =
        change(&mut counters, concurrency, &counter, now, |slots| act(&concurrency, slots, slot, lease))?;
    counters.keep_less(&counter);
    services.wake_waiting(call.keyspace.database, [counter.as_slice()].into_iter());
    Ok(done)
}

/// Reads the slots of a counter, lets `act` change them, and writes them.
fn change<R>(
    counters: &mut StoredCounters<'_, '_>,
    concurrency: Concurrency,
    counter: &[u8],
    now: Nanos,
    act: impl FnOnce(&mut Slots) -> R,
) -> Result<R, Refusal> {
    let mut slots = Concurrency::decode(counters.state(counter)?).unwrap_or_default();
    let result = act(&mut slots);
    let mut changed = StateBytes::new();
    Concurrency::encode(&slots, &mut changed);
    counters.keep(counter, &changed, concurrency.reset_after(&slots, now));
    Ok(result)
}

/// The one limit of a policy that is about slots, with the counter of a key.
fn concurrency_of(policy: &Policy, key: &[u8]) -> Result<(Concurrency, CounterName), Refusal> {
    let mut limits = policy.limits_of(checked_key(key)?);
    match (limits.next(), limits.next()) {
        (Some((_, Limit::Concurrency(concurrency), counter)), None) => Ok((concurrency, counter)),
        _ => {
            let name = policy.name();
            Err(Refusal::new(format!(
                "ERR the policy '{name}' is not one limit with the algorithm concurrency"
            )))
        }
    }
}

/// The time of a slot that the last words say.
fn lease(mut words: Words<'_>, concurrency: Concurrency) -> Result<Nanos, Refusal> {
    let lease =
        if words.accept(b"TTL") { checked_span("ttl", words.integer()?)? } else { concurrency.lease() };
    words.end()?;
    Ok(lease)
}
