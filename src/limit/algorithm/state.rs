//! How the state of a counter is laid out in the store: a few bytes that say themselves which algorithm they are of.
//!
//! ```text
//! 16 bytes           u64 moment, u64 interval with the highest bit set if overdrawn: gcra, leaky
//! 8 bytes            u64 moment: gcra, leaky as earlier versions wrote them
//! tag 1, 14 bytes    u64 start of the window, u48 count: fixed
//! tag 2, 20 bytes    u64 start of the window, u48 count in the one before, u48 count in it: sliding
//! tag 3, n * 14      n times u64 moment, u48 cost, ascending: log
//! tag 5, 14 bytes    u64 start of the period, u48 count that is missing: refill
//! tag 4, n * 20      n times u64 end of lease, u64 slot, u32 weight, ascending: concurrency
//! ```
//!
//! Numbers are little endian.  Lists have room for a power of two of entries, the unused ones zero and last, so that a
//! counter is mostly overwritten in place.  No state means that nothing was taken, and so do bytes of another
//! algorithm, which are found when a policy was given another one.

use smallvec::SmallVec;

use super::parameters::Nanos;

/// The bytes of a state.  Those of a single number or two do without an allocation.
pub type StateBytes = SmallVec<[u8; 24]>;

/// The longest state, in bytes; it lies inside the entry.
pub const STATE_LENGTH_MAX: usize = 16 * 1024;

/// What the first byte of a state says; stored, so never given another meaning.
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
        // Moments have no tag; no state with a tag is as long as one or two of them.
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

/// A moment on a scale that was moved by `by` nanoseconds.
pub(super) fn shifted(timestamp: Nanos, by: i64) -> Nanos {
    timestamp.saturating_add_signed(by)
}
