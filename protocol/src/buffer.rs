//! Bytes on their way to a socket: plain bytes, with large shared payloads spliced in by reference.  The buffer knows no
//! protocol.
//!
//! A worker writes the output of one batch into one [`Buffer`], hands its [`parts`](Buffer::parts) to a single vectored
//! write, and moves the bytes that the socket did not take into the connection's own queue with
//! [`split_off_unwritten`](Buffer::split_off_unwritten).  The connection later writes from that queue and
//! [`advance`](Buffer::advance)s it.  Encoders of the crate write into `plain` directly.

use bytes::{Buf, Bytes};

use crate::limits;

/// Bytes still to be written, in order.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Everything but the spliced payloads.
    pub(crate) plain: Vec<u8>,
    /// The payloads, in order of their places.
    shared: Vec<Shared>,
    /// The bytes of `plain` and the entries of `shared` that were written.  A payload that was written in part has lost
    /// those bytes.
    plain_written: usize,
    shared_written: usize,
    /// The unwritten bytes in `shared`.
    shared_length: usize,
}

/// A payload, which stands before byte `at` of the plain bytes.
#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
}

/// A place in a [`Buffer`] to which it can be cut back; by default that before the first byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    plain: usize,
    shared: usize,
}

impl Buffer {
    /// An empty buffer without room.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes still to be written to the socket.
    #[inline]
    pub fn len(&self) -> usize {
        self.plain.len() - self.plain_written + self.shared_length
    }

    /// The bytes of memory that its plain bytes take: all but the spliced payloads, with those that were written and not
    /// dropped yet.
    #[inline]
    pub fn plain_len(&self) -> usize {
        self.plain.len()
    }

    /// The plain bytes that it has room for, written ones included.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.plain.capacity()
    }

    /// The bytes that were added behind `mark`; none if a payload was spliced in.
    #[inline]
    pub fn plain_since(&self, mark: Mark) -> Option<&[u8]> {
        if self.shared.len() == mark.shared { self.plain.get(mark.plain..) } else { None }
    }

    /// Whether no bytes are left to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything and keeps a bounded amount of room.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.shared.clear();
        self.plain_written = 0;
        self.shared_written = 0;
        self.shared_length = 0;
        if limits::BUFFER_CAPACITY_KEPT < self.plain.capacity() {
            self.plain.shrink_to(limits::BUFFER_CAPACITY_KEPT);
        }
    }

    /// Adds bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.plain.extend_from_slice(bytes);
    }

    /// Adds bytes that have other owners too: one message for all its receivers.  Long ones are not copied.
    pub fn extend_shared(&mut self, bytes: Bytes) {
        if bytes.len() < limits::SPLICED_LENGTH_MIN {
            return self.extend(&bytes);
        }
        self.splice(bytes);
    }

    /// The present end, to cut back to.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { plain: self.plain.len(), shared: self.shared.len() }
    }

    /// Drops the bytes that were added behind `mark`, which must come from this buffer and be younger than the last
    /// [`clear`](Buffer::clear) or [`advance`](Buffer::advance).
    pub fn truncate(&mut self, mark: Mark) {
        assert!(self.plain_written <= mark.plain && self.shared_written <= mark.shared);
        self.plain.truncate(mark.plain);
        let dropped: usize = self.shared.drain(mark.shared..).map(|shared| shared.bytes.len()).sum();
        self.shared_length -= dropped;
    }

    /// Everything still to be written, in order, for a vectored write; no part is empty.
    pub fn parts(&self) -> Parts<'_> {
        Parts { buffer: self, plain: self.plain_written, shared: self.shared_written, plain_next: true }
    }

    /// Forgets the first `written` bytes, of at most [`len`](Buffer::len); all room is free again once
    /// everything is written.
    pub fn advance(&mut self, written: usize) {
        assert!(written <= self.len(), "no more can be written than there is");
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

    /// Drops written bytes once they are half of the bytes held, so that a queue which never quite empties does not grow.
    /// For each byte moved, one written byte is dropped.
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

    /// Moves the bytes after the first `written` into a buffer of their own and clears this one, which keeps its room.
    pub fn split_off_unwritten(&mut self, written: usize) -> Buffer {
        self.advance(written);
        let mut rest = Buffer::default();
        rest.append(self);
        rest
    }

    /// Moves the first `length` bytes still to be written, of at most [`len`](Buffer::len), into a buffer of their own.
    pub fn split_to(&mut self, length: usize) -> Buffer {
        assert!(length <= self.len(), "no more can be moved than there is");
        let mut front = Buffer::default();
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

    /// Moves everything still to be written in `other` to the end of this buffer and clears `other`.
    pub fn append(&mut self, other: &mut Buffer) {
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

    /// Adds shared bytes without a copy, however few they are.
    pub(crate) fn splice(&mut self, bytes: Bytes) {
        self.shared_length += bytes.len();
        self.shared.push(Shared { at: self.plain.len(), bytes });
    }
}

/// The unwritten parts of a [`Buffer`]; see [`Buffer::parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    buffer: &'a Buffer,
    plain: usize,
    shared: usize,
    /// Whether the plain bytes before the next payload are still to come.
    plain_next: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let buffer = self.buffer;
        let next = buffer.shared.get(self.shared);
        if self.plain_next {
            self.plain_next = false;
            let end = next.map_or(buffer.plain.len(), |shared| shared.at);
            let part = &buffer.plain[self.plain..end];
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

    use super::Buffer;

    #[test]
    fn a_queue_that_never_empties_does_not_grow() {
        let message = Bytes::from(vec![b'x'; 2000]);
        let mut queue = Buffer::new();
        for round in 0..10_000 {
            queue.extend(&[b'y'; 100]);
            queue.extend_shared(message.clone());
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
            let mut buffer = Buffer::new();
            buffer.extend(b"first");
            buffer.extend_shared(Bytes::from(vec![b'x'; 3000]));
            buffer.extend(b"7");
            buffer.extend_shared(Bytes::from(vec![b'y'; 2000]));
            buffer.extend(b"last");
            buffer.advance(3);
            buffer
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
    fn one_huge_message_is_not_kept_as_room() {
        let mut buffer = Buffer::new();
        buffer.extend(&vec![b'x'; 3 * crate::limits::BUFFER_CAPACITY_KEPT]);
        buffer.clear();
        assert!(buffer.plain.capacity() <= crate::limits::BUFFER_CAPACITY_KEPT);
    }
}
