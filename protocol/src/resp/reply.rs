//! Replies being written into a [`Buffer`] as RESP2 or RESP3.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use memchr::memchr2;

use crate::buffer::Buffer;
use crate::limits;
use crate::resp::number::{double_text, integer_text};
use crate::resp::request::ProtocolError;

/// A version of the protocol; a client asks for one with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The version of a client that never sent HELLO.
    #[default]
    Resp2,
    /// Adds maps, sets, doubles, booleans, verbatim text and pushes.
    Resp3,
}

/// A [`Buffer`] that replies are written into, in order.  It does not check that they are complete: the caller writes as
/// many elements as the head of an array announced.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Buffer,
    version: Version,
}

/// The bytes around a bulk string: type, at most 20 digits, and two line ends.
const BULK_FRAME_LENGTH_MAX: usize = 25;

impl Deref for Output {
    type Target = Buffer;

    #[inline]
    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

impl DerefMut for Output {
    #[inline]
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }
}

impl Output {
    /// An empty output of RESP2 without room.
    pub fn new() -> Self {
        Self::default()
    }

    /// An output that writes to the end of `buffer`.
    pub fn over(buffer: Buffer, version: Version) -> Self {
        Output { buffer, version }
    }

    /// The bytes that were written.
    pub fn into_buffer(self) -> Buffer {
        self.buffer
    }

    /// The version that replies are written in.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Writes the replies from here on in `version`.
    #[inline]
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// A status, for example `PONG`, which must not contain line ends.
    #[inline]
    pub fn simple(&mut self, status: &str) {
        debug_assert!(memchr2(b'\r', b'\n', status.as_bytes()).is_none());
        self.buffer.plain.reserve(status.len() + 3);
        self.buffer.plain.push(b'+');
        self.buffer.plain.extend_from_slice(status.as_bytes());
        self.line_end();
    }

    /// The status `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.buffer.plain.extend_from_slice(b"+OK\r\n");
    }

    /// An error: the whole line but the `-`, for example `ERR syntax error`.  Line ends in it, which may come from a quoted
    /// argument, become spaces, and line ends behind it vanish.
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        self.buffer.plain.push(b'-');
        let start = self.buffer.plain.len();
        self.buffer.plain.extend_from_slice(line.as_ref());
        self.finish_error(start);
    }

    /// The answer to a violation of the protocol, after which the connection ends.  Unlike the error's display it repeats a
    /// byte that is no text.
    pub fn protocol_error(&mut self, error: ProtocolError) {
        self.buffer.plain.extend_from_slice(b"-ERR Protocol error: ");
        let start = self.buffer.plain.len();
        match error {
            ProtocolError::ExpectedBulk { found } => {
                self.buffer.plain.extend_from_slice(b"expected '$', got '");
                self.buffer.plain.push(found);
                self.buffer.plain.push(b'\'');
            }
            other => self.buffer.plain.extend_from_slice(other.to_string().as_bytes()),
        }
        self.finish_error(start);
    }

    fn finish_error(&mut self, start: usize) {
        while self.buffer.plain.len() > start && matches!(self.buffer.plain.last(), Some(b'\r' | b'\n')) {
            self.buffer.plain.pop();
        }
        let mut rest = &mut self.buffer.plain[start..];
        while let Some(found) = memchr2(b'\r', b'\n', rest) {
            rest[found] = b' ';
            rest = &mut rest[found + 1..];
        }
        self.line_end();
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.number_line(b':', value);
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.buffer.plain.reserve(bytes.len() + BULK_FRAME_LENGTH_MAX);
        self.number_line(b'$', bytes.len() as i64);
        self.buffer.plain.extend_from_slice(bytes);
        self.line_end();
    }

    /// A string of any bytes that has other owners too.  A long one is not copied.
    pub fn bulk_shared(&mut self, bytes: Bytes) {
        if bytes.len() < limits::SPLICED_LENGTH_MIN {
            return self.bulk(&bytes);
        }
        self.number_line(b'$', bytes.len() as i64);
        self.buffer.splice(bytes);
        self.line_end();
    }

    /// A string that holds an integer's text.
    #[inline]
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(&integer_text(value));
    }

    /// No value: `$-1` or RESP3's null.
    #[inline]
    pub fn null(&mut self) {
        self.buffer.plain.extend_from_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// No array: `*-1` or RESP3's null.
    #[inline]
    pub fn null_array(&mut self) {
        self.buffer.plain.extend_from_slice(match self.version {
            Version::Resp2 => b"*-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array of `length` replies, which follow.
    #[inline]
    pub fn array(&mut self, length: usize) {
        self.number_line(b'*', length as i64);
    }

    /// The head of a map of `pairs` keys and values, which follow in turn.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => self.array(2 * pairs),
            Version::Resp3 => self.number_line(b'%', pairs as i64),
        }
    }

    /// The head of a set of `length` replies, which follow.
    #[inline]
    pub fn set(&mut self, length: usize) {
        self.array_or(b'~', length);
    }

    /// The head of a push of `length` replies, which answers no request.
    #[inline]
    pub fn push(&mut self, length: usize) {
        self.array_or(b'>', length);
    }

    /// A floating point number; a string in RESP2.
    pub fn double(&mut self, value: f64) {
        self.bulk_or(b',', &double_text(value));
    }

    /// A truth value; 1 or 0 in RESP2.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        match self.version {
            Version::Resp2 => self.integer(i64::from(value)),
            Version::Resp3 => self.buffer.plain.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// Text to be shown as it is; `format` has three letters, for example `txt`.  A string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        debug_assert_eq!(format.len(), 3);
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.number_line(b'=', (format.len() + 1 + text.len()) as i64);
                self.buffer.plain.extend_from_slice(format.as_bytes());
                self.buffer.plain.push(b':');
                self.buffer.plain.extend_from_slice(text.as_bytes());
                self.line_end();
            }
        }
    }

    /// An integer of any length, given as its digits; a string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        self.bulk_or(b'(', digits.as_bytes());
    }

    #[inline]
    fn array_or(&mut self, kind: u8, length: usize) {
        match self.version {
            Version::Resp2 => self.array(length),
            Version::Resp3 => self.number_line(kind, length as i64),
        }
    }

    fn bulk_or(&mut self, kind: u8, text: &[u8]) {
        match self.version {
            Version::Resp2 => self.bulk(text),
            Version::Resp3 => {
                self.buffer.plain.push(kind);
                self.buffer.plain.extend_from_slice(text);
                self.line_end();
            }
        }
    }

    /// A type byte, a number and a line end.  Nearly all numbers have one or two digits; these are
    /// written as one piece of known size.
    #[inline]
    fn number_line(&mut self, kind: u8, value: i64) {
        match value {
            0..=9 => self.buffer.plain.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']),
            10..=99 => {
                let (tens, ones) = (b'0' + (value / 10) as u8, b'0' + (value % 10) as u8);
                self.buffer.plain.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
            }
            _ => self.long_number_line(kind, value),
        }
    }

    #[inline(never)]
    fn long_number_line(&mut self, kind: u8, value: i64) {
        self.buffer.plain.push(kind);
        self.buffer.plain.extend_from_slice(&integer_text(value));
        self.line_end();
    }

    #[inline]
    fn line_end(&mut self) {
        self.buffer.plain.extend_from_slice(b"\r\n");
    }
}
