//! How long a consumer waits for a disk that refuses to read.
//!
//! A disk may refuse for a moment, or one sector of it for good.  A wait that has helped costs nothing: the consumer is as patient
//! as before.  Waits in vain use its patience up, and it comes back with time only, so that many bad sectors together hold nobody
//! for longer than one of them does.

use super::limits::{HOLD_BACK_MICROS, HOLDS_MAX};

/// See the module's text.  Times are in microseconds of the clock of deadlines.
#[derive(Default)]
pub(super) struct Patience {
    /// Waits that were used up when the last one began, and when that was.
    used: u32,
    since: u64,
    /// The message that is waited for.
    waited_for: Option<u64>,
}

impl Patience {
    /// Whether it may wait once more.
    pub(super) fn is_left(&self, now: u64) -> bool {
        self.used(now) < HOLDS_MAX
    }

    /// Waits for a message once more.
    pub(super) fn wait(&mut self, now: u64, sequence: u64) {
        *self = Patience { used: self.used(now) + 1, since: now, waited_for: Some(sequence) };
    }

    /// A message is passed over: waiting for it was in vain.
    pub(super) fn give_up(&mut self, sequence: u64) {
        self.waited_for.take_if(|waited_for| *waited_for == sequence);
    }

    /// A turn has read messages.  What is waited for comes first in a turn, so the wait has helped if it was not given up.
    pub(super) fn was_read(&mut self) {
        if self.waited_for.is_some() {
            *self = Patience::default();
        }
    }

    fn used(&self, now: u64) -> u32 {
        let back = now.saturating_sub(self.since) / HOLD_BACK_MICROS;
        self.used.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it waits for a message before it gives it up.
    fn waits(patience: &mut Patience, now: u64, sequence: u64) -> u32 {
        let mut waits = 0;
        while patience.is_left(now) {
            patience.wait(now, sequence);
            waits += 1;
        }
        patience.give_up(sequence);
        waits
    }

    #[test]
    fn what_helps_costs_nothing_and_what_does_not_comes_back_with_time() {
        let mut patience = Patience::default();
        patience.wait(0, 1);
        patience.wait(0, 1);
        patience.was_read();
        assert_eq!(waits(&mut patience, 0, 2), HOLDS_MAX, "the wait for the first has helped");
        patience.was_read();
        assert_eq!(waits(&mut patience, 0, 3), 0, "others were read, not what it had waited for");
        assert_eq!(waits(&mut patience, HOLD_BACK_MICROS, 4), 1);
        assert_eq!(waits(&mut patience, 4 * HOLD_BACK_MICROS, 5), 3);
        assert_eq!(waits(&mut patience, 100 * HOLD_BACK_MICROS, 6), HOLDS_MAX);
    }
}
