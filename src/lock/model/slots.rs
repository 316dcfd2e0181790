//! Slots for things that are known by small numbers, in blocks.  A table that grows moves nothing, and memory goes back
//! to the system a block at a time.

use std::ops::{Index, IndexMut};

/// Slots of one block, a bit each.  A block of the largest things takes some seven thousand bytes.
const BLOCK: usize = u64::BITS as usize;

/// The bits of a block whose slots are all free.
const ALL_FREE: u64 = u64::MAX;

/// Things with numbers.  The number of a removed thing is given again.
pub(in crate::lock) struct Slots<T> {
    blocks: Vec<Block<T>>,
    /// Blocks with a free slot, each once.
    open: Vec<u32>,
    /// The block that was emptied last.  It keeps its memory, or one thing that comes and goes would allocate each
    /// time.
    spare: usize,
    len: usize,
}

struct Block<T> {
    /// None while all slots are free, unless the block is the spare one.
    slots: Option<Box<[Option<T>; BLOCK]>>,
    /// A bit for each free slot.
    free: u64,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { blocks: Vec::new(), open: Vec::new(), spare: 0, len: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts a thing into a free slot and returns its number.
    #[inline]
    pub(in crate::lock) fn insert(&mut self, thing: T) -> usize {
        let number = match self.open.last() {
            Some(&number) => number as usize,
            None => self.add_block(),
        };
        let block = &mut self.blocks[number];
        let slot = block.free.trailing_zeros() as usize;
        let slots = block.slots.get_or_insert_with(|| Box::new([const { None }; BLOCK]));
        slots[slot % BLOCK] = Some(thing);
        block.free &= block.free - 1;
        if block.free == 0 {
            self.open.pop();
        }
        self.len += 1;
        number * BLOCK + slot
    }

    #[cold]
    fn add_block(&mut self) -> usize {
        let number = self.blocks.len();
        self.blocks.push(Block { slots: None, free: ALL_FREE });
        self.open.push(number as u32);
        number
    }

    /// Takes a thing out.
    #[inline]
    pub(in crate::lock) fn remove(&mut self, id: usize) -> Option<T> {
        let (number, slot) = (id / BLOCK, id % BLOCK);
        let block = self.blocks.get_mut(number)?;
        let thing = block.slots.as_mut()?[slot].take()?;
        let was_full = block.free == 0;
        block.free |= 1 << slot;
        let is_empty = block.free == ALL_FREE;
        // The spare block keeps its memory.  If it is the only one, there is nothing else to free.
        let may_be_given_back = number != self.spare || self.blocks.len() > 1;
        self.len -= 1;
        if was_full {
            self.open.push(number as u32);
        }
        if is_empty && may_be_given_back {
            self.give_back(number);
        }
        Some(thing)
    }

    /// Frees the memory of all empty blocks except one, which is empty now.
    #[inline(never)]
    fn give_back(&mut self, emptied: usize) {
        if self.len == 0 && self.blocks.len() > 1 {
            *self = Slots::default();
            return;
        }
        let before = std::mem::replace(&mut self.spare, emptied);
        if before != emptied
            && let Some(block) = self.blocks.get_mut(before).filter(|block| block.free == ALL_FREE)
        {
            block.slots = None;
        }
    }

    /// The thing with this number, if there is one.
    #[inline]
    pub(in crate::lock) fn get(&self, id: usize) -> Option<&T> {
        self.blocks.get(id / BLOCK)?.slots.as_ref()?[id % BLOCK].as_ref()
    }

    #[inline]
    fn get_mut(&mut self, id: usize) -> Option<&mut T> {
        self.blocks.get_mut(id / BLOCK)?.slots.as_mut()?[id % BLOCK].as_mut()
    }

    /// The number of things.
    pub(in crate::lock) fn len(&self) -> usize {
        self.len
    }

    /// The number of slots, taken or free: all numbers lie below.
    pub(in crate::lock) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// The bytes of the slots, without memory that the things own elsewhere.
    pub(in crate::lock) fn bytes(&self) -> usize {
        self.len * size_of::<Option<T>>()
    }

    /// All things in the order of their numbers.
    pub(in crate::lock) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        (0..self.capacity()).filter_map(|id| Some((id, self.get(id)?)))
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: usize) -> &T {
        self.get(id).expect("a number names a thing that is there")
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    #[inline]
    fn index_mut(&mut self, id: usize) -> &mut T {
        self.get_mut(id).expect("a number names a thing that is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_again_and_blocks_given_back() {
        let mut slots = Slots::default();
        let count = 3 * BLOCK + 7;
        for number in 0..count {
            assert_eq!(slots.insert(number), number);
        }
        assert_eq!((slots.len(), slots.capacity()), (count, 4 * BLOCK));
        assert_eq!(slots.remove(5), Some(5));
        assert_eq!((slots.remove(5), slots.remove(usize::MAX), slots.get(5)), (None, None, None));
        assert_eq!(slots.remove(7), Some(7));
        assert_eq!([slots.insert(50), slots.insert(70)], [5, 7]);
        assert_eq!((slots[7], slots[5]), (70, 50));
        for number in BLOCK..2 * BLOCK {
            slots.remove(number);
        }
        for number in 2 * BLOCK..3 * BLOCK {
            slots.remove(number);
        }
        let has_memory = |number: usize| slots.blocks[number].slots.is_some();
        assert_eq!([0, 1, 2, 3].map(has_memory), [true, false, true, true]);
        assert_eq!(slots.iter().count(), count - 2 * BLOCK);
        let mut again: Vec<usize> = (0..2 * BLOCK).map(|number| slots.insert(number)).collect();
        again.sort_unstable();
        assert_eq!(again, (BLOCK..3 * BLOCK).collect::<Vec<_>>());
        assert!(slots.iter().map(|(id, _)| id).eq(0..count));
        assert!((0..count).all(|number| slots.remove(number).is_some()));
        assert_eq!((slots.len(), slots.capacity()), (0, 0));
        assert_eq!(slots.insert(1), 0);
    }

    #[test]
    fn one_that_comes_and_goes_moves_no_memory() {
        let mut slots = Slots::default();
        let count = 2 * BLOCK;
        (0..count).for_each(|number| assert_eq!(slots.insert(number), number));
        for _ in 0..3 {
            let slot = std::ptr::from_ref(&slots[0]);
            (0..BLOCK).for_each(|number| assert!(slots.remove(number).is_some()));
            (0..BLOCK).for_each(|number| assert_eq!(slots.insert(number), number));
            assert_eq!(std::ptr::from_ref(&slots[0]), slot);
        }
        assert!(slots.iter().all(|(id, &number)| id == number));
    }
}
