//! The answer of a limit.

use super::parameters::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

/// The answer of a limit to one cost, in nanoseconds.  Where they are shown, times are rounded up, so that they stay true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whether the cost is allowed.
    pub allowed: bool,
    /// The most that can be had at once.
    pub limit: u64,
    /// What could still be had now, this cost counted if it was taken.
    pub remaining: u64,
    /// If the cost is refused, the time after which it is allowed provided nobody else takes anything, and not a nanosecond
    /// earlier.  None if it is allowed, and also if it is over the limit and so never will be.
    pub retry_after: Option<Nanos>,
    /// The time after which all of the limit can be had again provided nobody takes anything.  The state of the counter
    /// need not be kept longer.
    pub reset_after: Nanos,
    /// How long to wait before going on; zero except with the leaky bucket.
    pub delay: Nanos,
}

impl Decision {
    /// Milliseconds until a retry succeeds, rounded up; -1 if the cost is allowed, and also if it never is.
    pub fn retry_after_millis(&self) -> i64 {
        self.retry_after.map_or(-1, |nanos| nanos.div_ceil(NANOS_PER_MILLI) as i64)
    }

    /// The same in seconds.
    pub fn retry_after_seconds(&self) -> i64 {
        self.retry_after.map_or(-1, |nanos| nanos.div_ceil(NANOS_PER_SECOND) as i64)
    }

    /// Milliseconds until all of the limit is back, rounded up.
    pub fn reset_after_millis(&self) -> u64 {
        self.reset_after.div_ceil(NANOS_PER_MILLI)
    }

    /// The same in seconds.
    pub fn reset_after_seconds(&self) -> u64 {
        self.reset_after.div_ceil(NANOS_PER_SECOND)
    }

    /// Milliseconds to wait before going on, rounded up.
    pub fn delay_millis(&self) -> u64 {
        self.delay.div_ceil(NANOS_PER_MILLI)
    }

    /// Whether waiting cannot help, because the cost is over the limit.
    pub fn is_impossible(&self) -> bool {
        !self.allowed && self.retry_after.is_none()
    }
}
