//! Waking at a time more exactly than the milliseconds of a poll.

use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A timer of the kernel that wakes a poll.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: OwnedFd,
    /// When it fires, in microseconds; 0 if it is not set.
    fires_at: u64,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// If the system has none.
    pub(super) fn new(registry: &Registry, token: Token) -> std::io::Result<Timer> {
        let descriptor =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut SourceFd(&descriptor.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Timer { descriptor, fires_at: 0 })
    }

    /// Wakes the poll at `at`; both times are in microseconds.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn set(&mut self, at: u64, now: u64) -> std::io::Result<()> {
        if self.fires_at == at && at > now {
            return Ok(());
        }
        self.fires_at = at;
        // Zero would unset it.
        let delay = at.saturating_sub(now).max(1);
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let first =
            Timespec { tv_sec: (delay / 1_000_000) as i64, tv_nsec: (delay % 1_000_000 * 1000) as i64 };
        timerfd_settime(
            &self.descriptor,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: never, it_value: first },
        )?;
        Ok(())
    }
}
