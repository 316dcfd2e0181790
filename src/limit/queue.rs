//! The admission queue: checks that wait until their limits allow them, in the order in which they came.
//!
//! A check that is refused may wait.  It is decided again as soon as its limits can allow it, and answered then, or refused
//! when its patience ends.  Of the waiters for a common counter only the first is decided.  A check that does not wait goes
//! before all waiters.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Limits;
use super::admission::{Report, Summary};
use super::algorithm::{InvalidParameter, Limit, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, checked_span};
use super::operation::{Demand, LimitError, Rule};
use super::plan::Plan;
use super::policies::Table;
use super::policy::{CounterName, Policy};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Mailbox, Ticket};

/// The most checks that can wait at a time.
pub const WAITERS_MAX: usize = 100_000;

/// The longest time to wait, an hour.
pub const PATIENCE_MAX: Nanos = 3_600 * NANOS_PER_SECOND;

/// How often the first waiter is decided again at least.  Its counters may be changed by a DEL, a FLUSHALL, a list or a
/// policy, or by a check at the very moment at which it began to wait, and none of these tells the queue.
const LOOK_INTERVAL: Nanos = NANOS_PER_SECOND;

/// Names a waiter; one that came later has a higher number.
pub type WaiterId = u64;

/// The answer to a check that waited.
pub struct QueuedAnswer {
    /// The answer.
    pub result: Result<Report<Box<str>>, LimitError>,
    check: Arc<QueuedCheck>,
}

/// A check that waits.
pub struct QueuedCheck {
    /// The database of its counters.
    pub database: usize,
    demands: Vec<QueuedDemand>,
}

/// A [`Demand`] that outlives the request.
struct QueuedDemand {
    rule: QueuedRule,
    key: Box<[u8]>,
    cost: u64,
}

enum QueuedRule {
    /// A policy, as it was when the check began to wait.
    Policy(Arc<Policy>),
    /// A limit that the request itself states.
    Inline(Limit),
}

impl QueuedCheck {
    /// The check that a plan was made for.
    pub(super) fn new(database: usize, plan: &Plan<'_>) -> QueuedCheck {
        let demands = plan.claims().iter().map(|claim| QueuedDemand {
            rule: match (claim.demand.rule, claim.policy) {
                (Rule::Inline(limit), _) => QueuedRule::Inline(limit),
                (Rule::Policy(_), policy) => {
                    QueuedRule::Policy(Arc::clone(policy.expect("a claim has the policy that it names")))
                }
            },
            key: claim.demand.key.into(),
            cost: claim.demand.cost,
        });
        QueuedCheck { database, demands: demands.collect() }
    }

    /// The plan for it by the current policies; policies that were removed meanwhile count as they were.
    ///
    /// # Errors
    /// If its policies have got too many limits.
    pub(super) fn plan<'p>(
        &'p self,
        limits: &Limits,
        policies: &'p Table,
        now: Nanos,
    ) -> Result<Plan<'p>, InvalidParameter> {
        let mut plan = Plan::new(now);
        for QueuedDemand { rule, key, cost } in &self.demands {
            let (rule, policy) = match rule {
                QueuedRule::Inline(limit) => (Rule::Inline(*limit), None),
                QueuedRule::Policy(policy) => {
                    let name = policy.name().as_bytes();
                    (Rule::Policy(name), Some(policies.get(name).unwrap_or(policy)))
                }
            };
            plan.add(Demand { rule, key, cost: *cost }, policy, limits)?;
        }
        Ok(plan)
    }

    fn asks(&self, name: &str) -> bool {
        let is_asked =
            |rule: &QueuedRule| matches!(rule, QueuedRule::Policy(policy) if policy.name() == name);
        self.demands.iter().any(|demand| is_asked(&demand.rule))
    }
}

/// A time to wait.
///
/// # Errors
/// If it is not allowed.
pub fn checked_patience(millis: i64) -> Result<Nanos, InvalidParameter> {
    let patience = checked_span("wait", millis).ok().filter(|span| *span <= PATIENCE_MAX);
    patience.ok_or_else(|| {
        let allowed = format!("0 to {} milliseconds (an hour)", PATIENCE_MAX / NANOS_PER_MILLI);
        InvalidParameter { parameter: "wait", value: millis.to_string(), allowed }
    })
}

