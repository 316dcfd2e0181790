//! Slowing publishers down: who publishes more than a sink can write waits until that has written some.
//!
//! A publisher is held back while the sink is crowded and no longer, so that none of its messages is refused or lost because
//! they come too fast, however large they are.  Only a sink that stays crowded for long, as over a disk that hangs, lets it go on: then
//! the publisher learns what becomes of its message.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;

/// How long a publisher that has to slow down pauses at least; then it may publish until it has to again, one message at
/// least.  The disk takes about so long for a sync.
pub const SLOWED_TIME: Duration = Duration::from_millis(2);

/// How long it pauses at most.
pub const SLOWED_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest time between two looks at whether it may go on.
const LOOKS_APART_MAX: Duration = Duration::from_millis(32);

/// What publishers wait for: a sink with more messages than it can write at once.
pub trait Crowd: Send + Sync {
    /// Whether it has so many that their publishers have to wait.
    fn is_crowded(&self) -> bool;
}

/// A publisher that is held back.
pub struct Slowed {
    crowd: Arc<dyn Crowd>,
    /// The time from the last look to the next one.
    apart: Duration,
    /// When the next look is due, and when it goes on in any case, in microseconds.
    look_at: u64,
    until: u64,
}

impl Slowed {
    /// One that has to pause now.
    pub fn new(crowd: &Arc<dyn Crowd>, now: Now) -> Slowed {
        Slowed {
            crowd: Arc::clone(crowd),
            apart: SLOWED_TIME,
            look_at: now.after(SLOWED_TIME).micros(),
            until: now.after(SLOWED_TIME_MAX).micros(),
        }
    }

    /// When [`Slowed::is_over`] is to be asked next, in microseconds.
    pub fn look_at(&self) -> u64 {
        self.look_at
    }

    /// Whether the publisher may go on.
    pub fn is_over(&mut self, now: Now) -> bool {
        if now.micros() < self.look_at {
            return false;
        }
        if !self.crowd.is_crowded() || self.has_waited_long(now) {
            return true;
        }
        self.apart = (self.apart * 2).min(LOOKS_APART_MAX);
        self.look_at = now.after(self.apart).micros().min(self.until);
        false
    }

    /// Whether it has waited as long as it may, so that its next message is published in any case.
    pub fn has_waited_long(&self, now: Now) -> bool {
        now.micros() >= self.until
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    struct Door(AtomicBool);

    impl Crowd for Door {
        fn is_crowded(&self) -> bool {
            self.0.load(Relaxed)
        }
    }

    /// How often one looks who always comes when it should, until the crowd is gone or it goes on anyway.
    fn looks(mut is_crowded: impl FnMut(u64) -> bool) -> (u32, Duration) {
        let start = Now::at(Duration::from_secs(1000), Duration::from_secs(2000));
        let door = Arc::new(Door(AtomicBool::new(true)));
        let mut slowed = Slowed::new(&(Arc::clone(&door) as _), start);
        let mut count = 0;
        loop {
            assert!(!slowed.is_over(Now::at(Duration::from_micros(slowed.look_at() - 1), Duration::ZERO)));
            let now = Now::at(Duration::from_micros(slowed.look_at()), Duration::ZERO);
            let passed = Duration::from_micros(now.micros() - start.micros());
            door.0.store(is_crowded(passed.as_millis() as u64), Relaxed);
            count += 1;
            if slowed.is_over(now) {
                return (count, passed);
            }
        }
    }

    #[test]
    fn it_lasts_while_there_is_a_crowd_but_not_too_long() {
        assert_eq!(looks(|_| false), (1, SLOWED_TIME));
        // After 2, 6, 14, 30 and 62 milliseconds, and every 32 from there on.
        assert_eq!(looks(|passed| passed < 40), (5, Duration::from_millis(62)));
        assert_eq!(looks(|passed| passed < 90), (6, Duration::from_millis(94)));
        assert_eq!(looks(|_| true), (160, SLOWED_TIME_MAX));
    }
}
