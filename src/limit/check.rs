//! One check of any number of limits, all or nothing: what is refused anywhere is taken nowhere.
//!
//! A check is made out first, so that the caller can lock all counters it touches, and then decided in one
//! step under those locks.

use smallvec::SmallVec;

use super::algorithm::{Decision, InvalidParameter, Limit, Nanos, StateBytes};
use super::lists::{Lists, Standing};
use super::policy::{CounterName, KEY_LENGTH_MAX, Policy, inline_counter};
use super::statistics::Verdict;

/// The most limits in one check.
pub const CHECK_LIMITS_MAX: usize = 64;

/// What one policy, or one limit that is in no policy, is asked for.
#[derive(Clone, Copy)]
pub struct Demand<'d> {
    /// By what it is decided.
    pub rule: Rule<'d>,
    /// For whom.
    pub key: &'d [u8],
    /// How much is wanted; nothing may always be had.
    pub cost: u64,
}

/// By what a demand is decided.
#[derive(Clone, Copy)]
pub enum Rule<'d> {
    /// A policy.
    Policy(&'d Policy),
    /// A limit that the request itself states.
    Inline(Limit),
}

impl<'d> Rule<'d> {
    /// The policy, if it is one.
    pub fn policy(self) -> Option<&'d Policy> {
        match self {
            Rule::Policy(policy) => Some(policy),
            Rule::Inline(_) => None,
        }
    }
}

/// One limit of a check.
pub struct Item {
    /// Which demand it belongs to.
    pub demand: usize,
    /// Which limit of the demand's policy it is.
    pub part: usize,
    /// What it decides by.
    pub limit: Limit,
    /// The key of its counter in the store.
    pub counter: CounterName,
    /// How much is wanted.
    pub cost: u64,
}

/// See the head of the file.
pub struct Check<'d> {
    demands: SmallVec<[(Demand<'d>, Standing); 1]>,
    items: SmallVec<[Item; 1]>,
}

/// A key of the store that a counter should be at holds something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotACounter;

/// The counters of a check, all of them locked.
pub trait Counters {
    /// The state of a counter; empty if there is none.
    ///
    /// # Errors
    /// If the key holds something else.
    fn state(&mut self, counter: &[u8]) -> Result<&[u8], NotACounter>;

    /// Keeps a state for a time; zero nanoseconds mean that it need not be kept.
    fn keep(&mut self, counter: &[u8], state: &[u8], kept_for: Nanos);

    /// Hears that the state which is kept says less than before, as after a refund.
    fn keep_less(&mut self, _counter: &[u8]) {}

    /// Looks that all of these are counters, so that what follows is done to all of them or to none.
    ///
    /// # Errors
    /// If one of the keys holds something else.
    fn check_kinds<'n>(&mut self, counters: impl IntoIterator<Item = &'n [u8]>) -> Result<(), NotACounter> {
        counters.into_iter().try_for_each(|counter| self.state(counter).map(drop))
    }

    /// Forgets all of these counters and returns how many there were.
    ///
    /// # Errors
    /// If one of the keys holds something else; nothing is forgotten then.
    fn forget(&mut self, counters: &[CounterName]) -> Result<usize, NotACounter> {
        self.check_kinds(counters.iter().map(|counter| counter.as_slice()))?;
        let mut forgotten = 0;
        for counter in counters {
            forgotten += usize::from(!self.state(counter)?.is_empty());
            self.keep(counter, &[], 0);
        }
        Ok(forgotten)
    }
}

/// What a check came to.
#[derive(Debug)]
pub struct Outcome {
    /// Whether it may be done.
    pub allowed: bool,
    /// The answer of each limit, in the order of [`Check::items`].
    pub answers: SmallVec<[Answer; 1]>,
}

/// What one limit answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Which demand it belongs to.
    pub demand: usize,
    /// Which limit of the demand's policy it is.
    pub part: usize,
    /// What it decided; a refusal by a policy that only counts does not refuse the check.
    pub decision: Decision,
}

/// What a check takes if it is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// What it asks for.
    Take,
    /// Nothing.
    Peek,
}

