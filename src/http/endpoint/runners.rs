//! Threads that do for requests what may take long.
//!
//! The connections of an HTTP thread wait while it works, and nobody takes them over.  So what may take long is done here.  If all
//! runners are at work, requests that need one wait.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::allocator::Purge;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::lock_order::{Condvar, Mutex, rank};
use crate::random::{Random, machine_seed};
use crate::stand_in::{self, Cover, StandIn};

/// How many there are.  One more than this would have to take long at once for a request to wait for others.
pub const RUNNERS: usize = 4;

/// What a runner does, inside its own turn and with its own executor.
pub type Work = Box<dyn FnOnce(&mut Executor) + Send>;

/// How often runners without work look whether to give memory back.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// The slot of no thread.  While all runners are at work, a script that is over its threshold has as much time as one whose worker's
/// other thread is at a command.
const NOBODY: usize = usize::MAX;

/// All runners of the server.
pub struct Runners {
    state: Mutex<State, { rank::RUNNERS }>,
    /// One for each runner.
    called: Box<[Condvar]>,
    has_ended: Condvar,
}

#[derive(Default)]
struct State {
    /// What no runner has begun.  A request has one work at most, and leaves an empty one if its client goes away.
    queue: VecDeque<Work>,
    /// The runners that have nothing to do.  The last one is called first: it has the warmest memory, and scripts are compiled there.
    idle: Vec<usize>,
    /// Runners that have not ended.
    alive: usize,
    is_over: bool,
}

/// A runner as one who can be relieved: whoever else has work finds another one.
struct Relieved(Arc<Runners>);

impl Runners {
    /// Starts a runner for each slot at the gate.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(
        services: &Arc<Services>,
        slots: impl ExactSizeIterator<Item = usize>,
    ) -> io::Result<Arc<Runners>> {
        let runners = Arc::new(Runners {
            state: Mutex::default(),
            called: (0..slots.len()).map(|_| Condvar::default()).collect(),
            has_ended: Condvar::default(),
        });
        for (number, slot) in slots.enumerate() {
            let (shared, services) = (Arc::clone(&runners), Arc::clone(services));
            services.store.holds().add_unwatched(slot);
            runners.state.lock().alive += 1;
            let run = move || {
                let executor = Executor::new(services, slot, Random::with_seed(machine_seed()));
                let _ending = Ending(&shared);
                stand_in::register(Box::new(Relieved(Arc::clone(&shared))));
                shared.run(number, executor);
            };
            let started = std::thread::Builder::new().name(format!("runner-{number}")).spawn(run);
            if let Err(error) = started {
                runners.state.lock().alive -= 1;
                return Err(error);
            }
        }
        Ok(runners)
    }

    /// Has a runner do this.  Once the runners have ended it is dropped.
    pub fn give(&self, work: Work) {
        let mut state = self.state.lock();
        if state.is_over {
            drop(state);
            return;
        }
        state.queue.push_back(work);
        let called = state.idle.pop();
        drop(state);
        if let Some(number) = called {
            self.called[number].notify_all();
        }
    }

    /// Ends all runners once they have done what they have begun, and drops what they have not.  False if that takes longer than
    /// `longest`.
    pub fn end(&self, longest: Duration) -> bool {
        let mut state = self.state.lock();
        state.is_over = true;
        let dropped = std::mem::take(&mut state.queue);
        self.called.iter().for_each(|called| {
            called.notify_all();
        });
        // Each end wakes it, so that only the last runners may take so long.
        while state.alive > 0 && self.has_ended.wait_for(&mut state, longest) {}
        let have_ended = state.alive == 0;
        drop(state);
        drop(dropped);
        have_ended
    }

    /// Does work until the end.
    fn run(&self, number: usize, mut executor: Executor) {
        let (services, slot) = (Arc::clone(executor.services()), executor.slot());
        let mut purge = Purge::default();
        while let Some(work) = self.next(number, &mut purge) {
            work(&mut executor);
            // Before anybody else is told that it has let go of something.
            executor.take_looks();
            services.store.holds().end_turn(slot);
        }
    }

    /// Waits for work; none at the end.
    fn next(&self, number: usize, purge: &mut Purge) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                return Some(work);
            }
            if state.is_over {
                return None;
            }
            state.idle.push(number);
            while state.idle.contains(&number) && !state.is_over {
                let is_called = self.called[number].wait_for(&mut state, PURGE_INTERVAL);
                if !is_called && purge.is_due() && state.idle.contains(&number) {
                    state.idle.retain(|idle| *idle != number);
                    drop(state);
                    purge.follow();
                    state = self.state.lock();
                }
            }
        }
    }
}

/// A runner until it ends, be it by a panic.
struct Ending<'r>(&'r Runners);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.state.lock().alive -= 1;
        self.0.has_ended.notify_all();
    }
}

impl StandIn for Relieved {
    fn cover(&self) -> Cover {
        if self.0.state.lock().idle.is_empty() { Cover::Away(NOBODY) } else { Cover::StandsIn }
    }

    fn take_over(&self) -> bool {
        self.cover() == Cover::StandsIn
    }
}
