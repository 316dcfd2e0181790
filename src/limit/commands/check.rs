//! RL.CHECK and RL.MCHECK: one limit or many, all or nothing, at once or after a wait.

use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Arguments, Output};
use smallvec::SmallVec;

use super::words::Words;
use super::{answer, keys};
use crate::command::{Call, Command, Continuation, Encoder, Flags, Handler};
use crate::limit::admission::{CheckAnswer, Summary};
use crate::limit::algorithm::{Parameters, checked_cost};
use crate::limit::definition::LimitDefinition;
use crate::limit::operation::{Check, Demand, Mode, Rule};
use crate::limit::policies::DEFAULT_POLICY;
use crate::limit::queue::{QueuedAnswer, checked_patience};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.check",
        syntax: "key [POLICY policy | INLINE algorithm limit period [BURST burst]] [COST cost] \
                 [PEEK | UPTO | WAIT milliseconds]",
        summary: "Takes the cost from all limits of a policy (`default` unless another is named), or from none. INLINE \
                  states a limit in the request, with its period in milliseconds. Returns allowed, limit, remaining, \
                  milliseconds until a retry succeeds (-1 if the check is allowed, or never will be) and until all is \
                  back, the limit that decided, whether a policy in shadow mode would have refused, and milliseconds to \
                  wait before going on. UPTO takes as much as is left, up to the cost, and adds this amount to the reply; \
                  if nothing is left it is 0, and the check is refused. WAIT delays the reply until the check is allowed, \
                  in the order of the waiters, or until the time is over.",
        find_keys: Some(keys::of_check),
        handler: Handler::Data(check),
        ..CHECKS
    },
    Command {
        name: "rl.mcheck",
        syntax: "numchecks policy key cost [policy key cost ...] [PEEK | UPTO | WAIT milliseconds]",
        summary: "Takes from the limits of several policies, each with its own key and cost: from all of them, or from \
                  none. Returns the reply of RL.CHECK, about the limit that decided. UPTO takes the same amount from all, \
                  as much as all have left; the costs must be equal.",
        complexity: "O(N) where N is the number of limits.",
        find_keys: Some(keys::of_checks),
        handler: Handler::Data(mcheck),
        ..CHECKS
    },
];

/// The start of the rows.  The keys of the counters follow from the policies, so the operations lock them.
const CHECKS: Command =
    Command { flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING), ..super::ROW };

/// How many demands a request has before the list of them moves to the heap.
const INLINE_DEMANDS: usize = 2;

/// Notes the mode that a word says; false if the word says something else.
fn accept_mode(mode: &mut Mode, word: &[u8], words: &mut Words<'_>) -> Result<bool, Refusal> {
    let said = if word.eq_ignore_ascii_case(b"PEEK") {
        Mode::Peek
    } else if word.eq_ignore_ascii_case(b"UPTO") {
        Mode::UpTo
    } else if word.eq_ignore_ascii_case(b"WAIT") {
        match words.integer()? {
            0 => Mode::Take,
            millis => Mode::Wait(checked_patience(millis)?),
        }
    } else {
        return Ok(false);
    };
    if *mode != Mode::Take {
        return Err(Refusal::syntax_at(word));
    }
    *mode = said;
    Ok(true)
}

fn check(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (demand, mode) = asked(call.arguments)?;
    run(call, &[demand], mode)
}

/// Reads the arguments of RL.CHECK.
pub(super) fn asked(arguments: Arguments<'_>) -> Result<(Demand<'_>, Mode), Refusal> {
    let mut words = Words::new(arguments.from(2));
    let (mut rule, mut cost, mut mode) = (None, None, Mode::Take);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"POLICY") && rule.is_none() {
            rule = Some(Rule::Policy(words.value()?));
        } else if word.eq_ignore_ascii_case(b"INLINE") && rule.is_none() {
            rule = Some(inline(&mut words)?);
        } else if word.eq_ignore_ascii_case(b"COST") && cost.is_none() {
            cost = Some(checked_cost(words.integer()?)?);
        } else if !accept_mode(&mut mode, word, &mut words)? {
            return Err(Refusal::syntax_at(word));
        }
    }
    let rule = rule.unwrap_or(Rule::Policy(DEFAULT_POLICY.as_bytes()));
    Ok((Demand { rule, key: arguments.at(1), cost: cost.unwrap_or(1) }, mode))
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
    let mut words = Words::new(call.arguments.from(1));
    let demands = demands(&mut words)?;
    let mut mode = Mode::Take;
    while let Some(word) = words.next() {
        if !accept_mode(&mut mode, word, &mut words)? {
            return Err(Refusal::syntax_at(word));
        }
    }
    run(call, &demands, mode)
}

/// Reads the number of demands, then their policies, keys and costs.
pub(super) fn demands<'d>(words: &mut Words<'d>) -> Result<SmallVec<[Demand<'d>; INLINE_DEMANDS]>, Refusal> {
    let count = words.value()?;
    let count = parse_integer(count).filter(|&count| count > 0);
    let count = count.ok_or_else(|| Refusal::new("ERR numchecks should be greater than 0"))?;
    if usize::try_from(count).is_ok_and(|count| count > words.len() / 3) {
        return Err(Refusal::new("ERR numchecks is greater than the number of checks"));
    }
    let mut demands = SmallVec::new();
    for _ in 0..count {
        let (policy, key) = (words.value()?, words.value()?);
        demands.push(Demand::of_policy(policy, key, checked_cost(words.integer()?)?));
    }
    Ok(demands)
}

/// Decides and replies, or waits.
fn run(call: &mut Call<'_, '_>, demands: &[Demand<'_>], mode: Mode) -> Result<(), Refusal> {
    let mode = match mode {
        // A transaction does not wait, as with the blocking commands of Redis.
        Mode::Wait(_) if !call.may_wait() => Mode::Take,
        mode => mode,
    };
    let table = call.services.limits.policies.load();
    match super::run(call, &table, Check { demands, mode })? {
        CheckAnswer::Waits { ticket, refused } => {
            call.block(ticket, AdmissionEncoder { refused: refused.to_owned() });
        }
        CheckAnswer::Decided(admission) => match admission.taken() {
            Some(taken) => answer::write_taken(call.output, taken, &admission.summary()),
            None => answer::write(call.output, &admission.summary()),
        },
    }
    Ok(())
}

/// Writes the answer to a check that waited.
struct AdmissionEncoder {
    /// The answer if the wait is cut short.
    refused: Summary<Box<str>>,
}

impl Encoder<QueuedAnswer> for AdmissionEncoder {
    fn write(&mut self, answer: QueuedAnswer, output: &mut Output, _: &mut Continuation) {
        match answer.result {
            Ok(report) => answer::write(output, &report.summary),
            Err(error) => output.error(Refusal::from(error).text()),
        }
    }

    fn write_timeout(&self, output: &mut Output) {
        answer::write(output, &self.refused);
    }
}
