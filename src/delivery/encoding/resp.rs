//! Messages in RESP.

use std::mem;

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
    let mut output = Output::over(mem::take(buffer), version);
    match subscription.topic() {
        Topic::Exact(_) => {
            output.push(3);
            output.bulk(word);
        }
        Topic::Wildcard(text) | Topic::Glob(text, _) => {
            output.push(4);
            output.bulk(b"pmessage");
            output.bulk(text);
        }
    }
    output.bulk(message.subject);
    match message.shared_payload {
        Some(shared) => output.bulk_shared(shared.clone()),
        None => output.bulk(message.payload),
    }
    *buffer = output.into_buffer();
}

/// Appends a push of its own kind: `gap`, the name of the channel or pattern, and the number of messages.
pub(super) fn write_gap(missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
    let mut output = Output::over(mem::take(buffer), Version::Resp3);
    output.push(3);
    output.bulk(b"gap");
    output.bulk(subscription.topic().text());
    output.integer(i64::try_from(missed).unwrap_or(i64::MAX));
    *buffer = output.into_buffer();
}
