//! RL.CHECK and RL.MCHECK: one limit or many, all or nothing, now or when it is one's turn.

use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Arguments, Output};
use smallvec::SmallVec;

use super::words::{Words, policy};
use super::{answer, keys};
use crate::command::{Call, Command, Continuation, Encoder, Flags};
use crate::limit::algorithm::{Nanos, Parameters, checked_cost};
use crate::limit::check::{Check, Demand, Mode, Outcome, Rule};
use crate::limit::definition::LimitDefinition;
use crate::limit::nanos;
use crate::limit::policies::{DEFAULT_POLICY, Table};
use crate::limit::stored::StoredCounters;
use crate::limit::summary::Summary;
use crate::limit::waiting::{Admission, Answer, Request, checked_patience};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.check",
        syntax: "key [POLICY policy | INLINE algorithm limit period [BURST burst]] [COST cost] \
                 [PEEK | UPTO | WAIT milliseconds]",
        summary: "Takes from the limits of a policy (`default` unless another is named), or from one limit stated by the \
                  request itself, with its period in milliseconds; from all of them or from none. Returns allowed, \
                  limit, remaining, milliseconds until a retry succeeds (-1: nothing to wait for) and until all is back, \
                  the limit that decided, whether a policy in shadow mode would have refused, and milliseconds to wait \
                  before going on. With UPTO it takes what is left, up to the cost, and returns how much at the end: 0 if \
                  nothing is left, as if one were refused. With WAIT the reply comes when it is allowed, in the order of those who wait, or when \
                  the time is over.",
        find_keys: Some(keys::of_check),
        handler: check,
        ..CHECKS
    },
    Command {
        name: "rl.mcheck",
        syntax: "numchecks policy key cost [policy key cost ...] [PEEK | UPTO | WAIT milliseconds]",
        summary: "Takes from the limits of several policies, each with a key and a cost of its own, from all of them or \
                  from none. Returns what RL.CHECK does of the limit that decided. With UPTO it takes the same from all, \
                  as much as all have left of the cost, which must be equal.",
        complexity: "O(N) where N is the number of limits.",
        find_keys: Some(keys::of_checks),
        handler: mcheck,
        ..CHECKS
    },
];

/// What the rows share.  The keys of the counters follow from the policies, so the handlers lock.
const CHECKS: Command =
    Command { flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING), ..super::ROW };

/// How many demands a request has before the list of them moves to the heap.
const INLINE_DEMANDS: usize = 2;

/// How a check is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// At once.
    Take,
    /// Without taking.
    Peek,
    /// At once, as much as is left.
    UpTo,
    /// In so many nanoseconds.
    Wait(Nanos),
}

impl Manner {
    /// Notes what a word says of it; false if the word says something else.
    fn accept(&mut self, word: &[u8], words: &mut Words<'_>) -> Result<bool, Refusal> {
        let said = if word.eq_ignore_ascii_case(b"PEEK") {
            Manner::Peek
        } else if word.eq_ignore_ascii_case(b"UPTO") {
            Manner::UpTo
        } else if word.eq_ignore_ascii_case(b"WAIT") {
            match words.integer()? {
                0 => Manner::Take,
                millis => Manner::Wait(checked_patience(millis)?),
            }
        } else {
            return Ok(false);
        };
        if *self != Manner::Take {
            return Err(Refusal::syntax_at(word));
        }
        *self = said;
        Ok(true)
    }
}

fn check(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = call.services.limits.policies.load();
    let (demand, manner) = asked(call.arguments, &table)?;
    run(call, &table, [demand], manner)
}

/// What RL.CHECK asks for.
pub(super) fn asked<'d>(arguments: Arguments<'d>, table: &'d Table) -> Result<(Demand<'d>, Manner), Refusal> {
    let mut words = Words::new(arguments.from(2));
    let (mut rule, mut cost, mut manner) = (None, None, Manner::Take);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"POLICY") && rule.is_none() {
            rule = Some(Rule::Policy(policy(table, words.value()?)?));
        } else if word.eq_ignore_ascii_case(b"INLINE") && rule.is_none() {
            rule = Some(inline(&mut words)?);
        } else if word.eq_ignore_ascii_case(b"COST") && cost.is_none() {
            cost = Some(checked_cost(words.integer()?)?);
        } else if !manner.accept(word, &mut words)? {
            return Err(Refusal::syntax_at(word));
        }
    }
    let rule = match rule {
        Some(rule) => rule,
        None => Rule::Policy(policy(table, DEFAULT_POLICY.as_bytes())?),
    };
    Ok((Demand { rule, key: arguments.at(1), cost: cost.unwrap_or(1) }, manner))
}

