//! JSON with long values in it, which are encoded piece by piece as the client takes them: until then they stay shared
//! with the store.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Bytes up to this length are copied and spelled at once.
pub(super) const SHORT: usize = 16 * 1024;

/// Bytes that are spelled at a time: a multiple of three, since base64 makes four digits of three bytes.
const STEP: usize = 48 * 1024;

/// JSON that is put together.
#[derive(Default)]
pub(super) struct Document {
    parts: VecDeque<Part>,
    /// The text behind the parts.
    tail: Vec<u8>,
}

/// Long bytes, or what stands between them.
struct Part {
    bytes: Bytes,
    spelling: Spelling,
}

/// How bytes stand in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// As they are.
    Plain,
    /// As the inside of a string, for UTF-8.
    Escaped,
    /// As the inside of a string in base64.
    Base64,
}

impl Document {
    /// An empty document with room for this many bytes.
    pub(super) fn with_capacity(capacity: usize) -> Document {
        Document { parts: VecDeque::new(), tail: Vec::with_capacity(capacity) }
    }

    /// The whole document, for tests of short ones.
    #[cfg(test)]
    pub(super) fn into_text(self) -> String {
        assert!(self.parts.is_empty(), "it is short");
        String::from_utf8(self.tail).expect("JSON is text")
    }

    /// Appends text that is JSON.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.tail.extend_from_slice(text);
    }

    /// Appends bytes that are JSON.
    pub(super) fn json(&mut self, bytes: &Bytes) {
        self.spell(bytes, Spelling::Plain);
    }

    /// Appends bytes as a member of an object, followed by one that says so if they had to be encoded.
    pub(super) fn member(&mut self, name: &str, encoding: &str, bytes: &Bytes) {
        let spelling = self.begin_member(name, bytes);
        self.spell(bytes, spelling);
        self.end_member(encoding, spelling);
    }

    /// As [`Document::member`], of bytes that are not shared.
    pub(super) fn short_member(&mut self, name: &str, encoding: &str, bytes: &[u8]) {
        let spelling = self.begin_member(name, bytes);
        spelling.write(bytes, &mut self.tail);
        self.end_member(encoding, spelling);
    }

    fn begin_member(&mut self, name: &str, bytes: &[u8]) -> Spelling {
        for text in [b"\"", name.as_bytes(), b"\":\""] {
            self.text(text);
        }
        if std::str::from_utf8(bytes).is_ok() { Spelling::Escaped } else { Spelling::Base64 }
    }

    fn end_member(&mut self, encoding: &str, spelling: Spelling) {
        self.text(b"\"");
        if spelling == Spelling::Base64 {
            for text in [b",\"", encoding.as_bytes(), b"\":\"base64\""] {
                self.text(text);
            }
        }
    }

    fn spell(&mut self, bytes: &Bytes, spelling: Spelling) {
        if bytes.len() <= SHORT {
            return spelling.write(bytes, &mut self.tail);
        }
        let before = std::mem::take(&mut self.tail).into();
        self.parts.push_back(Part { bytes: before, spelling: Spelling::Plain });
        self.parts.push_back(Part { bytes: bytes.clone(), spelling });
    }

    /// The body that hands it out.
    pub(super) fn into_body(mut self) -> Body {
        if self.parts.is_empty() {
            return Body::from(self.tail);
        }
        self.parts.push_back(Part { bytes: self.tail.into(), spelling: Spelling::Plain });
        let left = self.parts.iter().map(|part| part.spelling.length(&part.bytes)).sum();
        Body::new(Delivery { left, parts: self.parts })
    }
}

impl Spelling {
    /// How long bytes are in it.
    fn length(self, bytes: &[u8]) -> u64 {
        match self {
            Spelling::Plain => bytes.len() as u64,
            Spelling::Escaped => bytes.iter().map(|&byte| 1 + escape_length(byte) as u64).sum(),
            Spelling::Base64 => bytes.len().div_ceil(3) as u64 * 4,
        }
    }

