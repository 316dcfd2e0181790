//! Replies being written: plain bytes, with large shared payloads spliced in by reference.
//!
//! A worker writes the replies of one batch into one [`Output`], hands its [`parts`](Output::parts) to a single
//! vectored write, and moves what the socket did not take into the connection's own queue with
//! [`split_off_unwritten`](Output::split_off_unwritten).  The connection later writes from that queue and
//! [`advance`](Output::advance)s it.

use bytes::{Buf, Bytes};
use memchr::memchr2;

use crate::limits;
use crate::resp::number::{double_text, integer_text};
use crate::resp::request::ProtocolError;

/// Which version of the protocol a client asked for with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What a client speaks that never said HELLO.
    #[default]
    Resp2,
    /// Adds maps, sets, doubles, booleans, verbatim text and pushes.
    Resp3,
}

/// Replies being written, in order.  It promises nothing about their being complete: an array's elements are
/// the writer's duty.
#[derive(Debug, Default)]
pub struct Output {
    /// Everything but the spliced payloads.
    plain: Vec<u8>,
    /// The payloads, in order of their places.
    shared: Vec<Shared>,
    /// The bytes of `plain` and the entries of `shared` that were written; the bytes of a payload that was
    /// written in part are cut off.
    plain_written: usize,
    shared_written: usize,
    /// The unwritten bytes in `shared`.
    shared_length: usize,
    version: Version,
}

/// A payload that stands before byte `at` of the plain ones.
#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
}

/// A place in an [`Output`] to which it can be cut back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    plain: usize,
    shared: usize,
}

/// The bytes around a bulk string: type, at most 20 digits, and two line ends.
const BULK_FRAME_LENGTH_MAX: usize = 25;

impl Output {
    /// An empty output of RESP2 without room.
    pub fn new() -> Self {
        Self::default()
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

    /// The bytes still to be written to the socket.
    #[inline]
    pub fn len(&self) -> usize {
        self.plain.len() - self.plain_written + self.shared_length
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything but the version, and keeps a bounded amount of room.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.shared.clear();
        self.plain_written = 0;
        self.shared_written = 0;
        self.shared_length = 0;
        if limits::OUTPUT_CAPACITY_KEPT < self.plain.capacity() {
            self.plain.shrink_to(limits::OUTPUT_CAPACITY_KEPT);
        }
    }

    /// A status such as `OK`, which must not contain line ends.
    #[inline]
    pub fn simple(&mut self, status: &str) {
        debug_assert!(memchr2(b'\r', b'\n', status.as_bytes()).is_none());
        self.plain.reserve(status.len() + 3);
        self.plain.push(b'+');
        self.plain.extend_from_slice(status.as_bytes());
        self.line_end();
    }

    /// The status `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.plain.extend_from_slice(b"+OK\r\n");
    }

