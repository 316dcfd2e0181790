//! Messages in RESP.

use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Output, Version};

use crate::delivery::{ChannelSpace, Message, Subscription, Topic};

/// Appends `message`, `smessage` or `pmessage`.
pub(super) fn write(
    version: Version,
    message: &Message<'_>,
    subscription: &Subscription,
    buffer: &mut Buffer,
) {
    let word: &[u8] = match message.space {
        ChannelSpace::Channels => b"message",
        ChannelSpace::ShardChannels => b"smessage",
    };
    match subscription.topic() {
        Topic::Exact(_) => push(version, &[word, message.subject, message.payload], buffer),
        Topic::Wildcard(text) | Topic::Glob(text, _) => {
            push(version, &[b"pmessage", text, message.subject, message.payload], buffer);
        }
    }
}

/// Appends a push of its own kind: `gap`, the name of the channel or pattern, and the number of messages.
pub(super) fn write_gap(missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
    let missed = missed.to_string();
    push(Version::Resp3, &[b"gap", subscription.topic().text(), missed.as_bytes()], buffer);
}

fn push(version: Version, parts: &[&[u8]], buffer: &mut Buffer) {
    let mut output = Output::over(std::mem::take(buffer), version);
    output.push(parts.len());
    for part in parts {
        output.bulk(part);
    }
    *buffer = output.into_buffer();
}
