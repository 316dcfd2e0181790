//! Writing to a packed value in its entry.

use std::ops::Range;

use super::Entry;
use super::layout::{Deadline, MODIFIED, PACKED, RECENCY_MASK, Shape};
use crate::allocator::block_size;
use crate::store::object::{HEAD, PACKED_SIZE_MAX, Packed, PackedKind, SPARE_UNIT};

/// Beyond so many unused bytes, and a quarter of those in use, an entry shrinks.
const UNUSED_MAX: usize = 64;

/// The most bytes of a value field: its length lies in two bytes.
const FIELD_MAX: usize = u16::MAX as usize;

/// The most units of unused bytes, whatever is in use: their number lies in a byte.
const SPARE_MAX: usize = u8::MAX as usize;

impl Entry {
    /// An entry with a packed value without items.
    pub(in crate::store) fn new_packed(key: &[u8], kind: PackedKind, deadline: Option<Deadline>) -> Entry {
        Entry::build(key, PACKED, None, &Packed::head(kind, 0, 0), deadline)
    }

    /// Replaces the value by a packed one of these items, keeping key, deadline and recency.
    pub(in crate::store) fn set_packed(&mut self, kind: PackedKind, items: &[u8], count: usize) {
        let mut made = Entry::new_packed(self.view().key(), kind, self.view().deadline());
        made.splice_packed(0..0, &[items], count);
        self.adopt(made, MODIFIED | RECENCY_MASK);
    }

    /// Puts the bytes of items, given in pieces, in the place of the items in `range`; `count` is the number of all items
    /// from now on.  The entry may move.
    ///
    /// # Panics
    /// If it holds no packed value, the range does not lie in its items, or they become too long.
    pub(in crate::store) fn splice_packed(&mut self, range: Range<usize>, pieces: &[&[u8]], count: usize) {
        let packed = self.view().packed().expect("the entry holds a packed value");
        let (kind, used) = (packed.kind(), HEAD + packed.size());
        let (start, end) = (HEAD + range.start, HEAD + range.end);
        let inserted: usize = pieces.iter().map(|piece| piece.len()).sum();
        let needed = used - range.len() + inserted;
        assert!(needed <= HEAD + PACKED_SIZE_MAX.max(used), "the caller keeps to the limit");
        self.make_room(needed);

        let field = self.field_mut();
        field.copy_within(end..used, start + inserted);
        let mut at = start;
        for piece in pieces {
            field[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        self.settle(kind, needed, count);
    }

    /// Has it hold a packed value of another kind.  The entry may move.
    ///
    /// # Panics
    /// As [`Entry::splice_packed`].
    pub(in crate::store) fn replace_packed(&mut self, kind: PackedKind, items: &[u8], count: usize) {
        let size = self.view().packed().map_or(0, |packed| packed.size());
        self.splice_packed(0..size, &[items], count);
        self.field_mut()[0] = kind as u8;
    }

    /// Makes the value field as long as is needed.
    fn make_room(&mut self, needed: usize) {
        let shape = self.view().shape();
        if needed > capacity(shape) {
            // The whole block is of use, as far as its unused bytes can be told.
            let whole = block_size(shape.value_at() + needed) - shape.value_at();
            self.resize_field(whole.min(needed + SPARE_MAX * SPARE_UNIT).min(FIELD_MAX.max(needed)));
        } else if needed > shape.value_length {
            self.resize_field(needed);
        }
    }

    /// Writes the head of a value field of which so many bytes are in use, and gives memory back if many are not.
    fn settle(&mut self, kind: PackedKind, used: usize, count: usize) {
        let mut spare = (capacity(self.view().shape()) - used) / SPARE_UNIT;
        if spare * SPARE_UNIT > used / 4 + UNUSED_MAX || spare > SPARE_MAX {
            spare = 0;
        }
        self.resize_field(used + spare * SPARE_UNIT);
        self.field_mut()[..HEAD].copy_from_slice(&Packed::head(kind, spare, count));
    }
}

/// How long a value field can be in the allocation that an entry has.
fn capacity(shape: Shape) -> usize {
    shape.allocated() - shape.value_at()
}
