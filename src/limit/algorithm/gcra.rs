//! Token bucket, as the generic cell rate algorithm: the state is one number.
//!
//! The state is the *theoretical arrival time* (TAT): the time at which the bucket will be full again.  Each token that is
//! taken moves it one interval into the future.  How far it lies ahead says how much is missing.  Refilling needs no work,
//! since time does it.
//!
//! The interval is stored beside it, because the same distance means other numbers of tokens at other rates.  A limit that
//! finds the state of another rate or of a larger bucket adopts it as [`OnChange`] says.
//!
//! Promise: in any span of t nanoseconds at most `capacity + t / interval` are admitted, and a request is refused only
//! if it would break that.
//!
//! Error: the interval is the period divided by the limit, rounded up to a nanosecond, so a little less than the stated
//! rate is admitted, never more.  The lost share is below rate / 10⁹ per second: none for a rate that divides 10⁹ (a
//! thousand or a million a second), at most one in a million at 1,000 a second.

use super::parameters::{
    COUNT_MAX, InvalidParameter, NANOS_PER_SECOND, Nanos, OnChange, Parameters, Rate, SPAN_MAX, checked_count,
};
use super::state::{StateBytes, shifted, take};
use super::{Algorithm, Limit};

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gcra {
    /// Tokens in a full bucket.
    capacity: u64,
    /// Nanoseconds in which one comes back.
    interval: Nanos,
    /// What happens to tokens that were taken under other parameters.
    on_change: OnChange,
}

impl Gcra {
    /// `limit` tokens come back in each period; the bucket holds `burst` of them.
    pub fn new(parameters: Parameters) -> Result<Gcra, InvalidParameter> {
        let rate = Rate::new(parameters.limit, parameters.period_millis)?;
        let capacity = checked_count("burst", parameters.burst.unwrap_or(parameters.limit))?;
        let gcra =
            Gcra { capacity, interval: rate.interval(), on_change: parameters.on_change.unwrap_or_default() };
        if gcra.interval.checked_mul(capacity).is_none_or(|span| span > SPAN_MAX) {
            let most = SPAN_MAX / gcra.interval;
            let allowed =
                format!("at most {most} at this rate, so that it comes back within a hundred years");
            return Err(InvalidParameter::new("burst", capacity, allowed));
        }
        Ok(gcra)
    }

    /// The parameters of redis-cell: `count` tokens in `period` seconds, and `max_burst` more than one at once.
    pub fn throttle(max_burst: i64, count: i64, period_seconds: i64) -> Result<Gcra, InvalidParameter> {
        const BURST_MAX: i64 = COUNT_MAX as i64 - 1;
        const SECONDS_MAX: i64 = (SPAN_MAX / NANOS_PER_SECOND) as i64;
        if !(0..=BURST_MAX).contains(&max_burst) {
            return Err(InvalidParameter::new("max_burst", max_burst, format!("0 to {BURST_MAX}")));
        }
        if !(1..=SECONDS_MAX).contains(&period_seconds) {
            let allowed = format!("1 to {SECONDS_MAX} seconds (a hundred years)");
            return Err(InvalidParameter::new("period", period_seconds, allowed));
        }
        checked_count("count", count)?;
        let burst = Some(max_burst + 1);
        let period_millis = period_seconds * 1000;
        Gcra::new(Parameters { limit: count, period_millis, burst, on_change: None })
    }

    /// Its part of [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.capacity, self.interval)
    }

    /// What happens to tokens that were taken under other parameters.
    pub(super) fn on_change(&self) -> OnChange {
        self.on_change
    }

    /// The limit with these numbers; none if they are out of bounds.
    pub(super) fn of_numbers(capacity: u64, interval: Nanos, on_change: OnChange) -> Option<Gcra> {
        let is_allowed = interval.checked_mul(capacity).is_some_and(|span| span <= SPAN_MAX);
        is_allowed.then_some(Gcra { capacity, interval, on_change })
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::Gcra(self)
    }

    /// The time in which a full bucket comes back.
    fn tolerance(&self) -> Nanos {
        self.interval * self.capacity
    }
}

