//! The journal as services use it, from before it is made: it may be missing because nothing was kept yet, or because it
//! cannot be made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::thread::Thread;

use arc_swap::ArcSwapOption;

use crate::journal::{Appended, Groups, Journal, NotAdmitted, Reader, Status, Tag};
use crate::lock_order::{Mutex, rank};
use crate::wait::{Barrier, Durable, Lost, Position};

/// The journal that all services share, from before it is made.
#[derive(Default)]
pub struct JournalHandle {
    journal: OnceLock<Arc<Journal>>,
    /// Why there is no journal just now although there should be one.
    failure: ArcSwapOption<String>,
    /// There is something to append and no journal yet.
    is_awaited: AtomicBool,
    /// The journal has the state of the services from before it was made.
    is_ready: AtomicBool,
    /// The end of the records of that state.
    ready_at: AtomicU64,
    /// The tasks that wait for the journal to be made.
    waiters: Mutex<Vec<Waker>, { rank::JOURNAL_AWAITED }>,
    /// The keeper's thread, which makes it.
    keeper: OnceLock<Thread>,
    groups: Arc<Groups>,
}

impl JournalHandle {
    /// Its groups; see [`Groups::open`].
    pub fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    /// The journal, once there is one.
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// True once there is a journal.
    pub fn is_made(&self) -> bool {
        self.journal.get().is_some()
    }

    /// True from when there was something to append and no journal.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Acquire)
    }

    /// Why there is no journal just now although there should be one.
    pub fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// How the journal fares; none if there is none and nothing was to be kept.  Takes no lock that a thread holds while it
    /// waits for the disk or the gate.
    pub fn status(&self) -> Option<Status> {
        match self.journal.get() {
            Some(journal) => Some(journal.status()),
            None => self.failure().map(|reason| Status::unavailable(String::clone(&reason))),
        }
    }

    /// Has the keeper make the journal.
    fn ask(&self) {
        if !self.is_awaited.swap(true, Ordering::AcqRel)
            && let Some(keeper) = self.keeper.get()
        {
            keeper.unpark();
        }
    }

    /// Says which thread is woken to make the journal.
    pub(super) fn set_keeper(&self, keeper: Thread) {
        // A server has one.
        let _ = self.keeper.set(keeper);
    }

    /// From now on services append to this journal, each once it is attached.
    pub(super) fn publish(&self, journal: &Arc<Journal>) {
        // It is made once.
        let _ = self.journal.set(Arc::clone(journal));
    }

    /// Up to this position the journal says all that there was before it was published.
    pub(super) fn set_ready(&self, position: Position) {
        self.ready_at.store(position.0, Ordering::Release);
        self.is_ready.store(true, Ordering::Release);
        self.failure.store(None);
        self.wake_waiters();
    }

    /// The journal cannot be made for now.  The tasks that wait for it are told so.
    pub(super) fn fail(&self, reason: String) {
        self.failure.store(Some(Arc::new(reason)));
        self.wake_waiters();
    }

    fn wake_waiters(&self) {
        let woken = std::mem::take(&mut *self.waiters.lock());
        woken.into_iter().for_each(Waker::wake);
    }

    /// The journal and the position in it from which on `position` is on the disk, once that is known.  Records that were
    /// appended before there was a journal had no position then.
    fn place_of(&self, position: Position) -> Option<(&Arc<Journal>, Position)> {
        let journal = self.journal.get().filter(|_| self.is_ready.load(Ordering::Acquire))?;
        Some((journal, position.max(Position(self.ready_at.load(Ordering::Acquire)))))
    }
}

impl Durable for JournalHandle {
    fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if let Some((journal, position)) = self.place_of(position) {
            return journal.poll_synced(position, waker);
        }
        let mut waiters = self.waiters.lock();
        // The keeper notes the journal, or the failure, before it looks for waiters.
        if let Some((journal, position)) = self.place_of(position) {
            drop(waiters);
            return journal.poll_synced(position, waker);
        }
        if self.failure.load().is_some() {
            return Poll::Ready(Err(Lost));
        }
        if !waiters.iter().any(|other| other.will_wake(waker)) {
            waiters.push(waker.clone());
        }
        Poll::Pending
    }
}

/// The way of one service into the journal.
pub struct ServiceJournal {
    handle: Arc<JournalHandle>,
    tag: Tag,
    is_on: AtomicBool,
    is_attached: AtomicBool,
}

impl ServiceJournal {
    /// The way of the service with this tag.  Nothing of it outlives the server before it is turned on.
    pub fn new(handle: &Arc<JournalHandle>, tag: Tag) -> ServiceJournal {
        let (is_on, is_attached) = (AtomicBool::new(false), AtomicBool::new(false));
        ServiceJournal { handle: Arc::clone(handle), tag, is_on, is_attached }
    }

