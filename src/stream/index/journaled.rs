//! Messages that are still in the journal only: where each of them is, and what it is.
//!
//! Each takes 40 bytes and each subject its text, until the next snapshot has moved the messages to the stream's own files.
//! Whether a message is still stored is the [`Index`](super::Index)'s to say.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;

use super::queue::Queue;
use crate::stream::filter::Filter;
use crate::wait::Position;

/// A message that is still in the journal only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Journaled {
    /// Its place in its stream.
    pub sequence: u64,
    /// Where its record begins in the journal.
    pub position: Position,
    /// When it was stored, in nanoseconds since 1970.
    pub time: i64,
    /// Bytes of its headers.
    pub headers: u32,
    /// Bytes of its payload.
    pub payload: u32,
    subject: u32,
}

#[derive(Debug)]
struct Subject {
    text: Box<[u8]>,
    messages: u32,
}

/// All messages of a stream that are still in the journal only, in the order of their sequences.
#[derive(Debug, Default)]
pub struct JournaledMessages {
    messages: Queue<Journaled>,
    subjects: Slab<Subject>,
    by_text: HashTable<u32>,
    hasher: FixedState,
}

impl JournaledMessages {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// A message has been appended to the journal, behind all others, with headers and a payload of these lengths.
    pub fn push(
        &mut self,
        position: Position,
        sequence: u64,
        time: i64,
        subject: &[u8],
        [headers, payload]: [u32; 2],
    ) {
        debug_assert!(
            self.messages.back().is_none_or(|last| last.sequence < sequence),
            "messages come in their order"
        );
        let subject = self.note_subject(subject);
        self.messages.push_back(Journaled { sequence, position, time, headers, payload, subject });
    }

    fn note_subject(&mut self, text: &[u8]) -> u32 {
        let JournaledMessages { subjects, by_text, hasher, .. } = self;
        let hash = hasher.hash_one(text);
        if let Some(found) = by_text.find(hash, |id| *subjects[*id as usize].text == *text) {
            subjects[*found as usize].messages += 1;
            return *found;
        }
        let id = subjects.insert(Subject { text: text.into(), messages: 1 }) as u32;
        by_text.insert_unique(hash, id, |id| hasher.hash_one(&*subjects[*id as usize].text));
        id
    }

    /// The messages up to a sequence have been moved, or are gone for good.
    pub fn drop_through(&mut self, sequence: u64) {
        while let Some(message) = self.messages.pop_front_if(|message| message.sequence <= sequence) {
            let subject = &mut self.subjects[message.subject as usize];
            subject.messages -= 1;
            if subject.messages == 0 {
                self.forget_subject(message.subject);
            }
        }
    }

