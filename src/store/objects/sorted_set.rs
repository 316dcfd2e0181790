//! Writing to sorted sets.
//!
//! A sorted set is packed while its members are few and short.  One that outgrows [`SortedSetLimits`] becomes a tree and stays one,
//! as in Redis.

use std::ops::Range;

use smallvec::SmallVec;

use crate::store::entries::Entry;
use crate::store::hash::KeyHasher;
use crate::store::lifetime::Lifetime;
use crate::store::object::{
    Encoded, Object, PACKED_SIZE_MAX, PackedKind, SORTED_SET_LENGTH_MAX, ScoreTree, SortedSet,
};
use crate::store::recency::AccessContext;
use crate::store::shard::{Key, Shard};
use crate::store::value::WrongType;

/// Up to where a sorted set is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SortedSetLimits {
    /// Most members: the setting `zset-max-listpack-entries`.
    pub entries: usize,
    /// Most bytes of a member: the setting `zset-max-listpack-value`.
    pub value: usize,
}

/// Members that were taken out of a sorted set, with their scores: mostly one.
pub type TakenMembers = SmallVec<[(Box<[u8]>, f64); 1]>;

/// A sorted set that is written to.
pub struct SortedSetWriter<'z> {
    entry: &'z mut Entry,
    limits: SortedSetLimits,
    hasher: &'z KeyHasher,
    changed: bool,
}

impl Shard {
    /// Lets `write` change a sorted set, an empty one if there is no such key.  A sorted set that is left without members is
    /// removed, and watchers are notified if anything was changed.
    ///
    /// # Errors
    /// If the key holds something else.
    pub fn write_sorted_set<R>(
        &mut self,
        key: &Key<'_>,
        limits: SortedSetLimits,
        access: &AccessContext,
        write: impl FnOnce(&mut SortedSetWriter<'_>) -> R,
    ) -> Result<R, WrongType> {
        self.write_parts(key, PackedKind::SortedSet, access, |entry, hasher| {
            let mut writer = SortedSetWriter { entry, limits, hasher, changed: false };
            let result = write(&mut writer);
            (result, writer.changed)
        })
    }

    /// An entry for `key`, which is not put there, with a sorted set that `write` makes of an empty one.
    ///
    /// # Errors
    /// The refusal of `write`.
    pub fn make_sorted_set<E>(
        &self,
        key: &Key<'_>,
        limits: SortedSetLimits,
        lifetime: Lifetime,
        access: &AccessContext,
        write: impl FnOnce(&mut SortedSetWriter<'_>) -> Result<(), E>,
    ) -> Result<Entry, E> {
        self.make_parts(key, PackedKind::SortedSet, lifetime, access, |entry, hasher| {
            write(&mut SortedSetWriter { entry, limits, hasher, changed: false })
        })
    }
}

impl SortedSetWriter<'_> {
    /// The sorted set as it is.
    pub fn sorted_set(&self) -> SortedSet<'_> {
        let parts = self.entry.view().parts();
        parts.and_then(|parts| parts.sorted_set()).expect("the entry is that of a sorted set")
    }

    /// Whether so many further members can be added.
    pub fn has_room(&self, members: usize) -> bool {
        members <= SORTED_SET_LENGTH_MAX - self.sorted_set().len()
    }

    /// Writes the score of a member, which is a number; true if the member is new.
    pub fn set(&mut self, member: &[u8], score: f64) -> bool {
        debug_assert!(!score.is_nan());
        self.changed = true;
        if let Some(tree) = self.tree() {
            return tree.set(member, score);
        }
        if let Some(is_new) = self.set_packed(member, score) {
            return is_new;
        }
        self.make_tree();
        self.tree().expect("it was just made").set(member, score)
    }