    /// Writes bytes; where more follow, their number must be a multiple of three.
    fn write(self, bytes: &[u8], text: &mut Vec<u8>) {
        match self {
            Spelling::Plain => text.extend_from_slice(bytes),
            Spelling::Escaped => escape(bytes, text),
            Spelling::Base64 => text.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
        }
    }
}

/// A document on its way.
struct Delivery {
    parts: VecDeque<Part>,
    /// Bytes to come.
    left: u64,
}

impl HttpBody for Delivery {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.next();
        self.left -= piece.len() as u64;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Delivery {
    /// The next step of the text; empty at the end.
    fn next(&mut self) -> Bytes {
        let mut text = Vec::new();
        while let Some(part) = self.parts.front_mut()
            && text.len() < STEP
        {
            if part.spelling == Spelling::Plain && part.bytes.len() > SHORT {
                if !text.is_empty() {
                    break;
                }
                // It can be handed out without a copy.
                let bytes = std::mem::take(&mut part.bytes);
                self.parts.pop_front();
                return bytes;
            }
            let bytes = part.bytes.split_to(STEP.min(part.bytes.len()));
            part.spelling.write(&bytes, &mut text);
            if part.bytes.is_empty() {
                self.parts.pop_front();
            }
        }
        text.into()
    }
}

/// Writes the inside of a JSON string.  Only ASCII characters are escaped, so the text may be cut anywhere.
fn escape(bytes: &[u8], text: &mut Vec<u8>) {
    let mut plain_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if escape_length(byte) == 0 {
            continue;
        }
        text.extend_from_slice(&bytes[plain_from..at]);
        plain_from = at + 1;
        text.push(b'\\');
        match byte {
            b'"' | b'\\' => text.push(byte),
            b'\x08' => text.push(b'b'),
            b'\t' => text.push(b't'),
            b'\n' => text.push(b'n'),
            b'\x0c' => text.push(b'f'),
            b'\r' => text.push(b'r'),
            _ => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                text.extend_from_slice(&[b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    text.extend_from_slice(&bytes[plain_from..]);
}

/// By how many bytes a character is longer in a string than by itself.
fn escape_length(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\x08' | b'\t' | b'\n' | b'\x0c' | b'\r' => 1,
        0..0x20 => 5,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The whole text, which must be as long as it was said to be.
    fn collect(document: Document) -> Vec<u8> {
        let body = document.into_body();
        let length = body.size_hint().exact();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
        let text = runtime.block_on(body.collect()).expect("it has no errors").to_bytes();
        assert_eq!(length, Some(text.len() as u64));
        text.to_vec()
    }

    /// Longer than a step by itself.
    fn long(bytes: &[u8]) -> Bytes {
        bytes.iter().copied().cycle().take((STEP + SHORT) / bytes.len() * bytes.len()).collect()
    }

    #[test]
    fn long_values_are_written_as_short_ones_are() {
        for value in [long(b"text"), long(b"\xff\x00"), long("a\"\\\n\u{1}\u{e9}\u{1f310}".as_bytes())] {
            let mut document = Document::default();
            document.text(b"[{");
            document.member("value", "encoding", &value);
            document.text(b"},");
            document.json(&long(b" ").to_vec().into());
            document.json(&Bytes::from_static(b"7]"));
            let written: Value = serde_json::from_slice(&collect(document)).expect("it is JSON");
            let expected = match std::str::from_utf8(&value) {
                Ok(text) => json!([{ "value": text }, 7]),
                Err(_) => json!([{ "value": STANDARD.encode(&value), "encoding": "base64" }, 7]),
            };
            assert_eq!(written, expected);
        }
    }

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_does_it(string in "(\\PC|[\u{0}-\u{7f}]){0,50}", cut in 0..50_usize) {
            let bytes = string.as_bytes();
            let (before, after) = bytes.split_at(cut.min(bytes.len()));
            let mut text = Vec::new();
            Spelling::Escaped.write(before, &mut text);
            Spelling::Escaped.write(after, &mut text);
            prop_assert_eq!(text.len() as u64, Spelling::Escaped.length(bytes));
            let expected = serde_json::to_vec(&string).expect("a string can be written");
            prop_assert_eq!(&text[..], &expected[1..expected.len() - 1]);
        }
    }
}