    /// An error: the whole line but the `-`, such as `ERR syntax error`.  Line ends in it, which may come
    /// from what it quotes, become spaces, and those at its end vanish.
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        self.plain.push(b'-');
        let start = self.plain.len();
        self.plain.extend_from_slice(line.as_ref());
        self.finish_error(start);
    }

    /// The answer to a broken protocol, which the connection's end follows.  Unlike the error's display it
    /// repeats a byte that is no text.
    pub fn protocol_error(&mut self, error: ProtocolError) {
        self.plain.extend_from_slice(b"-ERR Protocol error: ");
        let start = self.plain.len();
        match error {
            ProtocolError::ExpectedBulk { found } => {
                self.plain.extend_from_slice(b"expected '$', got '");
                self.plain.push(found);
                self.plain.push(b'\'');
            }
            other => self.plain.extend_from_slice(other.to_string().as_bytes()),
        }
        self.finish_error(start);
    }

    fn finish_error(&mut self, start: usize) {
        while self.plain.len() > start && matches!(self.plain.last(), Some(b'\r' | b'\n')) {
            self.plain.pop();
        }
        let mut rest = &mut self.plain[start..];
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
        self.plain.reserve(bytes.len() + BULK_FRAME_LENGTH_MAX);
        self.number_line(b'$', bytes.len() as i64);
        self.plain.extend_from_slice(bytes);
        self.line_end();
    }

    /// A string of any bytes that others hold as well.  A long one is not copied.
    pub fn bulk_shared(&mut self, bytes: Bytes) {
        if bytes.len() < limits::SPLICED_LENGTH_MIN {
            return self.bulk(&bytes);
        }
        self.number_line(b'$', bytes.len() as i64);
        self.splice(bytes);
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
        self.plain.extend_from_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// No array: `*-1` or RESP3's null.
    #[inline]
    pub fn null_array(&mut self) {
        self.plain.extend_from_slice(match self.version {
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

    /// The head of a message of `length` replies that answers no request.
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
            Version::Resp3 => self.plain.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// Text to be shown as it is; `format` has three letters, such as `txt`.  A string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        debug_assert_eq!(format.len(), 3);
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.number_line(b'=', (format.len() + 1 + text.len()) as i64);
                self.plain.extend_from_slice(format.as_bytes());
                self.plain.push(b':');
                self.plain.extend_from_slice(text.as_bytes());
                self.line_end();
            }
        }
    }

    /// An integer of any length, given as its digits; a string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        self.bulk_or(b'(', digits.as_bytes());
    }

    /// Bytes that are replies already.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.plain.extend_from_slice(encoded);
    }

    /// Bytes that are replies already and that others hold as well: one message for all its receivers.
    pub fn raw_shared(&mut self, encoded: Bytes) {
        if encoded.len() < limits::SPLICED_LENGTH_MIN {
            return self.raw(&encoded);
        }
        self.splice(encoded);
    }

    /// The present end, to cut back to.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { plain: self.plain.len(), shared: self.shared.len() }
    }

    /// Drops what was written behind `mark`, which must come from this output and be younger than the last
    /// [`clear`](Output::clear) or [`advance`](Output::advance).
    pub fn truncate(&mut self, mark: Mark) {
        assert!(self.plain_written <= mark.plain && self.shared_written <= mark.shared);
        self.plain.truncate(mark.plain);
        let dropped: usize = self.shared.drain(mark.shared..).map(|shared| shared.bytes.len()).sum();
        self.shared_length -= dropped;
    }

    /// Everything still to be written, in order, for a vectored write; no part is empty.
    pub fn parts(&self) -> Parts<'_> {
        Parts { output: self, plain: self.plain_written, shared: self.shared_written, plain_next: true }
    }

    /// Forgets the first `written` bytes, of at most [`len`](Output::len); all room is free again once
    /// everything is written.
    pub fn advance(&mut self, written: usize) {
        assert!(written <= self.len(), "only what is there can be written");
        if written == self.len() {
            return self.clear();
        }
        self.skip(written);
        self.compact();
    }

    fn skip(&mut self, mut written: usize) {
        while let Some(next) = self.shared.get_mut(self.shared_written) {
            let plain = written.min(next.at - self.plain_written);
            self.plain_written += plain;
            written -= plain;
            if written == 0 {
                return;
            }
            let spliced = written.min(next.bytes.len());
            written -= spliced;
            self.shared_length -= spliced;
            if spliced < next.bytes.len() {
                return next.bytes.advance(spliced);
            }
            next.bytes = Bytes::new();
            self.shared_written += 1;
        }
        self.plain_written += written;
    }

    /// Drops what is written once it is half of what is held, so that a queue which never quite empties does
    /// not grow; each byte is moved by no more than one byte written before it.
    fn compact(&mut self) {
        if self.shared.len() <= 2 * self.shared_written {
            self.shared.drain(..std::mem::take(&mut self.shared_written));
        }
        if self.plain.len() <= 2 * self.plain_written {
            let dropped = std::mem::take(&mut self.plain_written);
            self.plain.drain(..dropped);
            self.shared[self.shared_written..].iter_mut().for_each(|shared| shared.at -= dropped);
        }
    }

    /// Moves what comes after the first `written` bytes into an output of its own and clears this one, which
    /// keeps its room.
    pub fn split_off_unwritten(&mut self, written: usize) -> Output {
        self.advance(written);
        let mut rest = Output { version: self.version, ..Output::default() };
        rest.append(self);
        rest
    }

    /// Moves the first `length` bytes still to be written, of at most [`len`](Output::len), into an output of their own.
    pub fn split_to(&mut self, length: usize) -> Output {
        assert!(length <= self.len(), "only what is there can be moved");
        let mut front = Output { version: self.version, ..Output::default() };
        let (mut plain, mut left) = (self.plain_written, length);
        for next in &self.shared[self.shared_written..] {
            let before = left.min(next.at - plain);
            front.plain.extend_from_slice(&self.plain[plain..plain + before]);
            (plain, left) = (plain + before, left - before);
            if left == 0 {
                break;
            }
            let spliced = left.min(next.bytes.len());
            front.splice(next.bytes.slice(..spliced));
            left -= spliced;
        }
        front.plain.extend_from_slice(&self.plain[plain..plain + left]);
        self.advance(length);
        front
    }

    /// Moves everything still to be written in `other` behind what is here and clears `other`.
    pub fn append(&mut self, other: &mut Output) {
        let start = self.plain.len();
        let plain_written = other.plain_written;
        self.plain.extend_from_slice(&other.plain[plain_written..]);
        let moved = other.shared.drain(other.shared_written..);
        self.shared.extend(moved.map(|shared| Shared { at: shared.at - plain_written + start, ..shared }));
        self.shared_length += other.shared_length;
        other.clear();
    }

    /// Everything still to be written as one piece, for a message that has several receivers.
    pub fn into_bytes(self) -> Bytes {
        if self.plain_written == 0 && self.shared.is_empty() {
            return self.plain.into();
        }
        self.parts().collect::<Vec<_>>().concat().into()
    }

    fn splice(&mut self, bytes: Bytes) {
        self.shared_length += bytes.len();
        self.shared.push(Shared { at: self.plain.len(), bytes });
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
                self.plain.push(kind);
                self.plain.extend_from_slice(text);
                self.line_end();
            }
        }
    }

    /// A type byte, a number and a line end.  Numbers of one and two digits, which nearly all are, are
    /// written as one piece of known size.
    #[inline]
    fn number_line(&mut self, kind: u8, value: i64) {
        match value {
            0..=9 => self.plain.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']),
            10..=99 => {
                let (tens, ones) = (b'0' + (value / 10) as u8, b'0' + (value % 10) as u8);
                self.plain.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
            }
            _ => self.long_number_line(kind, value),
        }
    }

    #[inline(never)]
    fn long_number_line(&mut self, kind: u8, value: i64) {
        self.plain.push(kind);
        self.plain.extend_from_slice(&integer_text(value));
        self.line_end();
    }

    #[inline]
    fn line_end(&mut self) {
        self.plain.extend_from_slice(b"\r\n");
    }
}