/// The theoretical arrival time, and the interval at which tokens come back until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    at: Nanos,
    /// Zero in a state of eight bytes, which an earlier version wrote.
    interval: Nanos,
    /// More is missing than the bucket held, because a cost was charged without a check.
    is_overdrawn: bool,
}

/// The bit of an interval's word that says that the bucket is overdrawn; intervals are below 2⁶³.
const OVERDRAWN: u64 = 1 << 63;

impl Arrival {
    /// How far it lies ahead.
    fn debt(self, now: Nanos) -> Nanos {
        self.at.saturating_sub(now)
    }
}

impl Algorithm for Gcra {
    type State = Arrival;

    fn limit(&self) -> u64 {
        self.capacity
    }

    fn decode(mut bytes: &[u8]) -> Option<Arrival> {
        let (at, interval) = match bytes.len() {
            16 => (take(&mut bytes, 8)?, take(&mut bytes, 8)?),
            8 => (take(&mut bytes, 8)?, 0),
            _ => return None,
        };
        Some(Arrival { at, interval: interval & !OVERDRAWN, is_overdrawn: interval & OVERDRAWN != 0 })
    }

    fn encode(state: &Arrival, bytes: &mut StateBytes) {
        let interval = state.interval | if state.is_overdrawn { OVERDRAWN } else { 0 };
        let mut whole = [0; 16];
        whole[..8].copy_from_slice(&state.at.to_le_bytes());
        whole[8..].copy_from_slice(&interval.to_le_bytes());
        bytes.clear();
        bytes.extend_from_slice(&whole);
    }

    fn adopt(&self, state: &mut Arrival, now: Nanos) -> bool {
        let debt = state.debt(now);
        let fits = debt <= self.tolerance() || state.is_overdrawn;
        if debt == 0 || (state.interval == self.interval && fits) {
            return false;
        }
        let (debt, is_overdrawn) = match self.on_change {
            // The rate at which the tokens were taken is not known.
            _ if state.interval == 0 => (debt, debt > self.tolerance()),
            OnChange::Rescale => {
                let owed = (u128::from(debt) * u128::from(self.interval)).div_ceil(state.interval.into());
                (owed.min(self.tolerance().into()) as Nanos, false)
            }
            OnChange::Keep => (debt, debt > self.tolerance()),
            OnChange::Reset => (0, false),
        };
        *state = Arrival { at: now + debt, interval: self.interval, is_overdrawn };
        true
    }

    fn wait(&self, state: &Arrival, cost: u64, now: Nanos) -> Option<Nanos> {
        if cost == 0 {
            return Some(0);
        }
        if cost > self.capacity {
            return None;
        }
        Some((state.debt(now) + self.interval * cost).saturating_sub(self.tolerance()))
    }

    fn remaining(&self, state: &Arrival, now: Nanos) -> u64 {
        self.tolerance().saturating_sub(state.debt(now)) / self.interval
    }

    fn reset_after(&self, state: &Arrival, now: Nanos) -> Nanos {
        state.debt(now)
    }

    fn charge(&self, state: &mut Arrival, cost: u64, now: Nanos) {
        let debt = state.debt(now).saturating_add(self.interval.saturating_mul(cost));
        // A cost that is charged without a check may exceed the bucket, but not the range of the sums.
        let debt = debt.min(SPAN_MAX);
        let is_overdrawn = debt > self.tolerance();
        *state = Arrival { at: now + debt, interval: self.interval, is_overdrawn };
    }

    fn refund(&self, state: &mut Arrival, amount: u64, taken_at: Nanos, now: Nanos) {
        // Tokens that have come back by themselves meanwhile are not given back once more: of a full bucket that much is left.
        let since = now.saturating_sub(taken_at);
        let left = if since == 0 { Nanos::MAX } else { self.tolerance().saturating_sub(since) };
        let debt = state.debt(now).saturating_sub(self.interval.saturating_mul(amount).min(left));
        let is_overdrawn = debt > self.tolerance();
        *state = Arrival { at: now + debt, interval: self.interval, is_overdrawn };
    }

    fn window(&self) -> Nanos {
        self.tolerance()
    }

    fn shift(state: &mut Arrival, by: i64) {
        state.at = shifted(state.at, by);
    }
}
