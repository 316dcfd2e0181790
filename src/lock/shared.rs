//! The table of locks as threads share it: behind one mutex, with a mailbox for each waiting request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use foldhash::fast::RandomState;

use super::counts::Counts;
use super::deadlock::Deadlock;
use super::durability::Durability;
use super::grant::Grant;
use super::identifiers::WaiterId;
use super::model::events::Events;
use super::notice::Notice;
use super::operation::{Disconnect, Withdraw};
use super::outcome::{Acquired, Outcome};
use super::persistence::Persistence;
use super::refused::Refused;
use super::report::Totals;
use super::scheduler::Core;
use crate::clock::Now;
use crate::delivery::Effects;
use crate::journal::keeper::{JournalHandle, ServiceJournal};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Barrier, Mailbox, Ticket};

/// The answer to a request that waited.
#[derive(Clone)]
pub struct Answer {
    /// How the wait ended.
    pub outcome: Outcome,
    /// The records that have to be on the disk before the reply.
    pub barrier: Option<Barrier>,
}

/// The immediate outcome of a request for resources: [`Acquired`], with a ticket for a wait.
pub enum Asked {
    /// It was granted.
    Granted(Grant),
    /// It cannot be granted now, and does not wait.
    Busy,
    /// It waits.  The ticket has to be given to [`Locks::cancel`] if it is not polled until the answer comes.
    Waiting(Ticket<Answer>),
    /// Waiting would close a circle.
    Deadlock(Deadlock),
}

/// An operation of the locks.  Its values are in [`operation`](super::operation).
pub trait LockOperation {
    /// Its answer.
    type Answer;

    /// Runs it on the table.
    fn run(&self, table: &mut Table<'_>) -> Self::Answer;
}

/// The table while an operation runs: no other thread sees it meanwhile.
pub struct Table<'t> {
    state: &'t mut State,
    now: Now,
}

impl Table<'_> {
    /// The scheduler with its model.
    pub fn core(&self) -> &Core {
        &self.state.core
    }

    /// The parts that a method of [`Core`] takes, with the time in microseconds.
    pub fn parts(&mut self) -> (&mut Core, u64, &mut Events) {
        (&mut self.state.core, self.now.micros(), &mut self.state.events)
    }

    /// Whether the disk can take a change.
    ///
    /// # Errors
    /// If it cannot; nothing may change then.
    pub fn admit(&mut self) -> Result<(), Refused> {
        self.state.persistence.admit()
    }

    /// The answer to a request for resources: one that waits gets a ticket.
    pub(super) fn with_ticket(&mut self, acquired: Acquired) -> Asked {
        match acquired {
            Acquired::Granted(grant) => Asked::Granted(grant),
            Acquired::Busy => Asked::Busy,
            Acquired::Deadlock(deadlock) => Asked::Deadlock(deadlock),
            Acquired::Waiting(id) | Acquired::Rejoined(id) => {
                let ticket = Ticket::new(id.0);
                if let Some(mailbox) = self.state.mailboxes.insert(id, Arc::clone(ticket.mailbox()))
                    && mailbox.fill(Answer { outcome: Outcome::Superseded, barrier: None }).is_ok()
                {
                    // Otherwise the client has left that wait, which is why it asks again.
                    self.state.filled.push(mailbox);
                }
                Asked::Waiting(ticket)
            }
        }
    }
}

/// See the module's text.
pub struct Locks {
    pub(super) state: Arc<Shared>,
    journal: Arc<ServiceJournal>,
    /// Held while notices are published.
    publishing: Mutex<(), { rank::LOCK_NOTICES }>,
    /// Connections that have sessions; while there are none the end of a connection costs nothing here.
    bound: AtomicUsize,
}

/// The table behind its mutex.
pub(super) type Shared = Mutex<State, { rank::LOCK_TABLE }>;

/// The table with everything that belongs to it.
#[derive(Default)]
pub(super) struct State {
    pub(super) core: Core,
    pub(super) events: Events,
    pub(super) persistence: Persistence,
    mailboxes: HashMap<WaiterId, Arc<Mailbox<Answer>>, RandomState>,
    /// Mailboxes that the operation has filled.  Their waiters are woken once the mutex is free.
    filled: Vec<Arc<Mailbox<Answer>>>,
}

impl Default for Locks {
    fn default() -> Locks {
        Locks::new(&Arc::default(), Durability::None)
    }
}

impl Locks {
    /// Locks without leases.  `durability` says how much will outlive the server once a keeper has
    /// [`Locks::persistent`].
    pub fn new(journal: &Arc<JournalHandle>, durability: Durability) -> Locks {
        let persistence = Persistence::new(journal, durability);
        let journal = Arc::clone(persistence.journal());
        let state = State { persistence, ..State::default() };
        let (state, publishing, bound) = (Arc::new(Mutex::new(state)), Mutex::default(), AtomicUsize::new(0));
        Locks { state, journal, publishing, bound }
    }

