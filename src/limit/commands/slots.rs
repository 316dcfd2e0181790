//! RL.ENTER, RL.LEAVE and RL.RENEW: the slots of policies that limit concurrency.

use super::words::Words;
use super::{answer, keys, run};
use crate::command::{Call, Command, Flags, Handler};
use crate::limit::algorithm::checked_span;
use crate::limit::operation::{Enter, Lease, Leave, Renew, Slots};
use crate::limit::slots::{slot_of, text_of};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.enter",
        syntax: "policy key [TTL milliseconds]",
        summary: "Takes a slot of a policy with the algorithm concurrency, for a time (the limit's period by default). \
                  Returns the slot (null if it is refused) and the reply of RL.CHECK.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        handler: Handler::Data(enter),
        ..SLOTS
    },
    Command {
        name: "rl.leave",
        syntax: "policy key slot",
        summary: "Gives a slot back. Returns 1, or 0 if it was no longer held.",
        handler: Handler::Data(leave),
        ..SLOTS
    },
    Command {
        name: "rl.renew",
        syntax: "policy key slot [TTL milliseconds]",
        summary: "Starts the time of a slot anew. Returns 1, or 0 if the slot was no longer held.",
        handler: Handler::Data(renew),
        ..SLOTS
    },
];

/// The start of the rows.  The key of the counter follows from the policy, so the operations lock it.
const SLOTS: Command = Command {
    complexity: "O(N) where N is the number of slots that are held.",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
    find_keys: Some(keys::of_slots),
    ..super::ROW
};

fn enter(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let lease = lease(Words::new(arguments.from(3)))?;
    let table = call.services.limits.policies.load();
    let entered = run(call, &table, Enter { policy: arguments.at(1), key: arguments.at(2), lease })?;
    answer::write_slot(call.output, entered.slot.map(text_of), &entered.admission.summary());
    Ok(())
}

fn leave(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let slots = Slots::Of { policy: arguments.at(1), key: arguments.at(2) };
    let leave = Leave { slots, slot: slot_of(arguments.at(3)) };
    let was_held = run(call, &call.services.limits.policies.load(), leave)?;
    call.output.integer(i64::from(was_held));
    Ok(())
}

fn renew(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let lease = lease(Words::new(arguments.from(4)))?;
    let slots = Slots::Of { policy: arguments.at(1), key: arguments.at(2) };
    let renew = Renew { slots, slot: slot_of(arguments.at(3)), lease };
    let was_held = run(call, &call.services.limits.policies.load(), renew)?;
    call.output.integer(i64::from(was_held));
    Ok(())
}

/// The lease that the last words say.
fn lease(mut words: Words<'_>) -> Result<Lease, Refusal> {
    let lease = match words.accept(b"TTL") {
        true => Lease::For(checked_span("ttl", words.integer()?)?),
        false => Lease::OfPolicy(0),
    };
    words.end()?;
    Ok(lease)
}
