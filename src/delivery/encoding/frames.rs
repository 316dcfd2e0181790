//! Messages in the frames of the broker's protocol.

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use crate::delivery::{Message, Subscription};

/// Appends `MSG`, or `HMSG` if the message has headers.
pub(super) fn write(message: &Message<'_>, subscription: &Subscription, buffer: &mut Buffer) {
    let Message { subject, reply, headers, payload, .. } = *message;
    let verb: &[u8] = if headers.is_empty() { b"MSG " } else { b"HMSG " };
    for part in [verb, subject, b" ", &*subscription.options().id, b" "] {
        buffer.extend(part);
    }
    if !reply.is_empty() {
        buffer.extend(reply);
        buffer.extend(b" ");
    }
    if !headers.is_empty() {
        buffer.extend(format!("{} ", headers.len()).as_bytes());
    }
    buffer.extend(format!("{}\r\n", headers.len() + payload.len()).as_bytes());
    buffer.extend(headers);
    match message.shared_payload {
        Some(shared) => buffer.extend_shared(Bytes::clone(shared)),
        None => buffer.extend(payload),
    }
    buffer.extend(b"\r\n");
}

/// Appends a message without content whose headers hold a status and the number of missed messages.
pub(super) fn write_gap(missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
    let headers = format!("NATS/1.0 110 Messages Missed\r\nQuartet-Missed: {missed}\r\n\r\n");
    let message = Message { headers: headers.as_bytes(), ..Message::new(subscription.topic().text(), b"") };
    write(&message, subscription, buffer);
}
