//! Fencing tokens: one counter, each grant larger than all before it, below 2^53 so that JSON can carry it.
//!
//! Each start goes on after what the disk knows and after what the wall clock says.  The disk serves where the clock was
//! set back; the clock serves where the disk knows nothing: of servers that kept nothing, of a folder that was removed, or
//! brought back as it was long ago.

use crate::clock::Now;

/// How many fences are reserved at a time where only they are kept on disk.  One record is written for half of them.
pub const FENCE_RANGE: u64 = 1 << 20;

/// Fences that a server may give out a millisecond, on the whole, without coming to those with which a later one starts.
const FENCES_PER_MILLISECOND: u64 = 1024;

/// What the clock says is at most this, which leaves as many fences to be counted: a wall clock of the year 2109.
const FENCE_OF_CLOCK_MAX: u64 = 1 << 52;

/// Where fences begin that nothing else is known of.
pub(in crate::lock) fn of_clock(now: Now) -> u64 {
    let millis = u64::try_from(now.wall_millis()).unwrap_or(0);
    millis.saturating_mul(FENCES_PER_MILLISECOND).min(FENCE_OF_CLOCK_MAX)
}

/// The counter.
#[derive(Clone, Debug, Default)]
pub(in crate::lock) struct Fences {
    last: u64,
    /// Up to here fences may be given out without another record; unlimited unless ranges are kept.
    reserved: Option<u64>,
}

impl Fences {
    /// From here on fences are given out of ranges that are written down.
    pub(in crate::lock) fn reserve_ranges(&mut self) {
        self.reserved = Some(self.last);
    }

    /// No fence above this was given out, also none that was not written down by itself.
    pub(in crate::lock) fn upto(&self) -> u64 {
        self.reserved.unwrap_or(0).max(self.last)
    }

    /// The next fence.
    pub(in crate::lock) fn take(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The last fence that was given out.
    pub(in crate::lock) fn last(&self) -> u64 {
        self.last
    }

    /// Goes on after `fence`, if that is later.
    pub(in crate::lock) fn skip_to(&mut self, fence: u64) {
        self.last = self.last.max(fence);
    }

    /// The end of the range to be written down next, if half of the last is used.
    pub(in crate::lock) fn next_range(&mut self) -> Option<u64> {
        let reserved = self.reserved.as_mut()?;
        if self.last + FENCE_RANGE / 2 < *reserved {
            return None;
        }
        *reserved = self.last.max(*reserved) + FENCE_RANGE;
        Some(*reserved)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fences_of_the_clock_fit_into_json() {
        let at = |seconds| of_clock(Now::at(Duration::ZERO, Duration::from_secs(seconds)));
        assert!(at(1_700_000_000) < at(1_700_000_001));
        // Somebody's clock says the year 9999.
        assert_eq!(at(253_000_000_000), 1 << 52);
    }

    #[test]
    fn a_range_is_asked_for_when_half_of_the_last_is_used() {
        let mut fences = Fences::default();
        fences.skip_to(7);
        fences.reserve_ranges();
        assert_eq!(fences.next_range(), Some(7 + FENCE_RANGE));
        assert_eq!(fences.next_range(), None);
        assert_eq!(fences.take(), 8);
        let last = (0..FENCE_RANGE / 2).map(|_| fences.take()).max();
        assert_eq!(last, Some(8 + FENCE_RANGE / 2));
        assert_eq!(fences.next_range(), Some(7 + 2 * FENCE_RANGE));
        assert_eq!(fences.next_range(), None);
    }

    #[test]
    fn without_ranges_none_is_asked_for() {
        let mut fences = Fences::default();
        assert_eq!((fences.take(), fences.take()), (1, 2));
        assert_eq!(fences.next_range(), None);
    }
}
