//! Leaky bucket: an admitted request is told how long to wait, so that the work behind it runs at an even pace.
//!
//! Requests join a queue that one leaves in every interval.  The state is the time at which the queue will be empty.  A
//! request is admitted if there is room for it, and its delay is the time until the requests ahead of it have left.  Admission
//! is that of a token bucket (`gcra`); the difference is the delay, which lets no burst through.
//!
//! Promise: two admitted requests start at least the first one's cost times the interval apart, in the order
//! of admission, and nobody is delayed longer than a full queue takes.
//!
//! Error: as with `gcra` the interval is rounded up to a nanosecond, so the pace is never faster than stated.

use super::gcra::{Arrival, Gcra};
use super::parameters::{InvalidParameter, Nanos, Parameters};
use super::state::StateBytes;
use super::{Algorithm, Limit};

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeakyBucket(Gcra);

impl LeakyBucket {
    /// `limit` leave in each period; the queue holds `burst`, including the one that is leaving.
    pub fn new(parameters: Parameters) -> Result<LeakyBucket, InvalidParameter> {
        Gcra::new(parameters).map(LeakyBucket)
    }

    /// The token bucket that decides admission.
    pub(super) fn bucket(&self) -> &Gcra {
        &self.0
    }

    /// A leaky bucket whose admission this token bucket decides.
    pub(super) fn of_bucket(bucket: Gcra) -> LeakyBucket {
        LeakyBucket(bucket)
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::LeakyBucket(self)
    }
}

impl Algorithm for LeakyBucket {
    type State = Arrival;

    fn limit(&self) -> u64 {
        Algorithm::limit(&self.0)
    }

    fn decode(bytes: &[u8]) -> Option<Arrival> {
        Gcra::decode(bytes)
    }

    fn encode(state: &Arrival, bytes: &mut StateBytes) {
        Gcra::encode(state, bytes);
    }

    fn adopt(&self, state: &mut Arrival, now: Nanos) -> bool {
        self.0.adopt(state, now)
    }

    fn wait(&self, state: &Arrival, cost: u64, now: Nanos) -> Option<Nanos> {
        self.0.wait(state, cost, now)
    }

    fn remaining(&self, state: &Arrival, now: Nanos) -> u64 {
        self.0.remaining(state, now)
    }

    fn reset_after(&self, state: &Arrival, now: Nanos) -> Nanos {
        self.0.reset_after(state, now)
    }

    fn charge(&self, state: &mut Arrival, cost: u64, now: Nanos) {
        self.0.charge(state, cost, now);
    }

    fn refund(&self, state: &mut Arrival, amount: u64, taken_at: Nanos, now: Nanos) {
        self.0.refund(state, amount, taken_at, now);
    }

    fn delay(&self, state: &Arrival, now: Nanos) -> Nanos {
        self.0.reset_after(state, now)
    }

    fn window(&self) -> Nanos {
        self.0.window()
    }

    fn shift(state: &mut Arrival, by: i64) {
        Gcra::shift(state, by);
    }
}
