//! Fencing tokens: one counter, each grant larger than all before it, below 2^53 so that JSON can carry it.

/// How many fences are reserved at a time where only they are kept on disk.  One record is written for half of them.
pub const FENCE_RANGE: u64 = 1 << 20;

/// The counter.
#[derive(Clone, Debug, Default)]
pub(super) struct Fences {
    last: u64,
    /// Up to here fences may be given out without another record; unlimited unless ranges are kept.
    reserved: Option<u64>,
}

impl Fences {
    /// From here on fences are given out of ranges that are written down.
    pub(super) fn reserve_ranges(&mut self) {
        self.reserved = Some(self.last);
    }

    /// No fence above this was given out, also none that was not written down by itself.
    pub(super) fn upto(&self) -> u64 {
        self.reserved.unwrap_or(0).max(self.last)
    }

    /// The next fence.
    pub(super) fn take(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The last fence that was given out.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Goes on after `fence`, if that is later.
    pub(super) fn skip_to(&mut self, fence: u64) {
        self.last = self.last.max(fence);
    }

    /// The end of the range to be written down next, if half of the last is used.
    pub(super) fn next_range(&mut self) -> Option<u64> {
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
    use super::*;

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
