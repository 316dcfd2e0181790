//! The subjects of a stream with their messages: found by their text, and in the order of their texts, so that a filter with
//! a literal beginning visits only what begins so.
//!
//! Each subject takes a row of 40 bytes and its text, four bytes in the order and about nine in the hash table.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use quartet_protocol::broker::subject;

use super::chunks::SortedChunks;
use super::history::{Ends, Known, Middle};
use std::hash::BuildHasher;

/// Rows of a page: the table grows by pages, so that it never holds room for twice its rows.
const PAGE: usize = 1024;

/// The number of a subject while it has messages.
pub(super) type SubjectId = u32;

#[derive(Clone, Debug, Default)]
struct Row {
    text: Box<[u8]>,
    ends: Ends,
}

/// All subjects that have messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects {
    pages: Vec<Vec<Row>>,
    /// Rows without a subject.
    free: Vec<SubjectId>,
    by_text: HashTable<SubjectId>,
    in_order: SortedChunks<SubjectId>,
    hasher: FixedState,
    /// Of subjects with three messages or more, the sequences between the ends; none if such lists are not kept.
    middles: Option<HashMap<SubjectId, Middle, FixedState>>,
}

impl Subjects {
    /// With `has_middles`, every sequence of every subject is known.
    pub(super) fn new(has_middles: bool) -> Subjects {
        Subjects { middles: has_middles.then(HashMap::default), ..Subjects::default() }
    }

    pub(super) fn has_middles(&self) -> bool {
        self.middles.is_some()
    }

