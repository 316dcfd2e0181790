//! The list of a worker's connections that have to be looked at, to which any thread may add.
//!
//! A connection leaves its [`Waker`] with whatever it waits for.  Waking puts the connection on the list, at most once,
//! and wakes the worker if that sleeps: a thread that wakes many connections of one worker pays for one system call at
//! most.  `tests/models/wakeups` tries all orders in which threads can do this.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::poll_waker::PollWaker;
use crate::lock_order::{Mutex, rank};
use crate::sync::{AtomicBool, Ordering};

/// See the module's text.
pub(super) struct Wakeups {
    woken: Mutex<Vec<Arc<Handle>>, { rank::WOKEN }>,
    /// The worker waits for its sockets, or is about to.
    is_asleep: AtomicBool,
    worker: PollWaker,
}

/// The state behind the waker of one connection.
struct Handle {
    connection: usize,
    wakeups: Arc<Wakeups>,
    /// It is on the list.
    is_listed: AtomicBool,
}

impl Wakeups {
    /// The list of a worker that is woken by `worker`.
    pub(super) fn new(worker: PollWaker) -> Arc<Wakeups> {
        Arc::new(Wakeups { woken: Mutex::new(Vec::new()), is_asleep: AtomicBool::new(false), worker })
    }

    /// The waker of the connection with this number.
    pub(super) fn waker(self: &Arc<Wakeups>, connection: usize) -> Waker {
        let wakeups = Arc::clone(self);
        Waker::from(Arc::new(Handle { connection, wakeups, is_listed: AtomicBool::new(false) }))
    }

    /// Wakes the worker, or keeps it from falling asleep once.
    pub(super) fn wake_worker(&self) {
        self.worker.wake();
    }

    /// Says that the worker is about to sleep, and whether it may: it may not if a connection is on the list.  One that
    /// is put there later wakes the worker.
    pub(super) fn fall_asleep(&self) -> bool {
        // An exchange costs no more than a store that every thread sees in one order.
        self.is_asleep.swap(true, Ordering::SeqCst);
        self.woken.lock().is_empty()
    }

    /// Says that the worker does not sleep any more, or not at all.
    pub(super) fn get_up(&self) {
        self.is_asleep.swap(false, Ordering::SeqCst);
    }

    /// Moves the numbers of the connections on the list into `connections`.
    pub(super) fn take(&self, connections: &mut Vec<usize>) {
        for handle in self.woken.lock().drain(..) {
            // From here on a wake lists it again, since it is looked at after this.
            handle.is_listed.swap(false, Ordering::AcqRel);
            connections.push(handle.connection);
        }
    }
}

impl Wake for Handle {
    fn wake(self: Arc<Handle>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Handle>) {
        if !self.is_listed.swap(true, Ordering::AcqRel) {
            self.wakeups.woken.lock().push(Arc::clone(self));
            if self.wakeups.is_asleep.swap(false, Ordering::SeqCst) {
                self.wakeups.wake_worker();
            }
        }
    }
}
