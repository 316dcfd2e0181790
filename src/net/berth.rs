//! Where the loop of a worker lies while no thread serves it, and where the thread waits that is to take it over.

use std::sync::Arc;
use std::time::Duration;

use super::event_loop::{EventLoop, leave_behind, take_left_behind};
use crate::lock_order::{Condvar, Mutex, rank};
use crate::stand_in::StandIn;

/// See the module's text.
#[derive(Default)]
pub(super) struct Berth {
    state: Mutex<State, { rank::BERTH }>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    event_loop: Option<Box<EventLoop>>,
    /// Threads that serve a connection of the loop no longer, or do not yet.
    free: usize,
    /// The worker has ended: no loop comes any more.
    has_ended: bool,
    /// Threads that have ended.
    ended: usize,
}

impl Berth {
    /// A thread has nothing to do any more, or will have nothing to do once it has started.
    pub(super) fn note_free(&self) {
        self.state.lock().free += 1;
    }

    /// Waits for the loop, as a thread that is noted as free; none once the worker has ended.
    pub(super) fn wait(&self) -> Option<Box<EventLoop>> {
        let mut state = self.state.lock();
        while state.event_loop.is_none() && !state.has_ended {
            self.changed.wait(&mut state);
        }
        state.free -= 1;
        state.event_loop.take()
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

    /// Waits until so many threads have ended, but no longer than that.
    pub(super) fn wait_for_end(&self, threads: usize, longest: Duration) {
        let mut state = self.state.lock();
        while state.ended < threads && self.changed.wait_for(&mut state, longest) {}
    }
}

impl StandIn for Arc<Berth> {
    fn is_free(&self) -> bool {
        let Some(event_loop) = take_left_behind() else { return true };
        leave_behind(event_loop);
        self.state.lock().free > 0
    }

    fn take_over(&self) -> bool {
        let Some(event_loop) = take_left_behind() else { return true };
        let mut state = self.state.lock();
        if state.free == 0 || state.event_loop.is_some() {
            drop(state);
            leave_behind(event_loop);
            return false;
        }
        state.event_loop = Some(event_loop);
        drop(state);
        self.changed.notify_all();
        true
    }
}
