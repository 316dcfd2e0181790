//! The inbox of one request: a private reply subject, whose messages are for that request alone.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::frames::Delivered;
use super::no_random_bytes;
use crate::broker::subjects::new_inbox;
use crate::delivery::{Encoding, Feed, SubscriptionOptions, Topic};
use crate::http::endpoint::{Context, Problem, problems};

/// Subscribed until it is dropped, so that nothing is left of a request that has ended.
pub(crate) struct Inbox {
    subject: String,
    feed: Feed,
    /// Messages that have come and were not taken yet.
    frames: Bytes,
}

impl Inbox {
    /// A new inbox.
    ///
    /// # Errors
    /// If too many feeds are open.
    pub(crate) fn open(context: &Context) -> Result<Inbox, Problem> {
        let subject = new_inbox().map_err(no_random_bytes)?;
        let topics = vec![Topic::exact(subject.as_bytes())];
        let options = SubscriptionOptions { id: (*b"1").into(), ..SubscriptionOptions::default() };
        let fan_out = &context.services().fan_out;
        let feed = Feed::open(fan_out, topics, Encoding::Frames, &options, None)
            .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
        Ok(Inbox { subject, feed, frames: Bytes::new() })
    }

    /// Its subject.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The next message.
    ///
    /// # Errors
    /// If it is too long for what may wait for a feed.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Delivered, Problem>> {
        if self.frames.is_empty() {
            match self.feed.poll_next(waker) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frames) => self.frames = frames.unwrap_or_default(),
            }
        }
        Poll::Ready(Delivered::take(&mut self.frames).ok_or_else(|| {
            Problem::new(problems::TOO_MUCH_IN_FLIGHT).detail("the answer had no room in the server")
        }))
    }
}
