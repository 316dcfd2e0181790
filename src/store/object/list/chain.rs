//! The large form of a list: blocks of elements in a row.
//!
//! A place in the middle is found by the numbers of elements of the blocks before it, or behind it if these are fewer.  An
//! element that is longer than a block may be has a block of its own.

use std::collections::VecDeque;
use std::ops::Range;

use super::block::Block;
use super::element::{self, Element, Encoded};
use super::limits::ListLimits;
use super::side::Side;

/// From so many blocks on, a new one at an end gets the room that its neighbour needed.  Shorter lists would waste too much by
/// that, and have their last block grow in steps.
const ROOMY_MIN: usize = 8;

/// See the head of the file.
#[derive(Default)]
pub struct Chain {
    /// None of them is empty.
    blocks: VecDeque<Block>,
    length: usize,
    /// Bytes of the blocks' elements and room.
    memory: usize,
}

impl Chain {
    /// The chain of one block.
    pub(in crate::store) fn new(block: Block) -> Chain {
        let mut chain = Chain::default();
        if block.count() > 0 {
            chain.insert_block(0, block);
        }
        chain
    }

    /// Number of elements.
    pub(in crate::store) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.memory
    }

    /// The blocks.
    pub(in crate::store) fn blocks(&self) -> (&[Block], &[Block]) {
        self.blocks.as_slices()
    }

    /// The only block, taken out, if there is only one and it is as `wanted`.
    pub(in crate::store) fn take_only(&mut self, wanted: impl FnOnce(&Block) -> bool) -> Option<Block> {
        if self.blocks.len() != 1 || !wanted(&self.blocks[0]) {
            return None;
        }
        Some(self.remove_block(0))
    }

    /// Adds an element at one end.
    pub(in crate::store) fn push(&mut self, side: Side, element: &Encoded<'_>, limits: ListLimits) {
        let last = self.blocks.len().saturating_sub(1);
        let at = if side == Side::Left { 0 } else { last };
        if self.blocks.get(at).is_some_and(|block| limits.lets_in(block, element)) {
            self.change(at, |block| block.push(side, element));
        } else {
            if !self.blocks.is_empty() {
                self.change(at, Block::fit);
            }
            let mut block = match self.blocks.get(at) {
                Some(neighbour) if self.blocks.len() >= ROOMY_MIN => Block::with_room(side, neighbour.size()),
                _ => Block::default(),
            };
            block.push(side, element);
            let at = if side == Side::Left { 0 } else { self.blocks.len() };
            self.insert_block(at, block);
        }
    }

    /// Takes out the element at one end and shows it to `take`; none if there is none.
    pub(in crate::store) fn pop<R>(&mut self, side: Side, take: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let at = if side == Side::Left { 0 } else { self.blocks.len().checked_sub(1)? };
        let (element, range) = element::end(self.blocks.get(at)?.elements(), side)?;
        let taken = take(element);
        self.change(at, |block| block.pop(side, range.len()));
        if self.blocks[at].count() == 0 {
            self.remove_block(at);
        }
        Some(taken)
    }

    /// The block that holds the element at `index`, and the element's index in it; behind the last one for the length.
    pub(in crate::store) fn locate(&self, index: usize) -> (usize, usize) {
        if index <= self.length / 2 {
            let mut before = 0;
            for (at, block) in self.blocks.iter().enumerate() {
                if index < before + block.count() {
                    return (at, index - before);
                }
                before += block.count();
            }
        } else {
            let mut end = self.length;
            for (at, block) in self.blocks.iter().enumerate().rev() {
                let start = end - block.count();
                if index >= start {
                    return (at, index - start);
                }
                end = start;
            }
        }
        (self.blocks.len(), 0)
    }

    /// Puts an element in the place of the one at `index`.
    pub(in crate::store) fn set(&mut self, index: usize, element: &Encoded<'_>, limits: ListLimits) {
        let (at, within) = self.locate(index);
        let block = &self.blocks[at];
        let range = block.place(within)..block.place(within + 1);
        if block.count() == 1 || limits.lets_in(block, element) || element.len() <= range.len() {
            return self.change(at, |block| block.splice(range, 1, Some(element)));
        }
        self.change(at, |block| block.splice(range, 1, None));
        self.insert(index, element, limits);
    }

    /// Puts an element before the one at `index`, which may be the length.
    pub(in crate::store) fn insert(&mut self, index: usize, element: &Encoded<'_>, limits: ListLimits) {
        if index == 0 || index == self.length {
            let side = if index == 0 { Side::Left } else { Side::Right };
            return self.push(side, element, limits);
        }
        let (mut at, mut within) = self.locate(index);
        if within == 0 && limits.lets_in(&self.blocks[at - 1], element) {
            at -= 1;
            within = self.blocks[at].count();
        }
        if limits.lets_in(&self.blocks[at], element) {
            let place = self.blocks[at].place(within);
            return self.change(at, |block| block.splice(place..place, 0, Some(element)));
        }
        if within > 0 {
            let mut rest = Block::default();
            self.change(at, |block| rest = block.split_off(within));
            at += 1;
            self.insert_block(at, rest);
        }
        let mut block = Block::default();
        block.push(Side::Right, element);
        self.insert_block(at, block);
        self.join(at + 1, limits);
        self.join(at, limits);
    }

    /// Takes the elements of a range out, and returns the blocks that went whole.
    pub(in crate::store) fn remove_range(&mut self, range: Range<usize>, limits: ListLimits) -> Chain {
        if range.is_empty() {
            return Chain::default();
        }
        let (mut first, within_first) = self.locate(range.start);
        if within_first > 0 {
            let block = &self.blocks[first];
            let count = range.len().min(block.count() - within_first);
            let bytes = block.place(within_first)..block.place(within_first + count);
            self.change(first, |block| block.splice(bytes, count, None));
            if count == range.len() {
                return Chain::default();
            }
            first += 1;
            let rest = range.start..range.end - count;
            return self.remove_from_block(first, rest.len(), limits);
        }
        self.remove_from_block(first, range.len(), limits)
    }

    /// The same for so many elements from the start of a block on.
    fn remove_from_block(&mut self, first: usize, mut count: usize, limits: ListLimits) -> Chain {
        let mut end = first;
        while end < self.blocks.len() && self.blocks[end].count() <= count {
            count -= self.blocks[end].count();
            end += 1;
        }
        let mut removed = Chain::default();
        for block in self.blocks.drain(first..end) {
            removed.length += block.count();
            removed.memory += block.memory();
            removed.blocks.push_back(block);
        }
        self.length -= removed.length;
        self.memory -= removed.memory;
        if count > 0 {
            let place = self.blocks[first].place(count);
            self.change(first, |block| block.splice(0..place, count, None));
        }
        self.join(first, limits);
        self.give_back();
        removed
    }

    /// Takes up to `limit` elements that equal this one out, those nearest to one end, and returns how many there were.
    pub(in crate::store) fn remove_equal(
        &mut self,
        wanted: &Encoded<'_>,
        side: Side,
        limit: usize,
        limits: ListLimits,
    ) -> usize {
        let mut removed = 0;
        let count = self.blocks.len();
        for step in 0..count {
            if removed == limit {
                break;
            }
            let at = if side == Side::Left { step } else { count - 1 - step };
            self.change(at, |block| removed += block.remove_equal(wanted, side, limit - removed));
        }
        if removed > 0 {
            self.compact(limits);
        }
        removed
    }

    /// Joins blocks that together are no longer than one may be, and drops empty ones.
    fn compact(&mut self, limits: ListLimits) {
        let mut kept: VecDeque<Block> = VecDeque::new();
        let mut left = self.blocks.iter().filter(|block| block.count() > 0).count();
        for block in std::mem::take(&mut self.blocks).into_iter().filter(|block| block.count() > 0) {
            match kept.back_mut() {
                // Two blocks stay two, as in Redis, where this tells the forms of a list apart.
                Some(last) if left > 2 && limits.let_join(last, &block) => {
                    last.append(&block);
                    left -= 1;
                }
                _ => kept.push_back(block),
            }
        }
        self.blocks = kept;
        self.memory = self.blocks.iter().map(Block::memory).sum();
    }

    /// Joins a block with the one before it, if together they are no longer than one may be.
    fn join(&mut self, at: usize, limits: ListLimits) {
        if at == 0 || at >= self.blocks.len() || self.blocks.len() <= 2 {
            return;
        }
        if limits.let_join(&self.blocks[at - 1], &self.blocks[at]) {
            let block = self.remove_block(at);
            self.length += block.count();
            let before = self.blocks[at - 1].memory();
            self.blocks[at - 1].append(&block);
            self.memory += self.blocks[at - 1].memory() - before;
        }
    }

    /// Changes a block, and brings the accounts up to date.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Block)) {
        let block = &mut self.blocks[at];
        let (count, memory) = (block.count(), block.memory());
        change(block);
        self.length = self.length - count + block.count();
        self.memory = self.memory - memory + block.memory();
    }

    fn insert_block(&mut self, at: usize, block: Block) {
        self.length += block.count();
        self.memory += block.memory();
        self.blocks.insert(at, block);
    }

    fn remove_block(&mut self, at: usize) -> Block {
        let block = self.blocks.remove(at).expect("the block is there");
        self.length -= block.count();
        self.memory -= block.memory();
        self.give_back();
        block
    }

    /// Gives memory back once more than three quarters of the row of blocks are unused.
    fn give_back(&mut self) {
        if self.blocks.capacity() > 4 * self.blocks.len() + 4 {
            self.blocks.shrink_to(2 * self.blocks.len());
        }
    }

    /// What the lengths and the memory of all blocks add up to.
    #[cfg(test)]
    pub(in crate::store) fn recounted(&self) -> (usize, usize) {
        assert!(self.blocks.iter().all(|block| block.count() > 0));
        let length = self.blocks.iter().map(Block::count).sum();
        (
            length,
            self.blocks.capacity() * size_of::<Block>()
                + self.blocks.iter().map(Block::memory).sum::<usize>(),
        )
    }
}

impl Clone for Chain {
    fn clone(&self) -> Chain {
        let blocks = self.blocks.clone();
        // A copy has no room behind its elements.
        let memory = blocks.iter().map(Block::memory).sum();
        Chain { blocks, length: self.length, memory }
    }
}
