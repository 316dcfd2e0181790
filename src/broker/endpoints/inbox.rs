//! The inbox of one request: a private reply subject, on which the first message is the answer.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::no_random_bytes;
use crate::broker::subjects::new_inbox;
use crate::delivery::{Encoding, Feed, SubscriptionOptions, Topic};
use crate::http::endpoint::{Context, Problem, problems};

/// Subscribed until it is dropped, so that nothing is left of a request that has ended.
pub(super) struct Inbox {
    subject: String,
    feed: Feed,
}

/// The answer to a request.
pub(super) struct Answer {
    /// Its header block; empty for none.
    pub(super) headers: Bytes,
    /// Its payload.
    pub(super) payload: Bytes,
}

impl Inbox {
    /// A new inbox.
    ///
    /// # Errors
    /// If too many feeds are open.
    pub(super) fn open(context: &Context) -> Result<Inbox, Problem> {
        let subject = new_inbox().map_err(no_random_bytes)?;
        let topics = vec![Topic::exact(subject.as_bytes())];
        let options = SubscriptionOptions { id: (*b"1").into(), ..SubscriptionOptions::default() };
        let fan_out = &context.services().fan_out;
        let feed = Feed::open(fan_out, topics, Encoding::Frames, &options, None)
            .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
        Ok(Inbox { subject, feed })
    }

    /// Its subject.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// The answer.
    ///
    /// # Errors
    /// If it is too long for what may wait for a feed.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Result<Answer, Problem>> {
        self.feed.poll_next(waker).map(|frame| {
            frame.as_ref().and_then(answer_of).ok_or_else(|| {
                Problem::new(problems::TOO_MUCH_IN_FLIGHT).detail("the answer had no room in the server")
            })
        })
    }
}

/// The content of the first frame: `MSG subject sid [reply] length` or `HMSG subject sid [reply] headers length`, a line
/// end, headers and payload.
fn answer_of(frame: &Bytes) -> Option<Answer> {
    let end = frame.windows(2).position(|bytes| bytes == b"\r\n")?;
    let line = std::str::from_utf8(&frame[..end]).ok()?;
    let mut fields = line.rsplit(' ');
    let length: usize = fields.next()?.parse().ok()?;
    let headers: usize = if line.starts_with("HMSG ") { fields.next()?.parse().ok()? } else { 0 };
    let content = frame.get(end + 2..)?;
    (headers <= length && length <= content.len()).then(|| Answer {
        headers: frame.slice_ref(&content[..headers]),
        payload: frame.slice_ref(&content[headers..length]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_is_in_its_frame() {
        let frame = |text: &'static str| answer_of(&Bytes::from_static(text.as_bytes()));
        for (text, headers, payload) in [
            ("MSG _INBOX.x 1 5\r\nhello\r\n", "", "hello"),
            ("MSG _INBOX.x 1 next 0\r\n\r\n", "", ""),
            ("HMSG _INBOX.x 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "NATS/1.0\r\n\r\n", "hi"),
            (
                "HMSG _INBOX.x 1 next 12 12\r\nNATS/1.0\r\n\r\n\r\nMSG _INBOX.x 1 1\r\nx\r\n",
                "NATS/1.0\r\n\r\n",
                "",
            ),
        ] {
            let answer = frame(text).expect("it is a frame");
            assert_eq!(
                (&*answer.headers, &*answer.payload),
                (headers.as_bytes(), payload.as_bytes()),
                "{text}"
            );
        }
        for text in ["", "\r\n", "MSG _INBOX.x 1 9\r\nhello\r\n", "HMSG _INBOX.x 1 9 8\r\nhellohello\r\n"] {
            assert!(frame(text).is_none(), "{text}");
        }
    }
}
