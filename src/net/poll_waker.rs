//! The waker of a worker that waits for its sockets.

use std::io;

use mio::{Registry, Token};

/// Wakes one poll, from any thread.
pub(super) struct PollWaker(mio::Waker);

impl PollWaker {
    /// Wakes the poll of `registry`, where that shows as `token`.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<PollWaker> {
        mio::Waker::new(registry, token).map(PollWaker)
    }

    /// Ends the poll's wait, or its next one if it does not wait.
    pub(super) fn wake(&self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "cannot wake a worker");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::PollWaker;
    use crate::net::wakeups::Wakeups;

    fn wakeups_of(poll: &Poll) -> Arc<Wakeups> {
        Wakeups::new(PollWaker::new(poll.registry(), Token(0)).expect("a waker"))
    }

    fn is_woken(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("the poll works");
        !events.is_empty()
    }

    #[test]
    fn a_connection_that_is_woken_twice_is_listed_once_until_it_is_taken() {
        let poll = Poll::new().expect("a poll");
        let wakeups = wakeups_of(&poll);
        let (first, second) = (wakeups.waker(1), wakeups.waker(2));
        for waker in [&first, &second, &first] {
            waker.wake_by_ref();
        }
        let mut woken = Vec::new();
        wakeups.take(&mut woken);
        assert_eq!(woken, [1, 2]);
        assert!(wakeups.fall_asleep());
        first.wake();
        wakeups.take(&mut woken);
        assert_eq!(woken, [1, 2, 1]);
    }

    #[test]
    fn a_sleeping_worker_is_woken_once_and_one_that_is_awake_never() {
        let mut poll = Poll::new().expect("a poll");
        let wakeups = wakeups_of(&poll);
        let wakers = [wakeups.waker(1), wakeups.waker(2), wakeups.waker(3)];
        wakers[0].wake_by_ref();
        assert!(!is_woken(&mut poll), "the worker was awake");
        assert!(!wakeups.fall_asleep(), "a connection is on the list");
        wakeups.get_up();
        wakeups.take(&mut Vec::new());
        assert!(wakeups.fall_asleep());
        wakers[1].wake_by_ref();
        assert!(is_woken(&mut poll));
        wakers[2].wake_by_ref();
        assert!(!is_woken(&mut poll), "it was woken already");
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        const ROUNDS: usize = 2_000;
        let mut poll = Poll::new().expect("a poll");
        let wakeups = wakeups_of(&poll);
        let waker = wakeups.waker(7);
        let (ask, asked) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || asked.iter().for_each(|()| waker.wake_by_ref()));
        let (mut events, mut woken) = (Events::with_capacity(1), Vec::new());
        for _ in 0..ROUNDS {
            ask.send(()).expect("the other thread listens");
            while woken.is_empty() {
                if wakeups.fall_asleep() {
                    // Were a wake lost, this would hang.
                    poll.poll(&mut events, None).expect("the poll works");
                }
                wakeups.get_up();
                wakeups.take(&mut woken);
            }
            woken.clear();
        }
        drop(ask);
        other.join().expect("the other thread is well");
        assert!(Arc::strong_count(&wakeups) <= 2);
    }
}
