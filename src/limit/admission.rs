//! The answer to a check: whether it is allowed, the limit that decided with its numbers, and the answer of each limit.

use super::algorithm::{Decision, Limit, NANOS_PER_MILLI, Nanos};
use super::lists::Standing;
use super::plan::{Outcome, Plan};
use super::queue::QueuedAnswer;
use crate::wait::Ticket;

/// The answer to a [`Check`](super::operation::Check).
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and a box would be an allocation per check"
)]
pub enum CheckAnswer<'p> {
    /// It is decided.
    Decided(Admission<'p>),
    /// It waits to be admitted.
    Waits {
        /// Where the answer comes.
        ticket: Ticket<QueuedAnswer>,
        /// The answer if the wait is cut short.
        refused: Summary<&'p str>,
    },
}

/// A decided check.
pub struct Admission<'p> {
    plan: Plan<'p>,
    outcome: Outcome,
    takes_left: bool,
}

/// The decision in one line; `N` is a name, borrowed or owned.
///
/// Of a refused check it shows the refusing limit that takes longest to relent, so that waiting for `retry_after` helps
/// with all of them; of an allowed one the limit with the least left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary<N> {
    /// Whether the check is allowed.
    pub allowed: bool,
    /// The name of the limit that the numbers are of; none if no policy holds it.
    pub name: Option<N>,
    /// Its numbers; none if no limit was asked because a list decided.
    pub decision: Option<Decision>,
    /// If the check is refused, the time after which it is allowed provided nobody else takes anything; none if never.
    pub retry_after: Option<Nanos>,
    /// Whether a policy in shadow mode would have refused it.
    pub is_shadow: bool,
}

/// The answer of one limit of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitAnswer<N> {
    /// Its name.
    pub name: N,
    /// The position of its demand in the check.
    pub demand: usize,
    /// The limit.
    pub limit: Limit,
    /// The decision.
    pub decision: Decision,
    /// Whether it refuses the check, which a policy in shadow mode never does.
    pub refuses: bool,
}

/// The whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report<N> {
    /// The decision in one line.
    pub summary: Summary<N>,
    /// The answers of the limits that policies hold.
    pub limits: Vec<LimitAnswer<N>>,
    /// How much was taken from each demand, if the check takes as much as is left.
    pub taken: Option<u64>,
}

impl<'p> Admission<'p> {
    /// The answer for the outcome of a plan.
    pub(super) fn new(plan: Plan<'p>, outcome: Outcome) -> Admission<'p> {
        Admission { plan, outcome, takes_left: false }
    }

    /// The same for a check that takes as much as is left.
    pub(super) fn of_left(plan: Plan<'p>, outcome: Outcome) -> Admission<'p> {
        Admission { takes_left: true, ..Admission::new(plan, outcome) }
    }

    /// Whether the check is allowed.
    pub fn is_allowed(&self) -> bool {
        self.outcome.allowed
    }

    /// The decision in one line.
    pub fn summary(&self) -> Summary<&'p str> {
        self.plan.summary(&self.outcome)
    }

    /// How much was taken from each demand, if the check takes as much as is left.
    pub fn taken(&self) -> Option<u64> {
        self.takes_left.then(|| self.plan.taken(&self.outcome))
    }

    /// The whole answer.
    pub fn report(&self) -> Report<&'p str> {
        self.plan.report(&self.outcome, self.taken())
    }
}

