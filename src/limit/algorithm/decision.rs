//! What a limit answers.

use super::parameters::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

/// The answer to one question, in nanoseconds; outside, times are rounded up, so that they stay true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The most that can be had at once.
    pub limit: u64,
    /// What could still be had now, with this request counted if it was allowed and taken.
    pub remaining: u64,
    /// If it was refused, after what time it is allowed provided nobody else takes anything: not a nanosecond
    /// earlier.  None if it was allowed, and also if the cost is over the limit: then it never is.
    pub retry_after: Option<Nanos>,
    /// After what time all of the limit can be had again, provided nobody takes anything.  The state of the counter
    /// need not be kept longer.
    pub reset_after: Nanos,
    /// How long to wait before doing what was allowed; zero but for the leaky bucket.
    pub delay: Nanos,
}

impl Decision {
    /// Milliseconds until a retry, rounded up, or -1 where there is nothing to wait for: allowed, or never.
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

    /// Milliseconds to wait before doing what was allowed, rounded up.
    pub fn delay_millis(&self) -> u64 {
        self.delay.div_ceil(NANOS_PER_MILLI)
    }

    /// Whether waiting cannot help: the cost is more than the limit ever holds.
    pub fn is_impossible(&self) -> bool {
        !self.allowed && self.retry_after.is_none()
    }
}
