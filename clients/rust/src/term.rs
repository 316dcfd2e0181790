//! How long a lease certainly lasts, by this machine's clock.
//!
//! The server's clock is never compared with ours.  A lease that the server granted or renewed in answer to a request lasts
//! at least its full length from the moment the request was sent, since the server got it later.  A lease counts as lost a
//! little before that time, so that its holder knows it before anybody else can be granted the resource.

#![allow(clippy::disallowed_methods, reason = "time is read here and nowhere else")]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The part of a lease after which it is renewed.
const RENEW_AFTER: f64 = 1.0 / 3.0;

/// Renewals come up to this part earlier, so that those of many clients spread.
const JITTER: f64 = 0.2;

/// The part of a lease that is given up at its end, for the time it takes to tell the holder, and at most how much.
const MARGIN: f64 = 0.1;
const MARGIN_MAX: Duration = Duration::from_millis(500);

/// How many times a renewal that failed is tried within a lease, about.
const ATTEMPTS: f64 = 15.0;

/// The longest wait that the server takes.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// A wall clock that is this far ahead of the other one has gone on while the machine slept, or was set.
const SLEPT: Duration = Duration::from_secs(1);

/// What the two clocks showed when they were read last.
struct Read {
    monotonic: Instant,
    wall: SystemTime,
    /// The time that the monotonic clock has missed.
    slept: Duration,
}

static CLOCK: LazyLock<Mutex<Read>> = LazyLock::new(|| {
    Mutex::new(Read { monotonic: Instant::now(), wall: SystemTime::now(), slept: Duration::ZERO })
});

/// A time that is never set back.  It goes on while the machine sleeps, as the server's clock does.  If the wall clock is set
/// forward, leases count as lost too early, which is safe.
pub(crate) fn now() -> Instant {
    let mut read = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let (monotonic, wall) = (Instant::now(), SystemTime::now());
    let passed = monotonic.saturating_duration_since(read.monotonic);
    let passed_on_the_wall = wall.duration_since(read.wall).unwrap_or_default();
    if passed_on_the_wall > passed + SLEPT {
        read.slept += passed_on_the_wall - passed;
    }
    (read.monotonic, read.wall) = (monotonic, wall);
    monotonic + read.slept
}

/// A lease of this length that began then, or later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) length: Duration,
    pub(crate) began: Instant,
}

impl Term {
    /// When it counts as lost unless it is renewed before.
    pub(crate) fn lost_at(&self) -> Instant {
        self.began + self.length - self.length.mul_f64(MARGIN).min(MARGIN_MAX)
    }

    /// When to renew it.
    pub(crate) fn due_at(&self) -> Instant {
        self.began + self.length.mul_f64(RENEW_AFTER * (1.0 - fastrand::f64() * JITTER))
    }

    /// When to try again after an attempt that failed at this time.
    pub(crate) fn again_at(&self, at: Instant) -> Instant {
        at + self.length.mul_f64((1.0 - fastrand::f64() * JITTER) / ATTEMPTS)
    }
}

/// A time as the server takes it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a request is known by, so that its repetition has the same result; and a name that nobody else has.
pub(crate) fn unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}
