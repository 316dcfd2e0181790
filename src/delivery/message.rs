//! A message on its way: borrowed from its publisher, or kept for receivers that have fallen behind.

use bytes::Bytes;

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
}

impl<'m> Message<'m> {
    /// A message of a client or service without reply subject, headers and the rest.
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
        }
    }

    /// A copy that outlives the publisher's batch.
    pub fn to_shared(self) -> SharedMessage {
        let payload = self.shared_payload.cloned().unwrap_or_else(|| Bytes::copy_from_slice(self.payload));
        SharedMessage {
            space: self.space,
            subject: self.subject.into(),
            reply: self.reply.into(),
            headers: self.headers.into(),
            payload,
            kind: self.kind,
        }
    }
}

/// A message that waits for receivers, once for all of them.
#[derive(Debug)]
pub struct SharedMessage {
    space: ChannelSpace,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
    payload: Bytes,
    kind: Option<&'static str>,
}

impl SharedMessage {
    /// The message as its encoders take it.
    pub fn as_message(&self) -> Message<'_> {
        Message {
            space: self.space,
            subject: &self.subject,
            reply: &self.reply,
            headers: &self.headers,
            payload: &self.payload,
            shared_payload: Some(&self.payload),
            kind: self.kind,
            sender: None,
        }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of::<SharedMessage>()
            + self.subject.len()
            + self.reply.len()
            + self.headers.len()
            + self.payload.len()
    }
}
