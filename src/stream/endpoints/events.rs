//! A stream as server-sent events: read from the stream when the client has room, so nothing is kept for one that is slow.
//!
//! Each message and each gap has an id, which rises strictly within an epoch, so a client that connects again goes on
//! exactly behind what it has seen.

use std::task::{Poll, Waker};

use bytes::Bytes;

use super::object::{Gap, json};
use crate::http::endpoint::stream::EventSource;
use crate::stream::message::StoredMessage;
use crate::stream::{Follower, Portion, Seen};

/// What is read at once.
const PORTION: Portion = Portion { messages: 64, bytes: 256 * 1024 };

/// Writes a message as the data of an event.
pub(super) type WriteMessage = Box<dyn Fn(&StoredMessage<'_>) -> Vec<u8> + Send>;

/// The events of a stream.
pub(super) struct StreamEvents {
    follower: Follower,
    epoch: String,
    write: WriteMessage,
    /// The text that is sent before any message.
    first: Vec<u8>,
    /// Once everything up to this sequence was read, an event says so.
    complete_at: Option<u64>,
    has_failed: bool,
}

impl StreamEvents {
    pub(super) fn new(follower: Follower, write: WriteMessage) -> StreamEvents {
        let epoch = follower.stream().epoch();
        StreamEvents { follower, epoch, write, first: Vec::new(), complete_at: None, has_failed: false }
    }

    /// Makes the events begin with a gap.
    pub(super) fn behind(mut self, gap: Option<&Gap>) -> StreamEvents {
        if let Some(gap) = gap {
            let before = self.follower.next().saturating_sub(1);
            event(&mut self.first, "gap", &self.epoch, before, &json(gap));
        }
        self
    }

    /// Adds an event that marks when everything up to a sequence was read.
    pub(super) fn complete_at(mut self, sequence: u64) -> StreamEvents {
        self.complete_at = Some(sequence);
        self
    }

    /// The events that can be read now, and whether the end was reached.
    fn read(&mut self) -> Option<(Vec<u8>, bool)> {
        let StreamEvents { follower, epoch, write, .. } = self;
        let mut text = Vec::new();
        let read = follower.read_on(PORTION, |seen: Seen<'_>| match Gap::seen(seen) {
            Ok(gap) => event(&mut text, "gap", epoch, gap.to.unwrap_or_default(), &json(&gap)),
            Err(message) => event(&mut text, "message", epoch, message.sequence, &write(&message)),
        });
        let is_end = read.inspect_err(|error| tracing::error!(%error, "a stream cannot be read")).ok()?;
        if let Some(sequence) = self.complete_at.filter(|sequence| self.follower.next() > *sequence) {
            self.complete_at = None;
            let data = json(&serde_json::json!({ "sequence": sequence }));
            text.extend([b"event: complete\ndata: ", &data[..], b"\n\n"].concat());
        }
        Some((text, is_end))
    }
}

impl EventSource for StreamEvents {
    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Bytes>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.first).into()));
        }
        if self.has_failed {
            return Poll::Ready(None);
        }
        loop {
            let Some((text, is_end)) = self.read() else {
                self.has_failed = true;
                return Poll::Ready(None);
            };
            if !text.is_empty() {
                return Poll::Ready(Some(text.into()));
            }
            if !is_end {
                // Other clients have their turn.
                waker.wake_by_ref();
                return Poll::Pending;
            }
            match self.follower.poll_more(waker) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Appends an event with an id.
fn event(text: &mut Vec<u8>, name: &str, epoch: &str, sequence: u64, data: &[u8]) {
    text.extend(format!("id: {epoch}-{sequence}\nevent: {name}\ndata: ").as_bytes());
    text.extend(data);
    text.extend(b"\n\n");
}