impl<'p> Plan<'p> {
    /// The whole answer of an outcome.
    pub(super) fn report(&self, outcome: &Outcome, taken: Option<u64>) -> Report<&'p str> {
        let answered = self.items().iter().zip(&outcome.answers);
        let limits = answered.filter_map(|(item, answer)| {
            let claim = &self.claims()[item.claim];
            Some(LimitAnswer {
                name: claim.name_of(item.part)?,
                demand: item.claim,
                limit: item.limit,
                decision: answer.decision,
                refuses: !answer.decision.allowed && !claim.is_shadow(),
            })
        });
        Report { summary: self.summary(outcome), limits: limits.collect(), taken }
    }

    /// An outcome in one line.
    pub(super) fn summary(&self, outcome: &Outcome) -> Summary<&'p str> {
        let mut summary = Summary {
            allowed: outcome.allowed,
            name: None,
            decision: None,
            retry_after: None,
            is_shadow: false,
        };
        let mut highest = None;
        for answer in &outcome.answers {
            let (claim, decision) = (&self.claims()[answer.claim], answer.decision);
            let is_shadow = claim.is_shadow() && !decision.allowed;
            summary.is_shadow |= is_shadow;
            if !outcome.allowed && (decision.allowed || is_shadow) {
                continue;
            }
            // The higher the rank, the more the answer matters.
            let rank = match outcome.allowed {
                true => u64::MAX - decision.remaining,
                false => decision.retry_after.unwrap_or(u64::MAX),
            };
            if highest.is_none_or(|highest| rank > highest) {
                highest = Some(rank);
                summary.name = claim.name_of(answer.part);
                summary.decision = Some(decision);
                summary.retry_after = decision.retry_after.filter(|_| !outcome.allowed);
            }
        }
        self.add_lists(outcome, &mut summary);
        summary
    }

    /// Lists go before limits where they refuse.
    fn add_lists(&self, outcome: &Outcome, summary: &mut Summary<&'p str>) {
        for claim in self.claims() {
            let name = claim.policy.map(|policy| policy.name());
            match claim.standing {
                Standing::Limited => {}
                Standing::Unlimited if summary.decision.is_none() && outcome.allowed => summary.name = name,
                Standing::Unlimited => {}
                Standing::Denied if outcome.allowed => summary.is_shadow = true,
                Standing::Denied => {
                    *summary = Summary { name, decision: None, retry_after: None, ..*summary };
                    return;
                }
                Standing::Blocked { retry_after } => {
                    let limits_wait = summary.decision.map(|_| summary.retry_after.unwrap_or(Nanos::MAX));
                    if limits_wait.is_none_or(|wait| wait < retry_after) {
                        let retry_after = Some(retry_after);
                        *summary = Summary { name, decision: None, retry_after, ..*summary };
                    }
                }
            }
        }
    }
}

impl<N> Summary<N> {
    /// Whether waiting cannot help.
    pub fn is_final(&self) -> bool {
        !self.allowed && self.retry_after.is_none()
    }

    /// Milliseconds until a retry succeeds, rounded up; -1 if the check is allowed, and also if it never is.
    pub fn retry_after_millis(&self) -> i64 {
        self.retry_after.map_or(-1, |nanos| nanos.div_ceil(NANOS_PER_MILLI) as i64)
    }

    /// Milliseconds until all of the limit is back, rounded up.
    pub fn reset_after_millis(&self) -> u64 {
        self.decision.map_or(0, |decision| decision.reset_after_millis())
    }

    /// Milliseconds to wait before going on, rounded up.
    pub fn delay_millis(&self) -> u64 {
        self.decision.filter(|_| self.allowed).map_or(0, |decision| decision.delay_millis())
    }

    /// The most that can be had at once, or -1 if there is no limit; 0 for a key that a list refuses.
    pub fn limit(&self) -> i64 {
        self.number(|decision| decision.limit)
    }

    /// What could still be had now, or -1 if there is no limit; 0 for a key that a list refuses.
    pub fn remaining(&self) -> i64 {
        self.number(|decision| decision.remaining)
    }

    fn number(&self, of: fn(&Decision) -> u64) -> i64 {
        let without_limit = if self.allowed { -1 } else { 0 };
        self.decision.map_or(without_limit, |decision| of(&decision) as i64)
    }
}

impl Summary<&str> {
    /// The same with a name of its own.
    pub fn to_owned(&self) -> Summary<Box<str>> {
        let Summary { allowed, name, decision, retry_after, is_shadow } = *self;
        Summary { allowed, name: name.map(Box::from), decision, retry_after, is_shadow }
    }
}

impl Report<&str> {
    /// The same with names of its own.
    pub fn to_owned(&self) -> Report<Box<str>> {
        let owned = |answer: &LimitAnswer<&str>| {
            let LimitAnswer { name, demand, limit, decision, refuses } = *answer;
            LimitAnswer { name: name.into(), demand, limit, decision, refuses }
        };
        let limits = self.limits.iter().map(owned).collect();
        Report { summary: self.summary.to_owned(), limits, taken: self.taken }
    }
}
