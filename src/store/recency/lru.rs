//! LRU: the 24 bits are a coarse time of the last access.

/// Units of the coarse clock per second.  24 bits of quarter seconds last 48 days; an older key looks young again.
const UNITS_PER_SECOND: u64 = 4;

const MASK: u32 = 0xff_ffff;

/// The coarse clock's reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock(u32);

impl Clock {
    /// The first reading.
    pub(super) const START: Clock = Clock(0);

    /// The reading at a time in milliseconds.
    pub(super) fn at(millis: u64) -> Clock {
        Clock((millis * UNITS_PER_SECOND / 1000) as u32 & MASK)
    }

    /// The bits of a key that is accessed now.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// The bits of a key that was accessed so many seconds ago, or as long ago as can be told.
    pub(super) fn bits_before(self, seconds: u64) -> u32 {
        let units = seconds.saturating_mul(UNITS_PER_SECOND).min(u64::from(MASK));
        self.0.wrapping_sub(units as u32) & MASK
    }

    /// Quarter seconds since a key with these bits was accessed.
    pub(super) fn idle_units(self, bits: u32) -> u32 {
        self.0.wrapping_sub(bits) & MASK
    }

    /// Whole seconds since a key with these bits was accessed.
    pub(super) fn idle_seconds(self, bits: u32) -> u64 {
        u64::from(self.idle_units(bits)) / UNITS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap() {
        let wrap_millis = (1 << 24) * 250;
        let before = Clock::at(wrap_millis - 10_000);
        let after = Clock::at(wrap_millis + 5_000);
        assert_eq!(after.idle_seconds(before.bits()), 15);
        assert_eq!(after.idle_seconds(after.bits()), 0);
    }

    #[test]
    fn an_access_in_the_past_is_no_further_away_than_the_clock_reaches() {
        let clock = Clock::at(5_000);
        let idle = |seconds| clock.idle_seconds(clock.bits_before(seconds));
        assert_eq!([0, 1, 5, 6, 1_000_000].map(idle), [0, 1, 5, 6, 1_000_000]);
        assert_eq!([1 << 22, u64::MAX].map(idle), [(1 << 22) - 1; 2]);
    }
}
