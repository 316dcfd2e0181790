//! The table of locks as threads share it: behind one mutex, with a mailbox for each request that waits.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use super::core::Core;
use super::counts::Counts;
use super::deadlock::Deadlock;
use super::events::{Events, Grant, Notice, Outcome, WaiterId};
use super::fences;
use super::idempotency::RequestId;
use super::keeping::{Durability, Keeper, Keeping};
use super::refused::Refused;
use super::reports::Totals;
use super::requests::{Acquired, Request};
use super::snapshots::SnapshotWalk;
use crate::clock::Now;
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

/// What an operation leaves to be done by who asked for it, once no lock is held.
#[derive(Default)]
pub struct Aftermath {
    /// Whether notices are wanted.
    pub wants_notices: bool,
    /// Whether there are notices, which are to be published with [`Locks::tell`].
    pub has_notices: bool,
    /// When something falls due next, in microseconds of the server's clock.
    pub next_deadline: Option<u64>,
    /// What the reply has to wait for.
    pub barrier: Option<Barrier>,
}

/// See the module's text.
#[derive(Default)]
pub struct Locks {
    state: Arc<Table>,
    /// Where the table is kept, once it is.
    journal: OnceLock<Arc<Journal>>,
    /// Why it could not be kept when that was last tried; of no account once it is.
    failure: ArcSwapOption<String>,
    /// Held by whoever publishes notices.
    telling: Mutex<(), { rank::LOCK_NOTICES }>,
    /// Connections that have sessions; while there are none the end of a connection costs nothing here.
    bound: AtomicUsize,
}

type Table = Mutex<State, { rank::LOCK_TABLE }>;

