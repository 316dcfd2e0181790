//! How long blocks may be, and so which lists are small: as Redis reckons, to the byte.

use super::block::Block;
use super::element::Encoded;

/// Bytes that Redis' form of a block has besides its elements, which count for the limits.
const BLOCK_HEAD: usize = 7;

/// By how much Redis estimates a new element to be longer than its bytes.
const ELEMENT_HEAD: usize = 8;

/// The most bytes of a block whose elements are limited by their number.
const COUNTED_SIZE_MAX: usize = 8192;

/// How much a block, and so a small list, may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListLimits {
    size: usize,
    count: usize,
}

impl ListLimits {
    /// The limits that a value of the setting `list-max-listpack-size` means: a number of elements, or from -1 to -5 a size of 4
    /// to 64 KiB.
    pub fn new(setting: i64) -> ListLimits {
        match usize::try_from(setting) {
            Ok(count) => ListLimits { size: COUNTED_SIZE_MAX, count: count.max(1) },
            Err(_) => ListLimits { size: 2048 << setting.unsigned_abs().min(5), count: usize::MAX },
        }
    }

    /// Whether a list of which only this block is left becomes small.
    pub(in crate::store) fn let_be_small(self, block: &Block) -> bool {
        if self.count != usize::MAX {
            return BLOCK_HEAD + block.size() <= self.size && block.count() <= self.count / 2;
        }
        BLOCK_HEAD + block.size() <= self.size / 2
    }

    /// Whether a small list, or a block, may have so many bytes and elements.
    pub(in crate::store) fn let_be(self, size: usize, count: usize) -> bool {
        BLOCK_HEAD + size <= self.size && count <= self.count
    }

    /// Whether a block of a chain may take up an element.
    pub(in crate::store) fn lets_in(self, block: &Block, element: &Encoded<'_>) -> bool {
        self.let_be(block.size() + ELEMENT_HEAD + element.string_length(), block.count() + 1)
    }

    /// Whether two blocks may be one.
    pub(in crate::store) fn let_join(self, one: &Block, other: &Block) -> bool {
        self.let_be(one.size() + other.size(), one.count() + other.count())
    }
}
