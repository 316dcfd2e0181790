//! The plan of a check: the limits that decide it, their counters, and the decision on those counters.
//!
//! A plan names the counters first, so that all of them can be locked.  The decision is one step under those locks.  A cost
//! that one limit refuses is taken from none.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::Limits;
use super::algorithm::{Decision, InvalidParameter, Limit, Nanos, StateBytes};
use super::budget::Fallback;
use super::counters::{Counters, NotACounter};
use super::lists::Standing;
use super::operation::{Demand, LimitError, Rule};
use super::policies::{Table, find};
use super::policy::{CounterName, Policy, checked_key, inline_counter};
use super::statistics::Verdict;

/// The most limits in one check.
pub const CHECK_LIMITS_MAX: usize = 64;

/// A demand with the policy that it names.
#[derive(Clone, Copy)]
pub struct Claim<'p> {
    /// The demand.
    pub demand: Demand<'p>,
    /// The policy; none if the request states the limit itself.
    pub policy: Option<&'p Arc<Policy>>,
    /// Whether a list decides it.
    pub standing: Standing,
}

impl<'p> Claim<'p> {
    /// The name of a limit of the policy; none without a policy.
    pub fn name_of(&self, part: usize) -> Option<&'p str> {
        self.policy.map(|policy| &*policy.parts()[part].name)
    }

    /// Whether the policy is in shadow mode: it counts the requests that it would refuse, and allows them.
    pub fn is_shadow(&self) -> bool {
        self.policy.is_some_and(|policy| policy.is_shadow())
    }
}

/// One limit of a plan.
pub struct Item {
    /// The claim it belongs to.
    pub claim: usize,
    /// Which limit of the claim's policy it is.
    pub part: usize,
    /// The limit.
    pub limit: Limit,
    /// The key of its counter in the store.
    pub counter: CounterName,
    /// How much is asked for.
    pub cost: u64,
    /// Present if there is no room for new counters: what happens if the key has none.
    pub fallback: Option<Fallback>,
}

/// Where an item is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target<'c> {
    /// In the key's own counter.
    Own(&'c CounterName),
    /// In the counter that all keys without one share.
    Shared(&'c CounterName),
    /// Nowhere; the limit allows it.
    Allowed,
    /// Nowhere; the limit refuses it.
    Refused,
}

impl<'c> Target<'c> {
    fn counter(self) -> Option<&'c CounterName> {
        match self {
            Target::Own(counter) | Target::Shared(counter) => Some(counter),
            Target::Allowed | Target::Refused => None,
        }
    }
}

/// The targets of all items of a plan.
type Targets<'c> = SmallVec<[Target<'c>; 1]>;

/// See the head of the file.
pub struct Plan<'p> {
    claims: SmallVec<[Claim<'p>; 1]>,
    items: SmallVec<[Item; 1]>,
    made_at: Nanos,
}

/// The decision on a plan.
#[derive(Debug)]
pub struct Outcome {
    /// Whether the check is allowed.
    pub allowed: bool,
    /// The answer of each limit, in the order of [`Plan::items`].
    pub answers: SmallVec<[Answer; 1]>,
}

/// The answer of one limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The claim it belongs to.
    pub claim: usize,
    /// Which limit of the claim's policy it is.
    pub part: usize,
    /// The decision; a refusal by a policy in shadow mode does not refuse the check.
    pub decision: Decision,
    /// Where it was counted.
    pub counted: Counted,
}

/// Where an answer was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// In the counter that the key had.
    Own,
    /// In a counter that the key got by this check, if it was allowed.
    New,
    /// As the policy says of keys for whose counters there is no room.
    ByFallback,
}