    /// Removes a member; false if there is none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let is_removed = match self.tree() {
            Some(tree) => tree.remove(member),
            None => self.remove_packed(member),
        };
        self.changed |= is_removed;
        is_removed
    }

    /// Takes the members of these ranks out, which there are, the last one first if it `is_reversed`.
    pub fn take_ranks(&mut self, ranks: Range<usize>, is_reversed: bool) -> TakenMembers {
        let mut taken = TakenMembers::with_capacity(ranks.len());
        self.sorted_set()
            .visit(ranks.clone(), is_reversed, |member, score| taken.push((member.into(), score)));
        match self.tree() {
            Some(tree) => taken.iter().for_each(|(member, _)| {
                tree.remove(member);
            }),
            None => self.cut_packed(ranks),
        }
        self.changed |= !taken.is_empty();
        taken
    }

    /// Removes the members of these ranks, which there are.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) {
        if self.tree().is_some() {
            // The table of members is told of each by its name.
            self.take_ranks(ranks, false);
        } else {
            self.changed |= !ranks.is_empty();
            self.cut_packed(ranks);
        }
    }

    fn tree(&mut self) -> Option<&mut ScoreTree> {
        match self.entry.object_mut()? {
            Object::SortedSet(tree) => Some(tree),
            _ => None,
        }
    }

    /// Writes a score into the packed form; none if there is no room for it.
    fn set_packed(&mut self, member: &[u8], score: f64) -> Option<bool> {
        let packed = self.entry.view().packed()?;
        if member.len() > PACKED_SIZE_MAX {
            return None;
        }
        let (count, size) = (packed.count(), packed.size());
        let (encoded, encoded_score) = (Encoded::new(member), Encoded::double(score));
        let mut found = None;
        // Where the pair belongs among the others.
        let mut target = size;
        for (other, other_score) in packed.pairs() {
            let pair = other.range.start..other_score.range.end;
            if found.is_none() && other.is(&encoded) {
                found = Some((pair, other_score.range));
            } else if target == size {
                let (other_score, part) = (other_score.double(), other.part());
                if other_score > score || other_score == score && *part > *member {
                    target = pair.start;
                }
            }
        }
        let Some((pair, old_score)) = found else {
            let is_too_long = member.len() > self.limits.value || count / 2 >= self.limits.entries;
            if is_too_long || size + encoded.len() + encoded_score.len() > PACKED_SIZE_MAX {
                return None;
            }
            self.insert_packed(target, &encoded, &encoded_score, count + 2);
            return Some(true);
        };
        if size + encoded_score.len() > PACKED_SIZE_MAX {
            return None;
        }
        if target == pair.start || target == pair.end {
            self.entry.splice_packed(old_score, &encoded_score.pieces(), count);
            return Some(false);
        }
        self.entry.splice_packed(pair.clone(), &[], count - 2);
        let target = if target > pair.start { target - pair.len() } else { target };
        self.insert_packed(target, &encoded, &encoded_score, count);
        Some(false)
    }

    fn insert_packed(&mut self, at: usize, member: &Encoded<'_>, score: &Encoded<'_>, count: usize) {
        let [[member_head, member], [score, _]] = [member.pieces(), score.pieces()];
        self.entry.splice_packed(at..at, &[member_head, member, score], count);
    }

    /// Removes the members of these ranks from the packed form.
    fn cut_packed(&mut self, ranks: Range<usize>) {
        let Some(packed) = self.entry.view().packed() else { return };
        let count = packed.count();
        let mut removed = packed.pairs().skip(ranks.start).take(ranks.len());
        let Some((first, first_score)) = removed.next() else { return };
        let last_score = removed.last().map_or(first_score, |(_, score)| score);
        let bytes = first.range.start..last_score.range.end;
        self.entry.splice_packed(bytes, &[], count - 2 * ranks.len());
    }

    fn remove_packed(&mut self, member: &[u8]) -> bool {
        let packed = self.entry.view().packed();
        let found = packed.and_then(|packed| Some((packed.count(), packed.find_pair(member)?)));
        let Some((count, (member, score))) = found else { return false };
        self.entry.splice_packed(member.range.start..score.range.end, &[], count - 2);
        true
    }

    fn make_tree(&mut self) {
        let mut tree = ScoreTree::new(self.hasher.clone());
        self.sorted_set().for_each(|member, score| {
            tree.set(member, score);
        });
        self.entry.set_object(Box::new(Object::SortedSet(Box::new(tree))));
    }
}

#[cfg(test)]
impl<'z> SortedSetWriter<'z> {
    /// Writes to the sorted set in an entry that is in no shard.
    pub(super) fn over(
        entry: &'z mut Entry,
        limits: SortedSetLimits,
        hasher: &'z KeyHasher,
    ) -> SortedSetWriter<'z> {
        SortedSetWriter { entry, limits, hasher, changed: false }
    }
}