    /// Drops the messages that are not to be kept.
    pub fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        let JournaledMessages { messages, subjects, .. } = self;
        messages.retain(|message| {
            let is_kept = is_kept(message.sequence);
            if !is_kept && let Some(subject) = subjects.get_mut(message.subject as usize) {
                subject.messages -= 1;
            }
            is_kept
        });
        let empty: Vec<usize> =
            subjects.iter().filter(|(_, subject)| subject.messages == 0).map(|(id, _)| id).collect();
        empty.into_iter().for_each(|id| self.forget_subject(id as u32));
    }

    fn forget_subject(&mut self, id: u32) {
        let hash = self.hasher.hash_one(&*self.subjects[id as usize].text);
        if let Ok(found) = self.by_text.find_entry(hash, |known| *known == id) {
            found.remove();
        }
        self.subjects.remove(id as usize);
    }

    /// The message with a sequence.
    pub fn get(&self, sequence: u64) -> Option<&Journaled> {
        self.messages.get(self.place_of(sequence)).filter(|message| message.sequence == sequence)
    }

    /// How many messages come before a sequence.
    fn place_of(&self, sequence: u64) -> usize {
        let Some(distance) = self.messages.front().and_then(|first| sequence.checked_sub(first.sequence))
        else {
            return 0;
        };
        // As many at most, and mostly so many, since few sequences are not there.
        let most = usize::try_from(distance).unwrap_or(usize::MAX).min(self.messages.len());
        match most.checked_sub(1).and_then(|before| self.messages.get(before)) {
            Some(before) if before.sequence >= sequence => {
                self.messages.partition_point(|message| message.sequence < sequence)
            }
            _ => most,
        }
    }

    /// The subject of one of these messages.
    pub fn subject_of(&self, message: &Journaled) -> &[u8] {
        self.subjects.get(message.subject as usize).map_or(&[], |subject| &subject.text)
    }

    /// The messages from a sequence on.
    pub fn from(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Journaled> {
        self.messages.from(self.place_of(sequence))
    }

    /// The messages from a sequence on that a filter matches.
    pub fn matching<'m>(
        &'m self,
        from: u64,
        filter: &'m Filter,
    ) -> impl DoubleEndedIterator<Item = &'m Journaled> {
        self.from(from).filter(|message| filter.is_all() || filter.matches(self.subject_of(message)))
    }

    /// How many messages from a sequence on a filter matches and are still stored.  Each subject is looked at once.
    pub fn count(&self, from: u64, filter: &Filter, is_stored: impl Fn(u64) -> bool) -> u64 {
        let mut wanted: Vec<Option<bool>> = vec![None; self.subjects.capacity()];
        let is_wanted = |message: &&Journaled| {
            let matches = || filter.matches(self.subject_of(message));
            let is_wanted =
                wanted.get_mut(message.subject as usize).map(|known| *known.get_or_insert_with(matches));
            is_wanted.unwrap_or(false) && is_stored(message.sequence)
        };
        self.from(from).filter(is_wanted).count() as u64
    }

    /// The first message stored at a time or later, if times never fall from one message to the next.
    pub fn at_time(&self, time: i64) -> Option<&Journaled> {
        self.messages.get(self.messages.partition_point(|message| message.time < time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeMap;

    #[test]
    fn messages_are_known_until_they_have_moved() {
        let mut random = Random::with_seed(6);
        let (mut journaled, mut twin, mut last) = (JournaledMessages::default(), BTreeMap::new(), 0);
        for _ in 0..3000 {
            if random.below(200) == 0 {
                let through = last - random.below(100).min(last as usize) as u64;
                journaled.drop_through(through);
                twin.retain(|sequence, _| *sequence > through);
            }
            last += 1 + random.below(2) as u64;
            let subject = format!("a.{}", random.below(50) + last as usize / 500);
            let (subject, payload) = (subject.as_bytes(), &[0; 300][..random.below(300)]);
            journaled.push(Position(7 * last), last, 10 * last as i64, subject, [0, payload.len() as u32]);
            twin.insert(last, (subject.to_vec(), payload.len()));
            let at = random.below(last as usize + 2) as u64;
            let found = journaled.get(at).map(|message| {
                assert_eq!((message.position, message.time), (Position(7 * at), 10 * at as i64));
                (journaled.subject_of(message).to_vec(), message.payload as usize)
            });
            assert_eq!(found.as_ref(), twin.get(&at));
            assert_eq!(journaled.len(), twin.len());
            let next = journaled.at_time(10 * at as i64 - 9).map(|message| message.sequence);
            assert_eq!(next, twin.range(at..).next().map(|(sequence, _)| *sequence));
        }
        let texts: std::collections::BTreeSet<_> = twin.values().map(|(subject, _)| subject).collect();
        assert_eq!((journaled.subjects.len(), journaled.by_text.len()), (texts.len(), texts.len()));
        for filter in [Filter::all(), Filter::of([&b"a.7"[..], b"a.30"]), Filter::of([&b"b.>"[..]])] {
            let from = last - 200;
            let stored = |sequence: u64| !sequence.is_multiple_of(3);
            let expected = twin.range(from..).filter(|(_, (subject, _))| filter.matches(subject));
            let expected: Vec<u64> = expected.map(|(sequence, _)| *sequence).collect();
            let found: Vec<u64> = journaled.matching(from, &filter).map(|message| message.sequence).collect();
            assert_eq!(found, expected);
            let count = expected.into_iter().filter(|sequence| stored(*sequence)).count();
            assert_eq!(journaled.count(from, &filter, stored), count as u64);
        }
        let stored = |sequence: u64| !sequence.is_multiple_of(3);
        journaled.retain(stored);
        twin.retain(|sequence, _| stored(*sequence));
        assert!(journaled.from(0).map(|message| message.sequence).eq(twin.keys().copied()));
        let texts: std::collections::BTreeSet<_> = twin.values().map(|(subject, _)| subject).collect();
        assert_eq!((journaled.subjects.len(), journaled.by_text.len()), (texts.len(), texts.len()));
        journaled.drop_through(u64::MAX);
        assert!(journaled.is_empty() && journaled.subjects.is_empty() && journaled.by_text.is_empty());
    }

    #[test]
    fn a_message_takes_forty_bytes() {
        assert_eq!(size_of::<Journaled>(), 40);
    }
}
