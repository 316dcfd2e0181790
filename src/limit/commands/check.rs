//! RL.CHECK and RL.MCHECK: one limit or many, all or nothing.

use quartet_protocol::resp::number::parse_integer;
use smallvec::SmallVec;

use super::answer;
use super::words::{Words, policy};
use crate::command::{Call, Command, Flags};
use crate::limit::algorithm::{Parameters, checked_cost};
use crate::limit::check::{Check, Demand, Mode, Rule};
use crate::limit::definition::LimitDefinition;
use crate::limit::nanos;
use crate::limit::policies::{DEFAULT_POLICY, Table};
use crate::limit::stored::StoredCounters;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.check",
        syntax: "key [POLICY policy | INLINE algorithm limit period [BURST burst]] [COST cost] [PEEK]",
        summary: "Takes from the limits of a policy (`default` unless another is named), or from one limit stated by the \
                  request itself, with its period in milliseconds; from all of them or from none. Returns allowed, \
                  limit, remaining, milliseconds until a retry succeeds (-1: nothing to wait for) and until all is back, \
                  the limit that decided, whether a policy in shadow mode would have refused, and milliseconds to wait \
                  before going on.",
        handler: check,
        ..CHECKS
    },
    Command {
        name: "rl.mcheck",
        syntax: "numchecks policy key cost [policy key cost ...] [PEEK]",
        summary: "Takes from the limits of several policies, each with a key and a cost of its own, from all of them or \
                  from none. Returns what RL.CHECK does of the limit that decided.",
        complexity: "O(N) where N is the number of limits.",
        handler: mcheck,
        ..CHECKS
    },
];

/// What the rows share.  The keys of the counters follow from the policies, so the handlers lock.
const CHECKS: Command = Command {
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST).union(Flags::WALKS),
    ..super::ROW
};

/// How many demands a request has before the list of them moves to the heap.
const INLINE_DEMANDS: usize = 2;

fn check(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let table = call.services.limits.policies.load();
    let mut words = Words::new(arguments.from(2));
    let (mut rule, mut cost, mut mode) = (None, None, Mode::Take);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"POLICY") && rule.is_none() {
            rule = Some(Rule::Policy(policy(&table, words.value()?)?));
        } else if word.eq_ignore_ascii_case(b"INLINE") && rule.is_none() {
            rule = Some(inline(&mut words)?);
        } else if word.eq_ignore_ascii_case(b"COST") && cost.is_none() {
            cost = Some(checked_cost(words.integer()?)?);
        } else if word.eq_ignore_ascii_case(b"PEEK") {
            mode = Mode::Peek;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    let rule = match rule {
        Some(rule) => rule,
        None => Rule::Policy(policy(&table, DEFAULT_POLICY.as_bytes())?),
    };
    run(call, [Demand { rule, key: arguments.at(1), cost: cost.unwrap_or(1) }], mode)
}

/// A limit that the request states.
fn inline<'d>(words: &mut Words<'_>) -> Result<Rule<'d>, Refusal> {
    let algorithm = words.value()?;
    let (limit, period_millis) = (words.integer()?, words.integer()?);
    let burst = if words.accept(b"BURST") { Some(words.integer()?) } else { None };
    let algorithm = String::from_utf8_lossy(algorithm);
    let parameters = Parameters { limit, period_millis, burst };
    Ok(Rule::Inline(LimitDefinition::new(&algorithm, parameters).build()?))
}

fn mcheck(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = call.services.limits.policies.load();
    let mut words = Words::new(call.arguments.from(1));
    let demands = demands(&mut words, &table)?;
    let mut mode = Mode::Take;
    for word in words {
        if !word.eq_ignore_ascii_case(b"PEEK") {
            return Err(Refusal::SYNTAX);
        }
        mode = Mode::Peek;
    }
    run(call, demands, mode)
}

/// A number of demands, then so many policies with their keys and costs.
fn demands<'d>(
    words: &mut Words<'d>,
    table: &'d Table,
) -> Result<SmallVec<[Demand<'d>; INLINE_DEMANDS]>, Refusal> {
    let count = words.value()?;
    let count = parse_integer(count).filter(|&count| count > 0);
    let count = count.ok_or_else(|| Refusal::new("ERR numchecks should be greater than 0"))?;
    if usize::try_from(count).is_ok_and(|count| count > words.len() / 3) {
        return Err(Refusal::new("ERR numchecks is greater than the number of checks"));
    }
    let mut demands = SmallVec::new();
    for _ in 0..count {
        let rule = Rule::Policy(policy(table, words.value()?)?);
        let (key, cost) = (words.value()?, checked_cost(words.integer()?)?);
        demands.push(Demand { rule, key, cost });
    }
    Ok(demands)
}

/// Decides and answers.
fn run<'d>(
    call: &mut Call<'_, '_>,
    demands: impl IntoIterator<Item = Demand<'d>>,
    mode: Mode,
) -> Result<(), Refusal> {
    let now = nanos(call.now());
    let check = Check::new(demands, &call.services.limits.lists, now)?;
    let names = check.items().iter().map(|item| item.counter.as_slice());
    let mut counters = StoredCounters::lock(call.keyspace, names);
    let outcome = check.decide(&mut counters, mode, now)?;
    if mode == Mode::Take {
        check.count(&outcome, call.slot);
    }
    answer::write(call.output, &check.summary(&outcome));
    Ok(())
}
