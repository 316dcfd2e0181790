//! Short byte strings one behind the other in one allocation: the small form of objects.
//!
//! An item is its length, seven bits to a byte with the lowest first, and then its bytes.  Finding an item takes a walk
//! from the start, which for the few and short items that this form is for is quicker than a table and takes a fraction
//! of its memory.

use std::ops::Range;

/// The most bytes of a length: 28 bits and more than any packed item has.
const LENGTH_BYTES_MAX: usize = 5;

/// Allocations grow and shrink in steps of this many bytes.
const STEP: usize = 32;

/// See the head of the file.
#[derive(Clone, Default, Debug)]
pub(super) struct Packed {
    bytes: Vec<u8>,
}

/// One item of a [`Packed`].
#[derive(Clone, Debug)]
pub(super) struct Item<'p> {
    /// Where the item lies, its length included; for [`Packed::replace`] and [`Packed::remove`].
    pub(super) range: Range<usize>,
    /// Its bytes.
    pub(super) bytes: &'p [u8],
}

/// The items of a [`Packed`] in their order.
#[derive(Clone, Debug)]
pub(super) struct Items<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl Packed {
    /// Bytes of all items with their lengths.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory, without those of this value itself.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The items.
    pub(super) fn items(&self) -> Items<'_> {
        Items { bytes: &self.bytes, at: 0 }
    }

    /// Adds an item at the end.
    pub(super) fn push(&mut self, item: &[u8]) {
        self.replace(self.bytes.len()..self.bytes.len(), item);
    }

    /// Puts an item in the place of the items in `range`.
    pub(super) fn replace(&mut self, range: Range<usize>, item: &[u8]) {
        let (head, head_length) = encoded_length(item.len());
        let (old_size, new_end) = (self.bytes.len(), range.start + head_length + item.len());
        let new_size = old_size - range.len() + (new_end - range.start);
        if new_size > old_size {
            self.reserve(new_size);
            self.bytes.resize(new_size, 0);
        }
        self.bytes.copy_within(range.end..old_size, new_end);
        self.bytes.truncate(new_size);
        self.bytes[range.start..][..head_length].copy_from_slice(&head[..head_length]);
        self.bytes[new_end - item.len()..new_end].copy_from_slice(item);
        self.give_back();
    }

    /// Takes the items in `range` out.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.bytes.drain(range);
        self.give_back();
    }

    /// Gives memory back once more than half of it is unused.
    fn give_back(&mut self) {
        if self.bytes.capacity() > 2 * self.bytes.len() + STEP {
            self.bytes.shrink_to(self.bytes.len().next_multiple_of(STEP));
        }
    }

    /// Makes room for so many bytes in all, and an eighth more.
    fn reserve(&mut self, size: usize) {
        if size > self.bytes.capacity() {
            let wanted = (size + size / 8).next_multiple_of(STEP);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }
}

impl<'p> Iterator for Items<'p> {
    type Item = Item<'p>;

    fn next(&mut self) -> Option<Item<'p>> {
        let start = self.at;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let bytes = &self.bytes[self.at..][..length];
        self.at += length;
        Some(Item { range: start..self.at, bytes })
    }
}

fn encoded_length(mut length: usize) -> ([u8; LENGTH_BYTES_MAX], usize) {
    let mut encoded = [0; LENGTH_BYTES_MAX];
    let mut count = 0;
    loop {
        encoded[count] = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            return (encoded, count + 1);
        }
        encoded[count] |= 0x80;
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Packed;

    proptest! {
        #[test]
        fn a_packed_string_is_a_list(
            steps in proptest::collection::vec((0_u8..3, any::<u16>(), 0_usize..300), 1..80),
        ) {
            let mut packed = Packed::default();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (number, (step, at, length)) in steps.into_iter().enumerate() {
                let item = vec![number as u8; length];
                let at = usize::from(at) % (model.len() + 1);
                let range = packed.items().nth(at).map(|item| item.range);
                match (step, range) {
                    (0, Some(range)) => {
                        packed.replace(range, &item);
                        model[at] = item;
                    }
                    (1, Some(range)) => {
                        packed.remove(range);
                        model.remove(at);
                    }
                    _ => {
                        packed.push(&item);
                        model.push(item);
                    }
                }
                let items: Vec<&[u8]> = packed.items().map(|item| item.bytes).collect();
                prop_assert_eq!(&items, &model);
                prop_assert!(packed.memory() >= packed.size());
                prop_assert!(packed.memory() <= 3 * packed.size() + 2 * super::STEP);
            }
        }
    }
}
