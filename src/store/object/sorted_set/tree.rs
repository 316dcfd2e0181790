//! The large form of a sorted set: a B+ tree of three levels in the order of scores and members, beside a table that says which leaf
//! a member is in.
//!
//! ```text
//! root      branches with the first score of each and the number of its members
//! branches  up to some hundred leaves, the same of each
//! leaves    up to 64 members with their scores (see `leaf`)
//! ```
//!
//! A rank is the sum of the numbers to the left, which are passed over in a row: of ten million members the root has about
//! a thousand.  Members lie in the leaves alone.  Leaves have numbers without gaps, by which branches and the table name
//! them; to split a leaf costs a look at the table for each member that moves, and no write costs more than a leaf and
//! a branch.

use std::ops::Range;

use smallvec::SmallVec;

use super::bound::Bound;
use super::leaf::Leaf;
use crate::store::hash::{KeyHasher, PARTS_MAX, prefetch};
use crate::store::object::members::MemberTable;

/// The most leaves of a branch.
const BRANCH_MAX: usize = 256;

/// A branch with fewer leaves is merged with the next one, if both together are not longer than the second number.
const BRANCH_MIN: usize = 64;
const MERGED_MAX: usize = 192;

/// Leaves in a piece of their row.
const PIECE: usize = 64;

/// The most members: numbers of leaves and counts have 32 bits.
pub(in crate::store) const LENGTH_MAX: usize = u32::MAX as usize;

#[derive(Clone, Default)]
struct Branch {
    leaves: Vec<u32>,
    counts: Vec<u32>,
    first_scores: Vec<f64>,
    /// The sum of the counts.
    total: usize,
}

/// A leaf's place in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    branch: usize,
    leaf: usize,
}

/// See the head of the file.
pub struct ScoreTree {
    hasher: KeyHasher,
    branches: Vec<Branch>,
    /// The first score of each branch.
    first_scores: Vec<f64>,
    leaves: Vec<Vec<Leaf>>,
    leaf_count: usize,
    length: usize,
    table: MemberTable,
    /// Bytes of all leaves.
    leaf_memory: usize,
}

impl ScoreTree {
    /// An empty one.
    pub(in crate::store) fn new(hasher: KeyHasher) -> ScoreTree {
        ScoreTree {
            hasher,
            branches: Vec::new(),
            first_scores: Vec::new(),
            leaves: Vec::new(),
            leaf_count: 0,
            length: 0,
            table: MemberTable::default(),
            leaf_memory: 0,
        }
    }

