//! Fixed window: so many in a window, and the next one starts from nothing.
//!
//! A window opens with the first request after the last one closed, so counters do not all start over at the same
//! moment.
//!
//! Promise: at most `limit` in each window; the cheapest to explain ("100 a day, and the day started at 9:12").
//!
//! Error: a span as long as a window can see twice the limit, once at the end of a window and once at the start of the
//! next.  Who cannot live with that takes `sliding`, `log` or `gcra`.

use super::parameters::{COUNT_MAX, InvalidParameter, Nanos, Parameters, Rate, without_bucket};
use super::state::{StateBytes, Tag, begin, put, shifted, tagged, take};
use super::{Algorithm, Limit};

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedWindow {
    limit: u64,
    period: Nanos,
}

impl FixedWindow {
    /// `limit` in each window as long as the period.
    pub fn new(parameters: Parameters) -> Result<FixedWindow, InvalidParameter> {
        without_bucket("fixed", parameters)?;
        let rate = Rate::new(parameters.limit, parameters.period_millis)?;
        Ok(FixedWindow { limit: rate.count, period: rate.period })
    }

    /// What it is made of, to be stored: see [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.limit, self.period)
    }

    /// The limit that was made of these numbers.
    pub(super) fn of_numbers(limit: u64, period: Nanos) -> FixedWindow {
        FixedWindow { limit, period }
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::FixedWindow(self)
    }

    /// What was taken in the window that is open at `now`.
    fn taken(&self, state: &Window, now: Nanos) -> u64 {
        if now < state.start + self.period { state.count } else { 0 }
    }
}

/// The last window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    start: Nanos,
    count: u64,
}

impl Algorithm for FixedWindow {
    type State = Window;

    fn limit(&self) -> u64 {
        self.limit
    }

    fn decode(bytes: &[u8]) -> Option<Window> {
        let mut fields = tagged(bytes, Tag::Fixed)?;
        Some(Window { start: take(&mut fields, 8)?, count: take(&mut fields, 6)? })
    }

    fn encode(state: &Window, bytes: &mut StateBytes) {
        begin(bytes, Tag::Fixed);
        put(bytes, state.start, 8);
        put(bytes, state.count, 6);
    }

    fn wait(&self, state: &Window, cost: u64, now: Nanos) -> Option<Nanos> {
        let fits = cost == 0 || self.taken(state, now).saturating_add(cost) <= self.limit;
        match fits {
            true => Some(0),
            false if cost > self.limit => None,
            false => Some(state.start + self.period - now),
        }
    }

    fn remaining(&self, state: &Window, now: Nanos) -> u64 {
        self.limit.saturating_sub(self.taken(state, now))
    }

    fn reset_after(&self, state: &Window, now: Nanos) -> Nanos {
        if self.taken(state, now) == 0 { 0 } else { state.start + self.period - now }
    }

    fn charge(&self, state: &mut Window, cost: u64, now: Nanos) {
        let taken = self.taken(state, now);
        if taken == 0 {
            state.start = now;
        }
        state.count = taken.saturating_add(cost).min(COUNT_MAX);
    }

    fn refund(&self, state: &mut Window, amount: u64, taken_at: Nanos, now: Nanos) {
        let taken = self.taken(state, now);
        // What was taken in an earlier window is forgotten already.
        let amount = if taken_at < state.start { 0 } else { amount };
        state.count = taken.saturating_sub(amount);
    }

    fn window(&self) -> Nanos {
        self.period
    }

    fn shift(state: &mut Window, by: i64) {
        state.start = shifted(state.start, by);
    }
}
