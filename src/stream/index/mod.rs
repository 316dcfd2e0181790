//! What a stream knows of its messages in memory: their range, their subjects, and which of them are gone.
//!
//! Nothing here grows with the number of messages: what it would take to know every message is on the disk.  So some answers
//! are bounds, and say so; storage makes them exact, and tells the index.  Of a subject the count is always exact.  Its first
//! and last sequence are, until the message there is removed while more than one other is left.  If a subject may have few
//! messages only, all their sequences are kept and everything is exact.
//!
//! Damage may take everything that was known of a stored message but its sequence.  Such an *unknown* message counts among the
//! stored ones, and any subject may be its own.
//!
//! What was stored since the last snapshot is in the journal only; of these few, [`journaled`] knows each.  [`limits`] says
//! which messages leave a stream, [`purge`] which of them a purge takes, [`expiry`] when those with a time to live go.

mod chunks;
pub mod expiry;
mod history;
pub mod journaled;
pub mod limits;
pub mod purge;
mod queue;
mod search;
mod subjects;
#[cfg(test)]
mod tests;

pub use history::{End, Known};
pub use search::{Count, Next, TooManySubjects};

use std::ops::RangeInclusive;

use roaring::RoaringTreemap;
use subjects::Subjects;

/// All sequences of a subject are kept in memory if a subject may have this many messages at most, and more than one.
pub const HISTORY_MAX: u64 = 64;

/// What a stream knows of its messages.
#[derive(Clone, Debug)]
pub struct Index {
    /// The first stored message, or the next sequence if there is none.
    first: u64,
    last: u64,
    messages: u64,
    bytes: u64,
    subjects: Subjects,
    /// Sequences between the first and the last that are not stored.
    deleted: RoaringTreemap,
    /// Stored messages of which nothing is known but their sequences.
    unknown: RoaringTreemap,
}

impl Index {
    /// The index of a stream whose first message is going to be `first_sequence`, which is at least one.
    pub fn new(first_sequence: u64, max_messages_per_subject: Option<u64>) -> Index {
        let first = first_sequence.max(1);
        Index {
            first,
            last: first - 1,
            messages: 0,
            bytes: 0,
            subjects: Subjects::new(keeps_sequences(max_messages_per_subject)),
            deleted: RoaringTreemap::new(),
            unknown: RoaringTreemap::new(),
        }
    }

    /// The first stored sequence; the next one to come if nothing is stored.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last sequence that was given, whether that message is still stored or not.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many messages are stored.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many messages are stored and not unknown.
    pub fn known_messages(&self) -> u64 {
        self.messages - self.unknown.len()
    }

    /// The bytes of all stored messages but the unknown ones.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many subjects have messages.
    pub fn subjects(&self) -> u64 {
        self.subjects.len() as u64
    }

    /// Bytes of memory that the subjects take, but for what the allocator adds.
    pub fn subjects_memory(&self) -> usize {
        self.subjects.memory()
    }

    /// Sequences between the first and the last that are not stored.
    pub fn deleted(&self) -> &RoaringTreemap {
        &self.deleted
    }

    /// Stored messages of which nothing is known but their sequences, because they are damaged.  No subject counts them.
    pub fn unknown(&self) -> &RoaringTreemap {
        &self.unknown
    }

    /// The unknown messages from a sequence on.
    pub fn unknown_from(&self, from: u64) -> impl Iterator<Item = u64> {
        let mut unknown = self.unknown.iter();
        unknown.advance_to(from);
        unknown
    }

    /// The last unknown message up to a sequence.
    pub fn last_unknown(&self, until: u64) -> Option<u64> {
        let mut unknown = self.unknown.iter();
        unknown.advance_back_to(until);
        unknown.next_back()
    }

    /// Whether all sequences of each subject are kept, so that messages have to be added one by one.
    pub fn keeps_sequences(&self) -> bool {
        self.subjects.has_middles()
    }

