//! What a check came to, in one line: the limit that decided, and its numbers.

use super::algorithm::{Decision, Limit, Nanos};
use super::check::{Check, Outcome, Rule};
use super::lists::Standing;
use super::policy::Policy;

/// See the head of the file.
///
/// Of a refused check it shows the refusing limit that takes longest to relent, so that waiting for `retry_after` helps with all
/// of them; of an allowed one the limit with the least left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary<'d> {
    /// Whether it may be done.
    pub allowed: bool,
    /// The limit that the numbers are of; none for one that no policy holds.
    pub name: Option<&'d str>,
    /// Its numbers; none if no limit was asked, because a list decided.
    pub decision: Option<Decision>,
    /// If it was refused, after what time it is allowed provided nobody else takes anything; none if never.
    pub retry_after: Option<Nanos>,
    /// Whether a policy that only counts would have refused it.
    pub is_shadow: bool,
}

/// What one limit of a policy answers; `N` is a name, borrowed or kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitAnswer<N> {
    /// Its name.
    pub name: N,
    /// Which demand it belongs to.
    pub demand: usize,
    /// What it decides by.
    pub limit: Limit,
    /// What it decided.
    pub decision: Decision,
    /// Whether it refuses the check, which a policy that only counts never does.
    pub refuses: bool,
}

impl<'d> Check<'d> {
    /// What the limits answer that policies hold.
    pub fn limit_answers<'c>(
        &'c self,
        outcome: &'c Outcome,
    ) -> impl Iterator<Item = LimitAnswer<&'d str>> + use<'c, 'd> {
        self.items().iter().zip(&outcome.answers).filter_map(|(item, answer)| {
            let policy = self.demands()[item.demand].0.rule.policy()?;
            Some(LimitAnswer {
                name: &*policy.parts()[item.part].name,
                demand: item.demand,
                limit: item.limit,
                decision: answer.decision,
                refuses: !answer.decision.allowed && !policy.is_shadow(),
            })
        })
    }

    /// What an outcome of this check says in short.
    pub fn summary(&self, outcome: &Outcome) -> Summary<'d> {
        let policy_of = |demand: usize| self.demands()[demand].0.rule.policy();
        let name_of =
            |demand: usize, part: usize| policy_of(demand).map(|policy| &*policy.parts()[part].name);
        let is_shadow_at = |demand: usize| policy_of(demand).is_some_and(Policy::is_shadow);
        let mut summary = Summary {
            allowed: outcome.allowed,
            name: None,
            decision: None,
            retry_after: None,
            is_shadow: false,
        };
        let mut highest = None;
        for answer in &outcome.answers {
            let decision = answer.decision;
            let is_shadow = is_shadow_at(answer.demand) && !decision.allowed;
            summary.is_shadow |= is_shadow;
            if !outcome.allowed && (decision.allowed || is_shadow) {
                continue;
            }
            // The higher the rank the more there is to say of it.
            let rank = match outcome.allowed {
                true => u64::MAX - decision.remaining,
                false => decision.retry_after.unwrap_or(u64::MAX),
            };
            if highest.is_none_or(|highest| rank > highest) {
                highest = Some(rank);
                summary.name = name_of(answer.demand, answer.part);
                summary.decision = Some(decision);
                summary.retry_after = decision.retry_after.filter(|_| !outcome.allowed);
            }
        }
        self.add_lists(outcome, &mut summary);
        summary
    }

    /// What the lists say goes before the limits where they refuse.
    fn add_lists(&self, outcome: &Outcome, summary: &mut Summary<'d>) {
        for (demand, standing) in self.demands() {
            let name = match demand.rule {
                Rule::Policy(policy) => Some(policy.name()),
                Rule::Inline(_) => None,
            };
            match standing {
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
                    if limits_wait.is_none_or(|wait| wait < *retry_after) {
                        let retry_after = Some(*retry_after);
                        *summary = Summary { name, decision: None, retry_after, ..*summary };
                    }
                }
            }
        }
    }
}

impl Summary<'_> {
    /// Milliseconds until a retry, rounded up, or -1 where there is nothing to wait for: allowed, or never.
    pub fn retry_after_millis(&self) -> i64 {
        self.retry_after.map_or(-1, |nanos| nanos.div_ceil(super::algorithm::NANOS_PER_MILLI) as i64)
    }

    /// Milliseconds until all of the limit is back, rounded up.
    pub fn reset_after_millis(&self) -> u64 {
        self.decision.map_or(0, |decision| decision.reset_after_millis())
    }

    /// The most that can be had at once, or -1 if there is no limit; 0 for who is refused by a list.
    pub fn limit(&self) -> i64 {
        self.number(|decision| decision.limit)
    }

    /// What could still be had now, or -1 if there is no limit; 0 for who is refused by a list.
    pub fn remaining(&self) -> i64 {
        self.number(|decision| decision.remaining)
    }

    fn number(&self, of: fn(&Decision) -> u64) -> i64 {
        let without_limit = if self.allowed { -1 } else { 0 };
        self.decision.map_or(without_limit, |decision| of(&decision) as i64)
    }
}
