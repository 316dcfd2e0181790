//! How the threads of a model sleep until they are woken.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::{Condvar, Mutex};

/// Lets one thread sleep.  A wake-up that comes early is kept, as by a poll or a parked thread.
pub(crate) struct Parking {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Parking {
    pub(crate) fn new() -> Parking {
        Parking { is_woken: Mutex::new(false), woken: Condvar::new() }
    }

    /// Ends the thread's sleep, or its next one.
    pub(crate) fn wake(&self) {
        *self.is_woken.lock().expect("no model panics") = true;
        self.woken.notify_one();
    }

    /// Sleeps until it is woken.
    pub(crate) fn sleep(&self) {
        let mut is_woken = self.is_woken.lock().expect("no model panics");
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).expect("no model panics");
        }
        *is_woken = false;
    }

    /// A waker that ends the thread's sleep.
    pub(crate) fn waker(self: &Arc<Parking>) -> Waker {
        struct Wakes(Arc<Parking>);
        impl Wake for Wakes {
            fn wake(self: Arc<Wakes>) {
                self.0.wake();
            }
        }
        Waker::from(Arc::new(Wakes(Arc::clone(self))))
    }
}
