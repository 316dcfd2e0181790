//! The table of locks as threads share it: behind one mutex, with a mailbox for each request that waits.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use super::counts::Counts;
use super::deadlock::Deadlock;
use super::durability::Durability;
use super::grant::Grant;
use super::identifiers::WaiterId;
use super::keeping::{Keeper, Keeping};
use super::model::events::Events;
use super::model::fences;
use super::notice::Notice;
use super::operation::{Disconnect, Withdraw};
use super::outcome::{Acquired, Outcome};
use super::refused::Refused;
use super::report::Totals;
use super::scheduler::Core;
use super::snapshots::SnapshotWalk;
use crate::clock::Now;
use crate::delivery::Effects;
use crate::journal::disk::Disk;
use crate::journal::{Journal, OpenError, Snapshot, Writer};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Barrier, Mailbox, Ticket};

/// What one who waited is answered.
#[derive(Clone)]
pub struct Answer {
    /// How its waiting ended.
    pub outcome: Outcome,
    /// What the reply has to wait for.
    pub barrier: Option<Barrier>,
}

/// What became of a request; as [`Acquired`], with the means to wait.
pub enum Asked {
    /// It was granted.
    Granted(Grant),
    /// It cannot be granted now and was not to wait.
    Busy,
    /// It waits.  The ticket has to be given to [`Locks::cancel`] if it is not polled until the answer comes.
    Waiting(Ticket<Answer>),
    /// Waiting would close a circle.
    Deadlock(Deadlock),
}

/// An operation of the locks.  Its values are in [`operation`](super::operation).
pub trait Operation {
    /// What it answers.
    type Answer;

    /// Runs it on the table.
    fn run(&self, table: &mut Table<'_>) -> Self::Answer;
}

/// The table as an operation has it: nobody else sees it meanwhile.
pub struct Table<'t> {
    locks: &'t Locks,
    state: &'t mut State,
    now: Now,
}

impl Table<'_> {
    /// What is held and waited for.
    pub fn core(&self) -> &Core {
        &self.state.core
    }

    /// The parts that a method of [`Core`] takes, with the time in microseconds.
    pub fn parts(&mut self) -> (&mut Core, u64, &mut Events) {
        (&mut self.state.core, self.now.micros(), &mut self.state.events)
    }

    /// Whether the disk can take a change.  The first change makes the journal.
    ///
    /// # Errors
    /// If it cannot; nothing may change then.
    pub fn admit(&mut self) -> Result<(), Refused> {
        let State { core, events, keeping, .. } = &mut *self.state;
        let is_unmade = matches!(keeping, Keeping::Later(_));
        let admitted = keeping.admit(self.now, core, events);
        if is_unmade {
            self.locks.note_journal(keeping);
        }
        admitted
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
                    // Otherwise the client that waited there has gone, which is why it asks again.
                    self.state.filled.push(mailbox);
                }
                Asked::Waiting(ticket)
            }
        }
    }
}

/// See the module's text.
#[derive(Default)]
pub struct Locks {
    state: Arc<Shared>,
    /// Where the table is kept, once it is.
    journal: OnceLock<Arc<Journal>>,
    /// Why it could not be kept when that was last tried; of no account once it is.
    failure: ArcSwapOption<String>,
    /// Held by whoever publishes notices.
    telling: Mutex<(), { rank::LOCK_NOTICES }>,
    /// Connections that have sessions; while there are none the end of a connection costs nothing here.
    bound: AtomicUsize,
}

type Shared = Mutex<State, { rank::LOCK_TABLE }>;

#[derive(Default)]
struct State {
    core: Core,
    events: Events,
    keeping: Keeping,
    mailboxes: HashMap<WaiterId, Arc<Mailbox<Answer>>, RandomState>,
    /// Mailboxes that the operation has filled, and whose waiters are to be woken.
    filled: Vec<Arc<Mailbox<Answer>>>,
}

impl Locks {
    /// The locks that `folder` has of earlier servers, kept there from now on.
    ///
    /// # Errors
    /// If the folder cannot be had, or what it has is damaged.
    pub fn open(folder: &Path, durability: Durability, now: Now) -> Result<Locks, OpenError> {
        let mut state = State::default();
        let State { core, events, keeping, .. } = &mut state;
        events.keeps = durability;
        *keeping = Keeping::open(folder, durability, now, core, events)?;
        Ok(Locks::with(state))
    }

