//! Messages as RESP clients receive them: encoded once per version of the protocol, shared by all who receive them.

use bytes::Bytes;
use quartet_protocol::resp::{Output, Version};

use crate::client::{ClientFlags, SharedClient};

/// One message for all its receivers, each form of it made when the first of them needs it.
pub(super) struct Frames<'m> {
    /// `message` or `smessage`.
    kind: &'static str,
    channel: &'m [u8],
    payload: &'m [u8],
    exact: Encoded,
    /// The pattern for which `matched` holds.
    pattern: Vec<u8>,
    matched: Encoded,
}

/// A frame in both versions.
#[derive(Default)]
struct Encoded {
    resp2: Option<Bytes>,
    resp3: Option<Bytes>,
}

impl<'m> Frames<'m> {
    pub(super) fn new(kind: &'static str, channel: &'m [u8], payload: &'m [u8]) -> Frames<'m> {
        let (exact, matched) = (Encoded::default(), Encoded::default());
        Frames { kind, channel, payload, exact, pattern: Vec::new(), matched }
    }

    /// The message for a client that is subscribed to the channel, or else to a pattern that matches it.
    pub(super) fn frame(&mut self, client: &SharedClient, pattern: Option<&[u8]>) -> Bytes {
        let version = version(client);
        let Some(pattern) = pattern else {
            return self.exact.get(version, &[self.kind.as_bytes(), self.channel, self.payload]);
        };
        if self.pattern != pattern {
            self.pattern = pattern.to_vec();
            self.matched = Encoded::default();
        }
        self.matched.get(version, &[b"pmessage", pattern, self.channel, self.payload])
    }
}

impl Encoded {
    fn get(&mut self, version: Version, parts: &[&[u8]]) -> Bytes {
        let encoded = match version {
            Version::Resp2 => &mut self.resp2,
            Version::Resp3 => &mut self.resp3,
        };
        encoded.get_or_insert_with(|| encode(version, parts)).clone()
    }
}

fn encode(version: Version, parts: &[&[u8]]) -> Bytes {
    let mut output = Output::new();
    output.set_version(version);
    output.push(parts.len());
    for part in parts {
        output.bulk(part);
    }
    output.into_buffer().into_bytes()
}

fn version(client: &SharedClient) -> Version {
    if client.flags().contains(ClientFlags::RESP3) { Version::Resp3 } else { Version::Resp2 }
}
