//! A message on its way: borrowed from its publisher, or kept for receivers that have fallen behind.

use std::sync::Arc;

use bytes::Bytes;

use super::Listener;
use super::budget::{Budget, Charge};

/// Payloads from this size on are shared by all receivers instead of copied.
pub(super) const SHARED_PAYLOAD_MIN: usize = 2048;

/// About how many bytes a receiver's form of a message adds to its parts.
const FRAME_LENGTH: usize = 32;

/// Which of the two spaces a subject is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelSpace {
    /// The subjects of the broker, which are the channels of PUBLISH.
    Channels,
    /// The channels of SPUBLISH, to which neither patterns nor other listeners than RESP have a way.
    ShardChannels,
}

/// A message as its publisher has it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// The space of its subject.
    pub space: ChannelSpace,
    /// The subject that it is published on; RESP calls it a channel.  It need not be a valid subject of the broker.
    pub subject: &'m [u8],
    /// The subject on which an answer is expected; empty for none.
    pub reply: &'m [u8],
    /// The headers as one block, `NATS/1.0` and lines up to an empty one; empty for none.
    pub headers: &'m [u8],
    /// Its content.
    pub payload: &'m [u8],
    /// The buffer of `payload`, if it can be shared instead of copied.
    pub shared_payload: Option<&'m Bytes>,
    /// The kind of event, if a service publishes it; the payload is JSON then.  None if a client publishes it.
    pub kind: Option<&'static str>,
    /// The number of the client that publishes it, if one does.
    pub sender: Option<u64>,
    /// The listener that it came by.
    pub listener: Listener,
}

impl<'m> Message<'m> {
    /// A message of the server itself without reply subject, headers and the rest.
    pub fn new(subject: &'m [u8], payload: &'m [u8]) -> Message<'m> {
        Message {
            space: ChannelSpace::Channels,
            subject,
            reply: &[],
            headers: &[],
            payload,
            shared_payload: None,
            kind: None,
            sender: None,
            listener: Listener::Server,
        }
    }

    /// Bytes of its headers and payload.
    #[inline]
    pub fn content_length(&self) -> usize {
        self.headers.len() + self.payload.len()
    }

    /// About how many bytes a receiver gets.
    pub fn length(&self) -> usize {
        self.subject.len() + self.reply.len() + self.content_length() + FRAME_LENGTH
    }
}

/// A message that waits for receivers, once for all of them.
pub struct SharedMessage {
    space: ChannelSpace,
    kind: Option<&'static str>,
    sender: Option<u64>,
    /// Subject, reply subject, headers, a short payload and the subject by which its receivers were found, one behind the
    /// other; the last is empty if it is the first.
    text: Box<[u8]>,
    /// Where the first four of them end.
    ends: [u32; 4],
    /// A payload that is too long to be copied.
    long_payload: Option<Bytes>,
    /// Its number among the messages that were kept.
    number: u64,
    /// The memory of all but the long payload, which counts by itself.
    _charge: Charge,
}

impl SharedMessage {
    /// A copy of a message that outlives the publisher's batch.  `other_target` is the subject by which its receivers were
    /// found, if that is not its own.  `long_payload` is its payload, if that is not to be copied.
    pub(super) fn new(
        message: &Message<'_>,
        other_target: &[u8],
        long_payload: Option<Bytes>,
        budget: &Arc<Budget>,
    ) -> SharedMessage {
        let short_payload = if long_payload.is_some() { &[] } else { message.payload };
        let text = [message.subject, message.reply, message.headers, short_payload, other_target].concat();
        let subject_end = message.subject.len();
        let reply_end = subject_end + message.reply.len();
        let headers_end = reply_end + message.headers.len();
        let payload_end = headers_end + short_payload.len();
        let end = |place| u32::try_from(place).expect("no part of a request is so long");
        SharedMessage {
            space: message.space,
            kind: message.kind,
            sender: message.sender,
            ends: [subject_end, reply_end, headers_end, payload_end].map(end),
            long_payload,
            number: budget.number(),
            _charge: budget.charge(size_of::<SharedMessage>() + text.len()),
            text: text.into(),
        }
    }

    /// The message as its encoders take it.
    pub fn as_message(&self) -> Message<'_> {
        let [subject_end, reply_end, headers_end, payload_end] = self.ends.map(|end| end as usize);
        let payload = self.long_payload.as_deref().unwrap_or(&self.text[headers_end..payload_end]);
        Message {
            space: self.space,
            subject: &self.text[..subject_end],
            reply: &self.text[subject_end..reply_end],
            headers: &self.text[reply_end..headers_end],
            payload,
            shared_payload: self.long_payload.as_ref(),
            kind: self.kind,
            sender: self.sender,
            listener: Listener::Server,
        }
    }

    /// Its subject.
    pub fn subject(&self) -> &[u8] {
        &self.text[..self.ends[0] as usize]
    }

    /// The subject by which its receivers were found: its own, unless it is a delivery.
    pub(super) fn target(&self) -> &[u8] {
        match &self.text[self.ends[3] as usize..] {
            [] => self.subject(),
            other => other,
        }
    }

    /// Its number: a message with a lower one was kept earlier.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// About how many bytes a receiver gets.
    pub fn length(&self) -> usize {
        self.ends[3] as usize + self.long_payload.as_ref().map_or(0, Bytes::len) + FRAME_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_message_is_what_was_published() {
        let budget = Arc::<Budget>::default();
        let payload = Bytes::from(vec![b'p'; SHARED_PAYLOAD_MIN]);
        let message = Message {
            reply: b"reply.to",
            headers: b"NATS/1.0\r\nA: b\r\n\r\n",
            kind: Some("acquired"),
            sender: Some(7),
            ..Message::new(b"a.subject", &payload)
        };
        let targets = [(&b""[..], message.subject), (b"a.target", b"a.target")];
        let payloads = [None, Some(payload.clone())];
        for (long_payload, (other, target)) in
            payloads.iter().flat_map(|payload| targets.map(|target| (payload.clone(), target)))
        {
            let kept = SharedMessage::new(&message, other, long_payload.clone(), &budget);
            assert_eq!(kept.target(), target);
            let again = kept.as_message();
            assert_eq!(again.shared_payload, long_payload.as_ref());
            assert_eq!(
                (again.subject, again.reply, kept.subject()),
                (message.subject, message.reply, message.subject)
            );
            assert_eq!((again.headers, again.payload), (message.headers, message.payload));
            assert_eq!(
                (again.kind, again.space, again.sender),
                (message.kind, message.space, message.sender)
            );
            assert_eq!((kept.length(), again.length()), (message.length(), message.length()));
        }
        assert_eq!((budget.used(), budget.kept()), (0, 4));
    }
}
