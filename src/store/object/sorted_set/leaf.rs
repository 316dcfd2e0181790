//! A leaf of the tree of a large sorted set: some tens of members in their order, with their scores.

use std::ops::Range;

use super::bound::Bound;
use crate::store::hash::prefetch;
use crate::store::object::page::Page;
use crate::store::object::room::{block_of, copied, give_back, reserve};

/// The most members of a leaf, and the most bytes if it has more than one.
const LENGTH_MAX: usize = 64;
const SIZE_MAX: usize = 8 * 1024;

/// A leaf with fewer members is merged with the next one, if both together are not longer than this.
const LENGTH_MIN: usize = 20;
const MERGED_MAX: usize = 48;

/// See the head of the file.
#[derive(Clone, Default, Debug)]
pub(super) struct Leaf {
    pub(super) scores: Vec<f64>,
    pub(super) page: Page,
}

impl Leaf {
    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether it has to be split.
    pub(super) fn is_too_long(&self) -> bool {
        self.len() > LENGTH_MAX || self.len() > 1 && self.page.size() > SIZE_MAX
    }

    /// Whether it is to be merged with this one.
    pub(super) fn fits(&self, next: &Leaf) -> bool {
        self.len().min(next.len()) < LENGTH_MIN
            && self.len() + next.len() <= MERGED_MAX
            && self.page.size() + next.page.size() <= SIZE_MAX
    }

    /// Bytes of memory with those of this value itself.
    pub(super) fn memory(&self) -> usize {
        size_of::<Leaf>() + block_of(&self.scores) + self.page.memory()
    }

    /// Brings what a member is found by closer, and its scores.
    pub(super) fn prefetch(&self) {
        prefetch(self.scores.as_ptr().addr());
        self.page.prefetch();
    }

    /// The members from a place on, with their scores.
    pub(super) fn members(&self, range: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.page.members_from(range.start).zip(self.scores[range].iter().copied())
    }

    /// How many members lie before a place in the order.
    pub(super) fn partition(&self, bound: Bound<'_>) -> usize {
        match bound {
            Bound::Start => 0,
            Bound::End => self.len(),
            Bound::BelowScore(bound) => self.scores.partition_point(|&score| score < bound),
            Bound::UpToScore(bound) => self.scores.partition_point(|&score| score <= bound),
            Bound::BelowMember(bound) => self.page.partition(0..self.len(), |member| member < bound),
            Bound::UpToMember(bound) => self.page.partition(0..self.len(), |member| member <= bound),
            Bound::Below(bound, other) => self.page.partition(self.equal(bound), |member| member < other),
            Bound::UpTo(bound, other) => self.page.partition(self.equal(bound), |member| member <= other),
        }
    }

    /// Puts a member before the one at a place.
    pub(super) fn insert(&mut self, at: usize, score: f64, hash: u32, member: &[u8]) {
        reserve(&mut self.scores, 1);
        self.scores.insert(at, score);
        self.page.insert(at, hash, member);
    }

    /// Takes the member at a place out.
    pub(super) fn remove(&mut self, at: usize) {
        self.scores.remove(at);
        give_back(&mut self.scores);
        self.page.remove(at);
    }

    /// Takes the members from a place on out, into a leaf of their own.
    pub(super) fn split_off(&mut self, at: usize) -> Leaf {
        let scores = copied(&self.scores[at..]);
        self.scores.truncate(at);
        give_back(&mut self.scores);
        Leaf { scores, page: self.page.split_off(at) }
    }

    /// Adds the members of the leaf behind this one.
    pub(super) fn append(&mut self, next: &Leaf) {
        reserve(&mut self.scores, next.len());
        self.scores.extend_from_slice(&next.scores);
        self.page.append(&next.page);
    }

    /// The places of the members with this score.
    fn equal(&self, score: f64) -> Range<usize> {
        let start = self.scores.partition_point(|&other| other < score);
        let end = start + self.scores[start..].partition_point(|&other| other <= score);
        start..end
    }
}
