//! What the server says to a client, appended to a [`Buffer`].

use bytes::Bytes;

use crate::buffer::Buffer;
use crate::limits;
use crate::resp::number::unsigned_text;

/// A message as one receiver gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The subject it was published on.
    pub subject: &'a [u8],
    /// The receiver's name for the subscription.
    pub sid: &'a [u8],
    /// Where answers should go; empty if none are wanted.
    pub reply: &'a [u8],
    /// A whole header block, or empty.  Leave it out for a client that does not want headers.
    pub headers: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// `INFO` with a JSON object, which holds no line end.
pub fn info(buffer: &mut Buffer, json: &[u8]) {
    buffer.plain.reserve(json.len() + 7);
    buffer.plain.extend_from_slice(b"INFO ");
    buffer.plain.extend_from_slice(json);
    buffer.plain.extend_from_slice(LINE_END);
}

/// `+OK`, which answers an operation of a client that asked to hear of each.
pub fn ok(buffer: &mut Buffer) {
    buffer.plain.extend_from_slice(b"+OK\r\n");
}

/// `-ERR` with a text, which holds no line end; the quotes around it are added.
pub fn error(buffer: &mut Buffer, text: impl AsRef<[u8]>) {
    buffer.plain.extend_from_slice(b"-ERR '");
    buffer.plain.extend_from_slice(text.as_ref());
    buffer.plain.extend_from_slice(b"'\r\n");
}

/// `PING`, which asks for a `PONG`.
pub fn ping(buffer: &mut Buffer) {
    buffer.plain.extend_from_slice(b"PING\r\n");
}

/// `PONG`, which answers a `PING`.
pub fn pong(buffer: &mut Buffer) {
    buffer.plain.extend_from_slice(b"PONG\r\n");
}

/// A whole message: `MSG`, or `HMSG` if it has headers.
#[inline]
pub fn message(buffer: &mut Buffer, delivery: &Delivery<'_>) {
    buffer.plain.reserve(head_length_max(delivery) + delivery.payload.len());
    message_head(&mut buffer.plain, delivery);
    buffer.plain.extend_from_slice(delivery.payload);
    buffer.plain.extend_from_slice(LINE_END);
}

/// The same, with a payload that has other owners too, which must be the delivery's.  A long one is not copied.
#[inline]
pub fn message_shared(buffer: &mut Buffer, delivery: &Delivery<'_>, payload: &Bytes) {
    debug_assert_eq!(delivery.payload.len(), payload.len());
    if payload.len() < limits::SPLICED_LENGTH_MIN {
        return message(buffer, delivery);
    }
    // Not more: a receiver that stops reading keeps the room.
    buffer.plain.reserve(head_length_max(delivery));
    message_head(&mut buffer.plain, delivery);
    buffer.splice(payload.clone());
    buffer.plain.extend_from_slice(LINE_END);
}

/// The most bytes that a message has besides its payload.
#[inline]
fn head_length_max(delivery: &Delivery<'_>) -> usize {
    let Delivery { subject, sid, reply, headers, .. } = *delivery;
    subject.len() + sid.len() + reply.len() + headers.len() + MESSAGE_FRAME_MAX
}

/// A message without its payload and the line end behind that, which the caller adds: the control line and the headers.
#[inline]
fn message_head(plain: &mut Vec<u8>, delivery: &Delivery<'_>) {
    let Delivery { subject, sid, reply, headers, payload } = *delivery;
    plain.extend_from_slice(if headers.is_empty() { b"MSG " } else { b"HMSG " });
    plain.extend_from_slice(subject);
    plain.push(b' ');
    plain.extend_from_slice(sid);
    plain.push(b' ');
    if !reply.is_empty() {
        plain.extend_from_slice(reply);
        plain.push(b' ');
    }
    if headers.is_empty() {
        return length_line(plain, payload.len());
    }
    plain.extend_from_slice(&unsigned_text(headers.len() as u64));
    plain.push(b' ');
    length_line(plain, headers.len() + payload.len());
    plain.extend_from_slice(headers);
}

/// A length and the end of its line.  Nearly all have up to three digits; these are written as one piece of known size.
#[inline]
fn length_line(plain: &mut Vec<u8>, length: usize) {
    let ones = b'0' + (length % 10) as u8;
    let tens = b'0' + (length / 10 % 10) as u8;
    match length {
        0..=9 => plain.extend_from_slice(&[ones, b'\r', b'\n']),
        10..=99 => plain.extend_from_slice(&[tens, ones, b'\r', b'\n']),
        100..=999 => plain.extend_from_slice(&[b'0' + (length / 100) as u8, tens, ones, b'\r', b'\n']),
        _ => {
            plain.extend_from_slice(&unsigned_text(length as u64));
            plain.extend_from_slice(LINE_END);
        }
    }
}

/// The answer to a request on `subject` that nobody receives, for the subscription `sid` that matches the reply subject.
pub fn no_responders(buffer: &mut Buffer, reply: &[u8], sid: &[u8], subject: &[u8]) {
    status(buffer, reply, sid, "503", &[(b"Nats-Subject", subject)]);
}

/// Tells a receiver that it missed messages of a subscription, on the subscription's own subject or pattern.
pub fn missed(buffer: &mut Buffer, subject: &[u8], sid: &[u8], missed: u64) {
    status(buffer, subject, sid, "110 Messages Missed", &[(b"Quartet-Missed", &unsigned_text(missed))]);
}

/// A message without a payload whose headers hold a status, for example `404 Not Found`, and pairs of names and values,
/// which hold no line ends.
pub fn status(buffer: &mut Buffer, subject: &[u8], sid: &[u8], status: &str, pairs: &[(&[u8], &[u8])]) {
    let mut headers = Vec::with_capacity(128);
    headers.extend_from_slice(b"NATS/1.0 ");
    headers.extend_from_slice(status.as_bytes());
    headers.extend_from_slice(LINE_END);
    for (name, value) in pairs {
        headers.extend_from_slice(name);
        headers.extend_from_slice(b": ");
        headers.extend_from_slice(value);
        headers.extend_from_slice(LINE_END);
    }
    headers.extend_from_slice(LINE_END);
    message(buffer, &Delivery { subject, sid, reply: b"", headers: &headers, payload: b"" });
}

const LINE_END: &[u8] = b"\r\n";

/// The bytes of a message besides its parts: verb, spaces, two numbers of at most twenty digits, and two line ends.
const MESSAGE_FRAME_MAX: usize = 5 + 4 + 2 * 20 + 2 * LINE_END.len();