    /// Number of members.
    pub(in crate::store) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        const LEAF_SHARE: usize = size_of::<u32>() * 2 + size_of::<f64>();
        let branches = self.branches.capacity() * (size_of::<Branch>() + size_of::<f64>());
        let unused = self.leaves.len() * PIECE - self.leaf_count;
        branches
            + self.leaf_count * LEAF_SHARE
            + self.leaf_memory
            + unused * size_of::<Leaf>()
            + self.leaves.capacity() * size_of::<Vec<Leaf>>()
            + self.table.memory()
    }

    /// The score of a member.
    pub(in crate::store) fn score(&self, member: &[u8]) -> Option<f64> {
        let (leaf, at) = self.find(self.hash(member), member)?;
        Some(self.leaf(leaf).scores[at])
    }

    /// Brings these members closer.  Each step reads what the one before has asked for, of all of them.
    pub(in crate::store) fn prefetch(&self, members: &[&[u8]]) {
        let hashes: SmallVec<[u32; PARTS_MAX]> = members.iter().map(|member| self.hash(member)).collect();
        hashes.iter().for_each(|&hash| self.table.prefetch(hash));
        let leaves = hashes.iter().filter_map(|&hash| self.table.places(hash).next());
        let leaves: SmallVec<[&Leaf; PARTS_MAX]> = leaves.map(|number| self.leaf(number)).collect();
        leaves.iter().for_each(|leaf| prefetch((&raw const **leaf).addr()));
        leaves.iter().for_each(|leaf| leaf.prefetch());
    }

    /// How many members lie before a place in the order.
    pub(in crate::store) fn count(&self, bound: Bound<'_>) -> usize {
        if self.length == 0 {
            return 0;
        }
        let place = self.place(bound);
        let at = self.leaf_at(place).partition(bound);
        self.rank(place) + at
    }

    /// Calls `visit` with the members of these ranks, the last one first if it `is_reversed`.
    pub(in crate::store) fn visit(
        &self,
        ranks: Range<usize>,
        is_reversed: bool,
        visit: &mut impl FnMut(&[u8], f64),
    ) {
        if is_reversed { self.visit_reversed(ranks, visit) } else { self.visit_in_order(ranks, visit) }
    }

    /// Writes the score of a member; true if the member is new.
    pub(in crate::store) fn set(&mut self, member: &[u8], score: f64) -> bool {
        let hash = self.hash(member);
        let Some((number, at)) = self.find(hash, member) else {
            self.insert(hash, member, score);
            return true;
        };
        let scores = &mut self.leaf_mut(number).scores;
        let is_between = at > 0 && at + 1 < scores.len() && scores[at - 1] < score && score < scores[at + 1];
        if is_between {
            scores[at] = score;
        } else if scores[at] != score || scores[at].is_sign_negative() != score.is_sign_negative() {
            self.take_out(hash, member, number, at);
            self.insert(hash, member, score);
        }
        false
    }

    /// Removes a member; false if there is none.
    pub(in crate::store) fn remove(&mut self, member: &[u8]) -> bool {
        let hash = self.hash(member);
        let found = self.find(hash, member);
        if let Some((number, at)) = found {
            self.take_out(hash, member, number, at);
        }
        found.is_some()
    }

    /// Visits about `count` members for `cursor` (0 to start) and returns the next cursor, 0 at the end.  A member that is
    /// there from the first call to the last is visited at least once.
    pub(in crate::store) fn scan(
        &self,
        mut cursor: u64,
        count: usize,
        mut visit: impl FnMut(&[u8], f64),
    ) -> u64 {
        let mut visited = 0;
        loop {
            cursor = self.table.scan(cursor, |hash, number| {
                visited += 1;
                let leaf = self.leaf(number);
                leaf.page.for_each_tagged(hash, |at, member| {
                    if self.hash(member) == hash {
                        visit(member, leaf.scores[at]);
                    }
                });
            });
            if cursor == 0 || visited >= count {
                return cursor;
            }
        }
    }

    fn hash(&self, member: &[u8]) -> u32 {
        self.hasher.hash(member) as u32
    }

    fn leaf(&self, number: u32) -> &Leaf {
        &self.leaves[number as usize / PIECE][number as usize % PIECE]
    }

    fn leaf_mut(&mut self, number: u32) -> &mut Leaf {
        &mut self.leaves[number as usize / PIECE][number as usize % PIECE]
    }

    fn leaf_at(&self, place: Place) -> &Leaf {
        self.leaf(self.branches[place.branch].leaves[place.leaf])
    }

    /// The number of the leaf that a member is in, and its place there.
    fn find(&self, hash: u32, member: &[u8]) -> Option<(u32, usize)> {
        self.table.places(hash).find_map(|number| Some((number, self.leaf(number).page.find(hash, member)?)))
    }

    /// The last leaf that starts before a place in the order, or the first leaf.
    fn place(&self, bound: Bound<'_>) -> Place {
        let starts_before = |scores: &[f64], at: usize, leaf: u32| {
            bound.is_behind(scores[at], || self.leaf(leaf).page.member(0))
        };
        let count = partition(self.branches.len(), |at| {
            starts_before(&self.first_scores, at, self.branches[at].leaves[0])
        });
        let branch = count.saturating_sub(1);
        let Branch { leaves, first_scores, .. } = &self.branches[branch];
        let count = partition(leaves.len(), |at| starts_before(first_scores, at, leaves[at]));
        Place { branch, leaf: count.saturating_sub(1) }
    }

    /// Number of members before a leaf.
    fn rank(&self, place: Place) -> usize {
        let branches: usize = self.branches[..place.branch].iter().map(|branch| branch.total).sum();
        let counts = &self.branches[place.branch].counts[..place.leaf];
        branches + counts.iter().map(|&count| count as usize).sum::<usize>()
    }

    /// The leaf with the member of a rank, and the number of members before it.
    fn select(&self, rank: usize) -> (Place, usize) {
        let (mut branch, mut leaf, mut before) = (0, 0, 0);
        while before + self.branches[branch].total <= rank {
            before += self.branches[branch].total;
            branch += 1;
        }
        while before + self.branches[branch].counts[leaf] as usize <= rank {
            before += self.branches[branch].counts[leaf] as usize;
            leaf += 1;
        }
        (Place { branch, leaf }, before)
    }

    fn visit_in_order(&self, ranks: Range<usize>, visit: &mut impl FnMut(&[u8], f64)) {
        let Range { start: mut rank, end } = ranks;
        if rank >= end {
            return;
        }
        let (mut place, mut before) = self.select(rank);
        while rank < end {
            let leaf = self.leaf_at(place);
            let range = rank - before..leaf.len().min(end - before);
            rank = before + range.end;
            leaf.members(range).for_each(|(member, score)| visit(member, score));
            before += leaf.len();
            place.leaf += 1;
            if place.leaf == self.branches[place.branch].leaves.len() {
                place = Place { branch: place.branch + 1, leaf: 0 };
            }
        }
    }

    fn visit_reversed(&self, ranks: Range<usize>, visit: &mut impl FnMut(&[u8], f64)) {
        let Range { start, end: mut rank } = ranks;
        if start >= rank {
            return;
        }
        let (mut place, mut before) = self.select(rank - 1);
        let mut members = Vec::new();
        loop {
            members.extend(self.leaf_at(place).members(start.saturating_sub(before)..rank - before));
            members.drain(..).rev().for_each(|(member, score)| visit(member, score));
            rank = before;
            if rank <= start {
                return;
            }
            place = match place {
                Place { branch, leaf: 0 } => {
                    Place { branch: branch - 1, leaf: self.branches[branch - 1].leaves.len() - 1 }
                }
                Place { branch, leaf } => Place { branch, leaf: leaf - 1 },
            };
            before -= self.leaf_at(place).len();
        }
    }

    /// Adds a member that is not there.
    fn insert(&mut self, hash: u32, member: &[u8], score: f64) {
        if self.length == 0 {
            return self.insert_first(hash, member, score);
        }
        let place = self.place(Bound::UpTo(score, member));
        let number = self.branches[place.branch].leaves[place.leaf];
        let leaf = self.leaf_mut(number);
        let before = leaf.memory();
        let at = leaf.partition(Bound::Below(score, member));
        leaf.insert(at, score, hash, member);
        let (after, length, is_too_long) = (leaf.memory(), leaf.len(), leaf.is_too_long());
        self.leaf_memory = self.leaf_memory + after - before;
        self.table.insert(hash, number);
        self.length += 1;
        self.recount(place);
        if is_too_long {
            self.split(place, at, length);
        }
    }

    fn insert_first(&mut self, hash: u32, member: &[u8], score: f64) {
        let mut leaf = Leaf::default();
        leaf.insert(0, score, hash, member);
        let number = self.push_leaf(leaf);
        let branch = Branch { leaves: vec![number], counts: vec![1], first_scores: vec![score], total: 1 };
        (self.branches, self.first_scores) = (vec![branch], vec![score]);
        self.table.insert(hash, number);
        self.length = 1;
    }

    /// Splits a leaf to which a member was added.  One that grows at its end stays full: what comes in order fills its leaves.
    fn split(&mut self, place: Place, added: usize, length: usize) {
        let number = self.branches[place.branch].leaves[place.leaf];
        let at = match added {
            0 => 1,
            _ if added + 1 == length => added,
            _ => length / 2,
        };
        let leaf = self.leaf_mut(number);
        let before = leaf.memory();
        let right = leaf.split_off(at);
        let after = leaf.memory();
        self.leaf_memory = self.leaf_memory + after - before;
        let new = self.push_leaf(right);
        self.renumber(new, number, new);
        let branch = &mut self.branches[place.branch];
        branch.leaves.insert(place.leaf + 1, new);
        branch.counts.insert(place.leaf + 1, 0);
        branch.first_scores.insert(place.leaf + 1, 0.0);
        self.recount(place);
        self.recount(Place { leaf: place.leaf + 1, ..place });
        if self.branches[place.branch].leaves.len() > BRANCH_MAX {
            self.split_branch(place.branch);
        }
    }

    fn split_branch(&mut self, at: usize) {
        let branch = &mut self.branches[at];
        // Members that are added in order fill the branches, too.
        let middle = if at + 1 == self.first_scores.len() { BRANCH_MAX } else { BRANCH_MAX / 2 };
        let mut right = Branch {
            leaves: branch.leaves.split_off(middle),
            counts: branch.counts.split_off(middle),
            first_scores: branch.first_scores.split_off(middle),
            total: 0,
        };
        right.total = right.counts.iter().map(|&count| count as usize).sum();
        branch.total -= right.total;
        self.first_scores.insert(at + 1, right.first_scores[0]);
        self.branches.insert(at + 1, right);
    }

    /// Takes a member out of its leaf and the table.
    fn take_out(&mut self, hash: u32, member: &[u8], number: u32, at: usize) {
        let place = self.place(Bound::UpTo(self.leaf(number).scores[at], member));
        debug_assert_eq!(self.branches[place.branch].leaves[place.leaf], number);
        let leaf = self.leaf_mut(number);
        let before = leaf.memory();
        leaf.remove(at);
        let after = leaf.memory();
        let is_empty = leaf.len() == 0;
        self.leaf_memory = self.leaf_memory + after - before;
        self.table.remove(hash, number);
        self.length -= 1;
        if is_empty {
            self.unlink(place);
            return;
        }
        self.recount(place);
        if place == (Place { branch: 0, leaf: 0 }) && at == 0 {
            // Who takes the first one usually comes back for the next.
            self.table.prefetch(self.hash(self.leaf(number).page.member(0)));
        }
        let next = self.branches[place.branch].leaves.get(place.leaf + 1);
        if next.is_some_and(|&next| self.leaf(number).fits(self.leaf(next))) {
            self.merge(place);
        }
    }

    /// Adds the members of the next leaf of the branch to this one.
    fn merge(&mut self, place: Place) {
        let next_place = Place { leaf: place.leaf + 1, ..place };
        let leaves = &self.branches[place.branch].leaves;
        let (number, next) = (leaves[place.leaf], leaves[next_place.leaf]);
        self.renumber(next, next, number);
        let moved = std::mem::take(self.leaf_mut(next));
        let leaf = self.leaf_mut(number);
        let before = leaf.memory() + moved.memory();
        leaf.append(&moved);
        let after = leaf.memory() + size_of::<Leaf>();
        self.leaf_memory = self.leaf_memory + after - before;
        self.unlink(next_place);
        // The leaf has the same place, since the next one was behind it; its number may have changed.
        self.recount(place);
    }

    /// Removes an empty leaf.
    fn unlink(&mut self, place: Place) {
        let branch = &mut self.branches[place.branch];
        let number = branch.leaves.remove(place.leaf);
        branch.total -= branch.counts.remove(place.leaf) as usize;
        branch.first_scores.remove(place.leaf);
        if branch.leaves.is_empty() {
            self.branches.remove(place.branch);
            self.first_scores.remove(place.branch);
        } else {
            self.first_scores[place.branch] = branch.first_scores[0];
        }
        self.pop_leaf(number);
        self.merge_branches(place.branch);
    }

    fn merge_branches(&mut self, at: usize) {
        let lengths = |at: usize| self.branches.get(at).map(|branch| branch.leaves.len());
        let (Some(length), Some(next)) = (lengths(at), lengths(at + 1)) else { return };
        if length.min(next) >= BRANCH_MIN || length + next > MERGED_MAX {
            return;
        }
        let next = self.branches.remove(at + 1);
        self.first_scores.remove(at + 1);
        let branch = &mut self.branches[at];
        branch.leaves.extend(next.leaves);
        branch.counts.extend(next.counts);
        branch.first_scores.extend(next.first_scores);
        branch.total += next.total;
    }

    /// Brings the numbers about a leaf up to date that the levels above it keep.
    fn recount(&mut self, place: Place) {
        let leaf = self.leaf_at(place);
        let (count, first_score) = (leaf.len(), leaf.scores[0]);
        let branch = &mut self.branches[place.branch];
        branch.total = branch.total - branch.counts[place.leaf] as usize + count;
        branch.counts[place.leaf] = u32::try_from(count).expect("a leaf has few members");
        branch.first_scores[place.leaf] = first_score;
        if place.leaf == 0 {
            self.first_scores[place.branch] = first_score;
        }
    }

    /// Notes in the table that the members of a leaf have moved from one number to another.
    fn renumber(&mut self, leaf: u32, from: u32, to: u32) {
        let leaf = &self.leaves[leaf as usize / PIECE][leaf as usize % PIECE];
        for member in leaf.page.members_from(0) {
            self.table.replace(self.hasher.hash(member) as u32, from, to);
        }
    }

    fn push_leaf(&mut self, leaf: Leaf) -> u32 {
        if self.leaf_count.is_multiple_of(PIECE) {
            self.leaves.push(Vec::with_capacity(PIECE));
        }
        self.leaf_memory += leaf.memory();
        self.leaves.last_mut().expect("there is a piece with room").push(leaf);
        self.leaf_count += 1;
        u32::try_from(self.leaf_count - 1).expect("there are fewer leaves than members")
    }

    /// Removes an empty leaf from the row; the last one takes its number.
    fn pop_leaf(&mut self, number: u32) {
        let last_number = (self.leaf_count - 1) as u32;
        self.leaf_memory -= self.leaf(number).memory();
        if number != last_number {
            let last = self.leaf(last_number);
            let place = self.place(Bound::UpTo(last.scores[0], last.page.member(0)));
            self.branches[place.branch].leaves[place.leaf] = number;
            self.renumber(last_number, last_number, number);
        }
        let piece = self.leaves.last_mut().expect("there is a leaf");
        let last = piece.pop().expect("no piece is empty");
        if piece.is_empty() {
            self.leaves.pop();
        }
        self.leaf_count -= 1;
        if number != last_number {
            *self.leaf_mut(number) = last;
        }
    }
}

