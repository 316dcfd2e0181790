//! Messages that are sent as such, outside of JSON: what their headers say of them.
//!
//! The headers that a message was stored with come first, then those that name its stream, subject, sequence and time.  A status has no payload.

use std::fmt::Display;
use std::io::Write as _;

use crate::stream::header_names;
use crate::stream::json::Time;
use crate::stream::message::StoredMessage;

/// How each block begins that has no status.
const VERSION: &[u8] = b"NATS/1.0\r\n";

/// The headers of a message that a direct get asked for.
pub fn got(stream: &str, message: &StoredMessage<'_>) -> Vec<u8> {
    described(stream, message).finish()
}

/// The same of one of several: how many are left behind it, and the sequence of the one before it.
pub fn got_of_several(stream: &str, message: &StoredMessage<'_>, left: u64, before: u64) -> Vec<u8> {
    described(stream, message)
        .with(header_names::PENDING_COUNT, left)
        .with(header_names::LAST_SEQUENCE, before)
        .finish()
}

/// The status behind several: how many are left, the sequence of the last that was sent, and up to which sequence the past was
/// looked at, if the last of each subject were asked for.
pub fn end_of_several(left: u64, last: u64, up_to: Option<u64>) -> Vec<u8> {
    let block = Block::status(204, "EOB")
        .with(header_names::PENDING_COUNT, left)
        .with(header_names::LAST_SEQUENCE, last);
    match up_to {
        Some(sequence) => block.with(header_names::UP_TO_SEQUENCE, sequence).finish(),
        None => block.finish(),
    }
}

/// A status alone.
pub fn status(code: u16, description: &str) -> Vec<u8> {
    Block::status(code, description).finish()
}

/// The status of a request on this subject that nobody hears.
pub fn no_responders(subject: &[u8]) -> Vec<u8> {
    Block(b"NATS/1.0 503\r\n".to_vec()).with_bytes(header_names::SUBJECT, subject).finish()
}

/// The headers of a message that its stream publishes again: the sequence of the one before it on its subject is named, and its
/// length if it goes without payload.
pub fn republished(stream: &str, message: &StoredMessage<'_>, before: u64, headers_only: bool) -> Vec<u8> {
    let block = described(stream, message).with(header_names::LAST_SEQUENCE, before);
    if headers_only { block.with(header_names::SIZE, message.payload.len()).finish() } else { block.finish() }
}

/// The headers of a message that a consumer sends without its payload.
pub fn without_payload(message: &StoredMessage<'_>) -> Vec<u8> {
    Block::of(message).with(header_names::SIZE, message.payload.len()).finish()
}

/// The headers of a message that goes to a pinned client.
pub fn pinned(message: &StoredMessage<'_>, pin: impl Display) -> Vec<u8> {
    Block::of(message).with(header_names::PIN_ID, pin).finish()
}

fn described(stream: &str, message: &StoredMessage<'_>) -> Block {
    Block::of(message)
        .with(header_names::STREAM, stream)
        .with_bytes(header_names::SUBJECT, message.subject)
        .with(header_names::SEQUENCE, message.sequence)
        .with(header_names::TIME, Time::from_nanoseconds(message.time))
}

/// A block of headers without the empty line at its end.
struct Block(Vec<u8>);

impl Block {
    fn of(message: &StoredMessage<'_>) -> Block {
        let headers = message.headers.strip_suffix(b"\r\n").filter(|headers| headers.ends_with(b"\r\n"));
        Block(headers.unwrap_or(VERSION).to_vec())
    }

    fn status(code: u16, description: &str) -> Block {
        Block(format!("NATS/1.0 {code} {description}\r\n").into_bytes())
    }

    fn with(mut self, name: &str, value: impl Display) -> Block {
        // Writing into memory cannot fail.
        let _ = write!(self.0, "{name}: {value}\r\n");
        self
    }

    fn with_bytes(mut self, name: &str, value: &[u8]) -> Block {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}