#[derive(Default)]
struct State {
    core: Core,
    events: Events,
    keeping: Keeping,
    mailboxes: HashMap<WaiterId, Arc<Mailbox<Answer>>, RandomState>,
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
        (state.core.totals(), state.core.counts)
    }

    /// Sets how many bytes the table may take; see [`Core::limit_memory`].
    pub fn limit_memory(&self, bytes: usize) {
        self.state.lock().core.limit_memory(bytes);
    }

    /// When something falls due next, in microseconds of the server's clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.state.lock().core.next_deadline()
    }

    /// Locks of which nothing outlives the server; fences grow as long as the wall clock is not set back.
    pub fn kept_nowhere(now: Now) -> Locks {
        let locks = Locks::default();
        locks.state.lock().core.skip_fences_to(fences::of_clock(now));
        locks
    }

    /// Runs a request that changes the table.  If the disk cannot take what has to be written down, the request is refused
    /// and has changed nothing.
    ///
    /// # Errors
    /// If the disk is not up to it, or as the operation.
    pub fn change<R>(
        &self,
        now: Now,
        aftermath: &mut Aftermath,
        operation: impl FnOnce(&mut Core, u64, &mut Events) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        self.act_on_state(now, aftermath, |state, micros| {
            self.admit(state, now)?;
            operation(&mut state.core, micros, &mut state.events)
        })
    }

    /// Whether the disk can take a change.  The first change makes the journal.
    fn admit(&self, state: &mut State, now: Now) -> Result<(), Refused> {
        let State { core, events, keeping, .. } = state;
        let is_unmade = matches!(keeping, Keeping::Later(_));
        let admitted = keeping.admit(now, core, events);
        if is_unmade {
            self.note_journal(keeping);
        }
        admitted
    }

    /// Runs what only looks at the table, or does what has fallen due; it is given the time in microseconds.
    pub fn act<R>(
        &self,
        now: Now,
        aftermath: &mut Aftermath,
        operation: impl FnOnce(&mut Core, u64, &mut Events) -> R,
    ) -> R {
        self.act_on_state(now, aftermath, |state, now| operation(&mut state.core, now, &mut state.events))
    }

    fn act_on_state<R>(
        &self,
        now: Now,
        aftermath: &mut Aftermath,
        operation: impl FnOnce(&mut State, u64) -> R,
    ) -> R {
        let mut state = self.state.lock();
        state.events.wants_notices = aftermath.wants_notices;
        let result = operation(&mut state, now.micros());
        aftermath.barrier = state.hold();
        let answered = match state.events.answers.is_empty() {
            true => Vec::new(),
            false => state.deliver(aftermath.barrier.clone(), now),
        };
        aftermath.has_notices |= !state.events.notices.is_empty();
        aftermath.next_deadline = state.core.next_deadline();
        self.bound.store(state.core.bound_connections(), Relaxed);
        let snapshot = state.keeping.take_begun_snapshot();
        drop(state);
        if let Some(snapshot) = snapshot {
            write_in_background(Arc::downgrade(&self.state), snapshot);
        }
        answered.iter().for_each(|mailbox| mailbox.wake());
        result
    }

    /// Gives all notices to `tell`, in the order in which things happened, whichever threads did them.  What was noticed
    /// before this is called has been told when it returns, by this thread or another.
    pub fn tell(&self, tell: impl FnMut(Notice)) {
        let _turn = self.telling.lock();
        let notices = std::mem::take(&mut self.state.lock().events.notices);
        notices.into_iter().for_each(tell);
    }

    /// Asks for resources; see [`Core::acquire`].
    ///
    /// # Errors
    /// As there.
    pub fn acquire(
        &self,
        request: &Request<'_>,
        now: Now,
        aftermath: &mut Aftermath,
    ) -> Result<Asked, Refused> {
        self.ask(now, aftermath, |core, now, events| core.acquire(request, now, events))
    }

    /// Asks to hold alone what is shared; see [`Core::upgrade`].
    ///
    /// # Errors
    /// As there.
    pub fn upgrade(
        &self,
        (resource, owner): (&[u8], &[u8]),
        fence: Option<u64>,
        wait: u64,
        request: RequestId<'_>,
        now: Now,
        aftermath: &mut Aftermath,
    ) -> Result<Asked, Refused> {
        self.ask(now, aftermath, |core, now, events| {
            core.upgrade((resource, owner), fence, wait, request, now, events)
        })
    }

    fn ask(
        &self,
        now: Now,
        aftermath: &mut Aftermath,
        operation: impl FnOnce(&mut Core, u64, &mut Events) -> Result<Acquired, Refused>,
    ) -> Result<Asked, Refused> {
        let (mut superseded, time) = (None, now);
        let asked = self.act_on_state(now, aftermath, |state, now| {
            self.admit(state, time)?;
            let acquired = operation(&mut state.core, now, &mut state.events)?;
            Ok(match acquired {
                Acquired::Granted(grant) => Asked::Granted(grant),
                Acquired::Busy => Asked::Busy,
                Acquired::Deadlock(deadlock) => Asked::Deadlock(deadlock),
                Acquired::Waiting(id) | Acquired::Rejoined(id) => {
                    let ticket = Ticket::new(id.0);
                    superseded = state.mailboxes.insert(id, Arc::clone(ticket.mailbox()));
                    Asked::Waiting(ticket)
                }
            })
        });
        if let Some(mailbox) = superseded {
            // Who waited there may have gone, which is why the request was made again.
            let _ = mailbox.put(Answer { outcome: Outcome::Superseded, barrier: None });
        }
        asked
    }

    /// Ends the wait of a ticket whose answer was not taken.  What was granted to it meanwhile goes to the next.
    pub fn cancel(&self, ticket: &Ticket<Answer>, now: Now, aftermath: &mut Aftermath) {
        if let Some(answer) = ticket.close() {
            if let Outcome::Granted(grant) = answer.outcome {
                self.act(now, aftermath, |core, now, events| core.withdraw(&grant, now, events));
            }
            return;
        }
        self.act_on_state(now, aftermath, |state, now| {
            // A retry may have taken the place in the queue; that is not given up.
            let id = WaiterId(ticket.id());
            let is_own = |mailbox: &Arc<Mailbox<Answer>>| Arc::ptr_eq(mailbox, ticket.mailbox());
            if state.mailboxes.get(&id).is_some_and(is_own) {
                state.mailboxes.remove(&id);
                state.core.abandon(id, now, &mut state.events);
            }
        });
    }

    /// A connection has ended, and with it the sessions that were bound to it.
    pub fn disconnect(&self, connection: u64, now: Now, aftermath: &mut Aftermath) {
        if self.bound.load(Relaxed) > 0 {
            self.act(now, aftermath, |core, now, events| {
                if core.has_sessions(connection) {
                    core.disconnect(connection, now, events);
                }
            });
        }
    }
}

/// Gives a snapshot the table, on a thread of its own.
fn write_in_background(table: Weak<Table>, snapshot: Snapshot) {
    let thread = std::thread::Builder::new().name("locks snapshot".to_owned());
    if let Err(error) = thread.spawn(move || write_snapshot(&table, snapshot)) {
        tracing::warn!(%error, "cannot start a thread for a snapshot of the locks");
    }
}

/// Gives a snapshot the table in steps, between which the table serves others, and puts it on the disk.  Nothing comes of it
/// if the table is gone meanwhile.
fn write_snapshot(table: &Weak<Table>, mut snapshot: Snapshot) {
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

    /// Puts answers into their mailboxes and returns those, for who waits to be woken.  What was granted to who has gone
    /// meanwhile goes to the next at once: nobody ever sees it held.
    fn deliver(&mut self, mut barrier: Option<Barrier>, now: Now) -> Vec<Arc<Mailbox<Answer>>> {
        let mut filled = Vec::new();
        while !self.events.answers.is_empty() {
            for (id, outcome) in std::mem::take(&mut self.events.answers) {
                let Some(mailbox) = self.mailboxes.remove(&id) else { continue };
                match mailbox.fill(Answer { outcome, barrier: barrier.clone() }) {
                    Ok(()) => filled.push(mailbox),
                    Err(Answer { outcome: Outcome::Granted(grant), .. }) => {
                        self.core.withdraw(&grant, now.micros(), &mut self.events);
                    }
                    Err(_) => {}
                }
            }
            // Those who are next depend on what was written down about those who have gone.
            barrier = self.hold().or(barrier);
        }
        filled
    }
}
