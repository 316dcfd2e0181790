//! Questions about subjects and filters: what is there, how much, where the next message is.

use hashbrown::HashSet;

use super::Index;
use super::history::{End, Known};
use crate::stream::filter::{Filter, matches_any};
use quartet_protocol::broker::subject;

/// The first message from a sequence on that a filter matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// There is none.
    None,
    /// It is this one.
    At(u64),
    /// There is one, here or behind, and storage knows where.
    NotBefore(u64),
}

/// How many messages from a sequence on a filter matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Count {
    /// So many.
    Exact(u64),
    /// So many, and those that storage has from that sequence on of these subjects, which have messages before it too.
    AtLeast(u64, HashSet<Box<[u8]>>),
}

/// More subjects have matched than the caller wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManySubjects;

impl Index {
    /// What is known of the messages of a subject; nothing if it has none.
    pub fn subject(&self, subject: &[u8]) -> Option<Known> {
        self.subjects.get(subject)
    }

    /// All sequences of a subject in their order, if the index knows them.
    pub fn sequences(&self, subject: &[u8]) -> Option<Vec<u64>> {
        self.subjects.sequences(subject)
    }

    /// The subjects that a pattern matches, in the order of their texts.
    pub fn matching<'i>(&'i self, pattern: &'i [u8]) -> impl Iterator<Item = (&'i [u8], Known)> {
        self.subjects.matching(pattern)
    }

    /// The subjects that a filter matches: each once, in no order.
    fn each_matching<'i>(&'i self, filter: &'i Filter) -> impl Iterator<Item = (&'i [u8], Known)> {
        let literals = filter.literals().filter_map(|literal| Some((literal, self.subject(literal)?)));
        let all = filter.is_all().then(|| self.subjects.matching(subject::ALL_TOKENS));
        let wildcards = filter.wildcards().iter().enumerate().flat_map(move |(number, pattern)| {
            let earlier = &filter.wildcards()[..number];
            let is_new = move |text: &[u8]| !filter.has_literal(text) && !matches_any(earlier, text);
            self.subjects.matching(pattern).filter(move |(text, _)| is_new(text))
        });
        literals.chain(wildcards).chain(all.into_iter().flatten())
    }

    /// Where the newest known message is that the filter matches.
    pub fn last_matching(&self, filter: &Filter) -> Option<End> {
        // If the highest is a bound, a lower sequence that is exact may be the newest: storage searches back from the bound.
        self.each_matching(filter).map(|(_, known)| known.last).max_by_key(|last| last.sequence)
    }

    /// The newest message of each subject that the filter matches, in the order of their sequences.
    ///
    /// # Errors
    /// If there are more than `max` subjects.
    pub fn last_of_each<'i>(
        &'i self,
        filter: &'i Filter,
        max: usize,
    ) -> Result<Vec<(&'i [u8], End)>, TooManySubjects> {
        let each = self.each_matching(filter).map(|(subject, known)| (subject, known.last));
        let mut found: Vec<_> = each.take(max.saturating_add(1)).collect();
        if found.len() > max {
            return Err(TooManySubjects);
        }
        found.sort_unstable_by_key(|(_, last)| last.sequence);
        Ok(found)
    }

    /// The first message from `from` on that the filter matches.
    pub fn next(&self, from: u64, filter: &Filter) -> Next {
        if filter.is_all() {
            return self.stored_from(from).map_or(Next::None, Next::At);
        }
        let mut next = Next::None;
        for (subject, known) in self.each_matching(filter) {
            next = next.or_earlier(self.next_of(from, subject, known));
            if next == Next::NotBefore(from) {
                break;
            }
        }
        next
    }

    /// The same for one subject.
    fn next_of(&self, from: u64, subject: &[u8], known: Known) -> Next {
        let (first, last) = (known.first, known.last);
        if last.sequence < from {
            return Next::None;
        }
        if first.sequence >= from {
            return if first.is_exact { Next::At(first.sequence) } else { Next::NotBefore(first.sequence) };
        }
        match self.subjects.sequences(subject) {
            Some(sequences) => sequences.into_iter().find(|at| *at >= from).map_or(Next::None, Next::At),
            None => Next::NotBefore(from),
        }
    }

    /// How many messages from `from` on the filter matches, with all unknown ones.
    pub fn count_from(&self, from: u64, filter: &Filter) -> Count {
        if filter.is_all() {
            return Count::Exact(self.messages_from(from));
        }
        let (mut counted, mut open) = (self.unknown.range_cardinality(from..), HashSet::new());
        for (subject, known) in self.each_matching(filter) {
            if known.first.sequence >= from {
                counted += known.count;
            } else if known.last.sequence >= from {
                match self.subjects.sequences(subject) {
                    Some(sequences) => counted += sequences.iter().filter(|at| **at >= from).count() as u64,
                    None => drop(open.insert(subject.into())),
                }
            }
        }
        if open.is_empty() { Count::Exact(counted) } else { Count::AtLeast(counted, open) }
    }

    /// The most messages from `from` on that a filter may match, by what memory knows.
    pub fn most_from(&self, from: u64, filter: &Filter) -> u64 {
        let (counted, open) = match self.count_from(from, filter) {
            Count::Exact(count) => return count,
            Count::AtLeast(counted, open) => (counted, open),
        };
        // Of each of these one message at least is before.
        let most = open.iter().filter_map(|subject| self.subject(subject)).map(|known| known.count - 1);
        counted + most.sum::<u64>()
    }

    /// How many messages are stored from `from` on.
    fn messages_from(&self, from: u64) -> u64 {
        let from = from.max(self.first);
        if from > self.last {
            return 0;
        }
        self.last - from + 1 - self.deleted.range_cardinality(from..=self.last)
    }

    /// Storage has found the oldest message of a subject, whose first sequence was a bound.
    pub fn correct_first(&mut self, subject: &[u8], sequence: u64) {
        self.subjects.correct_first(subject, sequence);
    }

    /// Storage has found the newest message of a subject, whose last sequence was a bound.
    pub fn correct_last(&mut self, subject: &[u8], sequence: u64) {
        self.subjects.correct_last(subject, sequence);
    }
}

impl Next {
    /// The earlier of the next messages of two subjects.
    fn or_earlier(self, other: Next) -> Next {
        match (self, other) {
            (Next::None, next) | (next, Next::None) => next,
            (Next::At(one), Next::At(other)) => Next::At(one.min(other)),
            (Next::NotBefore(one), Next::NotBefore(other)) => Next::NotBefore(one.min(other)),
            (Next::At(at), Next::NotBefore(bound)) | (Next::NotBefore(bound), Next::At(at)) => {
                if at <= bound { Next::At(at) } else { Next::NotBefore(bound) }
            }
        }
    }
}
