//! The progress of responses: how much is held for a client, how much it has taken, and how long it has kept the server
//! waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;

use crate::http::endpoint::BODY_RATE_MIN;

/// The bytes held for the client of one connection, or of one stream of HTTP/2.  Counting them does not read the clock.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that are held.
    held: AtomicUsize,
    /// Bytes of them that the client has taken since the last look.
    taken: AtomicU64,
    /// Nothing was held at some time since the last look.
    has_emptied: AtomicBool,
    /// The task that waits until nothing is held.
    waiter: AtomicWaker,
}

impl Progress {
    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Holds this many more bytes.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Relaxed);
    }

    /// Holds this many fewer bytes.
    pub(super) fn release(&self, bytes: usize) {
        if self.held.fetch_sub(bytes, Relaxed) == bytes {
            self.has_emptied.store(true, Relaxed);
            self.waiter.wake();
        }
    }

    /// The client has taken this many bytes.
    pub(super) fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Relaxed);
    }

    /// Ready once nothing is held; until then `waker` is woken when that is so.
    pub(super) fn poll_empty(&self, waker: &Waker) -> Poll<()> {
        self.waiter.register(waker);
        if self.held() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// How fast a client must read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// At [`BODY_RATE_MIN`] on average, after the time in which it must begin.
    Steady,
    /// At least one byte within the time limit.
    Any,
}

/// How long a client has kept the server waiting, in milliseconds of the server's clock, by regular looks.
#[derive(Default)]
pub(super) struct Patience {
    since: Option<u64>,
    taken: u64,
}

impl Patience {
    /// Whether the client has had enough time to take the held bytes.
    pub(super) fn is_over(&mut self, progress: &Progress, pace: Pace, now: u64, time: Duration) -> bool {
        let taken = progress.taken.swap(0, Relaxed);
        let has_emptied = progress.has_emptied.swap(false, Relaxed);
        if progress.held() == 0 {
            *self = Patience::default();
            return false;
        }
        let Some(since) = self.since.filter(|_| !(has_emptied || pace == Pace::Any && taken > 0)) else {
            *self = Patience { since: Some(now), taken: 0 };
            return false;
        };
        self.taken += taken;
        let earned = self.taken.saturating_mul(1000) / BODY_RATE_MIN;
        now.saturating_sub(since) >= (time.as_millis() as u64).saturating_add(earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(20);

    /// The seconds after which patience with a client ends that takes this many bytes per second.
    fn over_after(pace: Pace, bytes: usize) -> Option<u64> {
        let (progress, mut patience) = (Progress::default(), Patience::default());
        progress.hold(usize::MAX / 2);
        (0..1000).find(|second| {
            progress.take(bytes);
            patience.is_over(&progress, pace, second * 1000, TIME)
        })
    }

    #[test]
    fn a_client_reads_in_time_and_at_a_rate() {
        assert_eq!(over_after(Pace::Steady, 0), Some(20));
        assert_eq!(over_after(Pace::Any, 0), Some(20));
        assert_eq!(over_after(Pace::Steady, BODY_RATE_MIN as usize / 2), Some(40));
        assert_eq!(over_after(Pace::Steady, BODY_RATE_MIN as usize), None);
        assert_eq!(over_after(Pace::Any, 1), None);
    }

    #[test]
    fn time_counts_while_something_is_held() {
        let (progress, mut patience) = (Progress::default(), Patience::default());
        let mut now = 0;
        for _ in 0..10 {
            progress.hold(7);
            for _ in 0..15 {
                now += 1000;
                assert!(!patience.is_over(&progress, Pace::Steady, now, TIME));
            }
            // It may be held anew before anybody looks.
            progress.release(7);
        }
        assert_eq!(progress.poll_empty(Waker::noop()), Poll::Ready(()));
        now += 1_000_000;
        assert!(!patience.is_over(&progress, Pace::Steady, now, TIME));
    }
}
