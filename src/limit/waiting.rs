//! Who waits to be admitted, in the order in which they came.
//!
//! A check that is refused may wait: it is decided again as soon as its limits can agree, and answered then, or refused when
//! its patience ends.  Of those that wait for a common counter only the first is decided; a check that does not
//! wait is decided at once, whoever waits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::algorithm::{
    Decision, InvalidParameter, Limit, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, checked_span,
};
use super::check::{Check, Demand, NotACounter, Outcome, Rule};
use super::lists::Standing;
use super::policies::Table;
use super::policy::{CounterName, Policy};
use super::summary::{LimitAnswer, Summary};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Mailbox, Ticket};

/// The most that can wait at a time.
pub const WAITERS_MAX: usize = 100_000;

/// The longest time to wait, an hour.
pub const PATIENCE_MAX: Nanos = 3_600 * NANOS_PER_SECOND;

/// How often who is first is decided again at least: what changes its counters may be no check, but a DEL, a FLUSHALL, a
/// list or a policy, or a check of that very moment at which it began to wait.
const LOOK_INTERVAL: Nanos = NANOS_PER_SECOND;

/// Names a waiter; one that came later has a higher number.
pub type WaiterId = u64;

/// The answer to a check that waited.
pub struct Answer {
    /// What the check came to.
    pub result: Result<Admission, Undecided>,
    /// What was asked.
    request: Arc<Request>,
}

/// What one who waits is told in the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Whether it may be done.
    pub allowed: bool,
    /// See [`Summary::name`].
    pub name: Option<Box<str>>,
    /// See [`Summary::decision`].
    pub decision: Option<Decision>,
    /// See [`Summary::retry_after`].
    pub retry_after: Option<Nanos>,
    /// See [`Summary::is_shadow`].
    pub is_shadow: bool,
    /// See [`Check::limit_answers`].
    pub limits: Vec<LimitAnswer<Box<str>>>,
}

/// Why a check that waited could not be decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undecided {
    /// By then one of its counters was no counter any more.
    NotACounter(NotACounter),
    /// By then its policies made too much of it.
    Invalid(InvalidParameter),
}

impl From<Summary<'_>> for Admission {
    fn from(summary: Summary<'_>) -> Admission {
        let Summary { allowed, name, decision, retry_after, is_shadow } = summary;
        let name = name.map(Box::from);
        Admission { allowed, name, decision, retry_after, is_shadow, limits: Vec::new() }
    }
}

impl Admission {
    /// What a check came to.
    pub fn new(check: &Check<'_>, outcome: &Outcome) -> Admission {
        let kept = |answer: LimitAnswer<&str>| {
            let LimitAnswer { name, demand, limit, decision, refuses } = answer;
            LimitAnswer { name: name.into(), demand, limit, decision, refuses }
        };
        let limits = check.limit_answers(outcome).map(kept).collect();
        Admission { limits, ..Admission::from(check.summary(outcome)) }
    }

    /// As a summary.
    pub fn summary(&self) -> Summary<'_> {
        let Admission { allowed, ref name, decision, retry_after, is_shadow, .. } = *self;
        Summary { allowed, name: name.as_deref(), decision, retry_after, is_shadow }
    }
}

/// What one who waits has asked.
pub struct Request {
    /// The database of its counters.
    pub database: usize,
    /// What is asked.
    pub demands: Vec<OwnedDemand>,
}

/// A [`Demand`] that outlives the request.
pub struct OwnedDemand {
    /// By what it is decided.
    pub rule: OwnedRule,
    /// For whom.
    pub key: Box<[u8]>,
    /// How much is wanted.
    pub cost: u64,
}

/// A [`Rule`] that outlives the request.
pub enum OwnedRule {
    /// A policy, as it was when the waiting began.
    Policy(Arc<Policy>),
    /// A limit that the request itself states.
    Inline(Limit),
}

