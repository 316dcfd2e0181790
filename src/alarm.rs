//! The next time at which a service has something to do.  Any thread sets it, and one thread waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// The earliest time that was set, in milliseconds of the server's clock.
pub struct Alarm {
    due: AtomicU64,
    waker: AtomicWaker,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { due: AtomicU64::new(NEVER), waker: AtomicWaker::new() }
    }
}

impl Alarm {
    /// Sets the alarm to `deadline`, unless an earlier time is set, which costs one load.
    pub fn set(&self, deadline: u64) {
        if deadline < self.due.load(Ordering::Acquire)
            && deadline < self.due.fetch_min(deadline, Ordering::AcqRel)
        {
            self.waker.wake();
        }
    }

    /// The time that is set, if any.
    pub fn next(&self) -> Option<u64> {
        Some(self.due.load(Ordering::Acquire)).filter(|&due| due != NEVER)
    }

    /// True if the time that is set has come.  Then none is set any more, and the services have to be looked at.
    pub fn ring(&self, now: u64) -> bool {
        let due = self.due.load(Ordering::Acquire);
        // If an earlier time comes in between, that one has come as well.
        due <= now && due != NEVER && self.due.swap(NEVER, Ordering::AcqRel) != NEVER
    }

    /// Ready if the time that is set is not `known`; else `waker` is woken when an earlier one is set.
    pub fn poll_changed(&self, known: Option<u64>, waker: &Waker) -> Poll<()> {
        self.waker.register(waker);
        if self.next() == known { Poll::Pending } else { Poll::Ready(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_rings_once() {
        let alarm = Alarm::default();
        assert!(!alarm.ring(u64::MAX));
        alarm.set(20);
        alarm.set(10);
        alarm.set(30);
        assert_eq!(alarm.next(), Some(10));
        assert!(!alarm.ring(9));
        assert!(alarm.ring(10));
        assert!(!alarm.ring(100));
        assert_eq!(alarm.next(), None);
    }

    #[test]
    fn a_waiter_is_woken_for_an_earlier_time() {
        let alarm = Alarm::default();
        alarm.set(20);
        let waker = Waker::noop();
        assert_eq!(alarm.poll_changed(Some(20), waker), Poll::Pending);
        alarm.set(30);
        assert_eq!(alarm.poll_changed(Some(20), waker), Poll::Pending);
        alarm.set(10);
        assert_eq!(alarm.poll_changed(Some(20), waker), Poll::Ready(()));
    }
}
