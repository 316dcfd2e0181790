//! A worker: the connections dealt to it, its share of expiry, and two threads for them.
//!
//! One thread serves the worker's loop.  The other one takes the loop over once a turn on the first one lasts long, be it
//! for a script or a command on a large key; when the turn is over, the first one is the one that watches.  So neither keeps
//! those clients waiting that need nothing of what it holds.  A thread that has freed memory to give back does that when it is
//! the one that watches, and hands the loop over before.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::berth::{Berth, Relieved};
use super::dealer::Hand;
use super::event_loop::{DRAIN_TIME_MAX, EventLoop, Left};
use super::thread_state::ThreadState;
use crate::command::Services;
use crate::command::executor::Executor;
use crate::random::{Random, machine_seed};
use crate::stand_in;

/// How long the server waits for the threads of a worker beyond the time that its connections have: only a script that
/// cannot be stopped takes longer, and ends with the process.
const END_TIME_MAX: Duration = DRAIN_TIME_MAX.saturating_mul(2);

/// A worker as the server sees it.
pub struct Worker {
    hand: Hand,
    berth: Arc<Berth>,
    threads: Vec<JoinHandle<()>>,
}

impl Worker {
    /// Starts worker number `slot`.  SHUTDOWN cancels `shutdown`; the worker itself goes on until [`Worker::join_all`].
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn start(services: Arc<Services>, slot: usize, shutdown: CancellationToken) -> io::Result<Worker> {
        let (event_loop, hand) = EventLoop::new(Arc::clone(&services))?;
        let slots = [slot, services.stand_in_slot(slot)];
        let berth = Arc::new(Berth::new(slots, Arc::clone(services.store.holds())));
        // The second thread may be slow to start.
        berth.note_free();
        let start = |name: String, thread: usize, event_loop: Option<Box<EventLoop>>| {
            let (services, shutdown) = (Arc::clone(&services), shutdown.clone());
            let (berth, hand) = (Arc::clone(&berth), hand.clone());
            std::thread::Builder::new().name(name).spawn(move || {
                let executor = Executor::new(services, slots[thread], Random::with_seed(machine_seed()));
                let state = ThreadState::new(executor.with_share(slot), shutdown);
                serve(event_loop, (&berth, thread), &hand, state);
            })
        };
        let threads = vec![
            start(format!("worker-{slot}"), 0, Some(event_loop))?,
            start(format!("stand-in-{slot}"), 1, None)?,
        ];
        Ok(Worker { hand, berth, threads })
    }

    /// The way to it.
    pub(super) fn hand(&self) -> &Hand {
        &self.hand
    }

    /// Tells all workers to end once their connections have ended, waits for that, and cuts off connections that take too
    /// long.
    pub fn join_all(workers: Vec<Worker>) {
        workers.iter().for_each(|worker| worker.hand.finish());
        for worker in workers {
            let are_ending = worker.berth.wait_for_end(worker.threads.len(), END_TIME_MAX);
            for thread in worker.threads {
                // A thread that says that it ends is not finished for a moment yet.
                if !are_ending && !thread.is_finished() {
                    tracing::error!("ending while a script runs that cannot be stopped");
                } else if thread.join().is_err() {
                    tracing::error!("a worker ended by a panic");
                }
            }
        }
    }
}

/// Serves the loop of a worker whenever it is this thread's turn, until the worker ends.
fn serve(
    event_loop: Option<Box<EventLoop>>,
    (berth, thread): (&Arc<Berth>, usize),
    hand: &Hand,
    mut state: ThreadState,
) {
    let _ending = Ending(berth);
    stand_in::register(Box::new(Relieved::new(berth, thread)));
    let mut next = event_loop.or_else(|| berth.wait(thread, &mut state.purge));
    while let Some(event_loop) = next {
        next = match event_loop.run(&mut state, hand, berth.place(thread)) {
            Left::Ended => None,
            Left::HandedOver => {
                berth.note_end_of_long_turn(thread);
                berth.note_free();
                berth.wait(thread, &mut state.purge)
            }
        };
    }
}

/// A thread of a worker, until it ends, be it by a panic.
struct Ending<'b>(&'b Berth);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
        self.0.note_end_of_thread();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::allocator;
    use crate::clock::Clock;
    use crate::server;
    use crate::settings::Settings;

    /// A thread may take a moment from the word that it ends to its end, as this one does, and is no hanging script for that.
    #[test]
    fn threads_that_have_said_that_they_end_count_as_ended() {
        let services = Arc::new(server::services(Settings::default(), Clock::machine(), 1));
        let berth = Arc::new(Berth::new([0, services.stand_in_slot(0)], Arc::clone(services.store.holds())));
        let (end, ends) = mpsc::channel::<()>();
        let thread = std::thread::spawn({
            let berth = Arc::clone(&berth);
            move || {
                drop(Ending(&berth));
                ends.recv().expect("it is told to end");
            }
        });
        assert!(berth.wait_for_end(1, END_TIME_MAX));
        assert!(!thread.is_finished());
        assert!(!berth.wait_for_end(2, Duration::ZERO), "the other thread goes on");
        end.send(()).expect("it waits for that");
        thread.join().expect("it ends");
    }

    /// The thread that serves hands the loop over before it gives freed memory back.
    #[test]
    fn a_thread_that_has_memory_to_give_back_hands_the_loop_over() {
        let services = Arc::new(server::services(Settings::default(), Clock::machine(), 1));
        let (event_loop, hand) = EventLoop::new(Arc::clone(&services)).expect("the system has descriptors");
        let berth = Arc::new(Berth::new([0, services.stand_in_slot(0)], Arc::clone(services.store.holds())));
        let executor = Executor::new(services, 0, Random::with_seed(1));
        let mut state = ThreadState::new(executor, CancellationToken::new());
        stand_in::register(Box::new(Relieved::new(&berth, 0)));
        berth.note_free();
        allocator::ask_for_purge();
        let left = event_loop.run(&mut state, &hand, berth.place(0));
        assert!(matches!(left, Left::HandedOver));
        assert!(state.purge.is_due(), "it is given back afterwards");
        let mut purge = allocator::Purge::default();
        assert!(berth.wait(1, &mut purge).is_some(), "the other thread has the loop");
    }
}