/// The unwritten parts of an [`Output`]; see [`Output::parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    output: &'a Output,
    plain: usize,
    shared: usize,
    /// Whether the plain bytes before the next payload are still to come.
    plain_next: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let output = self.output;
        let next = output.shared.get(self.shared);
        if self.plain_next {
            self.plain_next = false;
            let end = next.map_or(output.plain.len(), |shared| shared.at);
            let part = &output.plain[self.plain..end];
            self.plain = end;
            if !part.is_empty() {
                return Some(part);
            }
        }
        let shared = next?;
        self.shared += 1;
        self.plain_next = true;
        Some(&shared.bytes)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Output;

    #[test]
    fn a_queue_that_never_empties_does_not_grow() {
        let message = Bytes::from(vec![b'x'; 2000]);
        let mut queue = Output::new();
        for round in 0..10_000 {
            queue.raw(&[b'y'; 100]);
            queue.raw_shared(message.clone());
            if 10 < round {
                queue.advance(2100);
            }
            assert!(queue.plain.len() <= 2 * 12 * 100 && queue.shared.len() <= 2 * 12);
        }
        assert_eq!(queue.len(), 11 * 2100);
    }

    #[test]
    fn the_front_is_moved_out_wherever_it_ends() {
        let whole = || {
            let mut output = Output::new();
            output.simple("first");
            output.bulk_shared(Bytes::from(vec![b'x'; 3000]));
            output.integer(7);
            output.bulk_shared(Bytes::from(vec![b'y'; 2000]));
            output.advance(3);
            output
        };
        let all = whole().into_bytes();
        for length in (0..=all.len()).filter(|length| length % 7 == 0 || all.len() - length < 30) {
            let mut rest = whole();
            let front = rest.split_to(length);
            assert_eq!((front.len(), rest.len()), (length, all.len() - length));
            assert_eq!([front.into_bytes(), rest.into_bytes()].concat(), all, "cut at {length}");
        }
    }

    #[test]
    fn one_huge_reply_is_not_kept_as_room() {
        let mut output = Output::new();
        output.bulk(&vec![b'x'; 3 * crate::limits::OUTPUT_CAPACITY_KEPT]);
        output.clear();
        assert!(output.plain.capacity() <= crate::limits::OUTPUT_CAPACITY_KEPT);
    }
}
