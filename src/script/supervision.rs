//! Watching over the scripts that run: their limits, and what becomes of the clients that they keep waiting.
//!
//! A run looks here every so many instructions ([`Watch::look`]).  Once it is over `busy-reply-threshold` it is listed, what it
//! holds is noted for others, and another thread serves this thread's clients.  A thread that nobody can stand in for stops
//! the script instead.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::shown::ShownCall;
use crate::clock::{Clock, Now};
use crate::lock_order::{Mutex, rank};
use crate::refusal::Refusal;
use crate::stand_in::{self, Cover};
use crate::store::{Hold, LongHolds, Turn};

/// Milliseconds that a script may take on a thread that stands in for another one: the clients of both wait for it.
const STAND_IN_PATIENCE: u64 = 50;

/// Milliseconds over its threshold that a script waits for a thread that is away.  That one runs a command or gives memory back, which
/// ends by itself, and on a busy machine the time may be spent waiting for a processor.
const AWAY_PATIENCE: u64 = 5_000;

/// What runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A script of EVAL and its kin.
    Script,
    /// A function of a library.
    Function,
}

/// See the head of the file.
pub struct Supervisor {
    clock: Arc<Clock>,
    holds: Arc<LongHolds>,
    /// The scripts over the threshold.
    runs: Mutex<Vec<Arc<LongRun>>, { rank::LONG_RUNS }>,
    /// When the last script ends since the server stops, in milliseconds.
    all_end_by: AtomicU64,
}

/// A script that runs for long.
#[derive(Debug)]
struct LongRun {
    kind: Kind,
    /// The slot of its thread.
    slot: usize,
    has_written: AtomicBool,
    is_killed: AtomicBool,
    /// When it began, in milliseconds.
    began: u64,
    /// How it was called, if it is a function.
    call: Option<ShownCall>,
}

/// Why a script is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// A client has asked for it.
    Killed,
    /// Its time is over.
    TooLong,
    /// It would keep other clients waiting, and its thread stands in for another one.
    Busy,
    /// It would keep other clients waiting, and nobody can stand in for its thread.
    NotRelieved,
    /// The server stops.
    ServerEnds,
}

/// A script that runs.
pub(super) struct Watch {
    supervisor: Arc<Supervisor>,
    kind: Kind,
    slot: usize,
    hold: Cell<Option<Hold>>,
    began: u64,
    /// When the last look was.
    last_look: Cell<u64>,
    /// The milliseconds after which others are served beside it.
    threshold: u64,
    /// The milliseconds after which it is stopped.
    limit: u64,
    has_written: Cell<bool>,
    /// How it was called, if it is a function, until it is listed.
    call: Cell<Option<ShownCall>>,
    /// Its entry in the list, once it has run for long.
    long_run: OnceCell<Arc<LongRun>>,
    /// Another thread serves this thread's clients.
    is_relieved: Cell<bool>,
}

impl Supervisor {
    /// The supervisor of the scripts that work on the store whose holds these are.
    pub fn new(clock: Arc<Clock>, holds: Arc<LongHolds>) -> Supervisor {
        Supervisor { clock, holds, runs: Mutex::default(), all_end_by: AtomicU64::new(u64::MAX) }
    }

    /// What clients are told that need what a script holds.
    pub fn busy(&self) -> Refusal {
        match self.runs.lock().first().map(|run| run.kind) {
            Some(Kind::Function) => Refusal::BUSY_FUNCTION,
            Some(Kind::Script) | None => Refusal::BUSY_SCRIPT,
        }
    }

    /// Stops the scripts of a kind that run for long and have written nothing.
    ///
    /// # Errors
    /// If there is none.
    pub fn kill(&self, kind: Kind) -> Result<(), Refusal> {
        let runs = self.runs.lock();
        if runs.is_empty() {
            return Err(Refusal::NOT_BUSY);
        }
        let mut of_kind = runs.iter().filter(|run| run.kind == kind).peekable();
        if of_kind.peek().is_none() {
            drop(runs);
            return Err(self.busy());
        }
        let mut is_done = false;
        for run in of_kind.filter(|run| !run.has_written.load(Relaxed)) {
            run.is_killed.store(true, Relaxed);
            is_done = true;
        }
        if is_done { Ok(()) } else { Err(Refusal::UNKILLABLE) }
    }

    /// Shows a function that runs for long, with its call and the milliseconds that it has taken, or none if none does.
    ///
    /// # Errors
    /// If it is a script that runs.
    pub(super) fn show_function(&self, show: impl FnOnce(Option<(&ShownCall, u64)>)) -> Result<(), Refusal> {
        let runs = self.runs.lock();
        let functions = runs.iter().filter_map(|run| Some((run, run.call.as_ref()?)));
        let function = functions.min_by_key(|(run, _)| run.began);
        if function.is_none() && !runs.is_empty() {
            return Err(Refusal::BUSY_SCRIPT);
        }
        let now = self.clock.now().millis();
        show(function.map(|(run, call)| (call, now.saturating_sub(run.began))));
        Ok(())
    }

