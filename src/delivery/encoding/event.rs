//! Server-sent events of services.

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use crate::delivery::Message;

/// Appends an event.  Only messages with a kind have this form, and only subscriptions to events get it.
pub(super) fn write(message: &Message<'_>, buffer: &mut Buffer) {
    if let Some(kind) = message.kind {
        for part in [b"event: ", kind.as_bytes(), b"\ndata: ", message.payload, b"\n\n"] {
            buffer.extend(part);
        }
    }
}

/// A server-sent event: its kind, and JSON without line ends, so that one line of data is enough.
pub fn server_sent_event(kind: &str, json: &[u8]) -> Bytes {
    [b"event: ", kind.as_bytes(), b"\ndata: ", json, b"\n\n"].concat().into()
}