    /// The way into the journal.  Takes no lock, so that a report of how the disk fares does not wait for it.
    pub fn journal(&self) -> &ServiceJournal {
        &self.journal
    }

    /// The numbers of everything in the table, and of events since the start.
    pub fn counted(&self) -> (Totals, Counts) {
        let state = self.state.lock();
        (state.core.model().totals(), state.core.model().counts())
    }

    /// Sets how many bytes the table may take; see [`Core::limit_memory`].
    pub fn limit_memory(&self, bytes: usize) {
        self.state.lock().core.limit_memory(bytes);
    }

    /// Runs an operation.  Leaves in `effects` whether there are notices, which are to be published with
    /// [`Locks::publish_notices`], when something falls due next, and the barrier of the reply.
    pub fn run<O: LockOperation>(&self, operation: &O, now: Now, effects: &mut Effects) -> O::Answer {
        self.with_table(now, effects, |table| operation.run(table))
    }

    fn with_table<R>(&self, now: Now, effects: &mut Effects, work: impl FnOnce(&mut Table<'_>) -> R) -> R {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.events.wants_notices = effects.wants_notices;
        let result = work(&mut Table { state, now });
        let barrier = state.persist();
        if !state.events.answers.is_empty() {
            state.deliver(barrier.clone(), now);
        }
        let filled = std::mem::take(&mut state.filled);
        effects.has_notices |= !state.events.notices.is_empty();
        if let Some(deadline) = state.core.model().next_deadline() {
            effects.set_deadline(deadline);
        }
        self.bound.store(state.core.model().bound_connections(), Relaxed);
        drop(guard);
        effects.set_barrier(barrier);
        filled.iter().for_each(|mailbox| mailbox.wake());
        result
    }

    /// Gives all notices to `publish`, in the order of events, whichever threads caused them.  Notices from before the
    /// call have been published when it returns, by this thread or another.
    pub fn publish_notices(&self, publish: impl FnMut(Notice)) {
        let _turn = self.publishing.lock();
        let notices = std::mem::take(&mut self.state.lock().events.notices);
        notices.into_iter().for_each(publish);
    }

    /// Ends the wait of a ticket whose answer was not taken.  A grant that it got meanwhile goes to the next waiter.
    pub fn cancel(&self, ticket: &Ticket<Answer>, now: Now, effects: &mut Effects) {
        if let Some(answer) = ticket.close() {
            if let Outcome::Granted(grant) = answer.outcome {
                self.run(&Withdraw { grant: &grant }, now, effects);
            }
            return;
        }
        self.with_table(now, effects, |table| {
            // A retry may have taken the position in the queue over, and keeps it.
            let id = WaiterId(ticket.id());
            let is_own = |mailbox: &Arc<Mailbox<Answer>>| Arc::ptr_eq(mailbox, ticket.mailbox());
            if table.state.mailboxes.get(&id).is_some_and(is_own) {
                table.state.mailboxes.remove(&id);
                let (core, now, events) = table.parts();
                core.abandon(id, now, events);
            }
        });
    }

    /// Ends the sessions that are bound to a connection, which has ended.
    pub fn disconnect(&self, connection: u64, now: Now, effects: &mut Effects) {
        if self.bound.load(Relaxed) > 0 {
            self.run(&Disconnect { connection }, now, effects);
        }
    }
}

impl State {
    /// Appends the records of the last operation.  Returns the barrier of replies that depend on it.
    fn persist(&mut self) -> Option<Barrier> {
        self.persistence.keep(&self.core, &mut self.events)
    }

    /// Puts answers into their mailboxes.  A grant to a waiter that has left meanwhile goes to the next one at once:
    /// nobody ever sees it held.
    fn deliver(&mut self, mut barrier: Option<Barrier>, now: Now) {
        while !self.events.answers.is_empty() {
            for (id, outcome) in std::mem::take(&mut self.events.answers) {
                let Some(mailbox) = self.mailboxes.remove(&id) else { continue };
                match mailbox.fill(Answer { outcome, barrier: barrier.clone() }) {
                    Ok(()) => self.filled.push(mailbox),
                    Err(Answer { outcome: Outcome::Granted(grant), .. }) => {
                        let withdraw = Withdraw { grant: &grant };
                        self.core.withdraw(&withdraw, now.micros(), &mut self.events);
                    }
                    Err(_) => {}
                }
            }
            // The grants of the next waiters depend on the records about those that have left.
            barrier = self.persist().or(barrier);
        }
    }
}
