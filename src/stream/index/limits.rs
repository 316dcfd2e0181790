//! Whether a message may come into a stream, and which leave it for the stream's limits.
//!
//! Which messages leave by number, bytes and per subject follows from the order of the messages and the limits alone, so it
//! is decided again in the same way when the journal is read back.  Age depends on the time as well.

use std::fmt;

use super::{End, Index};
use crate::stream::definition::{Discard, StreamDefinition};

/// The limits of a stream's messages.  What is not given is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Messages.
    pub max_messages: Option<u64>,
    /// Bytes of all messages.
    pub max_bytes: Option<u64>,
    /// Nanoseconds that a message is kept.
    pub max_age: Option<u64>,
    /// Messages of a subject.
    pub max_messages_per_subject: Option<u64>,
    /// What gives way when the stream is full.
    pub discard: Discard,
    /// Whether a new message is refused, too, if its subject has too many; otherwise the oldest of the subject leaves.
    pub discard_new_per_subject: bool,
}

/// Why a message is refused.  As text it is what NATS says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// The stream has as many messages as it may.
    Messages,
    /// The stream would have more bytes than it may.
    Bytes,
    /// The subject has as many messages as it may.
    Subject,
}

impl fmt::Display for Full {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Full::Messages => "maximum messages exceeded",
            Full::Bytes => "maximum bytes exceeded",
            Full::Subject => "maximum messages per subject exceeded",
        })
    }
}

/// Messages that are on their way into a stream and count, though the index does not have them yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beside {
    /// How many there are that take no other's place.
    pub messages: u64,
    /// The bytes of all.
    pub bytes: u64,
    /// How many of them are on the subject that is asked about.
    pub of_subject: u64,
}

/// A message that has to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// This one, the first of the stream.
    First(u64),
    /// The oldest of the subject that was published on.
    OldestOfSubject(End),
}

impl Limits {
    /// The limits that a checked definition sets.
    pub fn of(definition: &StreamDefinition) -> Limits {
        let positive = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
        Limits {
            max_messages: positive(definition.max_messages),
            max_bytes: positive(definition.max_bytes),
            max_age: positive(definition.max_age.0),
            max_messages_per_subject: positive(definition.max_messages_per_subject),
            discard: definition.discard,
            discard_new_per_subject: definition.discard_new_per_subject,
        }
    }

    /// Whether there is room for a message of `size` bytes.  `oldest_size` says how many bytes the oldest message of a
    /// subject has, and is asked only if that message is going to leave.
    ///
    /// # Errors
    /// If the message is to be refused, and why.
    pub fn admit(
        &self,
        index: &Index,
        beside: Beside,
        subject: &[u8],
        size: u64,
        oldest_size: impl FnOnce(End) -> u64,
    ) -> Result<(), Full> {
        if self.discard == Discard::Old {
            return Ok(());
        }
        let known = index.subject(subject);
        let is_replacing = self.is_replacing(index, beside, subject);
        if is_replacing && self.discard_new_per_subject {
            return Err(Full::Subject);
        }
        // A message that takes the place of another of its subject adds none.
        let messages = index.known_messages() + beside.messages + u64::from(!is_replacing);
        if messages > self.max_messages.unwrap_or(u64::MAX) {
            return Err(Full::Messages);
        }
        let max = self.max_bytes.unwrap_or(u64::MAX);
        let bytes = index.bytes().saturating_add(beside.bytes).saturating_add(size);
        if bytes <= max {
            return Ok(());
        }
        let freed = known.filter(|_| is_replacing).map_or(0, |known| oldest_size(known.first));
        if bytes - freed.min(bytes) > max { Err(Full::Bytes) } else { Ok(()) }
    }

    /// Whether messages leave by number or bytes at all.
    pub fn are_some(&self) -> bool {
        self.max_messages.or(self.max_bytes).or(self.max_messages_per_subject).is_some()
    }

    /// Whether a message on `subject` takes the place of the oldest there, as there are as many as may be.
    pub fn is_replacing(&self, index: &Index, beside: Beside, subject: &[u8]) -> bool {
        let count = || index.subject(subject).map_or(0, |known| known.count) + beside.of_subject;
        self.max_messages_per_subject.is_some_and(|max| count() >= max)
    }

    /// The next message that leaves after one was stored on `subject`, by number and bytes.  To be asked again after that
    /// message has left, until none does.
    pub fn leaving(&self, index: &Index, subject: &[u8]) -> Option<Leaving> {
        if let Some(max) = self.max_messages_per_subject
            && let Some(known) = index.subject(subject).filter(|known| known.count > max)
        {
            return Some(Leaving::OldestOfSubject(known.first));
        }
        self.leaving_at_all(index)
    }

    /// The next message that leaves, whichever subject was stored on; the limit per subject is not looked at.
    pub fn leaving_at_all(&self, index: &Index) -> Option<Leaving> {
        // An unknown message takes no place: it would take that of one that can be read.
        let are_too_many = self.max_messages.is_some_and(|max| index.known_messages() > max)
            || self.max_bytes.is_some_and(|max| index.bytes() > max);
        (are_too_many && index.messages() > 0).then(|| Leaving::First(index.first()))
    }