impl Request {
    /// What was asked, kept; policies are looked up in the table they came from.
    pub fn new(database: usize, demands: &[(Demand<'_>, Standing)], table: &Table) -> Request {
        let owned = demands.iter().map(|(demand, _)| OwnedDemand {
            rule: match demand.rule {
                Rule::Policy(policy) => OwnedRule::Policy(Arc::clone(&table[policy.name().as_bytes()])),
                Rule::Inline(limit) => OwnedRule::Inline(limit),
            },
            key: demand.key.into(),
            cost: demand.cost,
        });
        Request { database, demands: owned.collect() }
    }

    /// What is asked, to be decided by the policies of `table`, and by those that it has no more as they were.
    pub fn demands<'d>(&'d self, table: &'d Table) -> impl Iterator<Item = Demand<'d>> {
        self.demands.iter().map(|demand| Demand {
            rule: match &demand.rule {
                OwnedRule::Policy(policy) => {
                    Rule::Policy(table.get(policy.name().as_bytes()).unwrap_or(policy))
                }
                OwnedRule::Inline(limit) => Rule::Inline(*limit),
            },
            key: &demand.key,
            cost: demand.cost,
        })
    }
}

/// A time to wait.
///
/// # Errors
/// What is allowed.
pub fn checked_patience(millis: i64) -> Result<Nanos, InvalidParameter> {
    let patience = checked_span("wait", millis).ok().filter(|span| *span <= PATIENCE_MAX);
    patience.ok_or_else(|| {
        let allowed = format!("0 to {} milliseconds (an hour)", PATIENCE_MAX / NANOS_PER_MILLI);
        InvalidParameter { parameter: "wait", value: millis.to_string(), allowed }
    })
}

/// See the head of the file.
#[derive(Default)]
pub struct Waiting {
    queues: Mutex<Queues, { rank::LIMIT_WAITING }>,
    /// How many wait, so that others can see without a lock that nobody does.
    count: AtomicUsize,
}

#[derive(Default)]
struct Queues {
    next: WaiterId,
    /// What was granted to clients who went away before they heard of it.
    unheard: Vec<Arc<Request>>,
    waiters: HashMap<WaiterId, Waiter>,
    /// When to look at whom.
    schedule: BTreeSet<(Nanos, WaiterId)>,
    /// Who waits for a counter, in the order of their tickets.
    by_counter: HashMap<(usize, CounterName), VecDeque<WaiterId>>,
}

struct Waiter {
    mailbox: Arc<Mailbox<Answer>>,
    request: Arc<Request>,
    counters: Vec<CounterName>,
    /// When to look at it: when its limits may agree once it is the first, and when its patience ends before that.
    look_at: Nanos,
    /// When to give up.
    until: Nanos,
}

/// One whose turn it is to be decided again.
pub struct Turn {
    /// Who.
    pub id: WaiterId,
    /// What was asked.
    pub request: Arc<Request>,
    /// Whether it is the last time.
    pub is_last: bool,
}

/// When who is first is decided again.
fn look_after(retry_after: Option<Nanos>) -> Nanos {
    retry_after.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL)
}

impl Waiting {
    /// Lets a check that was refused wait.  It is decided again after `retry_after`, and now and then before.  The ticket
    /// gets its answer, or has to be given to [`Waiting::leave`].
    ///
    /// # Errors
    /// If too many wait.
    pub fn join(
        &self,
        request: Request,
        check: &Check<'_>,
        retry_after: Option<Nanos>,
        patience: Nanos,
        now: Nanos,
    ) -> Result<Ticket<Answer>, InvalidParameter> {
        let mut queues = self.queues.lock();
        if queues.waiters.len() >= WAITERS_MAX {
            let (value, allowed) = (queues.waiters.len().to_string(), format!("less than {WAITERS_MAX}"));
            return Err(InvalidParameter { parameter: "the number of those who wait", value, allowed });
        }
        let id = queues.next;
        queues.next += 1;
        let mut counters: Vec<CounterName> = check.items().iter().map(|item| item.counter.clone()).collect();
        counters.sort_unstable();
        counters.dedup();
        for counter in &counters {
            queues.by_counter.entry((request.database, counter.clone())).or_default().push_back(id);
        }
        let ticket = Ticket::new(id);
        let until = now + patience.min(PATIENCE_MAX);
        let waiter = Waiter {
            mailbox: Arc::clone(ticket.mailbox()),
            request: Arc::new(request),
            counters,
            look_at: until,
            until,
        };
        queues.waiters.insert(id, waiter);
        queues.schedule.insert((until, id));
        if queues.is_first(id) {
            queues.look_at(id, now + look_after(retry_after));
        }
        self.count.store(queues.waiters.len(), Relaxed);
        Ok(ticket)
    }

