//! Who of a worker's connections has to be looked at, as any thread may say.
//!
//! A connection leaves its [`Waker`] with whatever it waits for.  Waking puts it on a list, at most once, and wakes the
//! worker if that sleeps: who wakes many connections of one worker pays for one system call at most.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use mio::{Registry, Token};

use crate::lock_order::{Mutex, rank};

/// See the module's text.
pub(super) struct Wakeups {
    woken: Mutex<Vec<Arc<Handle>>, { rank::WOKEN }>,
    /// The worker waits for its sockets, or is about to.
    is_asleep: AtomicBool,
    bell: mio::Waker,
}

/// What stands behind the waker of one connection.
struct Handle {
    connection: usize,
    wakeups: Arc<Wakeups>,
    /// It is on the list.
    is_listed: AtomicBool,
}

impl Wakeups {
    /// The list of a worker that waits with the poll of `registry`, where its being woken shows as `token`.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Arc<Wakeups>> {
        Ok(Arc::new(Wakeups {
            woken: Mutex::default(),
            is_asleep: AtomicBool::new(false),
            bell: mio::Waker::new(registry, token)?,
        }))
    }

    /// The waker of the connection with this number.
    pub(super) fn waker(self: &Arc<Wakeups>, connection: usize) -> Waker {
        let wakeups = Arc::clone(self);
        Waker::from(Arc::new(Handle { connection, wakeups, is_listed: AtomicBool::new(false) }))
    }

    /// Wakes the worker, or keeps it from falling asleep once.
    pub(super) fn ring(&self) {
        if let Err(error) = self.bell.wake() {
            tracing::error!(%error, "cannot wake a worker");
        }
    }

    /// The worker is about to sleep, unless it finds now that somebody was woken: whoever is woken after that look
    /// rings.
    pub(super) fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
    }

    /// The worker does not sleep any more, or not at all.
    pub(super) fn get_up(&self) {
        self.is_asleep.store(false, Ordering::SeqCst);
    }

    /// Whether nobody was woken.
    pub(super) fn is_empty(&self) -> bool {
        self.woken.lock().is_empty()
    }

    /// Moves the numbers of those who were woken into `connections`.
    pub(super) fn take(&self, connections: &mut Vec<usize>) {
        for handle in self.woken.lock().drain(..) {
            // From here on it is listed again when it is woken, since it is looked at after this.
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
                self.wakeups.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::Wakeups;

    fn bell_rang(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("the poll works");
        !events.is_empty()
    }

    #[test]
    fn who_is_woken_often_is_listed_once_until_it_is_taken() {
        let poll = Poll::new().expect("a poll");
        let wakeups = Wakeups::new(poll.registry(), Token(0)).expect("a list");
        let (first, second) = (wakeups.waker(1), wakeups.waker(2));
        for waker in [&first, &second, &first] {
            waker.wake_by_ref();
        }
        let mut woken = Vec::new();
        wakeups.take(&mut woken);
        assert_eq!(woken, [1, 2]);
        assert!(wakeups.is_empty());
        first.wake();
        wakeups.take(&mut woken);
        assert_eq!(woken, [1, 2, 1]);
    }

    #[test]
    fn the_bell_rings_once_and_only_for_a_sleeper() {
        let mut poll = Poll::new().expect("a poll");
        let wakeups = Wakeups::new(poll.registry(), Token(0)).expect("a list");
        let wakers = [wakeups.waker(1), wakeups.waker(2), wakeups.waker(3)];
        wakers[0].wake_by_ref();
        assert!(!bell_rang(&mut poll), "the worker was awake");
        wakeups.fall_asleep();
        wakers[1].wake_by_ref();
        assert!(bell_rang(&mut poll));
        wakers[2].wake_by_ref();
        assert!(!bell_rang(&mut poll), "it was woken already");
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        const ROUNDS: usize = 2_000;
        let mut poll = Poll::new().expect("a poll");
        let wakeups = Wakeups::new(poll.registry(), Token(0)).expect("a list");
        let waker = wakeups.waker(7);
        let (ask, asked) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || asked.iter().for_each(|()| waker.wake_by_ref()));
        let (mut events, mut woken) = (Events::with_capacity(1), Vec::new());
        for _ in 0..ROUNDS {
            ask.send(()).expect("the other thread listens");
            while woken.is_empty() {
                wakeups.fall_asleep();
                if wakeups.is_empty() {
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
