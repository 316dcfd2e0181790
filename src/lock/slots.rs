//! Places for things that are known by small numbers, in blocks: a table that grows moves nothing, and what is given back
//! goes back to the system a block at a time.

use std::ops::{Index, IndexMut};

/// Places of one block.  A block of the largest things takes some ten thousand bytes.
const BLOCK: usize = 128;

/// Things with numbers.  A number is given again once its thing is removed.
pub(super) struct Slots<T> {
    blocks: Vec<Block<T>>,
    /// Blocks with a free place, each once.
    open: Vec<u32>,
    /// The block that was emptied last: it keeps its memory, or one thing that comes and goes would move it each time.
    spare: usize,
    len: usize,
}

struct Block<T> {
    /// Without memory while no place is taken.
    slots: Vec<Slot<T>>,
    /// The free place that was left last; `BLOCK` if only those are free that were never taken.
    free: u32,
    taken: u32,
    is_open: bool,
}

enum Slot<T> {
    Taken(T),
    /// The free place that was left before this one.
    Free(u32),
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { blocks: Vec::new(), open: Vec::new(), spare: 0, len: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts a thing into a free place and returns its number.
    pub(super) fn insert(&mut self, thing: T) -> usize {
        let number = match self.open.last() {
            Some(&number) => number,
            None => {
                let number = self.blocks.len() as u32;
                let (slots, free) = (Vec::new(), BLOCK as u32);
                self.blocks.push(Block { slots, free, taken: 0, is_open: true });
                self.open.push(number);
                number
            }
        };
        let block = &mut self.blocks[number as usize];
        let place = match block.slots.get_mut(block.free as usize) {
            Some(slot) => {
                let place = block.free;
                if let Slot::Free(before) = std::mem::replace(slot, Slot::Taken(thing)) {
                    block.free = before;
                }
                place as usize
            }
            None => {
                if block.slots.is_empty() {
                    block.slots.reserve_exact(BLOCK);
                }
                block.slots.push(Slot::Taken(thing));
                block.slots.len() - 1
            }
        };
        block.taken += 1;
        self.len += 1;
        if block.taken as usize == BLOCK {
            block.is_open = false;
            self.open.pop();
        }
        number as usize * BLOCK + place
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, id: usize) -> Option<T> {
        let number = id / BLOCK;
        let block = self.blocks.get_mut(number)?;
        let slot = block.slots.get_mut(id % BLOCK).filter(|slot| matches!(slot, Slot::Taken(_)))?;
        let Slot::Taken(thing) = std::mem::replace(slot, Slot::Free(block.free)) else { return None };
        block.free = (id % BLOCK) as u32;
        block.taken -= 1;
        self.len -= 1;
        if !block.is_open {
            block.is_open = true;
            self.open.push(number as u32);
        }
        if block.taken == 0 {
            self.give_back(number);
        }
        Some(thing)
    }

    /// Gives back the memory of all empty blocks but one, which is empty now.
    fn give_back(&mut self, emptied: usize) {
        if self.len == 0 && self.blocks.len() > 1 {
            *self = Slots::default();
            return;
        }
        let before = std::mem::replace(&mut self.spare, emptied);
        if before != emptied
            && let Some(block) = self.blocks.get_mut(before).filter(|block| block.taken == 0)
        {
            (block.slots, block.free) = (Vec::new(), BLOCK as u32);
        }
    }

    /// The thing with this number, if there is one.
    pub(super) fn get(&self, id: usize) -> Option<&T> {
        match self.blocks.get(id / BLOCK)?.slots.get(id % BLOCK)? {
            Slot::Taken(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    fn get_mut(&mut self, id: usize) -> Option<&mut T> {
        match self.blocks.get_mut(id / BLOCK)?.slots.get_mut(id % BLOCK)? {
            Slot::Taken(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The places there are, taken or not: all numbers lie below.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// The bytes that the places take, without what things hold elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.len * size_of::<Slot<T>>()
    }

    /// All things in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        (0..self.capacity()).filter_map(|id| Some((id, self.get(id)?)))
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, id: usize) -> &T {
        self.get(id).expect("a number names a thing that is there")
    }
}

impl<T> IndexMut<usize> for Slots<T> {
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
        assert_eq!([slots.insert(70), slots.insert(50)], [7, 5]);
        assert_eq!((slots[7], slots[5]), (70, 50));
        for number in BLOCK..2 * BLOCK {
            slots.remove(number);
        }
        for number in 2 * BLOCK..3 * BLOCK {
            slots.remove(number);
        }
        assert_eq!(slots.blocks[1].slots.capacity(), 0);
        assert_eq!(slots.blocks[2].slots.capacity(), BLOCK);
        assert_eq!(slots.iter().count(), count - 2 * BLOCK);
        let mut again: Vec<usize> = (0..2 * BLOCK).map(|number| slots.insert(number)).collect();
        again.sort_unstable();
        assert_eq!(again, (BLOCK..3 * BLOCK).collect::<Vec<_>>());
        assert!(slots.iter().map(|(id, _)| id).eq(0..count));
        assert!((0..count).all(|number| slots.remove(number).is_some()));
        assert_eq!((slots.len(), slots.capacity()), (0, 0));
        assert_eq!(slots.insert(1), 0);
    }
}