impl<'d> Check<'d> {
    /// Makes out a check.
    ///
    /// # Errors
    /// If a key is too long, or there are too many limits.
    pub fn new(
        demands: impl IntoIterator<Item = Demand<'d>>,
        lists: &Lists,
        now: Nanos,
    ) -> Result<Check<'d>, InvalidParameter> {
        let mut check = Check { demands: SmallVec::new(), items: SmallVec::new() };
        for demand in demands {
            check.add(demand, lists, now)?;
        }
        Ok(check)
    }

    fn add(&mut self, demand: Demand<'d>, lists: &Lists, now: Nanos) -> Result<(), InvalidParameter> {
        let (key, cost) = (demand.key, demand.cost);
        if key.len() > KEY_LENGTH_MAX {
            let (value, allowed) = (key.len().to_string(), format!("at most {KEY_LENGTH_MAX} bytes"));
            return Err(InvalidParameter { parameter: "the length of a key", value, allowed });
        }
        let index = self.demands.len();
        // Those that lists decide cost a look at each pattern.
        check_count(index + 1)?;
        let standing = lists.standing(key, demand.rule.policy(), now);
        self.demands.push((demand, standing));
        if standing != Standing::Limited {
            return Ok(());
        }
        match demand.rule {
            Rule::Policy(policy) => {
                let items = policy.limits_of(key);
                self.items.extend(items.map(|(part, limit, counter)| Item {
                    demand: index,
                    part,
                    limit,
                    counter,
                    cost,
                }));
            }
            Rule::Inline(limit) => {
                let counter = inline_counter(key);
                self.items.push(Item { demand: index, part: 0, limit, counter, cost });
            }
        }
        check_count(self.items.len())
    }

    /// What was asked, and whether a list decides it.
    pub fn demands(&self) -> &[(Demand<'d>, Standing)] {
        &self.demands
    }

    /// The limits that decide, demand after demand.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Decides, and takes if all agree.
    ///
    /// # Errors
    /// If a key that a counter should be at holds something else; nothing is taken then.
    pub fn decide(
        &self,
        counters: &mut impl Counters,
        mode: Mode,
        now: Nanos,
    ) -> Result<Outcome, NotACounter> {
        let mut changes = Changes(SmallVec::new());
        let mut outcome = Outcome { allowed: true, answers: SmallVec::new() };
        let mut next = 0;
        for (index, (demand, standing)) in self.demands.iter().enumerate() {
            let own = self.items[next..].iter().take_while(|item| item.demand == index).count();
            let items = next..next + own;
            next += own;
            let is_shadow = demand.rule.policy().is_some_and(Policy::is_shadow);
            let refuses = match standing {
                Standing::Limited => !self.decide_demand(items, counters, now, &mut changes, &mut outcome)?,
                Standing::Unlimited => false,
                Standing::Denied | Standing::Blocked { .. } => true,
            };
            // A block is an order of its own, whatever policy is asked.
            let lets_through = is_shadow && !matches!(standing, Standing::Blocked { .. });
            outcome.allowed &= !refuses || lets_through;
        }
        if mode == Mode::Take && outcome.allowed {
            for Change { item, state, kept_for } in &changes.0 {
                counters.keep(&self.items[*item].counter, state, *kept_for);
            }
            return Ok(outcome);
        }
        // Nothing is taken, so what each limit says is what it says by itself, to all that is asked of its counter so far.
        outcome.answers.clear();
        for (index, item) in self.items.iter().enumerate() {
            let asked = self.items[..=index].iter().filter(|other| other.counter == item.counter);
            let cost = asked.map(|other| other.cost).sum();
            adopt(counters, &item.limit, &item.counter, now)?;
            let decision = item.limit.peek(counters.state(&item.counter)?, cost, now);
            outcome.answers.push(Answer { demand: item.demand, part: item.part, decision });
        }
        Ok(outcome)
    }

    /// Decides one demand on top of the changes so far, which get its own if all of its limits agree.
    fn decide_demand(
        &self,
        items: std::ops::Range<usize>,
        counters: &mut impl Counters,
        now: Nanos,
        changes: &mut Changes,
        outcome: &mut Outcome,
    ) -> Result<bool, NotACounter> {
        let (changes_before, answers_before) = (changes.0.len(), outcome.answers.len());
        let mut agrees = true;
        for index in items.clone() {
            let item = &self.items[index];
            let mut state = StateBytes::new();
            let old = match changes.of(self, &item.counter) {
                Some(change) => &change.state,
                None => counters.state(&item.counter)?,
            };
            let decision = item.limit.take(old, item.cost, now, &mut state);
            if decision.allowed {
                changes.0.push(Change { item: index, state, kept_for: decision.reset_after });
            }
            agrees &= decision.allowed;
            outcome.answers.push(Answer { demand: item.demand, part: item.part, decision });
        }
        if !agrees {
            changes.0.truncate(changes_before);
            outcome.answers.truncate(answers_before);
            for index in items {
                let item = &self.items[index];
                let old = match changes.of(self, &item.counter) {
                    Some(change) => &change.state,
                    None => {
                        adopt(counters, &item.limit, &item.counter, now)?;
                        counters.state(&item.counter)?
                    }
                };
                let decision = item.limit.peek(old, item.cost, now);
                outcome.answers.push(Answer { demand: item.demand, part: item.part, decision });
            }
        }
        Ok(agrees)
    }

    /// Gives back what its limits were asked for, as far as it was taken at or before `taken_at` and still counts.
    ///
    /// # Errors
    /// If a key that a counter should be at holds something else; nothing is given back then.
    pub fn refund(
        &self,
        counters: &mut impl Counters,
        taken_at: Nanos,
        now: Nanos,
    ) -> Result<(), NotACounter> {
        counters.check_kinds(self.items.iter().map(|item| item.counter.as_slice()))?;
        for item in &self.items {
            let mut changed = StateBytes::new();
            let state = counters.state(&item.counter)?;
            if !state.is_empty() {
                let kept_for = item.limit.refund(state, item.cost, taken_at, now, &mut changed);
                counters.keep(&item.counter, &changed, kept_for);
                counters.keep_less(&item.counter);
            }
        }
        Ok(())
    }

    /// Counts what each policy decided; `thread` is the number of the one that asks.
    pub fn count(&self, outcome: &Outcome, thread: usize) {
        for (index, (demand, standing)) in self.demands.iter().enumerate() {
            let Some(policy) = demand.rule.policy() else { continue };
            let mut answers = outcome.answers.iter().filter(|answer| answer.demand == index);
            let verdict = match standing {
                Standing::Limited if answers.all(|answer| answer.decision.allowed) => Verdict::Allowed,
                Standing::Unlimited => Verdict::Allowed,
                Standing::Limited | Standing::Denied if policy.is_shadow() => Verdict::ShadowRefused,
                _ => Verdict::Refused,
            };
            policy.statistics.count(thread, verdict, demand.key);
        }
    }
}