/// See the head of the file.
#[derive(Default)]
pub struct AdmissionQueue {
    state: Mutex<State, { rank::ADMISSION_QUEUE }>,
    /// How many wait, to be seen without a lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct State {
    next: WaiterId,
    /// Checks that were admitted although their clients have gone.
    unclaimed: Vec<Arc<QueuedCheck>>,
    waiters: HashMap<WaiterId, Waiter>,
    /// When to decide which waiter again.
    schedule: BTreeSet<(Nanos, WaiterId)>,
    /// The waiters for each counter, in the order in which they came.
    by_counter: HashMap<(usize, CounterName), VecDeque<WaiterId>>,
}

struct Waiter {
    check: Arc<QueuedCheck>,
    mailbox: Arc<Mailbox<QueuedAnswer>>,
    counters: Vec<CounterName>,
    /// When to decide it again: when its limits may allow it once it is the first, or when its patience ends.
    look_at: Nanos,
    /// When its patience ends.
    until: Nanos,
}

/// A waiter that is to be decided again.
pub struct DueWaiter {
    /// The waiter.
    pub id: WaiterId,
    /// Its check.
    pub check: Arc<QueuedCheck>,
    /// Whether its patience ends now.
    pub is_last: bool,
}

/// After how long the first waiter is decided again.
fn look_after(retry_after: Option<Nanos>) -> Nanos {
    retry_after.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL)
}

impl AdmissionQueue {
    /// Lets a check wait whose plan has been decided for now: refused, or allowed but behind other waiters.  The ticket
    /// gets the answer, or has to be given to [`AdmissionQueue::leave`].
    ///
    /// # Errors
    /// If too many wait.
    pub(super) fn join(
        &self,
        plan: &Plan<'_>,
        database: usize,
        summary: &Summary<&str>,
        patience: Nanos,
        now: Nanos,
    ) -> Result<Ticket<QueuedAnswer>, InvalidParameter> {
        let mut state = self.state.lock();
        if state.waiters.len() >= WAITERS_MAX {
            let (value, allowed) = (state.waiters.len().to_string(), format!("less than {WAITERS_MAX}"));
            return Err(InvalidParameter { parameter: "the number of waiting checks", value, allowed });
        }
        let id = state.next;
        state.next += 1;
        let mut counters: Vec<CounterName> = plan.items().iter().map(|item| item.counter.clone()).collect();
        counters.sort_unstable();
        counters.dedup();
        for counter in &counters {
            state.by_counter.entry((database, counter.clone())).or_default().push_back(id);
        }
        let (ticket, check) = (Ticket::new(id), Arc::new(QueuedCheck::new(database, plan)));
        let (mailbox, until) = (Arc::clone(ticket.mailbox()), now + patience.min(PATIENCE_MAX));
        state.waiters.insert(id, Waiter { check, mailbox, counters, look_at: until, until });
        state.schedule.insert((until, id));
        if state.is_first(id) {
            // A check that is refused only because of earlier waiters may be allowed as soon as they have gone.
            let retry_after = if summary.allowed { Some(0) } else { summary.retry_after };
            state.look_at(id, now + look_after(retry_after));
        }
        self.count.store(state.waiters.len(), Relaxed);
        Ok(ticket)
    }