impl<'p> Plan<'p> {
    /// A plan of nothing.
    pub fn new(now: Nanos) -> Plan<'p> {
        Plan { claims: SmallVec::new(), items: SmallVec::new(), made_at: now }
    }

    /// The plan for these demands.
    ///
    /// # Errors
    /// If there is no such policy, a key is empty or too long, or there are too many limits.
    pub fn of(
        demands: &[Demand<'p>],
        limits: &Limits,
        policies: &'p Table,
        now: Nanos,
    ) -> Result<Plan<'p>, LimitError> {
        let mut plan = Plan::new(now);
        for demand in demands {
            let policy = match demand.rule {
                Rule::Policy(name) => Some(find(policies, name)?),
                Rule::Inline(_) => None,
            };
            plan.add(*demand, policy, limits)?;
        }
        Ok(plan)
    }

    /// Adds a demand and the policy that it names.
    ///
    /// # Errors
    /// If the key is empty or too long, or there are too many limits.
    pub fn add(
        &mut self,
        demand: Demand<'p>,
        policy: Option<&'p Arc<Policy>>,
        limits: &Limits,
    ) -> Result<(), InvalidParameter> {
        let (key, cost) = (checked_key(demand.key)?, demand.cost);
        let claim = self.claims.len();
        // A claim that a list decides costs a look at each pattern.
        check_count(claim + 1)?;
        let standing = limits.lists.standing(key, policy.map(|policy| &**policy), self.made_at);
        self.claims.push(Claim { demand, policy, standing });
        if standing != Standing::Limited {
            return Ok(());
        }
        if let Some(policy) = policy {
            let is_full = limits.budget.is_exhausted() || policy.is_full();
            self.items.extend(policy.limits_of(key).map(|(part, limit, counter)| Item {
                claim,
                part,
                limit: limit.at(self.made_at, || limits.wall_offset.load(Relaxed)),
                counter,
                cost,
                fallback: if is_full { policy.fallback(part) } else { None },
            }));
        } else if let Rule::Inline(limit) = demand.rule {
            let fallback = limits.budget.is_exhausted().then_some(Fallback::Refused);
            self.items.push(Item { claim, part: 0, limit, counter: inline_counter(key), cost, fallback });
        }
        check_count(self.items.len())
    }

    /// The demands, with their policies and their standing on lists.
    pub fn claims(&self) -> &[Claim<'p>] {
        &self.claims
    }

    /// The limits that decide, claim after claim.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The counters that have to be locked for the decision.
    pub fn counters(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.items.iter().flat_map(|item| {
            let shared = match &item.fallback {
                Some(Fallback::Shared(counter)) => Some(&**counter),
                _ => None,
            };
            std::iter::once(&*item.counter).chain(shared)
        })
    }

    fn targets(&self, counters: &mut impl Counters) -> Result<Targets<'_>, NotACounter> {
        let mut targets = Targets::new();
        for item in &self.items {
            let is_known = item.fallback.is_none() || !counters.state(&item.counter)?.is_empty();
            targets.push(match &item.fallback {
                Some(Fallback::Shared(counter)) if !is_known => Target::Shared(counter),
                Some(Fallback::Allowed) if !is_known => Target::Allowed,
                Some(Fallback::Refused) if !is_known => Target::Refused,
                _ => Target::Own(&item.counter),
            });
        }
        Ok(targets)
    }

    /// Whether a limit that the request states itself was refused because there is no room for its counter.
    pub fn lacks_room(&self, outcome: &Outcome) -> bool {
        let is_inline = |answer: &Answer| self.claims[answer.claim].policy.is_none();
        outcome.answers.iter().any(|answer| answer.counted == Counted::ByFallback && is_inline(answer))
    }

    /// Decides, and takes the costs if all limits allow it.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind; nothing is taken then.
    pub fn take(&self, counters: &mut impl Counters, now: Nanos) -> Result<Outcome, NotACounter> {
        self.decide(counters, now, true)
    }

    /// Decides without taking anything.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind.
    pub fn peek(&self, counters: &mut impl Counters, now: Nanos) -> Result<Outcome, NotACounter> {
        self.decide(counters, now, false)
    }

    fn decide(&self, counters: &mut impl Counters, now: Nanos, takes: bool) -> Result<Outcome, NotACounter> {
        let targets = self.targets(counters)?;
        let mut pending = Pending(SmallVec::new());
        let mut outcome = Outcome { allowed: true, answers: SmallVec::new() };
        let mut next = 0;
        for (index, claim) in self.claims.iter().enumerate() {
            let own = self.items[next..].iter().take_while(|item| item.claim == index).count();
            let items = next..next + own;
            next += own;
            let refuses = match claim.standing {
                Standing::Limited => {
                    let own = (items, &*targets);
                    !self.decide_claim(own, counters, now, &mut pending, &mut outcome)?
                }
                Standing::Unlimited => false,
                Standing::Denied | Standing::Blocked { .. } => true,
            };
            // A block holds whatever policy is asked.
            let lets_through = claim.is_shadow() && !matches!(claim.standing, Standing::Blocked { .. });
            outcome.allowed &= !refuses || lets_through;
        }
        if takes && outcome.allowed {
            for PendingState { counter, state, kept_for } in &pending.0 {
                counters.keep(counter, state, *kept_for);
            }
            return Ok(outcome);
        }
        // Nothing is taken, so each limit answers for itself, to everything that is asked of its counter so far.
        outcome.answers.clear();
        for (index, (item, target)) in self.items.iter().zip(&targets).enumerate() {
            let same = |(_, other): &(&Item, &Target<'_>)| other.counter() == target.counter();
            let asked = self.items.iter().zip(&targets).take(index + 1).filter(same);
            let cost = asked.map(|(other, _)| other.cost).sum();
            outcome.answers.push(self.look(item, *target, cost, &Pending::NONE, counters, now)?);
        }
        Ok(outcome)
    }

    /// Takes as much as all limits have left, up to the cost: the same amount from each claim.  The plan asks for that
    /// amount from then on.  If nothing is left it asks for one, and is refused.
    ///
    /// # Errors
    /// As [`Plan::take`], and if the costs differ.
    pub fn take_left(&mut self, counters: &mut impl Counters, now: Nanos) -> Result<Outcome, LimitError> {
        if self.claims.windows(2).any(|pair| pair[0].demand.cost != pair[1].demand.cost) {
            return Err(LimitError::UnequalCosts);
        }
        let cost = self.claims.first().map_or(0, |claim| claim.demand.cost);
        let left = self.left(counters, now)?;
        self.ask_for(left.max(1).min(cost));
        Ok(self.take(counters, now)?)
    }

    /// Has each claim ask for `cost` from now on.  The counters stay those that were locked; a new plan may need others.
    pub fn ask_for(&mut self, cost: u64) {
        self.claims.iter_mut().for_each(|claim| claim.demand.cost = cost);
        self.items.iter_mut().for_each(|item| item.cost = cost);
    }

    /// The highest cost that all claims may have together.
    fn left(&self, counters: &mut impl Counters, now: Nanos) -> Result<u64, NotACounter> {
        let targets = self.targets(counters)?;
        let mut left = u64::MAX;
        for (item, target) in self.items.iter().zip(&targets) {
            if self.claims[item.claim].is_shadow() || *target == Target::Allowed {
                continue;
            }
            let sharing = targets.iter().filter(|other| other.counter() == target.counter()).count() as u64;
            let decision = self.look(item, *target, 0, &Pending::NONE, counters, now)?.decision;
            left = left.min(if *target == Target::Refused { 0 } else { decision.remaining / sharing });
        }
        Ok(left)
    }

    /// How much an outcome took from each claim.
    pub fn taken(&self, outcome: &Outcome) -> u64 {
        self.claims.first().filter(|_| outcome.allowed).map_or(0, |claim| claim.demand.cost)
    }

    /// Decides one claim on top of the pending states, and adds its own if all of its limits allow it.
    fn decide_claim<'c>(
        &'c self,
        (items, targets): (std::ops::Range<usize>, &[Target<'c>]),
        counters: &mut impl Counters,
        now: Nanos,
        pending: &mut Pending<'c>,
        outcome: &mut Outcome,
    ) -> Result<bool, NotACounter> {
        let (pending_before, answers_before) = (pending.0.len(), outcome.answers.len());
        let mut is_allowed = true;
        for index in items.clone() {
            let (item, target) = (&self.items[index], targets[index]);
            let answer = match target.counter() {
                Some(counter) => {
                    let old = pending.state(counter, counters)?;
                    let is_new = old.is_empty();
                    let mut state = StateBytes::new();
                    let decision = item.limit.take(old, item.cost, now, &mut state);
                    if decision.allowed {
                        pending.0.push(PendingState { counter, state, kept_for: decision.reset_after });
                    }
                    item.answer(target, is_new, decision)
                }
                None => self.look(item, target, item.cost, pending, counters, now)?,
            };
            is_allowed &= answer.decision.allowed;
            outcome.answers.push(answer);
        }
        if !is_allowed {
            pending.0.truncate(pending_before);
            outcome.answers.truncate(answers_before);
            for index in items {
                let (item, target) = (&self.items[index], targets[index]);
                outcome.answers.push(self.look(item, target, item.cost, pending, counters, now)?);
            }
        }
        Ok(is_allowed)
    }

    /// The answer of a limit by itself on top of the pending states.
    fn look(
        &self,
        item: &Item,
        target: Target<'_>,
        cost: u64,
        pending: &Pending<'_>,
        counters: &mut impl Counters,
        now: Nanos,
    ) -> Result<Answer, NotACounter> {
        let decision = match target.counter() {
            Some(counter) => {
                let is_pending = pending.has(counter);
                let state = pending.state(counter, counters)?;
                let mut adopted = StateBytes::new();
                match item.limit.adopt(state, now, &mut adopted) {
                    Some(kept_for) if !is_pending => {
                        counters.keep_adopted(counter, &adopted, kept_for);
                        item.limit.peek(&adopted, cost, now)
                    }
                    _ => item.limit.peek(state, cost, now),
                }
            }
            None => item.limit.peek(&[], cost, now),
        };
        let window = item.limit.window();
        Ok(match target {
            Target::Refused if cost > 0 => {
                let refused = Decision {
                    allowed: false,
                    remaining: 0,
                    retry_after: Some(window),
                    reset_after: window,
                    delay: 0,
                    ..decision
                };
                item.answer(target, false, refused)
            }
            _ => item.answer(target, false, decision),
        })
    }

    /// Gives the costs back, as far as they were taken at or before `taken_at` and still count.  A key without a counter
    /// of its own gives back to the counter that it shares.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind; nothing is given back then.
    pub fn refund(
        &self,
        counters: &mut impl Counters,
        taken_at: Nanos,
        now: Nanos,
    ) -> Result<(), NotACounter> {
        let targets = self.targets(counters)?;
        let targets = self.items.iter().zip(targets);
        let targets: SmallVec<[_; 1]> =
            targets.filter_map(|(item, target)| Some((item, target.counter()?))).collect();
        counters.check_kinds(targets.iter().map(|(_, counter)| counter.as_slice()))?;
        for (item, counter) in targets {
            let mut changed = StateBytes::new();
            let state = counters.state(counter)?;
            if !state.is_empty() {
                let kept_for = item.limit.refund(state, item.cost, taken_at, now, &mut changed);
                counters.keep(counter, &changed, kept_for);
                counters.note_decrease(counter);
            }
        }
        Ok(())
    }

    /// Counts the decision of each policy and the new counters, and blocks keys that were refused too often; `thread` is
    /// the number of the thread that asks.
    pub fn count(&self, outcome: &Outcome, thread: usize, limits: &Limits) {
        for (index, claim) in self.claims.iter().enumerate() {
            let Some(policy) = claim.policy else { continue };
            let (key, standing) = (claim.demand.key, claim.standing);
            let mut answers = outcome.answers.iter().filter(|answer| answer.claim == index);
            let verdict = match standing {
                Standing::Limited if answers.all(|answer| answer.decision.allowed) => Verdict::Allowed,
                Standing::Unlimited => Verdict::Allowed,
                Standing::Limited | Standing::Denied if policy.is_shadow() => Verdict::ShadowRefused,
                _ => Verdict::Refused,
            };
            policy.statistics.count(thread, verdict, key);
            if verdict == Verdict::Refused && standing == Standing::Limited && policy.blocks() {
                limits.lists.block_violator(policy, key, self.made_at);
            }
            for answer in outcome.answers.iter().filter(|answer| answer.claim == index) {
                match answer.counted {
                    Counted::New if answer.part == policy.counted_part() => {
                        policy.statistics.count_key(thread)
                    }
                    Counted::ByFallback => policy.statistics.count_without_room(thread),
                    Counted::Own | Counted::New => {}
                }
            }
        }
    }
}

/// The states that the counters of a plan will have if all limits allow it, the latest last.
struct Pending<'c>(SmallVec<[PendingState<'c>; 1]>);

