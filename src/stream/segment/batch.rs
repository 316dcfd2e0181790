//! Messages that were read together, in memory that is used again for the next ones.

use std::ops::Range;

use super::record::message_size;
use super::scan::Damage;
use crate::stream::message::StoredMessage;

/// How much a batch takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchLimits {
    /// So many messages at most.
    pub messages: usize,
    /// No more messages once so many bytes are there; the last one may go beyond.
    pub bytes: u64,
}

/// A batch that has grown beyond this keeps no more memory when it is emptied.
const BYTES_KEPT: usize = 1 << 20;

#[derive(Debug)]
struct Span {
    sequence: u64,
    time: i64,
    subject: Range<usize>,
    headers_end: usize,
    payload_end: usize,
}

/// Messages that were read together.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    size: u64,
    damages: Vec<Damage>,
}

impl Batch {
    /// Empties it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.spans.clear();
        self.damages.clear();
        self.size = 0;
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether it has no messages.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.spans.len() >= limits.messages || self.size >= limits.bytes
    }

    pub(super) fn push(&mut self, message: &StoredMessage<'_>) {
        let StoredMessage { sequence, time, subject, headers, payload } = *message;
        let start = self.bytes.len();
        [subject, headers, payload].into_iter().for_each(|part| self.bytes.extend_from_slice(part));
        let subject_end = start + subject.len();
        let (headers_end, payload_end) = (subject_end + headers.len(), self.bytes.len());
        self.spans.push(Span { sequence, time, subject: start..subject_end, headers_end, payload_end });
        self.size += message_size(subject.len(), headers.len(), payload.len());
    }

    pub(super) fn push_damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }

    /// Its messages in their order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = StoredMessage<'_>> {
        self.spans.iter().map(|span| StoredMessage {
            sequence: span.sequence,
            time: span.time,
            subject: &self.bytes[span.subject.clone()],
            headers: &self.bytes[span.subject.end..span.headers_end],
            payload: &self.bytes[span.headers_end..span.payload_end],
        })
    }

    /// Where files were damaged between or behind its messages.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }
}
