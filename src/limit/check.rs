//! One check of any number of limits, all or nothing: what is refused anywhere is taken nowhere.
//!
//! A check is made out first, so that the caller can lock all counters it touches, and then decided in one
//! step under those locks.

use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::Limits;
use super::algorithm::{Decision, InvalidParameter, Limit, Nanos, StateBytes};
use super::lists::Standing;
use super::policy::{CounterName, Policy, checked_key, inline_counter};
use super::room::Instead;
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
    /// Present if there is no room for new counters: where it is counted if it has none.
    pub instead: Option<Instead>,
}

/// Where an item is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'c> {
    /// In its own counter.
    Own(&'c CounterName),
    /// In the counter that all keys without one share.
    Shared(&'c CounterName),
    /// Nowhere; it is let through.
    Allowed,
    /// Nowhere; it is refused.
    Refused,
}

impl<'c> Place<'c> {
    /// The counter, if there is one.
    pub fn counter(self) -> Option<&'c CounterName> {
        match self {
            Place::Own(counter) | Place::Shared(counter) => Some(counter),
            Place::Allowed | Place::Refused => None,
        }
    }
}

/// The places of all items of a check.
type Places<'c> = SmallVec<[Place<'c>; 1]>;

/// See the head of the file.
pub struct Check<'d> {
    demands: SmallVec<[(Demand<'d>, Standing); 1]>,
    items: SmallVec<[Item; 1]>,
    made_at: Nanos,
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
    /// Where it was counted.
    pub counted: Counted,
}

/// Where an answer was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// In the counter that the key has.
    Own,
    /// In a counter that the key got by it, if it was allowed.
    New,
    /// As the policy says of keys for whose counters there is no room.
    InPlace,
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
    /// If a key is empty or too long, or there are too many limits.
    pub fn new(
        demands: impl IntoIterator<Item = Demand<'d>>,
        limits: &Limits,
        now: Nanos,
    ) -> Result<Check<'d>, InvalidParameter> {
        let mut check = Check { demands: SmallVec::new(), items: SmallVec::new(), made_at: now };
        for demand in demands {
            check.add(demand, limits, now)?;
        }
        Ok(check)
    }

    fn add(&mut self, demand: Demand<'d>, limits: &Limits, now: Nanos) -> Result<(), InvalidParameter> {
        let (key, cost) = (checked_key(demand.key)?, demand.cost);
        let index = self.demands.len();
        // Those that lists decide cost a look at each pattern.
        check_count(index + 1)?;
        let standing = limits.lists.standing(key, demand.rule.policy(), now);
        self.demands.push((demand, standing));
        if standing != Standing::Limited {
            return Ok(());
        }
        match demand.rule {
            Rule::Policy(policy) => {
                let is_full = limits.room.is_full() || policy.is_full();
                let items = policy.limits_of(key);
                self.items.extend(items.map(|(part, limit, counter)| Item {
                    demand: index,
                    part,
                    limit: limit.at(now, || limits.wall_offset.load(Relaxed)),
                    counter,
                    cost,
                    instead: if is_full { policy.instead(part) } else { None },
                }));
            }
            Rule::Inline(limit) => {
                let counter = inline_counter(key);
                let instead = limits.room.is_full().then_some(Instead::Refused);
                self.items.push(Item { demand: index, part: 0, limit, counter, cost, instead });
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

    /// The counters that have to be locked to decide it.
    pub fn counters(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.items.iter().flat_map(|item| {
            let shared = match &item.instead {
                Some(Instead::Shared(counter)) => Some(&**counter),
                _ => None,
            };
            std::iter::once(&*item.counter).chain(shared)
        })
    }

    /// Where each item is counted.
    fn places(&self, counters: &mut impl Counters) -> Result<Places<'_>, NotACounter> {
        let mut places = Places::new();
        for item in &self.items {
            let is_known = item.instead.is_none() || !counters.state(&item.counter)?.is_empty();
            places.push(match &item.instead {
                Some(Instead::Shared(counter)) if !is_known => Place::Shared(counter),
                Some(Instead::Allowed) if !is_known => Place::Allowed,
                Some(Instead::Refused) if !is_known => Place::Refused,
                _ => Place::Own(&item.counter),
            });
        }
        Ok(places)
    }

    /// Whether a limit that the request states itself was refused because there is no room for its counter.
    pub fn lacks_room(&self, outcome: &Outcome) -> bool {
        let is_inline = |answer: &Answer| self.demands[answer.demand].0.rule.policy().is_none();
        outcome.answers.iter().any(|answer| answer.counted == Counted::InPlace && is_inline(answer))
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
        let places = self.places(counters)?;
        let mut changes = Changes(SmallVec::new());
        let mut outcome = Outcome { allowed: true, answers: SmallVec::new() };
        let mut next = 0;
        for (index, (demand, standing)) in self.demands.iter().enumerate() {
            let own = self.items[next..].iter().take_while(|item| item.demand == index).count();
            let items = next..next + own;
            next += own;
            let is_shadow = demand.rule.policy().is_some_and(Policy::is_shadow);
            let refuses = match standing {
                Standing::Limited => {
                    let own = (items, &*places);
                    !self.decide_demand(own, counters, now, &mut changes, &mut outcome)?
                }
                Standing::Unlimited => false,
                Standing::Denied | Standing::Blocked { .. } => true,
            };
            // A block is an order of its own, whatever policy is asked.
            let lets_through = is_shadow && !matches!(standing, Standing::Blocked { .. });
            outcome.allowed &= !refuses || lets_through;
        }
        if mode == Mode::Take && outcome.allowed {
            for Change { counter, state, kept_for } in &changes.0 {
                counters.keep(counter, state, *kept_for);
            }
            return Ok(outcome);
        }
        // Nothing is taken, so what each limit says is what it says by itself, to all that is asked of its counter so far.
        outcome.answers.clear();
        for (index, (item, place)) in self.items.iter().zip(&places).enumerate() {
            let same = |(_, other): &(&Item, &Place<'_>)| other.counter() == place.counter();
            let asked = self.items.iter().zip(&places).take(index + 1).filter(same);
            let cost = asked.map(|(other, _)| other.cost).sum();
            outcome.answers.push(self.look(item, *place, cost, &Changes::NONE, counters, now)?);
        }
        Ok(outcome)
    }

    /// Takes as much as all limits have left, but no more than is asked for: of all demands the same, the cost of the first.
    /// That is then what the check asks for; if nothing is left it asks for one, and is refused.
    ///
    /// # Errors
    /// As [`Check::decide`].
    pub fn decide_up_to(&mut self, counters: &mut impl Counters, now: Nanos) -> Result<Outcome, NotACounter> {
        let asked = self.demands.first().map_or(0, |(demand, _)| demand.cost);
        let cost = self.left(counters, now)?.max(1).min(asked);
        self.ask_for(cost);
        self.decide(counters, Mode::Take, now)
    }

    /// Has each demand ask for `cost` from now on; for nothing, and it tells what is left.  The counters stay those that were
    /// locked; a check that is made out anew may need others.
    pub fn ask_for(&mut self, cost: u64) {
        self.demands.iter_mut().for_each(|(demand, _)| demand.cost = cost);
        self.items.iter_mut().for_each(|item| item.cost = cost);
    }

    /// Whether all demands have the same cost.
    pub fn has_one_cost(&self) -> bool {
        self.demands.windows(2).all(|pair| pair[0].0.cost == pair[1].0.cost)
    }

    /// The highest cost that all demands may have together.
    fn left(&self, counters: &mut impl Counters, now: Nanos) -> Result<u64, NotACounter> {
        let places = self.places(counters)?;
        let mut left = u64::MAX;
        for (item, place) in self.items.iter().zip(&places) {
            let is_shadow = self.demands[item.demand].0.rule.policy().is_some_and(Policy::is_shadow);
            if is_shadow || *place == Place::Allowed {
                continue;
            }
            let sharing = places.iter().filter(|other| other.counter() == place.counter()).count() as u64;
            let decision = self.look(item, *place, 0, &Changes::NONE, counters, now)?.decision;
            left = left.min(if *place == Place::Refused { 0 } else { decision.remaining / sharing });
        }
        Ok(left)
    }

    /// How much of each demand an outcome took.
    pub fn taken(&self, outcome: &Outcome) -> u64 {
        self.demands.first().filter(|_| outcome.allowed).map_or(0, |(demand, _)| demand.cost)
    }

    /// Decides one demand on top of the changes so far, which get its own if all of its limits agree.
    fn decide_demand<'c>(
        &'c self,
        (items, places): (std::ops::Range<usize>, &[Place<'c>]),
        counters: &mut impl Counters,
        now: Nanos,
        changes: &mut Changes<'c>,
        outcome: &mut Outcome,
    ) -> Result<bool, NotACounter> {
        let (changes_before, answers_before) = (changes.0.len(), outcome.answers.len());
        let mut agrees = true;
        for index in items.clone() {
            let (item, place) = (&self.items[index], places[index]);
            let answer = match place.counter() {
                Some(counter) => {
                    let old = changes.state(counter, counters)?;
                    let is_new = old.is_empty();
                    let mut state = StateBytes::new();
                    let decision = item.limit.take(old, item.cost, now, &mut state);
                    if decision.allowed {
                        changes.0.push(Change { counter, state, kept_for: decision.reset_after });
                    }
                    item.answer(place, is_new, decision)
                }
                None => self.look(item, place, item.cost, changes, counters, now)?,
            };
            agrees &= answer.decision.allowed;
            outcome.answers.push(answer);
        }
        if !agrees {
            changes.0.truncate(changes_before);
            outcome.answers.truncate(answers_before);
            for index in items {
                let (item, place) = (&self.items[index], places[index]);
                outcome.answers.push(self.look(item, place, item.cost, changes, counters, now)?);
            }
        }
        Ok(agrees)
    }

    /// What a limit says by itself on top of the changes so far.
    fn look(
        &self,
        item: &Item,
        place: Place<'_>,
        cost: u64,
        changes: &Changes<'_>,
        counters: &mut impl Counters,
        now: Nanos,
    ) -> Result<Answer, NotACounter> {
        let decision = match place.counter() {
            Some(counter) => {
                let is_changed = changes.has(counter);
                let state = changes.state(counter, counters)?;
                let mut adopted = StateBytes::new();
                match item.limit.adopt(state, now, &mut adopted) {
                    Some(kept_for) if !is_changed => {
                        keep_adopted(counters, counter, &adopted, kept_for);
                        item.limit.peek(&adopted, cost, now)
                    }
                    _ => item.limit.peek(state, cost, now),
                }
            }
            None => item.limit.peek(&[], cost, now),
        };
        let window = item.limit.window();
        Ok(match place {
            Place::Refused if cost > 0 => {
                let refused = Decision {
                    allowed: false,
                    remaining: 0,
                    retry_after: Some(window),
                    reset_after: window,
                    delay: 0,
                    ..decision
                };
                item.answer(place, false, refused)
            }
            _ => item.answer(place, false, decision),
        })
    }

    /// Gives back what its limits were asked for, as far as it was taken at or before `taken_at` and still counts: a key
    /// without a counter of its own to the counter that it shares.
    ///
    /// # Errors
    /// If a key that a counter should be at holds something else; nothing is given back then.
    pub fn refund(
        &self,
        counters: &mut impl Counters,
        taken_at: Nanos,
        now: Nanos,
    ) -> Result<(), NotACounter> {
        let places = self.places(counters)?;
        let places = self.items.iter().zip(places);
        let places: SmallVec<[_; 1]> =
            places.filter_map(|(item, place)| Some((item, place.counter()?))).collect();
        counters.check_kinds(places.iter().map(|(_, counter)| counter.as_slice()))?;
        for (item, counter) in places {
            let mut changed = StateBytes::new();
            let state = counters.state(counter)?;
            if !state.is_empty() {
                let kept_for = item.limit.refund(state, item.cost, taken_at, now, &mut changed);
                counters.keep(counter, &changed, kept_for);
                counters.keep_less(counter);
            }
        }
        Ok(())
    }

    /// Counts what each policy decided and whose counter was made, and blocks keys that were refused too often; `thread` is
    /// the number of the one that asks.
    pub fn count(&self, outcome: &Outcome, thread: usize, limits: &Limits) {
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
            if verdict == Verdict::Refused && *standing == Standing::Limited && policy.blocks() {
                limits.lists.block_repeater(policy, demand.key, self.made_at);
            }
            for answer in outcome.answers.iter().filter(|answer| answer.demand == index) {
                match answer.counted {
                    Counted::New if answer.part == policy.counted_part() => {
                        policy.statistics.count_key(thread)
                    }
                    Counted::InPlace => policy.statistics.count_without_room(thread),
                    Counted::Own | Counted::New => {}
                }
            }
        }
    }
}

/// The states that the counters of a check will have if all agree, the latest last.
struct Changes<'c>(SmallVec<[Change<'c>; 1]>);