    /// Drops the lists of sequences.
    pub(super) fn drop_middles(&mut self) {
        self.middles = None;
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Bytes of memory that all of it takes, but for what the allocator adds.
    pub(super) fn memory(&self) -> usize {
        let rows = self.pages.len() * PAGE * size_of::<Row>() + self.free.capacity() * 4;
        let texts: usize = self.in_order.from(|_| false).map(|id| self.row(*id).text.len()).sum();
        let table = self.by_text.num_buckets() * (size_of::<SubjectId>() + 1);
        let middles = self.middles.as_ref().map_or(0, |middles| {
            let lists: usize = middles.values().map(Middle::memory).sum();
            lists + middles.capacity() * 8 / 7 * (size_of::<(SubjectId, Middle)>() + 1)
        });
        rows + texts + table + self.in_order.memory() + middles
    }

    fn row(&self, id: SubjectId) -> &Row {
        &self.pages[id as usize / PAGE][id as usize % PAGE]
    }

    fn row_mut(&mut self, id: SubjectId) -> &mut Row {
        &mut self.pages[id as usize / PAGE][id as usize % PAGE]
    }

    fn hash(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    fn find(&self, text: &[u8]) -> Option<SubjectId> {
        self.find_hashed(text, self.hash(text))
    }

    fn find_hashed(&self, text: &[u8], hash: u64) -> Option<SubjectId> {
        self.by_text.find(hash, |id| *self.row(*id).text == *text).copied()
    }

    /// What is known of a subject.
    pub(super) fn get(&self, text: &[u8]) -> Option<Known> {
        Some(self.row(self.find(text)?).ends.known())
    }

    /// Every sequence of a subject in order, if they are known.
    pub(super) fn sequences(&self, text: &[u8]) -> Option<Vec<u64>> {
        let Some(id) = self.find(text) else { return Some(Vec::new()) };
        let ends = &self.row(id).ends;
        let middle =
            self.middles.as_ref().and_then(|middles| middles.get(&id)).map_or(&[][..], Middle::sequences);
        let is_known = ends.first_is_exact()
            && ends.last_is_exact()
            && ends.count() == middle.len() as u64 + ends.count().min(2);
        let last = (ends.count() > 1).then_some(ends.last());
        is_known.then(|| [ends.first()].into_iter().chain(middle.iter().copied()).chain(last).collect())
    }

    /// Adds messages of a subject, which come behind all others; more than one only if no lists are kept.
    pub(super) fn add(&mut self, text: &[u8], count: u64, first: u64, last: u64) {
        debug_assert!(count == 1 || self.middles.is_none(), "lists need every sequence");
        let hash = self.hash(text);
        let id = self.find_hashed(text, hash).unwrap_or_else(|| self.insert(text, hash));
        let ends = &mut self.row_mut(id).ends;
        let (former_count, former_last) = (ends.count(), ends.last());
        ends.add(count, first, last);
        if let Some(middles) = &mut self.middles
            && former_count > 1
        {
            middles.entry(id).or_default().push(former_last);
        }
    }

    fn insert(&mut self, text: &[u8], hash: u64) -> SubjectId {
        let id = self.free.pop().unwrap_or_else(|| {
            if self.pages.last().is_none_or(|page| page.len() == PAGE) {
                self.pages.push(Vec::with_capacity(PAGE));
            }
            let page = self.pages.len() - 1;
            self.pages[page].push(Row::default());
            (page * PAGE + self.pages[page].len() - 1) as SubjectId
        });
        *self.row_mut(id) = Row { text: text.into(), ends: Ends::default() };
        let Subjects { pages, by_text, in_order, hasher, .. } = self;
        let text_of = |id: &SubjectId| &*pages[*id as usize / PAGE][*id as usize % PAGE].text;
        by_text.insert_unique(hash, id, |id| hasher.hash_one(text_of(id)));
        in_order.insert(id, |other| text_of(other).cmp(text));
        id
    }

    /// Takes away one message of a subject.  False if the subject has none.
    pub(super) fn remove(&mut self, text: &[u8], sequence: u64) -> bool {
        let Some(id) = self.find(text) else { return false };
        let middle = self.middles.as_mut().and_then(|middles| middles.get_mut(&id));
        let ends = &mut self.pages[id as usize / PAGE][id as usize % PAGE].ends;
        ends.remove(sequence);
        if let Some(middle) = middle {
            if !ends.first_is_exact() {
                middle.take_first().into_iter().for_each(|first| ends.correct_first(first));
            } else if !ends.last_is_exact() {
                middle.take_last().into_iter().for_each(|last| ends.correct_last(last));
            } else {
                middle.remove(sequence);
            }
            if middle.sequences().is_empty() {
                self.middles.as_mut().and_then(|middles| middles.remove(&id));
            }
        }
        if self.row(id).ends.count() == 0 {
            self.drop_row(id);
        }
        true
    }

    fn drop_row(&mut self, id: SubjectId) {
        let text = std::mem::take(&mut self.row_mut(id).text);
        let hash = self.hash(&text);
        if let Ok(found) = self.by_text.find_entry(hash, |other| *other == id) {
            found.remove();
        }
        let Subjects { pages, in_order, .. } = self;
        let text_of = |other: SubjectId| match other == id {
            true => &*text,
            false => &*pages[other as usize / PAGE][other as usize % PAGE].text,
        };
        in_order.remove(|other| text_of(*other).cmp(&text));
        self.free.push(id);
    }

    /// The oldest message of a subject has been found in storage.
    pub(super) fn correct_first(&mut self, text: &[u8], sequence: u64) {
        if let Some(id) = self.find(text) {
            self.row_mut(id).ends.correct_first(sequence);
        }
    }

    /// The newest message of a subject has been found in storage.
    pub(super) fn correct_last(&mut self, text: &[u8], sequence: u64) {
        if let Some(id) = self.find(text) {
            self.row_mut(id).ends.correct_last(sequence);
        }
    }

    /// The subjects that a pattern matches, in the order of their texts.
    pub(super) fn matching<'s>(&'s self, pattern: &'s [u8]) -> impl Iterator<Item = (&'s [u8], Known)> {
        let prefix = literal_prefix(pattern);
        let is_literal = prefix.len() == pattern.len();
        let one = is_literal.then(|| self.find(pattern)).flatten();
        let rest = (!is_literal).then(|| {
            let from = self.in_order.from(move |id| *self.row(*id).text < *prefix).copied();
            let begun = from.take_while(move |id| self.row(*id).text.starts_with(prefix));
            begun.filter(move |id| subject::matches(pattern, &self.row(*id).text))
        });
        one.into_iter().chain(rest.into_iter().flatten()).map(|id| {
            let row = self.row(id);
            (&*row.text, row.ends.known())
        })
    }
}

/// How all subjects begin that a pattern matches: everything before its first wildcard.
fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let mut end = 0;
    for token in subject::tokens(pattern) {
        if subject::has_wildcard(token) {
            return &pattern[..end];
        }
        end = (end + token.len() + 1).min(pattern.len());
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literal_prefix_ends_before_the_first_wildcard() {
        let cases: &[(&str, &str)] = &[
            (">", ""),
            ("*.a", ""),
            ("orders.>", "orders."),
            ("orders.*.eu", "orders."),
            ("orders.a>b.*", "orders.a>b."),
            ("orders.eu", "orders.eu"),
        ];
        for (pattern, prefix) in cases {
            assert_eq!(literal_prefix(pattern.as_bytes()), prefix.as_bytes(), "{pattern}");
        }
    }
}