impl Clone for ScoreTree {
    fn clone(&self) -> ScoreTree {
        let leaves: Vec<Vec<Leaf>> = self.leaves.clone();
        ScoreTree {
            hasher: self.hasher.clone(),
            branches: self.branches.clone(),
            first_scores: self.first_scores.clone(),
            leaf_memory: leaves.iter().flatten().map(Leaf::memory).sum(),
            leaves,
            leaf_count: self.leaf_count,
            length: self.length,
            table: self.table.clone(),
        }
    }
}

/// The first number below `length` for which `is_before` is not true, which is so of all behind it.
fn partition(length: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut start, mut end) = (0, length);
    while start < end {
        let middle = start.midpoint(end);
        if is_before(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start
}

#[cfg(test)]
impl ScoreTree {
    /// Checks that all levels and the table agree.
    pub(in crate::store) fn check(&self) {
        let mut previous: Option<(f64, Vec<u8>)> = None;
        let (mut length, mut leaf_count) = (0, 0);
        for (branch, first_score) in self.branches.iter().zip(&self.first_scores) {
            assert_eq!(branch.first_scores[0], *first_score);
            assert!(branch.leaves.len() <= BRANCH_MAX);
            let mut total = 0;
            for ((&number, &count), &first_score) in
                branch.leaves.iter().zip(&branch.counts).zip(&branch.first_scores)
            {
                let leaf = self.leaf(number);
                assert_eq!((leaf.len(), leaf.scores[0]), (count as usize, first_score));
                assert!(!leaf.is_too_long());
                for (member, score) in leaf.members(0..leaf.len()) {
                    assert!(self.table.places(self.hash(member)).any(|place| place == number));
                    let this = (score, member.to_vec());
                    assert!(previous.is_none_or(|previous| previous < this));
                    previous = Some(this);
                }
                total += leaf.len();
                leaf_count += 1;
            }
            assert_eq!(branch.total, total);
            length += total;
        }
        assert_eq!((length, leaf_count), (self.length, self.leaf_count));
        assert_eq!(self.leaf_memory, self.leaves.iter().flatten().map(Leaf::memory).sum::<usize>());
    }
}
