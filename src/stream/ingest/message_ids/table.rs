//! A table of hashes and sequences that takes 16 bytes for each and hardly more.
//!
//! A hash table with one array that doubles wastes up to half of its memory, and needs both arrays while it grows.  Here the entries
//! are in many short lists, and when these are full on average, one list after the other is divided (linear
//! hashing).  So the table grows and shrinks by one list at a time, and no call has to move many entries.

use super::{HASH_BITS, KnownId};

/// Bits of the distance between two sequences.
const DISTANCE_BITS: u32 = u128::BITS - HASH_BITS;

/// The longest distance between the first sequence and another one.
pub(super) const DISTANCE_MAX: u64 = (1 << DISTANCE_BITS) - 1;

/// Entries of a list, on average, at which the next list is divided.
const FILL: usize = 32;

/// The hash in the upper bits; in the lower ones, the distance of the sequence from the base.
#[derive(Clone, Copy, Debug)]
struct Entry(u128);

impl Entry {
    fn new(hash: u128, distance: u64) -> Entry {
        Entry(hash << DISTANCE_BITS | u128::from(distance))
    }

    fn hash(self) -> u128 {
        self.0 >> DISTANCE_BITS
    }

    fn distance(self) -> u64 {
        self.0 as u64 & DISTANCE_MAX
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    lists: Vec<Vec<Entry>>,
    length: usize,
    base: u64,
}

impl Table {
    /// An empty table for sequences from `base` on.
    pub(super) fn new(base: u64) -> Table {
        Table { lists: vec![Vec::new()], length: 0, base }
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many lists there are.
    pub(super) fn lists(&self) -> usize {
        self.lists.len()
    }

    pub(super) fn memory(&self) -> usize {
        let entries: usize = self.lists.iter().map(Vec::capacity).sum();
        entries * size_of::<Entry>() + self.lists.capacity() * size_of::<Vec<Entry>>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = KnownId> {
        let base = self.base;
        let entries = self.lists.iter().flatten();
        entries.map(move |entry| KnownId { hash: entry.hash(), sequence: base + entry.distance() })
    }

    pub(super) fn find(&self, hash: u128) -> Option<u64> {
        let list = self.lists.get(self.list_of(hash))?;
        list.iter().find(|entry| entry.hash() == hash).map(|entry| self.base + entry.distance())
    }

    /// Puts a hash in, or gives it another sequence, which is not before the base nor too far behind it.
    pub(super) fn insert(&mut self, hash: u128, sequence: u64) {
        let entry = Entry::new(hash, sequence - self.base);
        let list = self.list_of(hash);
        let list = &mut self.lists[list];
        if let Some(known) = list.iter_mut().find(|known| known.hash() == hash) {
            *known = entry;
            return;
        }
        push(list, entry);
        self.length += 1;
        if self.length > self.lists.len() * FILL {
            self.divide_next();
        }
    }

    /// Drops those entries of a list whose sequences are not to be kept.
    pub(super) fn retain(&mut self, list: usize, is_kept: impl Fn(u64) -> bool) {
        let base = self.base;
        if let Some(entries) = self.lists.get_mut(list) {
            let before = entries.len();
            entries.retain(|entry| is_kept(base + entry.distance()));
            self.length -= before - entries.len();
            shrink(entries);
        }
        if self.length < self.lists.len() * FILL / 2 {
            self.join_last();
        }
    }

    /// Moves the base; entries that are then before it or too far behind it are dropped.
    pub(super) fn move_base(&mut self, lowest: u64, highest: u64) {
        let base = lowest.max(highest.saturating_sub(DISTANCE_MAX));
        let former = std::mem::replace(self, Table::new(base));
        former.iter().filter(|id| id.sequence >= base).for_each(|id| self.insert(id.hash, id.sequence));
    }

    /// The list of a hash: by as many of its lowest bits as there are lists, or by one bit less if that list is not there yet.
    fn list_of(&self, hash: u128) -> usize {
        let mask = self.lists.len().next_power_of_two().wrapping_sub(1);
        let list = hash as usize & mask;
        if list < self.lists.len() { list } else { list & (mask >> 1) }
    }

    /// Adds a list, which gets its part of the list that had it until now.
    fn divide_next(&mut self) {
        let new = self.lists.len();
        let divided = new - (new.next_power_of_two() >> usize::from(!new.is_power_of_two()));
        if self.lists.capacity() == new {
            self.lists.reserve_exact(new / 8 + 1);
        }
        self.lists.push(Vec::new());
        let all = std::mem::take(&mut self.lists[divided]);
        let (moved, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|entry| self.list_of(entry.hash()) == new);
        for (list, entries) in [(new, moved), (divided, kept)] {
            self.lists[list] = entries;
            shrink(&mut self.lists[list]);
        }
    }

    /// Takes the last list away; what it has goes back to the list that it was taken from.
    fn join_last(&mut self) {
        if self.lists.len() < 2 {
            return;
        }
        for entry in self.lists.pop().unwrap_or_default() {
            let list = self.list_of(entry.hash());
            push(&mut self.lists[list], entry);
        }
        if self.lists.capacity() > self.lists.len() + self.lists.len() / 4 + 1 {
            self.lists.shrink_to(self.lists.len() + self.lists.len() / 8);
        }
    }
}

/// The room of a list, which has steps of a quarter to an eighth, as those of the allocator are.
fn room(entries: usize) -> usize {
    let step = (entries.next_power_of_two() / 8).max(4);
    entries.next_multiple_of(step)
}

fn push(list: &mut Vec<Entry>, entry: Entry) {
    if list.len() == list.capacity() {
        list.reserve_exact(room(list.len() + 1) - list.len());
    }
    list.push(entry);
}

fn shrink(list: &mut Vec<Entry>) {
    if list.capacity() > room(list.len()) {
        list.shrink_to(room(list.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::HashMap;

    #[test]
    fn it_grows_and_shrinks_as_a_map_does() {
        let (mut table, mut twin, mut random) = (Table::new(100), HashMap::new(), Random::with_seed(11));
        for floor in [0, 0, 0, 20_000, 80_000, 0, 150_000] {
            for _ in 0..20_000 {
                // Few hashes, and some that differ above the bits that choose a list only.
                let hash = random.below(1 << 14) as u128 | (random.below(8) as u128) << 80;
                let sequence = 100 + random.below(200_000) as u64;
                table.insert(hash, sequence);
                twin.insert(hash, sequence);
            }
            let mut list = 0;
            while list < table.lists() {
                table.retain(list, |sequence| sequence >= floor);
                list += 1;
            }
            twin.retain(|_, sequence| *sequence >= floor);
            let all: HashMap<_, _> = table.iter().map(|id| (id.hash, id.sequence)).collect();
            assert_eq!(all.len(), table.len());
            // What came back to a list that was passed already is dropped in the next round.
            let found: HashMap<_, _> = all.into_iter().filter(|(_, sequence)| *sequence >= floor).collect();
            assert_eq!(found, twin);
            assert!(twin.iter().all(|(hash, sequence)| table.find(*hash) == Some(*sequence)));
            assert_eq!(table.find(1 << 87), None);
        }
        while !table.is_empty() || table.lists() > 1 {
            (0..table.lists()).for_each(|list| table.retain(list, |_| false));
        }
        assert_eq!((table.len(), table.lists()), (0, 1));
    }

    #[test]
    fn sequences_are_exact_at_their_limits() {
        let mut table = Table::new(7);
        let top = KnownId::HASH_END - 1;
        table.insert(top, 7 + DISTANCE_MAX);
        table.insert(0, 7);
        assert_eq!((table.find(top), table.find(0)), (Some(7 + DISTANCE_MAX), Some(7)));
        table.move_base(7, 8 + DISTANCE_MAX);
        table.insert(1, 8 + DISTANCE_MAX);
        assert_eq!((table.find(top), table.find(0), table.base()), (Some(7 + DISTANCE_MAX), None, 8));
        assert_eq!(table.find(1), Some(8 + DISTANCE_MAX));
    }
}
