//! The deadlines of waits: a waiting call is woken at its deadline, and then finds out itself what it has got.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::lock_order::{Mutex, rank};

/// See the module's text.  Times are in microseconds of the clock of deadlines.
#[derive(Default)]
pub(super) struct Timeouts(Mutex<BTreeMap<(u64, u64), Waker>, { rank::STREAM_TIMEOUTS }>);

impl Timeouts {
    /// Wakes `waker` at this time.  Each wait has a number of its own.
    pub(super) fn set(&self, due: u64, whose: u64, waker: &Waker) {
        self.0.lock().insert((due, whose), waker.clone());
    }

    /// Ends a wait before its deadline.
    pub(super) fn forget(&self, due: u64, whose: u64) {
        self.0.lock().remove(&(due, whose));
    }

    /// Wakes the waits whose deadlines have come by `now`, and returns the next deadline.
    pub(super) fn wake_due(&self, now: u64) -> Option<u64> {
        let (due, next) = {
            let mut waiting = self.0.lock();
            let later = waiting.split_off(&(now.saturating_add(1), 0));
            let due = std::mem::replace(&mut *waiting, later);
            (due, waiting.keys().next().map(|(due, _)| *due))
        };
        due.into_values().for_each(Waker::wake);
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn those_whose_time_has_come_are_woken_once() {
        let woken = Arc::new(Counter(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.wake_due(100), None);
        for (due, whose) in [(5, 1), (5, 2), (6, 3), (9, 4)] {
            timeouts.set(due, whose, &waker);
        }
        timeouts.forget(9, 4);
        assert_eq!((timeouts.wake_due(4), woken.0.load(Relaxed)), (Some(5), 0));
        assert_eq!((timeouts.wake_due(5), woken.0.load(Relaxed)), (Some(6), 2));
        assert_eq!((timeouts.wake_due(7), woken.0.load(Relaxed)), (None, 3));
        assert_eq!((timeouts.wake_due(99), woken.0.load(Relaxed)), (None, 3));
    }
}
