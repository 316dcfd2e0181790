//! The layout of a counter's state in the store: a few bytes that tell their algorithm.
//!
//! ```text
//! 16 bytes           u64 timestamp, u64 interval with the highest bit set if overdrawn: gcra, leaky
//! 8 bytes            u64 timestamp: gcra, leaky as earlier versions wrote them
//! tag 1, 14 bytes    u64 start of the window, u48 count: fixed
//! tag 2, 20 bytes    u64 start of the window, u48 count in the one before, u48 count in it: sliding
//! tag 3, n * 14      n times u64 timestamp, u48 cost, ascending: log
//! tag 5, 14 bytes    u64 start of the period, u48 count of missing tokens: refill
//! tag 4, n * 20      n times u64 end of lease, u64 slot, u32 weight, ascending: concurrency
//! ```
//!
//! Numbers are little endian.  Lists have room for a power of two of entries, the unused ones zero and last, so that a
//! counter is mostly overwritten in place.  No state means that nothing was taken.  So do the bytes of another algorithm, which
//! are left when a policy gets another one.

use smallvec::SmallVec;

use super::parameters::Nanos;

/// The bytes of a state.  One or two numbers need no allocation.
pub type StateBytes = SmallVec<[u8; 24]>;

/// The longest state, in bytes; it lies inside the entry.
pub const STATE_LENGTH_MAX: usize = 16 * 1024;

/// The first byte of a state.  It is stored, so its values keep their meaning for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Tag {
    Fixed = 1,
    Sliding = 2,
    Log = 3,
    Concurrency = 4,
    Refill = 5,
}

/// The fields behind the tag, if the bytes are of that algorithm.
pub(super) fn tagged(bytes: &[u8], tag: Tag) -> Option<&[u8]> {
    match bytes {
        // Timestamps have no tag; no state with a tag is as long as one or two of them.
        [first, fields @ ..] if *first == tag as u8 && !matches!(bytes.len(), 8 | 16) => Some(fields),
        _ => None,
    }
}

/// Starts a state over with its tag.
pub(super) fn begin(bytes: &mut StateBytes, tag: Tag) {
    bytes.clear();
    bytes.push(tag as u8);
}

/// Appends the lowest `width` bytes of a number.
#[inline]
pub(super) fn put(bytes: &mut StateBytes, number: u64, width: usize) {
    bytes.extend_from_slice(&number.to_le_bytes()[..width]);
}

/// Takes a number of `width` bytes off the front.
#[inline]
pub(super) fn take(fields: &mut &[u8], width: usize) -> Option<u64> {
    let (number, rest) = fields.split_at_checked(width)?;
    *fields = rest;
    let mut whole = [0; 8];
    whole[..width].copy_from_slice(number);
    Some(u64::from_le_bytes(whole))
}

/// Fills a list of entries of `width` bytes up to a power of two of them, but not past `entries_max`.
pub(super) fn pad(bytes: &mut StateBytes, entries: usize, width: usize, entries_max: usize) {
    let room = entries.next_power_of_two().min(entries_max);
    bytes.resize(1 + room.max(entries) * width, 0);
}

/// A timestamp on a scale that was moved by `by` nanoseconds.
pub(super) fn shifted(timestamp: Nanos, by: i64) -> Nanos {
    timestamp.saturating_add_signed(by)
}
