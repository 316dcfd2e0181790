//! Fencing tokens: one counter.  Each grant's is larger than all before it, and below 2^53 so that JSON can carry it.
//!
//! Each start continues after the last token on the disk and after what the wall clock says.  The disk helps if the
//! clock was set back.  The clock helps if the disk knows nothing: the server kept nothing, or its folder was removed
//! or restored from an old copy.

use crate::clock::Now;

/// Fences that are reserved at a time where only fences are kept.  One record is written for each half of them.
pub const FENCE_RANGE: u64 = 1 << 20;

/// Fences that a server may give out per millisecond, on average, and stay below the first one of a later start.
const FENCES_PER_MILLISECOND: u64 = 1024;

/// The largest start that a clock can give: a wall clock of the year 2109.  As many fences are left to count.
const FENCE_OF_CLOCK_MAX: u64 = 1 << 52;

/// The first fence by the clock, where nothing else is known.
pub(in crate::lock) fn of_clock(now: Now) -> u64 {
    let millis = u64::try_from(now.wall_millis()).unwrap_or(0);
    millis.saturating_mul(FENCES_PER_MILLISECOND).min(FENCE_OF_CLOCK_MAX)
}

/// The counter.
#[derive(Clone, Debug, Default)]
pub(in crate::lock) struct Fences {
    last: u64,
    /// Fences up to this may be given out without another record; unlimited unless ranges are reserved.
    reserved: Option<u64>,
}

impl Fences {
    /// From here on fences are given out from ranges that are written down.
    pub(in crate::lock) fn reserve_ranges(&mut self) {
        self.reserved = Some(self.last);
    }

    /// Every fence that was given out is at most this, whether or not it was written down by itself.
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

    /// Continues after `fence`, if that is later.
    pub(in crate::lock) fn skip_to(&mut self, fence: u64) {
        self.last = self.last.max(fence);
    }

    /// The end of the range to be written down next, once half of the last one is used.
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
        // A clock may say the year 9999.
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