    /// Whether anybody waits for one of these counters: then who would wait too does not go before them.
    pub fn is_waited_for<'c>(&self, database: usize, mut counters: impl Iterator<Item = &'c [u8]>) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let queues = self.queues.lock();
        counters.any(|counter| queues.by_counter.contains_key(&(database, CounterName::from_slice(counter))))
    }

    /// Has those who wait for a counter be decided soon, since more can be had than was known.  True if anybody does.
    pub fn wake(&self, database: usize, counter: &[u8]) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let queues = &mut *self.queues.lock();
        let first = queues.by_counter.get(&(database, CounterName::from_slice(counter)));
        let Some(&id) = first.and_then(VecDeque::front) else { return false };
        if queues.is_first(id) {
            queues.look_at(id, 0);
        }
        true
    }

    /// The first one whose turn it is.
    pub fn turn(&self, now: Nanos) -> Option<Turn> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let queues = self.queues.lock();
        let (_, id) = *queues.schedule.first().filter(|(look_at, _)| *look_at <= now)?;
        let waiter = &queues.waiters[&id];
        Some(Turn { id, request: Arc::clone(&waiter.request), is_last: waiter.until <= now })
    }

    /// Answers one who waits, and lets those behind have their turn.  False if nobody hears the answer any more: what it
    /// took has to be given back.
    pub fn answer(&self, id: WaiterId, result: Result<Admission, Undecided>) -> bool {
        self.remove(id).is_some_and(|waiter| {
            let Waiter { mailbox, request, .. } = waiter;
            mailbox.put(Answer { result, request }).is_ok()
        })
    }

    /// Has one who was refused again wait on.
    pub fn wait_on(&self, id: WaiterId, retry_after: Option<Nanos>, now: Nanos) {
        self.queues.lock().look_at(id, now + look_after(retry_after));
    }

    /// Ends a wait.  What was granted to it meanwhile is to be given back, see [`Waiting::next_unheard`].
    pub fn leave(&self, ticket: &Ticket<Answer>) {
        self.remove(ticket.id());
        if let Some(Answer { result: Ok(admission), request }) = ticket.close()
            && admission.allowed
        {
            self.queues.lock().unheard.push(request);
        }
    }

    /// What was granted to a client who went away before it heard of it.
    pub fn next_unheard(&self) -> Option<Arc<Request>> {
        self.queues.lock().unheard.pop()
    }

    /// When somebody's turn comes next.
    pub fn next_turn(&self) -> Option<Nanos> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        self.queues.lock().schedule.first().map(|(look_at, _)| *look_at)
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// How many wait for the policy of this name, among others.
    pub fn count_for(&self, policy: &str) -> usize {
        if self.count.load(Relaxed) == 0 {
            return 0;
        }
        let asks = |waiter: &&Waiter| {
            let mut demands = waiter.request.demands.iter();
            demands.any(|demand| matches!(&demand.rule, OwnedRule::Policy(asked) if asked.name() == policy))
        };
        self.queues.lock().waiters.values().filter(asks).count()
    }

    fn remove(&self, id: WaiterId) -> Option<Waiter> {
        let queues = &mut *self.queues.lock();
        let waiter = queues.waiters.remove(&id)?;
        queues.schedule.remove(&(waiter.look_at, id));
        for counter in &waiter.counters {
            let place = (waiter.request.database, counter.clone());
            let Some(queue) = queues.by_counter.get_mut(&place) else { continue };
            queue.retain(|other| *other != id);
            match queue.front().copied() {
                // What is left for the next one is not known before it is decided.
                Some(next) if queues.is_first(next) => queues.look_at(next, 0),
                Some(_) => {}
                None => drop(queues.by_counter.remove(&place)),
            }
        }
        self.count.store(queues.waiters.len(), Relaxed);
        Some(waiter)
    }
}

impl Queues {
    /// Whether nobody came before for any of the counters.
    fn is_first(&self, id: WaiterId) -> bool {
        let waiter = &self.waiters[&id];
        waiter.counters.iter().all(|counter| {
            let queue = self.by_counter.get(&(waiter.request.database, counter.clone()));
            queue.is_some_and(|queue| queue.front() == Some(&id))
        })
    }

    /// Has one who waits looked at then, or when its patience ends.
    fn look_at(&mut self, id: WaiterId, timestamp: Nanos) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        self.schedule.remove(&(waiter.look_at, id));
        waiter.look_at = timestamp.min(waiter.until);
        self.schedule.insert((waiter.look_at, id));
    }
}