struct PendingState<'c> {
    counter: &'c CounterName,
    state: StateBytes,
    kept_for: Nanos,
}

impl Pending<'_> {
    const NONE: Pending<'static> = Pending(SmallVec::new_const());

    /// Whether an earlier limit of the plan changes the counter.
    fn has(&self, counter: &CounterName) -> bool {
        self.0.iter().any(|pending| pending.counter == counter)
    }

    /// The state of a counter after the changes of earlier limits of the plan.
    fn state<'s>(
        &'s self,
        counter: &CounterName,
        counters: &'s mut impl Counters,
    ) -> Result<&'s [u8], NotACounter> {
        match self.0.iter().rev().find(|pending| pending.counter == counter) {
            Some(pending) => Ok(&pending.state),
            None => counters.state(counter),
        }
    }
}

impl Item {
    /// The counter that an answer was counted in; none if it was counted nowhere.
    pub fn counted_at(&self, answer: &Answer) -> Option<&CounterName> {
        match (answer.counted, &self.fallback) {
            (Counted::ByFallback, Some(Fallback::Shared(counter))) => Some(counter),
            (Counted::ByFallback, _) => None,
            (Counted::Own | Counted::New, _) => Some(&self.counter),
        }
    }

    fn answer(&self, target: Target<'_>, is_new: bool, decision: Decision) -> Answer {
        let counted = match target {
            Target::Own(_) if is_new => Counted::New,
            Target::Own(_) => Counted::Own,
            Target::Shared(_) | Target::Allowed | Target::Refused => Counted::ByFallback,
        };
        Answer { claim: self.claim, part: self.part, decision, counted }
    }
}

/// Refuses more limits, or claims, than one check may have.
fn check_count(count: usize) -> Result<(), InvalidParameter> {
    if count > CHECK_LIMITS_MAX {
        let (value, allowed) = (count.to_string(), format!("at most {CHECK_LIMITS_MAX}"));
        return Err(InvalidParameter { parameter: "the number of limits in one check", value, allowed });
    }
    Ok(())
}