    /// The same on a disk; nothing is written until the writer is moved.
    ///
    /// # Errors
    /// If what the disk has is damaged.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        durability: Durability,
        now: Now,
    ) -> Result<(Locks, Writer), OpenError> {
        let mut state = State::default();
        let State { core, events, keeping, .. } = &mut state;
        let (keeper, writer) = Keeper::open_on(disk, durability, now, core, events)?;
        *keeping = Keeping::Journal(keeper);
        Ok((Locks::with(state), writer))
    }

    fn with(state: State) -> Locks {
        let locks = Locks { state: Arc::new(Mutex::new(state)), ..Locks::default() };
        locks.note_journal(&locks.state.lock().keeping);
        locks
    }

    /// Lets everybody see the journal, once there is one, or why there is none.
    fn note_journal(&self, keeping: &Keeping) {
        if self.journal.get().is_some() {
            return;
        }
        if let Some(journal) = keeping.journal() {
            self.journal.get_or_init(|| Arc::clone(journal));
        } else if let Some(reason) = keeping.failure()
            && self.failure.load().as_ref().is_none_or(|known| **known != reason)
        {
            tracing::error!(reason, "nothing can be locked; it is tried again every second");
            self.failure.store(Some(Arc::new(reason.to_owned())));
        }
    }

    /// Why nothing can be locked, if there should be a journal and none can be made.  Takes no lock.
    pub fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// What outlives the server.
    pub fn durability(&self) -> Durability {
        self.state.lock().keeping.durability()
    }

    /// Where that is written, once there is something.  Takes no lock, so that who reports how the disk fares does not
    /// wait for it.
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// What there is now, and what has been counted.
    pub fn counted(&self) -> (Totals, Counts) {
        let state = self.state.lock();
        (state.core.model().totals(), state.core.model().counts())
    }

    /// Sets how many bytes the table may take; see [`Core::limit_memory`].
    pub fn limit_memory(&self, bytes: usize) {
        self.state.lock().core.limit_memory(bytes);
    }

    /// When something falls due next, in microseconds of the server's clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.state.lock().core.model().next_deadline()
    }

    /// Locks of which nothing outlives the server; fences grow as long as the wall clock is not set back.
    pub fn kept_nowhere(now: Now) -> Locks {
        let locks = Locks::default();
        locks.state.lock().core.skip_fences_to(fences::of_clock(now));
        locks
    }

    /// Runs an operation.  Leaves in `effects` whether there are notices, which are to be published with [`Locks::tell`],
    /// when something falls due next, and what the reply has to wait for.
    pub fn run<O: Operation>(&self, operation: &O, now: Now, effects: &mut Effects) -> O::Answer {
        self.with_table(now, effects, |table| operation.run(table))
    }

    fn with_table<R>(&self, now: Now, effects: &mut Effects, work: impl FnOnce(&mut Table<'_>) -> R) -> R {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.events.wants_notices = effects.wants_notices;
        let result = work(&mut Table { locks: self, state, now });
        let barrier = state.hold();
        if !state.events.answers.is_empty() {
            state.deliver(barrier.clone(), now);
        }
        let filled = std::mem::take(&mut state.filled);
        effects.has_notices |= !state.events.notices.is_empty();
        if let Some(deadline) = state.core.model().next_deadline() {
            effects.set_deadline(deadline);
        }
        self.bound.store(state.core.model().bound_connections(), Relaxed);
        let snapshot = state.keeping.take_begun_snapshot();
        drop(guard);
        effects.set_barrier(barrier);
        if let Some(snapshot) = snapshot {
            write_in_background(Arc::downgrade(&self.state), snapshot);
        }
        filled.iter().for_each(|mailbox| mailbox.wake());
        result
    }

    /// Gives all notices to `tell`, in the order in which things happened, whichever threads did them.  What was noticed
    /// before this is called has been told when it returns, by this thread or another.
    pub fn tell(&self, tell: impl FnMut(Notice)) {
        let _turn = self.telling.lock();
        let notices = std::mem::take(&mut self.state.lock().events.notices);
        notices.into_iter().for_each(tell);
    }

    /// Ends the wait of a ticket whose answer was not taken.  What was granted to it meanwhile goes to the next.
    pub fn cancel(&self, ticket: &Ticket<Answer>, now: Now, effects: &mut Effects) {
        if let Some(answer) = ticket.close() {
            if let Outcome::Granted(grant) = answer.outcome {
                self.run(&Withdraw { grant: &grant }, now, effects);
            }
            return;
        }
        self.with_table(now, effects, |table| {
            // A retry may have taken the place in the queue; that is not given up.
            let id = WaiterId(ticket.id());
            let is_own = |mailbox: &Arc<Mailbox<Answer>>| Arc::ptr_eq(mailbox, ticket.mailbox());
            if table.state.mailboxes.get(&id).is_some_and(is_own) {
                table.state.mailboxes.remove(&id);
                let (core, now, events) = table.parts();
                core.abandon(id, now, events);
            }
        });
    }

    /// A connection has ended, and with it the sessions that were bound to it.
    pub fn disconnect(&self, connection: u64, now: Now, effects: &mut Effects) {
        if self.bound.load(Relaxed) > 0 {
            self.run(&Disconnect { connection }, now, effects);
        }
    }
}

/// Gives a snapshot the table, on a thread of its own.
fn write_in_background(table: Weak<Shared>, snapshot: Snapshot) {
    let thread = std::thread::Builder::new().name("locks snapshot".to_owned());
    if let Err(error) = thread.spawn(move || write_snapshot(&table, snapshot)) {
        tracing::warn!(%error, "cannot start a thread for a snapshot of the locks");
    }
}

/// Gives a snapshot the table in steps, between which the table serves others, and puts it on the disk.  Nothing comes of it
/// if the table is gone meanwhile.
fn write_snapshot(table: &Weak<Shared>, mut snapshot: Snapshot) {
    let (mut walk, mut bytes, mut ends) = (SnapshotWalk::default(), Vec::new(), Vec::new());
    loop {
        let Some(table) = table.upgrade() else { return };
        let mut state = table.lock();
        let is_last = state.core.snapshot_step(&mut walk, |record| {
            bytes.extend_from_slice(record);
            ends.push(bytes.len());
        });
        let end = is_last.then(|| state.keeping.end_snapshot());
        drop(state);
        drop(table);
        let mut start = 0;
        for end in ends.drain(..) {
            snapshot.append(&bytes[start..end]);
            start = end;
        }
        bytes.clear();
        snapshot.spill();
        if let Some(end) = end {
            if let Some(end) = end {
                // The result is in the log.
                let _ = snapshot.finish_after(end);
            }
            return;
        }
        std::thread::yield_now();
    }
}

impl State {
    /// What replies that depend on the last operation have to wait for.
    fn hold(&mut self) -> Option<Barrier> {
        self.keeping.keep(&self.core, &mut self.events)
    }

    /// Puts answers into their mailboxes.  What was granted to a waiter that has gone meanwhile goes to the next at once:
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
            // Those who are next depend on what was written down about those who have gone.
            barrier = self.hold().or(barrier);
        }
    }
}
