//! A run of elements in one allocation, with room at its ends, so that most elements are added and taken at either end
//! without moving others.

use std::ops::Range;

use super::element::{self, Encoded};
use super::side::Side;
use crate::allocator::block_size;

/// An allocation that has to grow gets this part of what it holds as additional room.
const ROOM_PART: usize = 4;

/// Unused bytes that are not worth an allocation.
const UNUSED_MAX: usize = 64;

/// See the head of the file.
#[derive(Clone, Default)]
pub(in crate::store) struct Block {
    /// Unused bytes, and then the elements.
    bytes: Vec<u8>,
    /// How many bytes at the start are unused.
    start: u32,
    count: u32,
}

impl Block {
    /// The block of these elements.
    pub(in crate::store) fn new(elements: &[u8], count: usize) -> Block {
        Block { bytes: copied(elements, 0, 0), start: 0, count: count as u32 }
    }

    /// An empty block with room for so many bytes, to which elements are added at one end.
    pub(in crate::store) fn with_room(side: Side, room: usize) -> Block {
        let mut bytes = Vec::with_capacity(block_size(room));
        if side == Side::Left {
            bytes.resize(bytes.capacity(), 0);
        }
        Block { start: bytes.len() as u32, bytes, count: 0 }
    }

    /// Number of elements.
    pub(in crate::store) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of all elements.
    pub(in crate::store) fn size(&self) -> usize {
        self.bytes.len() - self.start as usize
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The elements one behind the other.
    pub(in crate::store) fn elements(&self) -> &[u8] {
        &self.bytes[self.start as usize..]
    }

    /// Where the element at `index` begins among the bytes of all; their end for the number of elements.
    pub(in crate::store) fn place(&self, index: usize) -> usize {
        element::place(self.elements(), self.count(), index)
    }

    /// Adds an element at one end.
    pub(in crate::store) fn push(&mut self, side: Side, element: &Encoded<'_>) {
        let length = element.len();
        match side {
            Side::Left => {
                self.make_room_before(length);
                let start = self.start as usize;
                self.start -= length as u32;
                element.write_to(&mut self.bytes[start - length..start]);
            }
            Side::Right => {
                self.make_room_behind(length);
                element.pieces().into_iter().for_each(|piece| self.bytes.extend_from_slice(piece));
            }
        }
        self.count += 1;
    }

    /// Takes out the element at one end, of so many bytes.
    pub(in crate::store) fn pop(&mut self, side: Side, size: usize) {
        match side {
            Side::Left => self.start += size as u32,
            Side::Right => self.bytes.truncate(self.bytes.len() - size),
        }
        self.count -= 1;
        self.give_back();
    }

    /// Puts an element, if one is given, in the place of `replaced` elements that lie in `range` of the bytes of all.
    pub(in crate::store) fn splice(
        &mut self,
        range: Range<usize>,
        replaced: usize,
        element: Option<&Encoded<'_>>,
    ) {
        let inserted = element.map_or(0, Encoded::len);
        if inserted > range.len() {
            self.make_room_behind(inserted - range.len());
        }
        let start = self.start as usize;
        let (from, to, end) = (start + range.end, start + range.start + inserted, self.bytes.len());
        let new_end = end - range.len() + inserted;
        if to > from {
            self.bytes.resize(new_end, 0);
        }
        self.bytes.copy_within(from..end, to);
        self.bytes.truncate(new_end);
        if let Some(element) = element {
            element.write_to(&mut self.bytes[to - inserted..to]);
        }
        self.count = self.count - replaced as u32 + u32::from(element.is_some());
        self.give_back();
    }

    /// Takes the elements from `index` on out, into a block of their own.
    pub(in crate::store) fn split_off(&mut self, index: usize) -> Block {
        let at = self.start as usize + self.place(index);
        let split =
            Block { bytes: copied(&self.bytes[at..], 0, 0), start: 0, count: self.count - index as u32 };
        self.bytes.truncate(at);
        self.count = index as u32;
        self.give_back();
        split
    }

    /// Adds the elements of another block behind its own.
    pub(in crate::store) fn append(&mut self, other: &Block) {
        self.make_room_behind(other.size());
        self.bytes.extend_from_slice(other.elements());
        self.count += other.count;
    }

    /// Takes up to `limit` elements that equal this one out, those nearest to one end, and returns how many there were.
    pub(in crate::store) fn remove_equal(&mut self, wanted: &Encoded<'_>, side: Side, limit: usize) -> usize {
        let mut found = element::find_equal(self.elements(), wanted, side, limit);
        if side == Side::Right {
            found.reverse();
        }
        let start = self.start as usize;
        let Some(first) = found.first() else { return 0 };
        let mut end = start + first.start;
        for (number, range) in found.iter().enumerate() {
            let kept_until = found.get(number + 1).map_or(self.bytes.len(), |next| start + next.start);
            let kept = start + range.end..kept_until;
            let length = kept.len();
            self.bytes.copy_within(kept, end);
            end += length;
        }
        self.bytes.truncate(end);
        self.count -= found.len() as u32;
        self.give_back();
        found.len()
    }

    /// Gives room at the ends back: the block is not at an end of its list any more.
    pub(in crate::store) fn fit(&mut self) {
        if self.bytes.capacity() > block_size(self.size()) {
            self.bytes = copied(self.elements(), 0, 0);
            self.start = 0;
        }
    }

    /// Gives memory back once more than half of it is unused.
    fn give_back(&mut self) {
        if self.bytes.capacity() > 2 * self.size() + UNUSED_MAX {
            self.fit();
        }
    }

    fn make_room_before(&mut self, length: usize) {
        let (start, size) = (self.start as usize, self.size());
        if start >= length {
            return;
        }
        let room = self.bytes.capacity() - size;
        let before = if room >= length + size / ROOM_PART {
            // It moves within its memory, to the end.
            self.bytes.resize(self.bytes.capacity(), 0);
            self.bytes.copy_within(start..start + size, room);
            room
        } else {
            self.bytes = copied(&self.bytes[start..], length + size / ROOM_PART, 0);
            self.bytes.len() - size
        };
        self.start = u32::try_from(before).expect("a block is little longer than an element");
    }

    fn make_room_behind(&mut self, length: usize) {
        let (start, size) = (self.start as usize, self.size());
        if self.bytes.capacity() - self.bytes.len() >= length {
            return;
        }
        if self.bytes.capacity() - size >= length + size / ROOM_PART {
            self.bytes.copy_within(start.., 0);
            self.bytes.truncate(size);
        } else {
            self.bytes = copied(&self.bytes[start..], 0, length + size / ROOM_PART);
        }
        self.start = 0;
    }
}

/// A copy of these bytes, with at least so many bytes of room before and behind them.
fn copied(bytes: &[u8], before: usize, behind: usize) -> Vec<u8> {
    let capacity = block_size(before + bytes.len() + behind);
    let mut copy = Vec::with_capacity(capacity);
    copy.resize(if before == 0 { 0 } else { capacity - bytes.len() - behind }, 0);
    copy.extend_from_slice(bytes);
    copy
}
