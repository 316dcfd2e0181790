//! The requests that a client may answer: the reply subjects of messages that were delivered to it lately.
//!
//! Only a user with `allow_responses` has these.  They are bounded in number and bytes; beyond that, the oldest request can
//! no longer be answered.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::permissions::Responses;
use crate::clock::Now;

/// Requests that are remembered for one client, as in nats-server.
pub(super) const OPEN_REQUESTS_MAX: usize = 4096;

/// Bytes of their reply subjects.
pub(super) const REPLY_BYTES_MAX: usize = 1 << 20;

/// See the module's text.
pub struct OpenRequests {
    allowed: Responses,
    subjects: HashMap<Arc<[u8]>, Request>,
    /// The same subjects in the order of their numbers, so of their deadlines too.  One that is used again before the
    /// first request has ended stands here twice, with its former number too.
    order: VecDeque<(Arc<[u8]>, u64)>,
    /// Bytes of all subjects in the order.
    bytes: usize,
    /// The number of the next request.
    next: u64,
}

struct Request {
    number: u64,
    /// When it ends, in milliseconds of the server's clock.
    ends_at: u64,
    /// The answers that may still be given.
    left: u32,
}

impl OpenRequests {
    /// Starts without requests.  The user may give `allowed` answers to each request.
    pub fn new(allowed: Responses) -> OpenRequests {
        OpenRequests { allowed, subjects: HashMap::new(), order: VecDeque::new(), bytes: 0, next: 0 }
    }

    /// Notes that a message with this reply subject is delivered to the client.
    pub fn remember(&mut self, subject: &[u8], now: Now) {
        let ttl = u64::try_from(self.allowed.ttl.as_millis()).unwrap_or(u64::MAX);
        let ends_at = now.millis().saturating_add(ttl);
        let number = self.next;
        self.next += 1;
        let request = Request { number, ends_at, left: self.allowed.max };
        let subject: Arc<[u8]> = match self.subjects.get_key_value(subject) {
            Some((known, _)) => Arc::clone(known),
            None => subject.into(),
        };
        self.bytes += subject.len();
        self.subjects.insert(Arc::clone(&subject), request);
        self.order.push_back((subject, number));
        while self.is_first_over(now) {
            self.forget_first();
        }
    }

    /// Whether the client may answer on this subject, which uses up one of the answers.
    pub fn take(&mut self, subject: &[u8], now: Now) -> bool {
        let Some(request) = self.subjects.get_mut(subject) else { return false };
        let is_in_time = now.millis() <= request.ends_at;
        request.left = request.left.saturating_sub(1);
        if !is_in_time || request.left == 0 {
            self.subjects.remove(subject);
        }
        is_in_time
    }

    /// Whether the first in the order is to be forgotten: it was answered, used again or is too old, or there are too many.
    fn is_first_over(&self, now: Now) -> bool {
        let Some((subject, number)) = self.order.front() else { return false };
        let is_awaited = |request: &Request| request.number == *number && now.millis() <= request.ends_at;
        self.order.len() > OPEN_REQUESTS_MAX
            || self.bytes > REPLY_BYTES_MAX
            || !self.subjects.get(subject).is_some_and(is_awaited)
    }

    fn forget_first(&mut self) {
        let Some((subject, number)) = self.order.pop_front() else { return };
        self.bytes -= subject.len();
        // A subject that was used again is remembered for longer.
        if self.subjects.get(&subject).is_some_and(|request| request.number == number) {
            self.subjects.remove(&subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Now {
        Now::at(Duration::from_millis(1_000_000 + millis), Duration::ZERO)
    }

    fn requests(max: u32) -> OpenRequests {
        OpenRequests::new(Responses { max, ttl: Duration::from_millis(300) })
    }

    #[test]
    fn a_request_is_answered_so_often_and_so_long() {
        let mut requests = requests(2);
        assert!(!requests.take(b"one", at(0)), "nobody asked");
        requests.remember(b"one", at(0));
        assert_eq!([0, 1, 2].map(|millis| requests.take(b"one", at(millis))), [true, true, false]);
        requests.remember(b"two", at(10));
        assert!(requests.take(b"two", at(310)));
        assert!(!requests.take(b"two", at(311)), "the time is over");
        requests.remember(b"two", at(400));
        requests.remember(b"two", at(600));
        assert_eq!([700, 900, 901].map(|millis| requests.take(b"two", at(millis))), [true, true, false]);
    }

    #[test]
    fn the_oldest_requests_are_forgotten_beyond_the_limits() {
        let mut requests = requests(1);
        let name = |number: usize| format!("_INBOX.{number}");
        for number in 0..=OPEN_REQUESTS_MAX {
            requests.remember(name(number).as_bytes(), at(0));
        }
        assert!(!requests.take(name(0).as_bytes(), at(0)), "it is one too many");
        assert!(requests.take(name(1).as_bytes(), at(0)));
        assert_eq!(
            (requests.subjects.len(), requests.order.len()),
            (OPEN_REQUESTS_MAX - 1, OPEN_REQUESTS_MAX)
        );
        let long = vec![b'x'; REPLY_BYTES_MAX - 100];
        requests.remember(&long, at(0));
        assert!(requests.take(&long, at(0)) && requests.bytes <= REPLY_BYTES_MAX);
        requests.remember(b"late", at(301));
        assert_eq!(
            (requests.subjects.len(), requests.order.len(), requests.bytes),
            (1, 1, 4),
            "time frees them"
        );
    }

    #[test]
    fn a_subject_that_is_used_again_and_again_takes_bounded_room() {
        let mut requests = requests(1);
        requests.remember(b"first", at(0));
        for _ in 0..3 * OPEN_REQUESTS_MAX {
            requests.remember(b"same", at(0));
        }
        assert!(!requests.take(b"first", at(0)), "too many have come since");
        assert_eq!((requests.subjects.len(), requests.order.len()), (1, 1));
        assert!(requests.take(b"same", at(0)) && !requests.take(b"same", at(0)));
    }
}
