//! Waiting: a mailbox for one answer, the ticket of its waiter, and the barrier of a reply that has to be on the disk.
//!
//! Nothing here knows the waiter.  A connection and an HTTP request wait in the same way: they leave a waker.

mod mailbox;

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};

pub use mailbox::Mailbox;

/// The waiter's end of a wait.  The service that will answer knows the wait by its number and holds the mailbox too.
///
/// The holder of the ticket either polls it until the answer comes, or has the service cancel the wait.  The service then
/// forgets the request and withdraws what it had granted.
pub struct Ticket<A> {
    id: u64,
    mailbox: Arc<Mailbox<A>>,
}

impl<A> Ticket<A> {
    /// The ticket of the wait with this number, among the waits of its service.
    pub fn new(id: u64) -> Ticket<A> {
        Ticket::with_mailbox(id, Arc::default())
    }

    /// The same, where the answer is put into this mailbox.
    pub fn with_mailbox(id: u64, mailbox: Arc<Mailbox<A>>) -> Ticket<A> {
        Ticket { id, mailbox }
    }

    /// The number of the wait.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where the service puts the answer.
    pub fn mailbox(&self) -> &Arc<Mailbox<A>> {
        &self.mailbox
    }

    /// Ready with the answer once there is one; until then `waker` is woken when it comes.
    pub fn poll(&self, waker: &Waker) -> Poll<A> {
        self.mailbox.poll_take(waker)
    }

    /// Takes no more answers.  Returns an answer that came and was not taken; its grant has to be withdrawn.
    pub fn close(&self) -> Option<A> {
        self.mailbox.close()
    }
}

/// A waker that unparks the thread that calls this.
pub fn thread_waker() -> Waker {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    Waker::from(Arc::new(Unpark(thread::current())))
}

/// A place in a journal: the number of bytes up to the end of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position(pub u64);

/// The disk has failed, or has no room: changes up to a position may be undone at the next start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the disk has failed or has no room, so the change may be lost")
    }
}

/// Something that is on the disk up to a position.
pub trait Durable: Send + Sync {
    /// Ready once everything up to `position` is on the disk, or cannot get there.  Else `waker` is woken then.  The same
    /// waker may be left several times.
    fn poll_synced(&self, position: Position, waker: &Waker) -> Poll<Result<(), Lost>>;
}

/// The condition for a reply to be sent: the disk has everything up to a position.
#[derive(Clone)]
pub struct Barrier {
    /// The journal.
    pub journal: Arc<dyn Durable>,
    /// The position that has to be on the disk.
    pub position: Position,
}

impl Barrier {
    /// Ready once the reply may be sent, or must not be.
    pub fn poll(&self, waker: &Waker) -> Poll<Result<(), Lost>> {
        self.journal.poll_synced(self.position, waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_woken_by_its_waker() {
        let waker = thread_waker();
        thread::spawn(move || waker.wake()).join().expect("the other thread ends");
        // The wake came before, so this returns at once.
        thread::park();
    }

    #[test]
    fn an_answer_is_taken_once() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.poll_take(Waker::noop()), Poll::Pending);
        assert_eq!(mailbox.put(7), Ok(()));
        assert_eq!(mailbox.poll_take(Waker::noop()), Poll::Ready(7));
        assert_eq!(mailbox.close(), None);
    }

    #[test]
    fn an_answer_that_nobody_takes_comes_back() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.put(7), Ok(()));
        assert_eq!(mailbox.close(), Some(7));
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.close(), None);
        assert_eq!(mailbox.put(8), Err(8));
    }
}
