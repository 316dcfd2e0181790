//! A shard's own clock for adaptive eviction: it stands still while nothing is evicted.
//!
//! A key is old when the shard has replaced as many keys as it holds since the key was used, be that after a second or
//! after a week.  Keys that come while there is still room move the clock too, so that the first that goes is an old one.

/// Ticks while as many keys are evicted as the shard holds.
pub(super) const TICKS_PER_TURNOVER: u16 = 256;

/// The clock of a shard, or of a shadow of it.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::store) struct Turnover {
    ticks: u16,
    /// Parts of a tick: of as many as there are keys.
    progress: u32,
    /// The most keys there were.
    peak: u32,
}

impl Turnover {
    /// The reading; it wraps after 256 turnovers.
    pub(super) fn ticks(self) -> u16 {
        self.ticks
    }

    /// A key has been inserted, and there are so many now.
    pub(in crate::store) fn inserted(&mut self, keys: usize) {
        let keys = count(keys);
        if keys > self.peak {
            self.peak = keys;
            self.advance(keys);
        }
    }

    /// One of so many keys was evicted.
    pub(in crate::store) fn evicted(&mut self, keys: usize) {
        self.advance(count(keys));
    }

    /// All keys have gone.
    pub(in crate::store) fn cleared(&mut self) {
        self.peak = 0;
    }

    fn advance(&mut self, keys: u32) {
        self.progress = self.progress.saturating_add(u32::from(TICKS_PER_TURNOVER));
        self.ticks = self.ticks.wrapping_add((self.progress / keys) as u16);
        self.progress %= keys;
    }
}

fn count(keys: usize) -> u32 {
    u32::try_from(keys).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turnover_takes_as_many_evictions_as_there_are_keys() {
        for keys in [1, 7, 256, 300, 100_000] {
            let mut clock = Turnover::default();
            (0..10 * keys).for_each(|_| clock.evicted(keys));
            assert_eq!(clock.ticks(), 10 * TICKS_PER_TURNOVER, "{keys}");
        }
    }

    #[test]
    fn deleting_and_writing_again_moves_no_clock() {
        let mut clock = Turnover::default();
        (1..=100).for_each(|keys| clock.inserted(keys));
        let before = clock.ticks();
        (0..1000).for_each(|_| clock.inserted(100));
        assert_eq!(clock.ticks(), before);
        clock.evicted(100);
        assert!(clock.ticks() > before);
    }
}
