//! LFU: the 24 bits are a time in minutes (16 bits) and a logarithmic count of accesses (8 bits).
//!
//! The count is Morris' ("Counting large numbers of events in small registers", CACM 1978), with Redis' constants:
//! the higher it is, the less likely an access raises it, so that 255 stands for millions.  It falls by one for
//! every `lfu-decay-time` minutes.  The time moves on by whole periods of decay, so that accesses in quick
//! succession neither store it anew nor put decay off.

pub(super) const COUNT_MASK: u32 = 0xff;
pub(super) const COUNT_MAX: u32 = 255;

/// The count of a new key: enough to live until it is used again.
pub(super) const COUNT_INITIAL: u32 = 5;

const MILLIS_PER_MINUTE: u64 = 60_000;

/// Bits of the random number that decides whether a count rises.  With the largest factor the product of both
/// stays within 64 bits.
const CHANCE_BITS: u32 = 24;

/// A linear congruential generator of 64 bits, of which only the highest are used (Knuth's MMIX constants).
const NOISE_FACTOR: u64 = 6_364_136_223_846_793_005;
const NOISE_SUMMAND: u64 = 1_442_695_040_888_963_407;

/// The time in minutes, and the settings of LFU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    minutes: u16,
    log_factor: u32,
    decay_minutes: u32,
}

impl Clock {
    /// The reading at a time in milliseconds.
    pub(super) fn at(millis: u64, log_factor: u32, decay_minutes: u32) -> Clock {
        Clock { minutes: (millis / MILLIS_PER_MINUTE) as u16, log_factor, decay_minutes }
    }

    /// The bits of a new key.
    pub(super) fn inserted(self) -> u32 {
        u32::from(self.minutes) << 8 | COUNT_INITIAL
    }

    /// The bits of a key that is accessed now.
    pub(super) fn accessed(self, bits: u32, noise: &mut u64) -> u32 {
        let (minutes, count) = self.decayed(bits);
        u32::from(minutes) << 8 | raised(count, self.log_factor, noise)
    }

    /// The count of a key with these bits.
    pub(super) fn frequency(self, bits: u32) -> u8 {
        self.decayed(bits).1 as u8
    }

    /// Rarely used keys rank first, of these the ones that were not used for longest.
    pub(super) fn rank(self, bits: u32) -> u32 {
        let (_, count) = self.decayed(bits);
        (COUNT_MAX - count) << 16 | u32::from(self.minutes.wrapping_sub((bits >> 8) as u16))
    }

    /// The time, and the count less its decay until then.
    fn decayed(self, bits: u32) -> (u16, u32) {
        let (then, count) = ((bits >> 8) as u16, bits & COUNT_MASK);
        let elapsed = u32::from(self.minutes.wrapping_sub(then));
        if elapsed == 0 || elapsed < self.decay_minutes {
            return (then, count);
        }
        let Some(periods) = elapsed.checked_div(self.decay_minutes) else { return (self.minutes, count) };
        let moved_on = then.wrapping_add((periods * self.decay_minutes) as u16);
        (moved_on, count.saturating_sub(periods))
    }
}

/// A count once another access is added to it.
pub(super) fn raised(count: u32, log_factor: u32, noise: &mut u64) -> u32 {
    if count == COUNT_MAX {
        return count;
    }
    let odds = u64::from(count.saturating_sub(COUNT_INITIAL)) * u64::from(log_factor) + 1;
    count + u32::from((chance(noise) * odds) >> CHANCE_BITS == 0)
}

/// A number below `bound`, which is small.
pub(super) fn draw_below(bound: usize, noise: &mut u64) -> usize {
    ((chance(noise) * bound as u64) >> CHANCE_BITS) as usize
}

fn chance(noise: &mut u64) -> u64 {
    *noise = noise.wrapping_mul(NOISE_FACTOR).wrapping_add(NOISE_SUMMAND);
    *noise >> (u64::BITS - CHANCE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = MILLIS_PER_MINUTE;

    #[track_caller]
    fn check_count_after(accesses: u32, log_factor: u32, expected: std::ops::RangeInclusive<u8>) {
        let clock = Clock::at(0, log_factor, 1);
        let mut noise = 1;
        let bits = (0..accesses).fold(clock.inserted(), |bits, _| clock.accessed(bits, &mut noise));
        let count = clock.frequency(bits);
        assert!(expected.contains(&count), "{count} after {accesses} accesses with factor {log_factor}");
    }

    #[test]
    fn counts_grow_as_in_the_table_in_redis_conf() {
        check_count_after(100, 0, 104..=105);
        check_count_after(1000, 0, 255..=255);
        check_count_after(100, 1, 14..=22);
        check_count_after(1000, 1, 43..=56);
        check_count_after(100, 10, 7..=13);
        check_count_after(1000, 10, 14..=24);
        check_count_after(100_000, 10, 130..=155);
        check_count_after(1_000_000, 10, 255..=255);
        check_count_after(1000, 100, 6..=12);
    }

    #[test]
    fn counts_decay_by_whole_periods() {
        let mut noise = 1;
        let born = Clock::at(0, u32::MAX, 10);
        let bits = (0..3).fold(born.inserted(), |bits, _| Clock::at(0, 0, 10).accessed(bits, &mut noise));
        assert_eq!(born.frequency(bits), 8);
        assert_eq!(Clock::at(9 * MINUTE, 0, 10).frequency(bits), 8);
        assert_eq!(Clock::at(10 * MINUTE, 0, 10).frequency(bits), 7);
        assert_eq!(Clock::at(500 * MINUTE, 0, 10).frequency(bits), 0);
        assert_eq!(Clock::at(500 * MINUTE, 0, 0).frequency(bits), 8);
        let accessed_often = (1..=20).fold(bits, |bits, minute| {
            Clock::at(minute * MINUTE, i32::MAX as u32, 10).accessed(bits, &mut noise)
        });
        assert_eq!(Clock::at(20 * MINUTE, 0, 10).frequency(accessed_often), 6);
    }

    #[test]
    fn minutes_may_wrap() {
        let before = Clock::at(65_535 * MINUTE, 10, 1);
        let after = Clock::at(65_537 * MINUTE, 10, 1);
        assert_eq!(after.frequency(before.inserted()), 3);
    }

    #[test]
    fn rare_ranks_before_frequent_and_then_old_before_young() {
        let clock = Clock::at(100 * MINUTE, 10, 0);
        let bits = |minutes: u32, count: u32| minutes << 8 | count;
        assert!(clock.rank(bits(100, 3)) > clock.rank(bits(1, 4)));
        assert!(clock.rank(bits(90, 4)) > clock.rank(bits(99, 4)));
    }
}
