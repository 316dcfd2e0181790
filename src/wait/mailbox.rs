//! The mailbox into which the one answer to a waiter is put.
//!
//! Whichever comes first decides: once the answer is taken it counts, and once the waiter has gone no answer can be
//! put in, so that nothing is granted to nobody.  `tests/models/mailbox` tries all orders of these steps.

use std::task::{Poll, Waker};

use crate::lock_order::{Mutex, rank};
use crate::sync::AtomicWaker;

/// See the module's text.
pub struct Mailbox<T> {
    contents: Mutex<Contents<T>, { rank::MAILBOX }>,
    waker: AtomicWaker,
}

enum Contents<T> {
    Empty,
    Full(T),
    /// The answer was taken, or the waiter has gone.
    Closed,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Mailbox<T> {
        Mailbox { contents: Mutex::new(Contents::Empty), waker: AtomicWaker::new() }
    }
}

impl<T> Mailbox<T> {
    /// Puts the answer in and wakes the waiter.
    ///
    /// # Errors
    /// Gives the answer back if the waiter has gone; its grant has to be withdrawn.
    pub fn put(&self, answer: T) -> Result<(), T> {
        self.fill(answer)?;
        self.wake();
        Ok(())
    }

    /// Puts the answer in.  The waiter is not woken before [`Mailbox::wake`], which can be called once no lock is held.
    ///
    /// # Errors
    /// As [`Mailbox::put`].
    pub fn fill(&self, answer: T) -> Result<(), T> {
        let mut contents = self.contents.lock();
        if !matches!(*contents, Contents::Empty) {
            debug_assert!(matches!(*contents, Contents::Closed), "a waiter gets one answer");
            return Err(answer);
        }
        *contents = Contents::Full(answer);
        Ok(())
    }

    /// Wakes the waiter.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Takes the answer if it is there; else `waker` is woken when it comes.
    pub fn poll_take(&self, waker: &Waker) -> Poll<T> {
        self.waker.register(waker);
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Stops waiting.  Returns an answer that came and was not taken; its grant has to be withdrawn.
    pub fn close(&self) -> Option<T> {
        match std::mem::replace(&mut *self.contents.lock(), Contents::Closed) {
            Contents::Full(answer) => Some(answer),
            Contents::Empty | Contents::Closed => None,
        }
    }

    fn take(&self) -> Option<T> {
        let mut contents = self.contents.lock();
        if !matches!(*contents, Contents::Full(_)) {
            return None;
        }
        match std::mem::replace(&mut *contents, Contents::Closed) {
            Contents::Full(answer) => Some(answer),
            Contents::Empty | Contents::Closed => None,
        }
    }
}
