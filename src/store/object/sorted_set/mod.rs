//! A sorted set as it is read: members with scores, in the order of scores and then members.  `objects/sorted_set` writes.

mod bound;
mod leaf;
mod tree;

pub use bound::Bound;
pub(in crate::store) use tree::{LENGTH_MAX, ScoreTree};

use std::ops::Range;

use super::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum SortedSet<'z> {
    /// Each member is followed by its score, in their order.
    Packed(Packed<'z>),
    /// Too many or too long for that.
    Tree(&'z ScoreTree),
}

impl SortedSet<'_> {
    /// Number of members.
    pub fn len(self) -> usize {
        match self {
            SortedSet::Packed(packed) => packed.count() / 2,
            SortedSet::Tree(tree) => tree.len(),
        }
    }

    /// Whether there are no members, which is so only while a sorted set is made.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            SortedSet::Packed(packed) => packed.find_pair(member).map(|(_, score)| score.double()),
            SortedSet::Tree(tree) => tree.score(member),
        }
    }

    /// How many members lie before a place in the order.
    pub fn count(self, bound: Bound<'_>) -> usize {
        match self {
            SortedSet::Packed(packed) => {
                count_packed(packed, |member, score| bound.is_behind(score, || member))
            }
            SortedSet::Tree(tree) => tree.count(bound),
        }
    }

    /// How many members lie before a member, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.count(Bound::Below(score, member)), score))
    }

    /// The ranks of the members between two places that are about members alone.  With different scores such places mean little;
    /// a packed set answers as Redis does, which walks from the start, or from the end if `from_end`.
    pub fn range_of_members(self, start: Bound<'_>, end: Bound<'_>, from_end: bool) -> Range<usize> {
        let SortedSet::Packed(packed) = self else { return self.count(start)..self.count(end) };
        let is_over = |member: &[u8]| !start.is_behind(0.0, || member);
        let is_under = |member: &[u8]| end.is_behind(0.0, || member);
        let members: Vec<_> = packed.pairs().map(|(member, _)| member.part()).collect();
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return 0..0 };
        if !is_over(last) || !is_under(first) {
            return 0..0;
        }
        if from_end {
            let end = members.iter().rposition(|member| is_under(member)).map_or(0, |last| last + 1);
            let length = members[..end].iter().rev().take_while(|member| is_over(member)).count();
            return end - length..end;
        }
        let start = members.iter().position(|member| is_over(member)).unwrap_or(members.len());
        let length = members[start..].iter().take_while(|member| is_under(member)).count();
        start..start + length
    }

    /// Calls `visit` with the members of these ranks and their scores, the last one first if it `is_reversed`.
    pub fn visit(self, ranks: Range<usize>, is_reversed: bool, mut visit: impl FnMut(&[u8], f64)) {
        match self {
            SortedSet::Packed(packed) => {
                let pairs = packed.pairs().skip(ranks.start).take(ranks.len());
                if is_reversed {
                    let pairs: Vec<_> = pairs.collect();
                    pairs.iter().rev().for_each(|(member, score)| visit(&member.part(), score.double()));
                } else {
                    pairs.for_each(|(member, score)| visit(&member.part(), score.double()));
                }
            }
            SortedSet::Tree(tree) => tree.visit(ranks, is_reversed, &mut visit),
        }
    }

    /// Calls `visit` with the members of these ranks, each below [`SortedSet::len`], in the order of `places`, which may name a
    /// rank several times.
    pub fn visit_places(self, places: &[usize], mut visit: impl FnMut(&[u8], f64)) {
        match self {
            SortedSet::Packed(packed) => {
                let pairs: Vec<_> = packed.pairs().collect();
                for (member, score) in places.iter().map(|&place| &pairs[place]) {
                    visit(&member.part(), score.double());
                }
            }
            SortedSet::Tree(tree) => {
                places.iter().for_each(|&place| tree.visit(place..place + 1, false, &mut visit));
            }
        }
    }

    /// Calls `visit` with each member and its score, in their order.
    pub fn for_each(self, visit: impl FnMut(&[u8], f64)) {
        self.visit(0..self.len(), false, visit);
    }

    /// Visits about `count` members for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A member that is
    /// there from the first call to the last is visited at least once.  A packed set is visited whole.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            SortedSet::Packed(_) => {
                self.for_each(visit);
                0
            }
            SortedSet::Tree(tree) => tree.scan(cursor, count, visit),
        }
    }
}

/// Number of pairs from the start on that `is_before` is true of.
fn count_packed(packed: Packed<'_>, is_before: impl Fn(&[u8], f64) -> bool) -> usize {
    packed.pairs().take_while(|(member, score)| is_before(&member.part(), score.double())).count()
}
