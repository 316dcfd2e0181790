//! A sorted list in chunks: items go in and out anywhere at the cost of moving one chunk, and hardly any room is spare.
//!
//! The list does not know the order: each call says how an item compares, since the items may be numbers of things that
//! are kept elsewhere.

use std::cmp::Ordering;

/// Items of a chunk.
const CHUNK: usize = 512;

/// A chunk that is full gets room for so many more items.
const GROWTH: usize = 32;

/// Items in their order.
#[derive(Clone, Debug)]
pub(super) struct SortedChunks<T> {
    /// None of them is empty.
    chunks: Vec<Vec<T>>,
    length: usize,
    /// The chunk that the last new item went into, and its place there; it may have moved since.
    newest: (usize, usize),
}

impl<T> Default for SortedChunks<T> {
    fn default() -> Self {
        SortedChunks { chunks: Vec::new(), length: 0, newest: (0, 0) }
    }
}

impl<T: Copy> SortedChunks<T> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let items: usize = self.chunks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    /// Puts an item at its place.  `order` says how an item of the list compares with it.
    pub(super) fn insert(&mut self, item: T, order: impl Fn(&T) -> Ordering) {
        let is_before = |item: &T| order(item) == Ordering::Less;
        let behind_newest = self.place_behind_newest(is_before);
        let (mut chunk, mut at) = behind_newest.unwrap_or_else(|| self.place_of(is_before));
        if self.chunks.get(chunk).is_none_or(|chunk| chunk.len() == CHUNK) {
            (chunk, at) = self.make_room(chunk, at);
        }
        let items = &mut self.chunks[chunk];
        if items.len() == items.capacity() {
            items.reserve_exact(GROWTH);
        }
        items.insert(at, item);
        self.length += 1;
        self.newest = (chunk, at);
    }

    /// The place right behind the newest item, if the next one belongs there.  Items often come one behind the other, and a
    /// search visits many that lie far from each other.
    fn place_behind_newest(&self, is_before: impl Fn(&T) -> bool) -> Option<(usize, usize)> {
        let (chunk, at) = self.newest;
        let items = self.chunks.get(chunk)?;
        let is_behind = items.get(at).is_some_and(&is_before);
        let belongs_there = is_behind
            && match items.get(at + 1) {
                Some(next) => !is_before(next),
                None => chunk + 1 == self.chunks.len(),
            };
        belongs_there.then_some((chunk, at + 1))
    }

    /// The place before the first item that is not before the new one.
    fn place_of(&self, is_before: impl Fn(&T) -> bool) -> (usize, usize) {
        let chunk = self.chunk_of(&is_before).min(self.chunks.len().saturating_sub(1));
        (chunk, self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(is_before)))
    }

    /// Divides a full chunk, or begins a new one, and says where the place `at` of that chunk has gone.
    fn make_room(&mut self, chunk: usize, at: usize) -> (usize, usize) {
        let is_at_end = chunk + 1 >= self.chunks.len() && at == self.chunks.last().map_or(0, Vec::len);
        if is_at_end {
            // Items that come in their order fill their chunks.
            self.chunks.push(Vec::new());
            return (self.chunks.len() - 1, 0);
        }
        let second = self.chunks[chunk].split_off(CHUNK / 2);
        self.chunks[chunk].shrink_to_fit();
        self.chunks.insert(chunk + 1, second);
        if at > CHUNK / 2 { (chunk + 1, at - CHUNK / 2) } else { (chunk, at) }
    }

    /// Takes out the item that `order` calls equal.
    pub(super) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        let is_before = |item: &T| order(item) == Ordering::Less;
        let chunk = self.chunk_of(is_before);
        let items = self.chunks.get_mut(chunk)?;
        let at = items.partition_point(is_before);
        items.get(at).filter(|item| order(item) == Ordering::Equal)?;
        let item = items.remove(at);
        if items.is_empty() {
            self.chunks.remove(chunk);
        } else if items.capacity() > 2 * items.len() + GROWTH {
            items.shrink_to(items.len() + GROWTH);
        }
        self.length -= 1;
        Some(item)
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.chunks.first()?.first()
    }

    /// The items from the first on that is not `before`.
    pub(super) fn from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let chunk = self.chunk_of(&is_before);
        let at = self.chunks.get(chunk).map_or(0, |items| items.partition_point(&is_before));
        self.chunks.iter().skip(chunk).flatten().skip(at)
    }

    /// Drops the items that are not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&T) -> bool) {
        for items in &mut self.chunks {
            items.retain(&is_kept);
            items.shrink_to(items.len() + GROWTH);
        }
        self.chunks.retain(|items| !items.is_empty());
        self.length = self.chunks.iter().map(Vec::len).sum();
    }

    /// The first chunk that has an item which is not before.
    fn chunk_of(&self, is_before: impl Fn(&T) -> bool) -> usize {
        self.chunks.partition_point(|items| items.last().is_some_and(&is_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn it_is_a_sorted_list() {
        let mut random = Random::with_seed(1);
        let mut chunks = SortedChunks::default();
        let mut twin = std::collections::BTreeSet::new();
        let mut newest = 0;
        for round in 0..20_000 {
            let is_next = random.below(2) == 0;
            let number = if is_next { (newest + 1) % 3000 } else { random.below(3000) as u32 };
            if twin.contains(&number) && random.below(2) == 0 {
                twin.remove(&number);
                assert_eq!(chunks.remove(|item: &u32| item.cmp(&number)), Some(number));
            } else if twin.insert(number) {
                chunks.insert(number, |item| item.cmp(&number));
                newest = number;
            }
            if round % 500 == 0 {
                let from = random.below(3000) as u32;
                let found: Vec<u32> = chunks.from(|item| *item < from).copied().collect();
                assert_eq!(found, twin.range(from..).copied().collect::<Vec<_>>());
                chunks.retain(|item| item % 7 != 0);
                twin.retain(|item| item % 7 != 0);
            }
            assert_eq!((chunks.len(), chunks.first()), (twin.len(), twin.first()));
        }
        assert_eq!(chunks.remove(|item| item.cmp(&5000)), None);
    }

    #[test]
    fn hardly_any_room_is_spare() {
        let mut ascending = SortedChunks::default();
        (0..100_000_u32).for_each(|number| ascending.insert(number, |item| item.cmp(&number)));
        let mut mixed = SortedChunks::default();
        let mut random = Random::with_seed(2);
        for number in (0..100_000).map(|_| random.draw() as u32) {
            mixed.insert(number, |item| item.cmp(&number));
        }
        for chunks in [ascending, mixed] {
            let each = chunks.memory() as f64 / 100_000.0;
            assert!(each < 4.0 * 1.15, "{each} bytes for 4");
        }
    }
}
