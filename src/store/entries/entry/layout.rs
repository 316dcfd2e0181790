//! Where things lie in an entry: the numbers of the text of `entry`.

/// Values longer than this are kept as shared `Bytes`, so that a reply never copies them under a lock.
pub const INLINE_VALUE_MAX: usize = 16 * 1024;

/// The largest place in the expiry index an entry can remember; it stands for "in no index".
pub(in crate::store) const UNINDEXED: u32 = (1 << 20) - 1;

/// Deadlines from here on (some 557 years after the epoch of the clock) are kept but not indexed.
pub(super) const FAR_DEADLINE: u64 = 1 << 44;

pub(super) const ENCODING_MASK: u64 = 0b111;
pub(super) const INLINE: u64 = 0;
pub(super) const SHARED: u64 = 1;
pub(super) const PINNED: u64 = 2;
pub(super) const OBJECT: u64 = 3;
pub(super) const PACKED: u64 = 4;

pub(super) const VOLATILE: u64 = 1 << 3;
pub(super) const FAR: u64 = 1 << 4;
pub(super) const LONG_KEY: u64 = 1 << 5;
pub(super) const MODIFIED: u64 = 1 << 6;
pub(super) const TYPED: u64 = 1 << 7;

pub(super) const RECENCY_SHIFT: u32 = 8;
pub(super) const RECENCY_MASK: u64 = 0xff_ffff << RECENCY_SHIFT;
pub(super) const KEY_LENGTH_SHIFT: u32 = 32;
pub(super) const VALUE_LENGTH_SHIFT: u32 = 48;
pub(super) const ESCAPED_KEY_LENGTH: usize = 0xffff;

pub(super) const GRANULE: usize = 16;
pub(super) const POINTER_SIZE: usize = size_of::<usize>();

pub use crate::store::value::Deadline;

/// Where things are in one entry, derived from its header.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) key_at: usize,
    pub(super) key_length: usize,
    pub(super) value_length: usize,
}

impl Shape {
    pub(super) fn value_at(self) -> usize {
        self.key_at + self.key_length
    }

    pub(super) fn allocated(self) -> usize {
        (self.value_at() + self.value_length).next_multiple_of(GRANULE)
    }
}
