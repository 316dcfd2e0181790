//! A bucket that is refilled in whole intervals: tokens do not come back one by one, but `limit` of them together at the end
//! of each period.
//!
//! The periods begin with the first token that is taken from a full bucket.  The state is the start of the current period and
//! the number of missing tokens.
//!
//! Promise: in any span as long as n periods at most `burst + (n + 1) * limit` are admitted, and between two refills no more
//! than the bucket holds.
//!
//! Error: none.  With a burst as large as the limit this is `fixed`, except that periods follow each other until the bucket
//! is full.

use super::parameters::{
    COUNT_MAX, InvalidParameter, Nanos, Parameters, Rate, SPAN_MAX, checked_count, without_on_change,
};
use super::state::{StateBytes, Tag, begin, put, shifted, tagged, take};
use super::{Algorithm, Limit};

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refill {
    /// Tokens in a full bucket.
    capacity: u64,
    /// Tokens that come back together.
    back: u64,
    period: Nanos,
}

impl Refill {
    /// `limit` tokens come back at the end of each period; the bucket holds `burst` of them.
    pub fn new(parameters: Parameters) -> Result<Refill, InvalidParameter> {
        without_on_change("refill", parameters)?;
        let rate = Rate::new(parameters.limit, parameters.period_millis)?;
        let capacity = checked_count("burst", parameters.burst.unwrap_or(parameters.limit))?;
        Refill::of_numbers(capacity, rate.count, rate.period).ok_or_else(|| {
            let most = SPAN_MAX / rate.period * rate.count;
            let allowed =
                format!("at most {most} at this rate, so that it comes back within a hundred years");
            InvalidParameter::new("burst", capacity, allowed)
        })
    }

    /// Its part of [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.capacity, self.period)
    }

    /// How many come back together.
    pub(super) fn back(&self) -> u64 {
        self.back
    }

    /// The limit with these numbers; none if they are out of bounds.
    pub(super) fn of_numbers(capacity: u64, back: u64, period: Nanos) -> Option<Refill> {
        let is_allowed = (1..=COUNT_MAX).contains(&back)
            && capacity.div_ceil(back).checked_mul(period).is_some_and(|span| span <= SPAN_MAX);
        is_allowed.then_some(Refill { capacity, back, period })
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::Refill(self)
    }

    /// The state with the start of the period at `now`.
    fn at(&self, state: &Missing, now: Nanos) -> Missing {
        let periods = now.saturating_sub(state.start) / self.period;
        match state.count.saturating_sub(periods.saturating_mul(self.back)) {
            0 => Missing { start: now, count: 0 },
            count => Missing { start: state.start + periods * self.period, count },
        }
    }

    /// How long until so many of the missing tokens are back.
    fn until_back(&self, state: &Missing, count: u64, now: Nanos) -> Nanos {
        match count.div_ceil(self.back) {
            0 => 0,
            periods => state.start + periods * self.period - now,
        }
    }
}

/// How many tokens are missing since the last refill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Missing {
    start: Nanos,
    count: u64,
}

impl Algorithm for Refill {
    type State = Missing;

    fn limit(&self) -> u64 {
        self.capacity
    }

    fn decode(bytes: &[u8]) -> Option<Missing> {
        let mut fields = tagged(bytes, Tag::Refill)?;
        Some(Missing { start: take(&mut fields, 8)?, count: take(&mut fields, 6)? })
    }

    fn encode(state: &Missing, bytes: &mut StateBytes) {
        begin(bytes, Tag::Refill);
        put(bytes, state.start, 8);
        put(bytes, state.count, 6);
    }

    fn wait(&self, state: &Missing, cost: u64, now: Nanos) -> Option<Nanos> {
        if cost == 0 {
            return Some(0);
        }
        if cost > self.capacity {
            return None;
        }
        let state = self.at(state, now);
        Some(self.until_back(&state, (state.count + cost).saturating_sub(self.capacity), now))
    }

    fn remaining(&self, state: &Missing, now: Nanos) -> u64 {
        self.capacity.saturating_sub(self.at(state, now).count)
    }

    fn reset_after(&self, state: &Missing, now: Nanos) -> Nanos {
        let state = self.at(state, now);
        self.until_back(&state, state.count, now)
    }

    fn charge(&self, state: &mut Missing, cost: u64, now: Nanos) {
        *state = self.at(state, now);
        // A cost that is charged without a check may exceed the bucket, but not what comes back in the longest span.
        let most = (SPAN_MAX / self.period).saturating_mul(self.back).min(COUNT_MAX);
        state.count = state.count.saturating_add(cost).min(most);
    }

    fn refund(&self, state: &mut Missing, amount: u64, taken_at: Nanos, now: Nanos) {
        *state = self.at(state, now);
        // Tokens that have come back by themselves meanwhile are not given back once more: of a full bucket that much is left.
        let periods = now.saturating_sub(taken_at) / self.period;
        let left = match taken_at < now {
            true => self.capacity.saturating_sub(periods.saturating_mul(self.back)),
            false => u64::MAX,
        };
        state.count = state.count.saturating_sub(amount.min(left));
    }

    fn window(&self) -> Nanos {
        self.capacity.div_ceil(self.back) * self.period
    }

    fn shift(state: &mut Missing, by: i64) {
        state.start = shifted(state.start, by);
    }
}
