//! RL.RESET and RL.REFUND: giving back what was taken.

use super::words::{Words, policy};
use super::{answer, keys};
use crate::command::{Call, Command, Flags};
use crate::limit::algorithm::checked_cost;
use crate::limit::check::{Check, Counters, Demand, Mode, Rule};
use crate::limit::definition::Scope;
use crate::limit::nanos;
use crate::limit::policies::{DEFAULT_POLICY, Table};
use crate::limit::policy::{CounterName, Policy, checked_key};
use crate::limit::stored::StoredCounters;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.reset",
        syntax: "key [POLICY policy]",
        summary: "Gives a key all of its limits under a policy back (`default` unless another is named) and returns how \
                  many counters it had. Limits that count all keys together are left alone: DEL resets their counters.",
        find_keys: Some(keys::of_reset),
        handler: reset,
        ..CORRECTS
    },
    Command {
        name: "rl.refund",
        syntax: "key cost [POLICY policy]",
        summary: "Gives back what was taken last from the limits of a policy (`default` unless another is named), all keys' \
                  together included, and returns what RL.CHECK with PEEK does.",
        find_keys: Some(keys::of_refund),
        handler: refund,
        ..CORRECTS
    },
];

/// What the rows share.  The keys of the counters follow from the policy, so the handlers lock.
const CORRECTS: Command =
    Command { flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING), ..super::ROW };

/// The policy that the last words name, if they do.
pub(super) fn policy_option<'t>(table: &'t Table, mut words: Words<'_>) -> Result<&'t Policy, Refusal> {
    let name = if words.accept(b"POLICY") { words.value()? } else { DEFAULT_POLICY.as_bytes() };
    words.end()?;
    policy(table, name)
}

fn reset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = call.services.limits.policies.load();
    let policy = policy_option(&table, Words::new(call.arguments.from(2)))?;
    let own = policy.limits_of(checked_key(call.arguments.at(1))?);
    let own = own.filter(|(part, _, _)| policy.parts()[*part].scope == Scope::Key);
    let names: Vec<CounterName> = own.map(|(_, _, name)| name).collect();
    let mut counters = StoredCounters::lock(call.keyspace, names.iter().map(|name| name.as_slice()));
    let removed = counters.forget(&names)?;
    call.services.wake_waiting(call.keyspace.database, names.iter().map(|name| name.as_slice()));
    call.output.integer(removed as i64);
    Ok(())
}

fn refund(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let now = nanos(call.now());
    let table = call.services.limits.policies.load();
    let mut words = Words::new(call.arguments.from(2));
    let amount = checked_cost(words.integer()?)?;
    let rule = Rule::Policy(policy_option(&table, words)?);
    let demand = Demand { rule, key: call.arguments.at(1), cost: amount };
    let mut check = Check::new([demand], &call.services.limits, now)?;
    let mut counters = StoredCounters::lock(call.keyspace, check.counters());
    check.refund(&mut counters, now, now)?;
    // What is asked now is what is there, not whether there is enough for as much again.
    check.ask_for(0);
    let outcome = check.decide(&mut counters, Mode::Peek, now)?;
    call.services.wake_waiting(call.keyspace.database, check.counters());
    answer::write(call.output, &check.summary(&outcome));
    Ok(())
}
