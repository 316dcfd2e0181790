//! Adaptive eviction: three members that judge keys by the same 24 bits, so that one can take over from another.
//!
//! The bits are the time of the last access, in ticks of the shard's [`Turnover`] (16 bits), and LFU's logarithmic count
//! of accesses (8 bits).  What a count above that of a new key exceeds it by halves while the key is idle.  Which member is
//! in force is decided by a `Duel`.

use super::lfu::{self, COUNT_INITIAL, COUNT_MASK, COUNT_MAX};
use super::turnover::{TICKS_PER_TURNOVER, Turnover};

/// Idle ticks in which half of a key's count fades.
const FADING_TICKS: u32 = 16 * TICKS_PER_TURNOVER as u32;

/// The same as probation sees it: residents that are not used any more make room for others soon.
const PROBATION_FADING_TICKS: u32 = 2 * TICKS_PER_TURNOVER as u32;

/// An odd number that spreads consecutive ticks over 32 bits (2^32 by the golden ratio).
const SHUFFLING_FACTOR: u32 = 0x9e37_79b9;

/// A count that is no higher than a new key's falls by one in so many times that a higher one needs to halve.
const LOW_COUNT_HALVINGS: u32 = 4;

/// The rules of adaptive eviction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) struct Adaptive {
    /// Only keys with a deadline are evicted.
    pub(super) only_volatile: bool,
    pub(super) log_factor: u32,
}

/// How one member chooses among keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member {
    /// The key not used for longest goes: best where what was just used is used again.
    Lru,
    /// The key used least often goes: best where some keys are always popular.
    Lfu,
    /// A new key goes first unless it is used again while it is new: best for scans, and for loops over more keys than
    /// fit, of which it keeps a part instead of always losing the one that comes next.
    Probation,
}

impl Member {
    /// All of them; the first is in force until another one is better.
    pub const ALL: [Member; 3] = [Member::Lru, Member::Lfu, Member::Probation];

    /// Its name in INFO and in labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Member::Lru => "lru",
            Member::Lfu => "lfu",
            Member::Probation => "probation",
        }
    }

    /// How cold a key with these bits is: of several the one with the highest rank goes first.
    pub(super) fn rank(self, bits: u32, clock: Turnover) -> u32 {
        let idle = idle_ticks(bits, clock);
        match self {
            Member::Lru => idle,
            Member::Lfu => (COUNT_MAX - faded(bits, idle, FADING_TICKS)) << 16 | idle,
            Member::Probation => (COUNT_MAX - merit(bits, clock)) << 16 | shuffled(bits),
        }
    }
}

/// The bits of a new key.
pub(super) fn inserted(clock: Turnover) -> u32 {
    u32::from(clock.ticks()) << 8 | COUNT_INITIAL
}

/// The bits of a key that is accessed now.
pub(super) fn accessed(bits: u32, clock: Turnover, log_factor: u32, noise: &mut u64) -> u32 {
    let count = faded(bits, idle_ticks(bits, clock), FADING_TICKS);
    u32::from(clock.ticks()) << 8 | lfu::raised(count, log_factor, noise)
}

/// The bits of a key that was moved right after an access, to a shard with another clock: `fresh` are those of a new key.
pub(super) fn moved(old: u32, fresh: u32) -> u32 {
    fresh & !COUNT_MASK | old & COUNT_MASK
}

/// The count of a key with these bits.
pub(super) fn frequency(bits: u32, clock: Turnover) -> u8 {
    faded(bits, idle_ticks(bits, clock), FADING_TICKS) as u8
}

/// The merit by which a new key is compared with a resident one.
pub(in crate::store) fn merit(bits: u32, clock: Turnover) -> u32 {
    faded(bits, idle_ticks(bits, clock), PROBATION_FADING_TICKS)
}

/// A number of 16 bits that puts keys of equal merit into an order of no meaning, another one after each access: on a loop
/// the one that was not used for longest is the very one that comes next.
fn shuffled(bits: u32) -> u32 {
    (bits >> 8).wrapping_mul(SHUFFLING_FACTOR) >> 16
}

fn idle_ticks(bits: u32, clock: Turnover) -> u32 {
    u32::from(clock.ticks().wrapping_sub((bits >> 8) as u16))
}

/// The count in these bits, less the part that has faded meanwhile.
fn faded(bits: u32, idle: u32, fading: u32) -> u32 {
    let count = bits & COUNT_MASK;
    let halvings = idle / fading;
    match count.checked_sub(COUNT_INITIAL) {
        Some(excess @ 1..) => COUNT_INITIAL + (excess >> halvings.min(COUNT_MASK.count_ones())),
        _ => count.saturating_sub(halvings / LOW_COUNT_HALVINGS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that shows so many turnovers.
    fn clock(turnovers: usize) -> Turnover {
        let mut clock = Turnover::default();
        (0..turnovers).for_each(|_| clock.evicted(1));
        clock
    }

    fn bits(turnovers: usize, count: u32) -> u32 {
        inserted(clock(turnovers)) - COUNT_INITIAL + count
    }

    #[test]
    fn counts_fade_while_a_key_is_idle() {
        let cases = [(0, 25), (15, 25), (16, 15), (32, 10), (255, 5)];
        for (turnovers, expected) in cases {
            assert_eq!(frequency(bits(0, 25), clock(turnovers)), expected, "{turnovers}");
        }
        assert_eq!(frequency(bits(0, 5), clock(63)), 5);
        assert_eq!(frequency(bits(0, 5), clock(64)), 4);
        assert_eq!(merit(bits(0, 25), clock(4)), 10);
    }

    #[test]
    fn an_access_is_recent_and_counts_what_has_not_faded() {
        let mut noise = 1;
        let accessed = accessed(bits(0, 25), clock(16), 0, &mut noise);
        assert_eq!(accessed, bits(16, 16));
    }

    #[test]
    fn each_member_lets_another_key_go() {
        let now = clock(10);
        let old_and_popular = bits(1, 40);
        let young_and_rare = bits(9, 6);
        let coldest = |member: Member| {
            let (old, young) = (member.rank(old_and_popular, now), member.rank(young_and_rare, now));
            if old > young { "old" } else { "rare" }
        };
        assert_eq!(Member::ALL.map(coldest), ["old", "rare", "rare"]);
        // A resident that was popular a few turnovers ago is no better than one that has been used once since.
        assert!(Member::Probation.rank(bits(0, 30), now) > Member::Probation.rank(bits(9, 7), now));
    }
}
