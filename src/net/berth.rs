//! Where the loop of a worker lies while no thread serves it, and where the thread waits that is to take it over.
//!
//! A worker has two threads.  The one that serves the loop leaves it in a [`Place`] of its own while a connection has its turn.
//! From there it hands the loop over itself, when it is held up and knows it, or the other thread takes it: that one looks
//! some times a second whether the same turn lasts still ([`Watch`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use super::event_loop::EventLoop;
use crate::allocator::Purge;
use crate::lock_order::{Condvar, Mutex, rank};
use crate::stand_in::{Cover, StandIn};
use crate::store::LongHolds;

/// Threads of a worker.
pub(super) const THREADS: usize = 2;

/// How often the thread that waits looks at the other one, while that has turns and while it has none.  A turn is taken for long
/// that lasts from one look to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// See the module's text.
pub(super) struct Berth {
    state: Mutex<State, { rank::BERTH }>,
    changed: Condvar,
    places: [CachePadded<Place>; THREADS],
    holds: Arc<LongHolds>,
}

#[derive(Default)]
struct State {
    event_loop: Option<Box<EventLoop>>,
    /// Threads that serve a connection of the loop no longer, or do not yet.
    free: usize,
    /// The worker has ended: no loop comes any more.
    has_ended: bool,
    /// Threads that have ended, or are about to.
    ended: usize,
}

/// Where one thread leaves the loop during a turn.
pub(super) struct Place {
    /// The thread's number at the gate.
    slot: usize,
    holds: Arc<LongHolds>,
    event_loop: AtomicCell<Option<Box<EventLoop>>>,
    /// The turns that have begun, twice, less one while one lasts.
    turns: AtomicU64,
}

/// What a thread has seen of the other one's turns.
#[derive(Default)]
struct Watch {
    seen: u64,
    is_idle: bool,
}

/// A thread of the worker, as the one who can be relieved.
pub(super) struct Relieved {
    berth: Arc<Berth>,
    thread: usize,
}

impl Place {
    fn new(slot: usize, holds: &Arc<LongHolds>) -> Place {
        Place { slot, holds: Arc::clone(holds), event_loop: AtomicCell::new(None), turns: AtomicU64::new(0) }
    }

    /// Leaves the loop here: a turn begins.
    pub(super) fn leave(&self, event_loop: Box<EventLoop>) {
        // Only this thread writes it.
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
        self.event_loop.store(Some(event_loop));
    }

    /// Takes the loop at the end of the turn; none if another thread has it.
    pub(super) fn take(&self) -> Option<Box<EventLoop>> {
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
        let event_loop = self.event_loop.take()?;
        // Somebody may have noted the turn who waited for what it held, while the other thread was away.
        self.holds.end_turn(self.slot);
        Some(event_loop)
    }
}

impl Watch {
    /// How long until the next look.
    fn interval(&self) -> Duration {
        if self.is_idle { IDLE_INTERVAL } else { LOOK_INTERVAL }
    }

    /// Whether the turn that lasts was there at the look before.
    fn is_same_turn(&mut self, place: &Place) -> bool {
        let seen = place.turns.load(Relaxed);
        let is_same = seen == std::mem::replace(&mut self.seen, seen);
        let lasts = seen % 2 == 1;
        self.is_idle = is_same && !lasts;
        is_same && lasts
    }
}

impl Berth {
    /// The berth of a worker whose threads have these numbers at the gate, where `holds` says what is held for long.
    pub(super) fn new(slots: [usize; THREADS], holds: Arc<LongHolds>) -> Berth {
        holds.add_worker(slots);
        let places = slots.map(|slot| CachePadded::new(Place::new(slot, &holds)));
        Berth { state: Mutex::default(), changed: Condvar::default(), places, holds }
    }

    /// Where a thread leaves the loop.
    pub(super) fn place(&self, thread: usize) -> &Place {
        &self.places[thread]
    }

    /// A thread has nothing to do any more, or will have nothing to do once it has started.
    pub(super) fn note_free(&self) {
        self.state.lock().free += 1;
    }

    /// A turn has ended whose loop another thread has taken.
    pub(super) fn note_end_of_long_turn(&self, thread: usize) {
        self.holds.forget_turn(self.places[thread].slot);
    }

    /// Waits for the loop, as a thread that is noted as free, and takes it if a turn of the other thread lasts long; none once
    /// the worker has ended.  Meanwhile the thread gives freed memory back, since no client waits for it.
    pub(super) fn wait(&self, thread: usize, purge: &mut Purge) -> Option<Box<EventLoop>> {
        let other = &self.places[1 - thread];
        let mut watch = Watch::default();
        let mut state = self.state.lock();
        // At once, and then once for each look: however much is freed meanwhile, long turns are seen.
        let mut may_purge = true;
        while state.event_loop.is_none() && !state.has_ended {
            if may_purge && purge.is_due() {
                may_purge = false;
                state.free -= 1;
                drop(state);
                purge.follow();
                state = self.state.lock();
                state.free += 1;
                continue;
            }
            let is_notified = self.changed.wait_for(&mut state, watch.interval());
            if is_notified {
                continue;
            }
            drop(state);
            let taken = if watch.is_same_turn(other) { self.take_from(other) } else { None };
            state = self.state.lock();
            if taken.is_some() {
                state.free -= 1;
                return taken;
            }
            may_purge = true;
        }
        state.free -= 1;
        state.event_loop.take()
    }

    /// Takes the loop that another thread has left for a turn.
    fn take_from(&self, place: &Place) -> Option<Box<EventLoop>> {
        // Noted first: the turn may end at once, and forgets the note after the loop was found gone.
        self.holds.note_turn(place.slot);
        let taken = place.event_loop.take();
        if taken.is_none() {
            self.holds.forget_turn(place.slot);
        }
        taken
    }

    /// The worker has ended.
    pub(super) fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// A thread of the worker is about to end.
    pub(super) fn note_end_of_thread(&self) {
        self.state.lock().ended += 1;
        self.changed.notify_all();
    }

    /// Waits until so many threads are about to end, but no longer than that, and returns whether they are.
    pub(super) fn wait_for_end(&self, threads: usize, longest: Duration) -> bool {
        let mut state = self.state.lock();
        while state.ended < threads && self.changed.wait_for(&mut state, longest) {}
        state.ended >= threads
    }
}

impl Relieved {
    /// This thread of the worker.
    pub(super) fn new(berth: &Arc<Berth>, thread: usize) -> Relieved {
        Relieved { berth: Arc::clone(berth), thread }
    }

    fn place(&self) -> &Place {
        self.berth.place(self.thread)
    }
}

impl StandIn for Relieved {
    fn cover(&self) -> Cover {
        let Some(event_loop) = self.place().event_loop.take() else { return Cover::StandsIn };
        self.place().event_loop.store(Some(event_loop));
        let is_free = self.berth.state.lock().free > 0;
        if is_free { Cover::Free } else { Cover::Away(self.berth.place(1 - self.thread).slot) }
    }

    fn take_over(&self) -> bool {
        let Some(event_loop) = self.place().event_loop.take() else { return true };
        let mut state = self.berth.state.lock();
        if state.free == 0 || state.event_loop.is_some() {
            drop(state);
            self.place().event_loop.store(Some(event_loop));
            return false;
        }
        state.event_loop = Some(event_loop);
        drop(state);
        self.berth.changed.notify_all();
        true
    }
}
