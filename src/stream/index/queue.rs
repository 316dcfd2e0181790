//! A queue that grows by pieces: nothing in it moves when it grows, and hardly any room is spare.
//!
//! A ring that doubles would copy megabytes under its stream's lock, and take three times the memory for a moment.

use std::collections::VecDeque;

/// Items of a piece.  Only the first one may be smaller, and only while it is alone.
const PIECE: usize = 1024;

/// Items, taken from the front and added at the back.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    /// All but the last are full.
    pieces: VecDeque<Vec<T>>,
    /// Items of the first piece that were taken.
    taken: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { pieces: VecDeque::new(), taken: 0 }
    }
}

impl<T: Copy> Queue<T> {
    pub(super) fn len(&self) -> usize {
        let last = self.pieces.back().map_or(0, Vec::len);
        (self.pieces.len().saturating_sub(1) * PIECE + last) - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        let at = at.checked_add(self.taken)?;
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.get(0)
    }

    pub(super) fn back(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(super) fn push_back(&mut self, item: T) {
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.push(item),
            None => self.pieces.push_back(vec![item]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.pieces.push_back(piece);
            }
        }
    }

    /// Takes the first item if it is to be taken.
    pub(super) fn pop_front_if(&mut self, is_taken: impl FnOnce(&T) -> bool) -> Option<T> {
        let item = *self.front().filter(|item| is_taken(item))?;
        self.taken += 1;
        if self.taken == self.pieces.front().map_or(0, Vec::len) {
            self.pieces.pop_front();
            self.taken = 0;
        }
        Some(item)
    }

    /// Drops the items that are not to be kept.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        let former = std::mem::take(self);
        former.from(0).filter(|item| is_kept(item)).for_each(|item| self.push_back(*item));
    }

    /// The items from a place on.
    pub(super) fn from(&self, at: usize) -> impl DoubleEndedIterator<Item = &T> {
        let at = at.min(self.len()) + self.taken;
        let (first, skipped) = (at / PIECE, at % PIECE);
        let pieces = self.pieces.range(first.min(self.pieces.len())..).enumerate();
        pieces.flat_map(move |(number, piece)| &piece[if number == 0 { skipped } else { 0 }..])
    }

    /// How many items come before the first that is not `before`, if all that are come first.
    pub(super) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(item) if is_before(item) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn it_is_a_queue() {
        let mut random = Random::with_seed(7);
        let (mut queue, mut twin) = (Queue::default(), VecDeque::new());
        for round in 0..30_000_u64 {
            if random.below(3) > 0 || round < 3 * PIECE as u64 {
                queue.push_back(round);
                twin.push_back(round);
            } else {
                let is_taken = |item: &u64| !item.is_multiple_of(5);
                assert_eq!(queue.pop_front_if(is_taken), twin.pop_front_if(|item| is_taken(item)));
                queue.pop_front_if(|_| true);
                twin.pop_front();
            }
            if round % 4000 == 3999 {
                queue.retain(|item| !item.is_multiple_of(3));
                twin.retain(|item| !item.is_multiple_of(3));
            }
            assert_eq!((queue.len(), queue.is_empty()), (twin.len(), twin.is_empty()));
            assert_eq!((queue.front(), queue.back()), (twin.front(), twin.back()));
            let at = random.below(twin.len() + 2);
            assert_eq!(queue.get(at), twin.get(at));
            let item = twin.get(at).copied().unwrap_or(u64::MAX);
            assert_eq!(
                queue.partition_point(|other| *other < item),
                twin.partition_point(|other| *other < item)
            );
            if round % 1000 == 0 {
                let from = at.min(twin.len());
                assert!(queue.from(at).eq(twin.range(from..)));
                assert!(queue.from(at).rev().eq(twin.range(from..).rev()));
            }
        }
        while queue.pop_front_if(|_| true).is_some() {}
        assert!(queue.pieces.is_empty());
    }
}
