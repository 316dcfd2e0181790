//! Messages as JSON objects: `subject`, `reply`, `headers` and the payload, as `payload` if it is UTF-8 and as `base64` if
//! not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quartet_protocol::broker::headers::Headers;
use quartet_protocol::buffer::Buffer;
use serde::Serialize;

use crate::delivery::{Message, Subscription};

/// A message.
#[derive(Serialize)]
struct Object<'m> {
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'m, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'m, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Cow<'m, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<Cow<'m, str>, Values<'m>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// The values of a header: mostly one.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Values<'m> {
    /// One.
    One(Cow<'m, str>),
    /// More, in their order.
    Several(Vec<Cow<'m, str>>),
}

/// A notice of missed messages.
#[derive(Serialize)]
struct Gap<'m> {
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'m, str>>,
    missed: u64,
}

/// Appends a server-sent event named `message`.
pub(super) fn write_event(message: &Message<'_>, buffer: &mut Buffer) {
    buffer.extend(b"event: message\ndata: ");
    append(&object(message), buffer);
    buffer.extend(b"\n\n");
}

/// Appends a line.
pub(super) fn write_line(message: &Message<'_>, buffer: &mut Buffer) {
    append(&object(message), buffer);
    buffer.extend(b"\n");
}

/// Appends a line for the JSON form of WebSocket.
pub(super) fn write_operation(message: &Message<'_>, subscription: &Subscription, buffer: &mut Buffer) {
    let mut object = Object { id: Some(id(subscription)), ..object(message) };
    match subscription.options().answers {
        false => object.op = Some("message"),
        // The subject is an inbox that the client has not chosen.
        true => (object.op, object.subject) = (Some("reply"), None),
    }
    append(&object, buffer);
    buffer.extend(b"\n");
}

/// Appends a server-sent event named `gap`.
pub(super) fn write_gap_event(missed: u64, buffer: &mut Buffer) {
    buffer.extend(b"event: gap\ndata: ");
    append(&Gap { op: None, id: None, missed }, buffer);
    buffer.extend(b"\n\n");
}

/// Appends a line.
pub(super) fn write_gap_line(missed: u64, buffer: &mut Buffer) {
    append(&Gap { op: Some("gap"), id: None, missed }, buffer);
    buffer.extend(b"\n");
}

/// Appends a line for the JSON form of WebSocket.
pub(super) fn write_gap_operation(missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
    append(&Gap { op: Some("gap"), id: Some(id(subscription)), missed }, buffer);
    buffer.extend(b"\n");
}

fn id(subscription: &Subscription) -> Cow<'_, str> {
    String::from_utf8_lossy(&subscription.options().id)
}

fn object<'m>(message: &Message<'m>) -> Object<'m> {
    let payload = std::str::from_utf8(message.payload).ok();
    let base64 = payload.is_none().then(|| STANDARD.encode(message.payload));
    let reply = (!message.reply.is_empty()).then(|| String::from_utf8_lossy(message.reply));
    let subject = Some(String::from_utf8_lossy(message.subject));
    Object { op: None, id: None, subject, reply, headers: headers(message.headers), payload, base64 }
}

/// The headers of a block, by their names; none if there are none.
pub fn headers(block: &[u8]) -> Option<BTreeMap<Cow<'_, str>, Values<'_>>> {
    let mut headers = BTreeMap::new();
    for (name, value) in Headers::new(block)?.iter() {
        let value = String::from_utf8_lossy(value);
        match headers.entry(String::from_utf8_lossy(name)) {
            Entry::Vacant(entry) => {
                entry.insert(Values::One(value));
            }
            Entry::Occupied(mut entry) => {
                let values = match std::mem::replace(entry.get_mut(), Values::Several(Vec::new())) {
                    Values::One(first) => vec![first, value],
                    Values::Several(mut values) => {
                        values.push(value);
                        values
                    }
                };
                entry.insert(Values::Several(values));
            }
        }
    }
    (!headers.is_empty()).then_some(headers)
}

/// Writes to the end of a buffer.
struct Writer<'b>(&'b mut Buffer);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append(object: &impl Serialize, buffer: &mut Buffer) {
    serde_json::to_writer(Writer(buffer), object).expect("it holds nothing that JSON cannot say");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &Message<'_>) -> String {
        let mut buffer = Buffer::new();
        write_line(message, &mut buffer);
        String::from_utf8(buffer.into_bytes().into()).expect("it is text")
    }

    #[test]
    fn a_message_says_what_it_has() {
        assert_eq!(line(&Message::new(b"a.b", b"text")), "{\"subject\":\"a.b\",\"payload\":\"text\"}\n");
        let bytes = Message { reply: b"r", ..Message::new(b"a", b"\xff\0") };
        assert_eq!(line(&bytes), "{\"subject\":\"a\",\"reply\":\"r\",\"base64\":\"/wA=\"}\n");
    }

    #[test]
    fn headers_are_an_object() {
        let headers = b"NATS/1.0\r\nb: 1\r\na: 2\r\nb:  3\r\nb: 4\r\nno pair\r\n\r\n";
        let message = Message { headers, ..Message::new(b"a", b"") };
        let expected = r#"{"subject":"a","headers":{"a":"2","b":["1","3","4"]},"payload":""}"#;
        assert_eq!(line(&message), format!("{expected}\n"));
    }
}