    /// Changes from now on outlive the server.
    pub fn turn_on(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    /// True if anything of the service outlives the server.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// From now on the service appends to the journal, which is there.  Called under the lock that orders its changes.
    pub fn attach(&self) {
        self.is_attached.store(true, Ordering::Release);
    }

    fn journal(&self) -> Option<&Arc<Journal>> {
        self.handle.journal.get().filter(|_| self.is_attached.load(Ordering::Acquire))
    }

    /// Whether the service may change state that has to outlive the server; asked before anything is changed.
    ///
    /// # Errors
    /// Why it could not be written down.
    pub fn admit(&self) -> Result<(), NotAdmitted> {
        match self.journal() {
            _ if !self.is_on() => Ok(()),
            Some(journal) => journal.admit(),
            None => self.handle.failure().map_or(Ok(()), |reason| Err(NotAdmitted::Unmade(reason))),
        }
    }

    /// Appends the records of an operation; see [`Journal::append_all`].  Before there is a journal this has it made, and
    /// the service appends its whole state when it is attached; the position counts then too.
    pub fn append<'r>(&self, records: impl IntoIterator<Item = &'r [u8]>) -> Position {
        self.append_records(records.into_iter().map(|payload| [payload])).end
    }

    /// The same for records that no reply waits for; see [`Journal::append_quietly`].
    pub fn append_quietly<'r>(&self, records: impl IntoIterator<Item = &'r [u8]>) -> Position {
        self.append_records_quietly(records.into_iter().map(|payload| [payload])).end
    }

    /// Appends an operation of one record, whose payload is these parts one after the other.  Before there is a journal the
    /// record is nowhere ([`Appended::NOWHERE`]): it is in the state that the service appends when it is attached, where it
    /// gets its place.
    pub fn append_parts(&self, parts: &[&[u8]]) -> Appended {
        self.append_records([parts])
    }

    /// The same for an operation of several records.
    pub fn append_records<'r, R: AsRef<[&'r [u8]]>>(&self, records: impl IntoIterator<Item = R>) -> Appended {
        match self.journal() {
            Some(journal) => journal.append_records(self.tag, records),
            None => self.ask_for_journal(),
        }
    }

    /// The same for records that no reply waits for; see [`Journal::append_quietly`].
    pub fn append_records_quietly<'r, R: AsRef<[&'r [u8]]>>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Appended {
        match self.journal() {
            Some(journal) => journal.append_records_quietly(self.tag, records),
            None => self.ask_for_journal(),
        }
    }

    fn ask_for_journal(&self) -> Appended {
        self.handle.ask();
        Appended { start: Appended::NOWHERE, end: Position::default() }
    }

    /// The wait of a reply that depends on the records up to `position`; none if the disk has them.
    pub fn barrier(&self, position: Position) -> Option<Barrier> {
        if self.is_synced(position) {
            return None;
        }
        if !self.handle.is_made() {
            self.handle.ask();
        }
        Some(Barrier { journal: Arc::clone(&self.handle) as Arc<dyn Durable>, position })
    }

    /// The end of what is on the disk: every operation that ends there or before is.  None while that is unknown, because
    /// there is no journal yet or it has not synced what the services are from before it was made.
    pub fn synced(&self) -> Option<Position> {
        let (journal, ready) = self.handle.place_of(Position::default())?;
        let synced = journal.synced();
        (ready <= synced).then_some(synced)
    }

    /// Wakes `waker` when all up to `position` is on the disk; see [`Durable::poll_synced`].  It may be a position from before
    /// there was a journal, which this has made.
    ///
    /// # Errors
    /// As soon as it is known that it cannot be written now.
    pub fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>> {
        if !self.handle.is_made() {
            self.handle.ask();
        }
        self.handle.poll_synced(position, waker)
    }

    /// True if callers that append should slow down; see [`Journal::is_behind`].  While there is no journal nothing waits for it:
    /// the service appends its state when it is attached.
    pub fn is_behind(&self) -> bool {
        self.journal().is_some_and(|journal| journal.is_behind())
    }

    /// Reads the service's records back; none while there is no journal, when no record has a place yet.
    pub fn reader(&self) -> Option<Reader> {
        Some(self.journal()?.reader(self.tag))
    }

    /// True if the disk has everything that is appended up to `position`.
    pub fn is_synced(&self, position: Position) -> bool {
        self.handle.place_of(position).is_some_and(|(journal, position)| position <= journal.synced())
    }

    /// False while nothing can be promised, because the disk has failed or takes nothing just now.
    pub fn can_write(&self) -> bool {
        match self.journal() {
            Some(journal) => journal.can_write(),
            None => self.handle.failure.load().is_none(),
        }
    }

    /// How the journal of the service fares; none while it has none.
    pub fn status(&self) -> Option<Status> {
        self.handle.status().filter(|_| self.is_on())
    }
}
