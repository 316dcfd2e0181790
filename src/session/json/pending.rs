//! Requests that wait for their answers.

use std::sync::Arc;

use crate::clock::Now;
use crate::delivery::Subscription;

/// Requests of one client that may wait at a time.
pub(super) const REQUESTS_MAX: usize = 1000;

/// A request.  Its id is that of the subscription to its answer.
struct Waiting {
    /// Until when it waits, in microseconds.
    until: u64,
    answer: Arc<Subscription>,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Pending {
    requests: Vec<Waiting>,
    /// When the first of them ends.
    next: Option<u64>,
}

impl Pending {
    /// When the first request ends, in microseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.next
    }

    /// Whether a request with this id waits.
    pub(super) fn has(&self, id: &[u8]) -> bool {
        self.requests.iter().any(|waiting| *waiting.answer.options().id == *id && !is_answered(waiting))
    }

    /// Whether there is room for one more request.  Those that were answered take none.
    pub(super) fn has_room(&mut self) -> bool {
        if self.requests.len() >= REQUESTS_MAX {
            self.requests.retain(|waiting| !is_answered(waiting));
            self.set_next();
        }
        self.requests.len() < REQUESTS_MAX
    }

    /// Adds a request that waits until a time in microseconds.
    pub(super) fn add(&mut self, until: u64, answer: Arc<Subscription>) {
        self.requests.push(Waiting { until, answer });
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// Takes the subscriptions of the requests out that have waited in vain.
    pub(super) fn take_overdue(&mut self, now: Now) -> Vec<Arc<Subscription>> {
        if self.next.is_none_or(|next| next > now.micros()) {
            return Vec::new();
        }
        let overdue = self.requests.extract_if(.., |waiting| waiting.until <= now.micros());
        let overdue = overdue.filter(|waiting| !is_answered(waiting)).map(|waiting| waiting.answer).collect();
        self.set_next();
        overdue
    }

    /// Takes the subscriptions of all requests out.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Arc<Subscription>> {
        self.next = None;
        std::mem::take(&mut self.requests).into_iter().map(|waiting| waiting.answer)
    }

    fn set_next(&mut self) {
        self.next = self.requests.iter().map(|waiting| waiting.until).min();
    }
}

/// Whether an answer was sent to the client, who may not have it yet.
fn is_answered(waiting: &Waiting) -> bool {
    waiting.answer.delivered() > 0
}
