//! Storing a message for a caller that waits for the outcome.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::shared::Stream;
use super::store::{Incoming, Outcome, Publisher, lost};
use crate::clock::Now;
use crate::delivery::Effects;
use crate::wait::Mailbox;

/// The outcome that a stream still owes for a message.
pub struct OwedOutcome {
    stream: Arc<Stream>,
    mailbox: Arc<Mailbox<Outcome>>,
}

/// The stream's end.  Whoever waits gets an outcome, even if the stream drops the message untold because the server stops.
struct Debt(Option<Arc<Mailbox<Outcome>>>);

impl Debt {
    fn pay(&mut self, outcome: Outcome) {
        if let Some(mailbox) = self.0.take() {
            // The caller may have left; then there is nobody to tell.
            drop(mailbox.put(outcome));
        }
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.pay(Err(lost()));
    }
}

impl OwedOutcome {
    /// Hands a message to a stream; none if the stream is deleted.  `told` is called with the outcome before the caller gets it.
    pub fn of(
        stream: &Arc<Stream>,
        message: &Incoming<'_>,
        now: Now,
        told: impl FnOnce(&Outcome, &mut Effects) + Send + 'static,
        effects: &mut Effects,
    ) -> Option<OwedOutcome> {
        let mailbox = Arc::<Mailbox<Outcome>>::default();
        let mut debt = Debt(Some(Arc::clone(&mailbox)));
        let publisher = Publisher::Caller(Box::new(move |_, outcome, effects| {
            told(&outcome, effects);
            debt.pay(outcome);
        }));
        let is_there = stream.store(message, now, publisher, effects);
        is_there.then(|| OwedOutcome { stream: Arc::clone(stream), mailbox })
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Ready once with the outcome, when it is certain; else `waker` is woken then.
    pub fn poll(&self, waker: &Waker) -> Poll<Outcome> {
        self.mailbox.poll_take(waker)
    }
}