    /// The subjects that have more messages than they may, after the limit was lowered, and how many of their oldest leave.
    pub fn subjects_over<'i>(&self, index: &'i Index) -> impl Iterator<Item = (&'i [u8], End, u64)> {
        let max = self.max_messages_per_subject.unwrap_or(u64::MAX);
        let over = index.matching(b">").filter(move |(_, known)| known.count > max);
        over.map(move |(subject, known)| (subject, known.first, known.count - max))
    }

    /// Whether a message of this time is too old.  Messages leave in the order of their sequences.
    pub fn is_too_old(&self, time: i64, now: i64) -> bool {
        self.expires_at(time).is_some_and(|expires| expires <= now)
    }

    /// When a message of this time becomes too old, if ever.
    pub fn expires_at(&self, time: i64) -> Option<i64> {
        let age = i64::try_from(self.max_age?).unwrap_or(i64::MAX);
        Some(time.saturating_add(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Limited = (Option<u64>, Option<u64>, Option<u64>);

    /// Limits of messages, bytes and messages of a subject.
    fn limits((max_messages, max_bytes, max_messages_per_subject): Limited, discard: Discard) -> Limits {
        let (max_age, discard_new_per_subject) = (None, false);
        Limits {
            max_messages,
            max_bytes,
            max_age,
            max_messages_per_subject,
            discard,
            discard_new_per_subject,
        }
    }

    fn filled(limits: &Limits) -> Index {
        let mut index = Index::new(1, limits.max_messages_per_subject);
        for (number, subject) in ["a", "b", "a"].iter().enumerate() {
            index.add(number as u64 + 1, subject.as_bytes(), 10);
        }
        index
    }

    #[test]
    fn messages_are_refused_or_make_room() {
        use Discard::{New, Old};
        let cases: &[(Limited, Discard, &str, Result<(), Full>)] = &[
            ((Some(3), None, None), Old, "a", Ok(())),
            ((Some(3), None, None), New, "a", Err(Full::Messages)),
            ((Some(4), None, None), New, "a", Ok(())),
            ((None, Some(39), None), New, "a", Err(Full::Bytes)),
            ((None, Some(40), None), New, "a", Ok(())),
            // The oldest of the subject leaves, so that there is room.
            ((Some(3), Some(30), Some(2)), New, "a", Ok(())),
            ((Some(3), Some(29), Some(2)), New, "a", Err(Full::Bytes)),
            ((Some(3), None, Some(2)), New, "b", Err(Full::Messages)),
        ];
        for (limited, discard, subject, expected) in cases {
            let limits = limits(*limited, *discard);
            let found = limits.admit(&filled(&limits), Beside::default(), subject.as_bytes(), 10, |_| 10);
            assert_eq!(found, *expected, "{limits:?} {subject}");
        }
        let limits = Limits { discard_new_per_subject: true, ..limits((Some(3), None, Some(2)), New) };
        let admit = |subject: &[u8]| limits.admit(&filled(&limits), Beside::default(), subject, 10, |_| 10);
        assert_eq!([admit(b"a"), admit(b"b")], [Err(Full::Subject), Err(Full::Messages)]);
    }

    #[test]
    fn those_leave_that_are_too_many() {
        let unlimited = limits((None, None, None), Discard::Old);
        let index = filled(&unlimited);
        let first = End { sequence: 1, is_exact: true };
        let leaving = |limits: Limits, subject: &str| limits.leaving(&index, subject.as_bytes());
        assert_eq!(leaving(unlimited, "a"), None);
        assert_eq!(leaving(limits((Some(2), None, None), Discard::Old), "a"), Some(Leaving::First(1)));
        assert_eq!(leaving(limits((Some(3), Some(30), None), Discard::Old), "a"), None);
        assert_eq!(leaving(limits((None, Some(29), None), Discard::Old), "a"), Some(Leaving::First(1)));
        let of_subject = limits((Some(2), None, Some(1)), Discard::New);
        assert_eq!(leaving(of_subject, "a"), Some(Leaving::OldestOfSubject(first)));
        assert_eq!(leaving(of_subject, "b"), Some(Leaving::First(1)));
        assert_eq!(of_subject.subjects_over(&index).collect::<Vec<_>>(), [(&b"a"[..], first, 1)]);
        assert_eq!(limits((Some(0), None, None), Discard::Old).leaving(&Index::new(1, None), b"a"), None);
    }

    #[test]
    fn age_ends_at_its_nanosecond() {
        let limits = Limits { max_age: Some(100), ..limits((None, None, None), Discard::Old) };
        assert!(!limits.is_too_old(1000, 1099) && limits.is_too_old(1000, 1100));
        let endless = Limits { max_age: Some(u64::MAX), ..limits };
        assert_eq!(endless.expires_at(1000), Some(i64::MAX));
        assert!(!Limits { max_age: None, ..limits }.is_too_old(0, i64::MAX));
    }

    #[test]
    fn refusals_read_as_in_nats() {
        let texts = [Full::Messages, Full::Bytes, Full::Subject].map(|full| full.to_string());
        let expected =
            ["maximum messages exceeded", "maximum bytes exceeded", "maximum messages per subject exceeded"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_limit_of_zero_or_less_is_none() {
        let mut definition = StreamDefinition::default();
        (definition.max_messages, definition.max_messages_per_subject) = (-1, 5);
        let limits = Limits::of(&definition);
        assert_eq!((limits.max_messages, limits.max_bytes, limits.max_age), (None, None, None));
        assert_eq!(limits.max_messages_per_subject, Some(5));
    }
}
