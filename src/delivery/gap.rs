//! Messages that a subscription has missed and that its receiver was not told of yet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// See the module's text.  It changes under the lock of the receiver's outbox only.
#[derive(Debug, Default)]
pub(super) struct Gap {
    missed: AtomicU64,
    /// The place in the outbox at which they are missing: the notice precedes the first message from there on.
    place: AtomicU64,
    /// The outbox remembers to look here once nothing waits in it.
    is_listed: AtomicBool,
}

impl Gap {
    /// Adds a message that is missing at `place`.  True if the outbox has to remember this gap from now on.
    pub(super) fn add(&self, place: u64) -> bool {
        let missed = self.missed.load(Relaxed);
        // One notice tells of two gaps at the place of the first: it is never too late.
        let first = if missed == 0 { place } else { place.min(self.place.load(Relaxed)) };
        self.place.store(first, Relaxed);
        self.missed.store(missed + 1, Relaxed);
        !self.is_listed.swap(true, Relaxed)
    }

    /// Where something is missing, if anything is.
    pub(super) fn place(&self) -> Option<u64> {
        (self.missed.load(Relaxed) > 0).then(|| self.place.load(Relaxed))
    }

    /// Notes that what is missing is so at `place` at the latest, since entries before it have gone.
    pub(super) fn bring_forward(&self, place: u64) {
        self.place.store(place.min(self.place.load(Relaxed)), Relaxed);
    }

    /// Takes what is missing before the message at `place`.
    #[inline]
    pub(super) fn take_before(&self, place: u64) -> u64 {
        let missed = self.missed.load(Relaxed);
        if missed == 0 || place < self.place.load(Relaxed) {
            return 0;
        }
        self.missed.store(0, Relaxed);
        missed
    }

    /// Takes what is missing anywhere, when the outbox forgets this gap.
    pub(super) fn take_rest(&self) -> u64 {
        self.is_listed.store(false, Relaxed);
        self.take_before(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_of_at_its_place() {
        let gap = Gap::default();
        assert!(gap.add(7));
        assert!(!gap.add(9));
        assert_eq!([gap.take_before(6), gap.take_before(7), gap.take_before(8)], [0, 2, 0]);
        assert!(!gap.add(9));
        assert!(!gap.add(5));
        assert_eq!((gap.take_before(4), gap.take_rest(), gap.take_rest()), (0, 2, 0));
        assert!(gap.add(1));
    }
}