    /// Whether a message with this sequence is stored.
    pub fn is_stored(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence) && !self.deleted.contains(sequence)
    }

    /// The first stored sequence from `from` on.
    pub fn stored_from(&self, from: u64) -> Option<u64> {
        self.first_from(from, |range| self.deleted.range_cardinality(range))
    }

    /// The first stored sequence from `from` on that is not unknown.
    pub fn known_from(&self, from: u64) -> Option<u64> {
        self.first_from(from, |range| self.not_known_in(range))
    }

    /// The first sequence from `from` on that is none of those that `others` counts in a range.
    fn first_from(&self, from: u64, others: impl Fn(RangeInclusive<u64>) -> u64) -> Option<u64> {
        let (mut at, mut step) = (from.max(self.first), 1);
        while at <= self.last {
            let end = at.saturating_add(step - 1).min(self.last);
            let is_hole = others(at..=end) == end - at + 1;
            match (is_hole, step) {
                // A long hole is crossed in long steps, which become short again at its end.
                (true, _) => (at, step) = (end.saturating_add(1), step.saturating_mul(2)),
                (false, 1) => return Some(at),
                (false, _) => step = (end - at).div_ceil(2).max(1),
            }
        }
        None
    }

    /// The last stored sequence before `before` that is not unknown.
    pub fn known_before(&self, before: u64) -> Option<u64> {
        let (mut end, mut step) = (before.checked_sub(1)?.min(self.last), 1_u64);
        while end >= self.first {
            let at = (end + 1).saturating_sub(step).max(self.first);
            let is_hole = self.not_known_in(at..=end) == end - at + 1;
            match (is_hole, step) {
                (true, _) => (end, step) = (at.checked_sub(1)?, step.saturating_mul(2)),
                (false, 1) => return Some(end),
                (false, _) => step = (end - at).div_ceil(2).max(1),
            }
        }
        None
    }

    /// How many sequences of a range are not stored or unknown.
    fn not_known_in(&self, range: RangeInclusive<u64>) -> u64 {
        self.deleted.range_cardinality(range.clone()) + self.unknown.range_cardinality(range)
    }

    /// A message has been stored.  Its sequence is behind all others; the ones between are not stored.
    pub fn add(&mut self, sequence: u64, subject: &[u8], size: u64) {
        self.pass(sequence);
        self.subjects.add(subject, 1, sequence, sequence);
        self.messages += 1;
        self.bytes += size;
    }

    /// Sequences up to `last` have been given, and nothing is stored there.
    pub fn skip(&mut self, last: u64) {
        if last <= self.last {
            return;
        }
        if self.messages == 0 {
            self.first = last + 1;
        } else {
            self.deleted.insert_range(self.last + 1..=last);
        }
        self.last = last;
    }

    /// Makes `sequence` the last.
    fn pass(&mut self, sequence: u64) {
        debug_assert!(sequence > self.last, "sequence {sequence} behind {}", self.last);
        self.skip(sequence - 1);
        self.last = sequence;
    }

    /// Takes over messages of a subject at a start, when no sequences are kept: their number and the first and last of
    /// them, behind all that were added of this subject.  [`Index::restore`] comes first.
    pub fn add_many(&mut self, subject: &[u8], count: u64, first: u64, last: u64, bytes: u64) {
        self.subjects.add(subject, count, first, last);
        self.messages += count;
        self.bytes += bytes;
    }

    /// Takes over one message at a start, behind all that were added.  [`Index::restore`] comes first.
    pub fn add_stored(&mut self, sequence: u64, subject: &[u8], size: u64) {
        self.add_many(subject, 1, sequence, sequence, size);
    }

    /// The range of an empty index at a start, and what is not stored in it; the messages are added next.
    pub fn restore(&mut self, first: u64, last: u64, deleted: RoaringTreemap) {
        debug_assert!(self.messages == 0 && first <= last + 1, "{first} to {last}");
        (self.first, self.last, self.deleted) = (first, last, deleted);
    }

    /// These stored messages turn out to be unknown at a start, when all others were added.
    pub fn add_unknown(&mut self, sequences: RoaringTreemap) {
        self.messages += sequences.len();
        self.unknown |= sequences;
    }

    /// A stored message is damaged, and becomes unknown.  False if it is not stored, or is unknown already.
    pub fn lose(&mut self, sequence: u64, subject: &[u8], size: u64) -> bool {
        let is_known = self.is_stored(sequence) && !self.unknown.contains(sequence);
        let is_lost = is_known && self.subjects.remove(subject, sequence);
        if is_lost {
            self.bytes = self.bytes.saturating_sub(size);
            self.unknown.insert(sequence);
        }
        is_lost
    }

    /// A message has been removed.  False if it was not stored, and then nothing changes.  Of an unknown message, subject and
    /// size are of no account.
    pub fn remove(&mut self, sequence: u64, subject: &[u8], size: u64) -> bool {
        if !self.is_stored(sequence) {
            return false;
        }
        if !self.unknown.remove(sequence) {
            if !self.subjects.remove(subject, sequence) {
                return false;
            }
            self.bytes = self.bytes.saturating_sub(size);
        }
        self.take_out(sequence);
        true
    }

    /// A message has been removed whose subject cannot be found out, because the file's directory is damaged by now.  That subject
    /// still counts it.
    pub fn remove_counted(&mut self, sequence: u64) {
        if self.is_stored(sequence) {
            self.take_out(sequence);
        }
    }

    fn take_out(&mut self, sequence: u64) {
        self.messages = self.messages.saturating_sub(1);
        if self.messages == 0 {
            self.first = self.last + 1;
            self.deleted.clear();
        } else if sequence == self.first {
            self.first = self.stored_from(sequence + 1).unwrap_or(self.last + 1);
            self.deleted.remove_range(..self.first);
        } else {
            self.deleted.insert(sequence);
        }
    }

    /// Everything has been removed.  The next sequence is `next`, or the one behind the last if that is later.
    pub fn clear(&mut self, next: u64) {
        let last = self.last.max(next.saturating_sub(1));
        let keeps_sequences = self.subjects.has_middles();
        *self =
            Index { first: last + 1, last, subjects: Subjects::new(keeps_sequences), ..Index::new(1, None) };
    }

    /// A subject may have another number of messages from now on.  True if all messages have to be added to a new index,
    /// because their sequences are to be kept and are not known.
    #[must_use]
    pub fn change_history(&mut self, max_messages_per_subject: Option<u64>) -> bool {
        let wants_sequences = keeps_sequences(max_messages_per_subject);
        if !wants_sequences {
            self.subjects.drop_middles();
        }
        wants_sequences && !self.subjects.has_middles()
    }
}

fn keeps_sequences(max_messages_per_subject: Option<u64>) -> bool {
    max_messages_per_subject.is_some_and(|max| (2..=HISTORY_MAX).contains(&max))
}
