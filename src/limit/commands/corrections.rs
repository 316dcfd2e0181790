//! RL.RESET and RL.REFUND: giving costs back.

use super::words::Words;
use super::{answer, keys, run};
use crate::command::{Call, Command, Flags, Handler};
use crate::limit::algorithm::checked_cost;
use crate::limit::operation::{Refund, Reset};
use crate::limit::policies::DEFAULT_POLICY;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.reset",
        syntax: "key [POLICY policy]",
        summary: "Removes the counters of a key under a policy (`default` unless another is named) and returns how many \
                  there were. Limits that count all keys together stay; DEL resets their counters.",
        find_keys: Some(keys::of_reset),
        handler: Handler::Data(reset),
        ..CORRECTS
    },
    Command {
        name: "rl.refund",
        syntax: "key cost [POLICY policy]",
        summary: "Gives back the latest costs to the limits of a policy (`default` unless another is named), including \
                  limits that count all keys together, and returns the reply of RL.CHECK with PEEK.",
        find_keys: Some(keys::of_refund),
        handler: Handler::Data(refund),
        ..CORRECTS
    },
];

/// The start of the rows.  The keys of the counters follow from the policy, so the operations lock them.
const CORRECTS: Command =
    Command { flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING), ..super::ROW };

/// The policy that the last words name, or else the default.
pub(super) fn policy_option<'w>(mut words: Words<'w>) -> Result<&'w [u8], Refusal> {
    let name = if words.accept(b"POLICY") { words.value()? } else { DEFAULT_POLICY.as_bytes() };
    words.end()?;
    Ok(name)
}

fn reset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let policy = policy_option(Words::new(call.arguments.from(2)))?;
    let table = call.services.limits.policies.load();
    let removed = run(call, &table, Reset { policy, key: call.arguments.at(1) })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn refund(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut words = Words::new(call.arguments.from(2));
    let amount = checked_cost(words.integer()?)?;
    let policy = policy_option(words)?;
    let table = call.services.limits.policies.load();
    let left = run(call, &table, Refund { policy, key: call.arguments.at(1), amount })?;
    answer::write(call.output, &left.summary());
    Ok(())
}