    /// The server stops: scripts that run for long end at once, and all others at this time at the latest.
    pub fn end_all_by(&self, time: Now) {
        self.all_end_by.store(time.millis(), Relaxed);
    }
}

impl Watch {
    /// Watches a script on the thread of this slot that has just begun and holds this.  It may take these milliseconds until others
    /// are served beside it and until it is stopped.  For commands time may stand still, since a transaction began or so.
    pub(super) fn new(
        supervisor: &Arc<Supervisor>,
        kind: Kind,
        (slot, hold): (usize, Hold),
        began: Now,
        (threshold, limit): (u64, u64),
        call: Option<ShownCall>,
    ) -> Watch {
        Watch {
            supervisor: Arc::clone(supervisor),
            kind,
            slot,
            hold: Cell::new(Some(hold)),
            began: began.millis(),
            last_look: Cell::new(began.millis()),
            threshold,
            limit,
            has_written: Cell::new(false),
            call: Cell::new(call),
            long_run: OnceCell::new(),
            is_relieved: Cell::new(false),
        }
    }

    /// Notes that the script has written, so that clients cannot stop it any more.
    pub(super) fn note_written(&self) {
        self.has_written.set(true);
        if let Some(run) = self.long_run.get() {
            run.has_written.store(true, Relaxed);
        }
    }