/// The states that the counters of a check will have if all agree, the latest last.
struct Changes(SmallVec<[Change; 1]>);

struct Change {
    item: usize,
    state: StateBytes,
    kept_for: Nanos,
}

impl Changes {
    /// What an earlier limit of the check makes of the same counter.
    fn of(&self, check: &Check<'_>, counter: &[u8]) -> Option<&Change> {
        self.0.iter().rev().find(|change| *check.items[change.item].counter == *counter)
    }
}

/// Has a counter that was written under other parameters go on under those of `limit`.  What a client is told to wait for
/// is true only if its time runs from now on, so this is done before it is told, even if nothing is taken.
///
/// # Errors
/// If the key holds something else.
pub fn adopt(
    counters: &mut impl Counters,
    limit: &Limit,
    counter: &[u8],
    now: Nanos,
) -> Result<(), NotACounter> {
    let mut changed = StateBytes::new();
    if let Some(kept_for) = limit.adopt(counters.state(counter)?, now, &mut changed) {
        counters.keep(counter, &changed, kept_for);
        // It may say less than before.
        counters.keep_less(counter);
    }
    Ok(())
}

/// Refuses more limits, or checks, than one check may have.
fn check_count(count: usize) -> Result<(), InvalidParameter> {
    if count > CHECK_LIMITS_MAX {
        let (value, allowed) = (count.to_string(), format!("at most {CHECK_LIMITS_MAX}"));
        return Err(InvalidParameter { parameter: "the number of limits in one check", value, allowed });
    }
    Ok(())
}
