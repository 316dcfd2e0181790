//! What of the limiter outlives the server, as those who change it see it.
//!
//! What an operator sets (policies, lists, blocks) is written to the journal as it changes, under the lock that orders the
//! changes, and the reply waits until the disk has it: see [`Keeping::hold`].  Counters and reservations are written by the
//! thread that keeps the limits, now and then.  That thread alone opens the journal and waits for the disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::thread::Thread;

use arc_swap::ArcSwapOption;

use super::records::Record;
use crate::journal::{Journal, NotAdmitted};
use crate::lock_order::{Mutex, rank};
use crate::refusal::Refusal;
use crate::wait::{Barrier, Durable, Lost, Position};

/// See the head of the file.
#[derive(Default)]
pub struct Keeping {
    /// Whether anything is kept.
    is_on: AtomicBool,
    journal: ArcSwapOption<Journal>,
    /// Why there is no journal just now although there should be one.
    failure: ArcSwapOption<String>,
    /// There is something to write and no journal yet.
    is_asked_for: AtomicBool,
    /// The journal has all that was set before there was one.
    is_ready: AtomicBool,
    /// The end of the records of what was set before there was a journal.
    ready_at: AtomicU64,
    /// The end of the last record of what an operator has set.
    last: AtomicU64,
    /// Who waits for the journal to be made.
    waiters: Mutex<Vec<Waker>, { rank::LIMIT_WAITERS }>,
    /// Who makes it.
    keeper: OnceLock<Thread>,
}

impl Keeping {
    /// Has what is set from now on outlive the server.
    pub fn turn_on(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// The journal, once there is something in it.
    pub fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.load_full()
    }

    /// Why there is no journal just now although there should be one.
    pub fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// Whether something may be set that has to outlive the server; to be asked before anything is changed.
    ///
    /// # Errors
    /// If it could not be written down: why, and what helps.
    pub fn admit(&self) -> Result<(), Refusal> {
        if !self.is_on() {
            return Ok(());
        }
        if let Some(journal) = &*self.journal.load() {
            return journal.admit().map_err(|reason| {
                Refusal::new(match reason {
                    NotAdmitted::Behind => "TRYAGAIN the disk is behind with the journal of the limits",
                    NotAdmitted::Stalled => {
                        "TRYAGAIN the journal of the limits cannot be written at the moment; the log says why.  It goes \
                         on by itself once that has passed"
                    }
                    NotAdmitted::Failed => {
                        "MISCONF the journal of the limits cannot be written, so nothing is changed; the log says why.  \
                         Start the server anew once the disk is well"
                    }
                })
            });
        }
        match &*self.failure.load() {
            Some(reason) => Err(Refusal::new(format!(
                "MISCONF what is set for the limiter would be lost, so nothing is changed: {reason}.  It is tried again \
                 every second"
            ))),
            None => Ok(()),
        }
    }

    /// Writes what an operator has changed; all of it or nothing is there after a crash.  Called under the lock that
    /// orders such changes; does not wait for the disk.
    pub fn write<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) {
        if !self.is_on() {
            return;
        }
        let encoded: Vec<Vec<u8>> = records.into_iter().map(|record| record.encoded()).collect();
        if encoded.is_empty() {
            return;
        }
        match &*self.journal.load() {
            Some(journal) => {
                let position = journal.append_all(encoded.iter().map(Vec::as_slice));
                self.last.fetch_max(position.0, Ordering::AcqRel);
            }
            // Whoever makes the journal writes all that is set by then.
            None => self.ask_for_journal(),
        }
    }

    /// What a reply has to wait for so that all that was set before is on the disk; none if it is already.
    pub fn hold(self: &Arc<Keeping>) -> Option<Barrier> {
        let position = Position(self.last.load(Ordering::Acquire));
        let is_synced = match &*self.journal.load() {
            Some(journal) => self.is_ready.load(Ordering::Acquire) && position <= journal.synced(),
            None => !self.is_asked_for(),
        };
        (self.is_on() && !is_synced)
            .then(|| Barrier { journal: Arc::clone(self) as Arc<dyn Durable>, position })
    }

    /// Whether something has to be written and there is no journal yet.
    pub fn is_asked_for(&self) -> bool {
        self.is_asked_for.load(Ordering::Acquire)
    }

    fn ask_for_journal(&self) {
        if !self.is_asked_for.swap(true, Ordering::AcqRel)
            && let Some(keeper) = self.keeper.get()
        {
            keeper.unpark();
        }
    }

    /// Tells who makes the journal: it is woken when there has to be one.
    pub fn set_keeper(&self, keeper: Thread) {
        // A server has one.
        let _ = self.keeper.set(keeper);
    }

    /// From now on changes are written to this journal.
    pub fn publish(&self, journal: Arc<Journal>) {
        self.journal.store(Some(journal));
    }

    /// The journal has all that was set before it was published: who waits for it may look.
    pub fn set_ready(&self) {
        self.ready_at.store(self.last.load(Ordering::Acquire), Ordering::Release);
        self.is_ready.store(true, Ordering::Release);
        self.failure.store(None);
        self.wake_waiters();
    }

    /// The journal cannot be had for now.  Who waits for it is told so.
    pub fn fail(&self, reason: String) {
        self.failure.store(Some(Arc::new(reason)));
        self.wake_waiters();
    }

    fn wake_waiters(&self) {
        let woken = std::mem::take(&mut *self.waiters.lock());
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Durable for Keeping {
    fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if !self.is_ready.load(Ordering::Acquire) {
            let mut waiters = self.waiters.lock();
            // Whoever makes the journal says so before looking for waiters.
            if !self.is_ready.load(Ordering::Acquire) {
                if self.failure.load().is_some() {
                    return Poll::Ready(Err(Lost));
                }
                if !waiters.iter().any(|other| other.will_wake(waker)) {
                    waiters.push(waker.clone());
                }
                return Poll::Pending;
            }
        }
        match &*self.journal.load() {
            Some(journal) => {
                // What was set before there was a journal had no position then.
                let ready_at = Position(self.ready_at.load(Ordering::Acquire));
                journal.poll_synced(position.max(ready_at), waker)
            }
            None => Poll::Ready(Err(Lost)),
        }
    }
}