    /// When the last look was, in milliseconds of the server's clock.
    pub(super) fn last_look(&self) -> u64 {
        self.last_look.get()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// If the script is to be stopped.
    pub(super) fn look(&self) -> Result<(), Stop> {
        self.look_for_kill()?;
        let now = self.supervisor.clock.now().millis();
        self.last_look.set(now);
        let taken = now.saturating_sub(self.began);
        let all_end_by = self.supervisor.all_end_by.load(Relaxed);
        let is_long = self.long_run.get().is_some() || taken >= self.threshold;
        if now >= all_end_by || (is_long && all_end_by != u64::MAX) {
            return Err(Stop::ServerEnds);
        }
        if taken >= self.limit {
            return Err(Stop::TooLong);
        }
        if self.is_relieved.get() { Ok(()) } else { self.relieve(taken) }
    }

    /// Looks whether a client has asked for the end.
    ///
    /// # Errors
    /// If one has.
    pub(super) fn look_for_kill(&self) -> Result<(), Stop> {
        match self.long_run.get() {
            Some(run) if run.is_killed.load(Relaxed) => Err(Stop::Killed),
            _ => Ok(()),
        }
    }

    /// Has others served once the script has run for long.
    fn relieve(&self, taken: u64) -> Result<(), Stop> {
        if taken < self.threshold.min(STAND_IN_PATIENCE) {
            return Ok(());
        }
        let cover = stand_in::cover();
        // A command ends soon, and so does a script that was killed; then its thread is free.
        let stands_in_for_script = match cover {
            Cover::Away(other) => {
                let goes_on = |run: &Arc<LongRun>| run.slot == other && !run.is_killed.load(Relaxed);
                self.supervisor.runs.lock().iter().any(goes_on)
            }
            _ => false,
        };
        let patience =
            if stands_in_for_script { self.threshold.min(STAND_IN_PATIENCE) } else { self.threshold };
        if taken < patience {
            return Ok(());
        }
        match cover {
            Cover::Never => return Err(Stop::NotRelieved),
            Cover::Away(_) if stands_in_for_script => return Err(Stop::Busy),
            Cover::Free | Cover::StandsIn | Cover::Away(_) => (),
        }
        // It is listed first, so that a thread that is away because it needs what the script holds comes back.
        self.list(taken);
        self.is_relieved.set(stand_in::call());
        let is_over = taken >= patience.saturating_add(AWAY_PATIENCE);
        if is_over && !self.is_relieved.get() { Err(Stop::Busy) } else { Ok(()) }
    }

    /// Lists the script as one that runs for long, with what it holds, unless it is listed.
    fn list(&self, taken: u64) {
        if self.long_run.get().is_some() {
            return;
        }
        let run = Arc::new(LongRun {
            kind: self.kind,
            slot: self.slot,
            has_written: AtomicBool::new(self.has_written.get()),
            is_killed: AtomicBool::new(false),
            began: self.began,
            call: self.call.take(),
        });
        self.supervisor.runs.lock().push(Arc::clone(&run));
        let _ = self.long_run.set(run);
        // From here on clients are told BUSY, and may say SCRIPT KILL.
        if let Some(hold) = self.hold.take() {
            self.supervisor.holds.note(self.slot, hold);
        }
        tracing::warn!(
            milliseconds = taken,
            "a script is still running: clients that need what it holds are told BUSY, and SCRIPT KILL stops it"
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(run) = self.long_run.get() {
            self.supervisor.runs.lock().retain(|other| !Arc::ptr_eq(other, run));
            let lasts = stand_in::cover() == Cover::StandsIn;
            self.supervisor.holds.forget(self.slot, if lasts { Turn::Lasts } else { Turn::Ends });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use super::*;
    use crate::stand_in::StandIn;
    use crate::store::Place;

    /// How this thread is covered.
    struct Covered(Rc<Cell<Cover>>);

    impl StandIn for Covered {
        fn cover(&self) -> Cover {
            self.0.get()
        }

        fn take_over(&self) -> bool {
            if self.0.get() == Cover::Free {
                self.0.set(Cover::StandsIn);
            }
            self.0.get() == Cover::StandsIn
        }
    }

    fn supervisor() -> Arc<Supervisor> {
        let start = Now::at(Duration::ZERO, Duration::ZERO);
        Arc::new(Supervisor::new(Arc::new(Clock::manual(start)), Arc::default()))
    }

    /// A script over its threshold on the thread of a slot, which is covered so from here on.
    fn long(supervisor: &Arc<Supervisor>, slot: usize) -> (Watch, Rc<Cell<Cover>>) {
        let cover = Rc::new(Cell::new(Cover::Free));
        stand_in::register(Box::new(Covered(Rc::clone(&cover))));
        let watch = watch(supervisor, slot);
        supervisor.clock.advance(Duration::from_millis(THRESHOLD));
        assert_eq!(watch.look(), Ok(()));
        assert_eq!(cover.get(), Cover::StandsIn);
        assert!(!supervisor.holds.is_empty());
        (watch, cover)
    }

    const THRESHOLD: u64 = 1_000;

    fn watch(supervisor: &Arc<Supervisor>, slot: usize) -> Watch {
        let began = supervisor.clock.now();
        Watch::new(supervisor, Kind::Script, (slot, Hold::All), began, (THRESHOLD, u64::MAX), None)
    }

    #[test]
    fn what_follows_a_long_script_in_its_turn_is_known_to_take_long() {
        let supervisor = supervisor();
        let (watch, cover) = long(&supervisor, 3);
        drop(watch);
        assert!(supervisor.holds.is_empty() && supervisor.holds.has_turns());
        supervisor.holds.forget_turn(3);
        // The thread has its clients back, or never gave them away: its turn keeps nobody waiting.
        let (watch, _) = long(&supervisor, 3);
        cover.set(Cover::Free);
        stand_in::register(Box::new(Covered(cover)));
        drop(watch);
        assert!(supervisor.holds.is_empty() && !supervisor.holds.has_turns());
    }

    /// A client that waits for what a script holds, and has it stopped as soon as it is told of it.
    struct Killer {
        supervisor: Arc<Supervisor>,
        has_killed: AtomicBool,
    }

    impl Wake for Killer {
        fn wake(self: Arc<Killer>) {
            self.has_killed.store(self.supervisor.kill(Kind::Script).is_ok(), Relaxed);
        }
    }

    #[test]
    fn whoever_is_told_of_a_script_can_have_it_stopped() {
        let supervisor = supervisor();
        let killer =
            Arc::new(Killer { supervisor: Arc::clone(&supervisor), has_killed: AtomicBool::default() });
        supervisor.holds.note_turn(3);
        let waker = Waker::from(Arc::clone(&killer));
        assert!(
            supervisor.holds.park(supervisor.holds.changes(), &mut Place::default(), &waker).is_pending()
        );
        let (watch, _) = long(&supervisor, 3);
        assert!(killer.has_killed.load(Relaxed));
        assert_eq!(watch.look(), Err(Stop::Killed));
    }

    /// The other thread may be away because it needs what the script holds.
    #[test]
    fn a_script_whose_other_thread_is_away_is_listed_and_waits_for_it() {
        let supervisor = supervisor();
        let cover = Rc::new(Cell::new(Cover::Away(5)));
        stand_in::register(Box::new(Covered(Rc::clone(&cover))));
        for comes_back in [true, false] {
            cover.set(Cover::Away(5));
            let watch = watch(&supervisor, 3);
            supervisor.clock.advance(Duration::from_millis(THRESHOLD));
            assert_eq!(watch.look(), Ok(()));
            assert!(supervisor.holds.has_slot(3), "others are told what it holds");
            assert_eq!(supervisor.kill(Kind::Function), Err(Refusal::BUSY_SCRIPT), "it is listed");
            supervisor.clock.advance(Duration::from_millis(AWAY_PATIENCE - 1));
            assert_eq!(watch.look(), Ok(()));
            if comes_back {
                cover.set(Cover::Free);
                assert_eq!(watch.look(), Ok(()));
                assert_eq!(cover.get(), Cover::StandsIn);
            }
            supervisor.clock.advance(Duration::from_millis(1));
            assert_eq!(watch.look(), if comes_back { Ok(()) } else { Err(Stop::Busy) });
        }
        assert!(supervisor.holds.is_empty() && !supervisor.holds.has_turns());
    }

    #[test]
    fn who_stands_in_for_a_command_runs_scripts_as_long_as_others() {
        let supervisor = supervisor();
        let (_watch, cover) = long(&supervisor, 3);
        for (other, looked) in [(5, Ok(())), (3, Err(Stop::Busy))] {
            cover.set(Cover::Away(other));
            let watch = watch(&supervisor, 6);
            supervisor.clock.advance(Duration::from_millis(STAND_IN_PATIENCE));
            assert_eq!(watch.look(), looked, "it stands in for thread {other}");
        }
    }
}