/// A limit that the request states.
fn inline<'d>(words: &mut Words<'_>) -> Result<Rule<'d>, Refusal> {
    let algorithm = words.value()?;
    let (limit, period_millis) = (words.integer()?, words.integer()?);
    let burst = if words.accept(b"BURST") { Some(words.integer()?) } else { None };
    let algorithm = String::from_utf8_lossy(algorithm);
    let parameters = Parameters { limit, period_millis, burst, on_change: None };
    Ok(Rule::Inline(LimitDefinition::new(&algorithm, parameters).build()?))
}

fn mcheck(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let table = call.services.limits.policies.load();
    let mut words = Words::new(call.arguments.from(1));
    let demands = demands(&mut words, &table)?;
    let mut manner = Manner::Take;
    while let Some(word) = words.next() {
        if !manner.accept(word, &mut words)? {
            return Err(Refusal::syntax_at(word));
        }
    }
    run(call, &table, demands, manner)
}

/// A number of demands, then so many policies with their keys and costs.
pub(super) fn demands<'d>(
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

/// Decides and answers, or waits.
fn run<'d>(
    call: &mut Call<'_, '_>,
    table: &Table,
    demands: impl IntoIterator<Item = Demand<'d>>,
    manner: Manner,
) -> Result<(), Refusal> {
    let mut check = Check::new(demands, &call.services.limits, nanos(call.now()))?;
    let patience = match manner {
        // Within a transaction nobody waits, as with the blocking commands of Redis.
        Manner::Wait(patience) if call.may_wait() => patience,
        _ => 0,
    };
    let is_behind = patience > 0 && is_waited_for(call, &check);
    let mode = if manner == Manner::Peek || is_behind { Mode::Peek } else { Mode::Take };
    let outcome = match manner {
        Manner::UpTo => decide_up_to(call, &mut check)?,
        _ => decide(call, &check, mode)?,
    };
    if manner != Manner::Peek && check.lacks_room(&outcome) {
        return Err(super::no_room());
    }
    let summary = check.summary(&outcome);
    // Who can never be admitted need not wait to hear it.
    let is_hopeless = !summary.allowed && summary.retry_after.is_none();
    if patience > 0 && !is_hopeless && (is_behind || !summary.allowed) {
        return wait(call, table, &check, &summary, patience);
    }
    if manner != Manner::Peek {
        check.count(&outcome, call.slot, &call.services.limits);
    }
    match manner {
        Manner::UpTo => answer::write_taken(call.output, check.taken(&outcome), &summary),
        _ => answer::write(call.output, &summary),
    }
    Ok(())
}

/// Locks the counters of a check and has it take what is left.
fn decide_up_to(call: &mut Call<'_, '_>, check: &mut Check<'_>) -> Result<Outcome, Refusal> {
    if !check.has_one_cost() {
        return Err(Refusal::new("ERR UPTO takes the same from all: the costs must be equal"));
    }
    let now = nanos(call.now());
    let mut counters = StoredCounters::lock(call.keyspace, check.counters());
    Ok(check.decide_up_to(&mut counters, now)?)
}

/// Locks the counters of a check and decides it.
pub(super) fn decide(call: &mut Call<'_, '_>, check: &Check<'_>, mode: Mode) -> Result<Outcome, Refusal> {
    let now = nanos(call.now());
    let mut counters = StoredCounters::lock(call.keyspace, check.counters());
    Ok(check.decide(&mut counters, mode, now)?)
}

fn is_waited_for(call: &Call<'_, '_>, check: &Check<'_>) -> bool {
    let names = check.items().iter().map(|item| item.counter.as_slice());
    call.services.limits.waiting.is_waited_for(call.keyspace.database, names)
}

/// Leaves the reply to whoever admits the check.
fn wait(
    call: &mut Call<'_, '_>,
    table: &Table,
    check: &Check<'_>,
    summary: &Summary<'_>,
    patience: Nanos,
) -> Result<(), Refusal> {
    let request = Request::new(call.keyspace.database, check.demands(), table);
    let ticket = call.services.wait_for_admission(request, check, summary, patience, call.now())?;
    let refused = Admission::from(Summary { allowed: false, ..*summary });
    call.block(ticket, AdmissionEncoder { refused });
    Ok(())
}

/// Writes the answer to a check that waited.
struct AdmissionEncoder {
    /// What is answered if the wait is cut short.
    refused: Admission,
}

impl Encoder<Answer> for AdmissionEncoder {
    fn write(&mut self, answer: Answer, output: &mut Output, _: &mut Continuation) {
        match answer.result {
            Ok(admission) => answer::write(output, &admission.summary()),
            Err(undecided) => output.error(Refusal::from(undecided).text()),
        }
    }

    fn write_timeout(&self, output: &mut Output) {
        answer::write(output, &self.refused.summary());
    }
}