struct Change<'c> {
    counter: &'c CounterName,
    state: StateBytes,
    kept_for: Nanos,
}

impl Changes<'_> {
    const NONE: Changes<'static> = Changes(SmallVec::new_const());

    /// Whether an earlier limit of the check changes the counter.
    fn has(&self, counter: &CounterName) -> bool {
        self.0.iter().any(|change| change.counter == counter)
    }

    /// The state of a counter after what earlier limits of the check make of it.
    fn state<'s>(
        &'s self,
        counter: &CounterName,
        counters: &'s mut impl Counters,
    ) -> Result<&'s [u8], NotACounter> {
        match self.0.iter().rev().find(|change| change.counter == counter) {
            Some(change) => Ok(&change.state),
            None => counters.state(counter),
        }
    }
}

impl Item {
    /// The counter that an answer is of; none if it was counted nowhere.
    pub fn counted_at(&self, answer: &Answer) -> Option<&CounterName> {
        match (answer.counted, &self.instead) {
            (Counted::InPlace, Some(Instead::Shared(counter))) => Some(counter),
            (Counted::InPlace, _) => None,
            (Counted::Own | Counted::New, _) => Some(&self.counter),
        }
    }

    fn answer(&self, place: Place<'_>, is_new: bool, decision: Decision) -> Answer {
        let counted = match place {
            Place::Own(_) if is_new => Counted::New,
            Place::Own(_) => Counted::Own,
            Place::Shared(_) | Place::Allowed | Place::Refused => Counted::InPlace,
        };
        Answer { demand: self.demand, part: self.part, decision, counted }
    }
}

/// Keeps the state that a limit made of one that was written under other parameters.  What a client is told to wait for is
/// true only if its time runs from now on, so this is done before it is told, even if nothing is taken.
pub fn keep_adopted(counters: &mut impl Counters, counter: &[u8], state: &[u8], kept_for: Nanos) {
    counters.keep(counter, state, kept_for);
    // It may say less than before.
    counters.keep_less(counter);
}

/// Refuses more limits, or checks, than one check may have.
fn check_count(count: usize) -> Result<(), InvalidParameter> {
    if count > CHECK_LIMITS_MAX {
        let (value, allowed) = (count.to_string(), format!("at most {CHECK_LIMITS_MAX}"));
        return Err(InvalidParameter { parameter: "the number of limits in one check", value, allowed });
    }
    Ok(())
}