    /// Whether a check waits for one of these counters.  Another that would wait too does not go before it.
    pub(super) fn has_waiters<'c>(
        &self,
        database: usize,
        mut counters: impl Iterator<Item = &'c [u8]>,
    ) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let state = self.state.lock();
        counters.any(|counter| state.by_counter.contains_key(&(database, CounterName::from_slice(counter))))
    }

    /// Has the first waiter for a counter decided soon, since more can be had than was known.  True if there is a waiter.
    pub(super) fn wake(&self, database: usize, counter: &[u8]) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let state = &mut *self.state.lock();
        let first = state.by_counter.get(&(database, CounterName::from_slice(counter)));
        let Some(&id) = first.and_then(VecDeque::front) else { return false };
        if state.is_first(id) {
            state.look_at(id, 0);
        }
        true
    }

    /// The first waiter that is to be decided again by now.
    pub fn due(&self, now: Nanos) -> Option<DueWaiter> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let state = self.state.lock();
        let (_, id) = *state.schedule.first().filter(|(look_at, _)| *look_at <= now)?;
        let waiter = &state.waiters[&id];
        Some(DueWaiter { id, check: Arc::clone(&waiter.check), is_last: waiter.until <= now })
    }

    /// Answers a waiter, and has the waiters behind it decided soon.  False if its client has gone: the costs that it took
    /// have to be given back.
    pub(super) fn answer(&self, id: WaiterId, result: Result<Report<Box<str>>, LimitError>) -> bool {
        self.remove(id).is_some_and(|waiter| {
            let Waiter { mailbox, check, .. } = waiter;
            mailbox.put(QueuedAnswer { result, check }).is_ok()
        })
    }

    /// Lets a waiter wait on that was refused again.
    pub(super) fn postpone(&self, id: WaiterId, retry_after: Option<Nanos>, now: Nanos) {
        self.state.lock().look_at(id, now + look_after(retry_after));
    }

    /// Ends a wait.  If its check was admitted meanwhile, [`AdmissionQueue::take_unclaimed`] says so.
    pub fn leave(&self, ticket: &Ticket<QueuedAnswer>) {
        self.remove(ticket.id());
        if let Some(QueuedAnswer { result: Ok(report), check }) = ticket.close()
            && report.summary.allowed
        {
            self.state.lock().unclaimed.push(check);
        }
    }

    /// Takes a check that was admitted although its client has gone: its costs are to be given back.
    pub fn take_unclaimed(&self) -> Option<Arc<QueuedCheck>> {
        self.state.lock().unclaimed.pop()
    }

    /// Leaves it to be taken again: its counters are held for long.
    pub fn put_unclaimed(&self, check: Arc<QueuedCheck>) {
        self.state.lock().unclaimed.push(check);
    }

    /// When the next waiter is to be decided again.
    pub fn next_due(&self) -> Option<Nanos> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        self.state.lock().schedule.first().map(|(look_at, _)| *look_at)
    }

    /// How many checks wait.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// How many checks wait for the policy of this name, perhaps among others.
    pub fn count_for(&self, policy: &str) -> usize {
        if self.count.load(Relaxed) == 0 {
            return 0;
        }
        self.state.lock().waiters.values().filter(|waiter| waiter.check.asks(policy)).count()
    }

    fn remove(&self, id: WaiterId) -> Option<Waiter> {
        let state = &mut *self.state.lock();
        let waiter = state.waiters.remove(&id)?;
        state.schedule.remove(&(waiter.look_at, id));
        for counter in &waiter.counters {
            let counter = (waiter.check.database, counter.clone());
            let Some(queue) = state.by_counter.get_mut(&counter) else { continue };
            queue.retain(|other| *other != id);
            match queue.front().copied() {
                // How much is left for the next waiter is not known before it is decided.
                Some(next) if state.is_first(next) => state.look_at(next, 0),
                Some(_) => {}
                None => drop(state.by_counter.remove(&counter)),
            }
        }
        self.count.store(state.waiters.len(), Relaxed);
        Some(waiter)
    }
}

impl State {
    /// Whether a waiter is the first one for all of its counters.
    fn is_first(&self, id: WaiterId) -> bool {
        let waiter = &self.waiters[&id];
        waiter.counters.iter().all(|counter| {
            let queue = self.by_counter.get(&(waiter.check.database, counter.clone()));
            queue.is_some_and(|queue| queue.front() == Some(&id))
        })
    }

    /// Has a waiter decided at this time, or when its patience ends.
    fn look_at(&mut self, id: WaiterId, timestamp: Nanos) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        self.schedule.remove(&(waiter.look_at, id));
        waiter.look_at = timestamp.min(waiter.until);
        self.schedule.insert((waiter.look_at, id));
    }
}
