//! Fixed window: so many in a window, and the next one starts from nothing.
//!
//! A window opens with the first request after the last one closed, so that counters do not all start over at the same
//! time, or windows are those of a calendar.  The state has the time of the first request in either case, so a wall clock that
//! is set within a window forgets nothing.
//!
//! Promise: at most `limit` in each window; the cheapest to explain ("100 a day, and the day started at 9:12").
//!
//! Error: a span as long as a window can see twice the limit, once at the end of a window and once at the start of the
//! next.  Use `sliding`, `log` or `gcra` where that matters.

use super::super::calendar::Calendar;
use super::parameters::{
    COUNT_MAX, InvalidParameter, Nanos, Parameters, Rate, checked_count, without_bucket,
};
use super::state::{StateBytes, Tag, begin, put, shifted, tagged, take};
use super::{Algorithm, Limit};

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedWindow {
    limit: u64,
    period: Nanos,
    /// The calendar of its windows; none if windows begin with the first request.
    calendar: Option<Calendar>,
    /// With a calendar, the start of the window that is open at the time of the check.
    opened_at: Nanos,
}

impl FixedWindow {
    /// `limit` in each window as long as the period.
    pub fn new(parameters: Parameters) -> Result<FixedWindow, InvalidParameter> {
        without_bucket("fixed", parameters)?;
        let rate = Rate::new(parameters.limit, parameters.period_millis)?;
        Ok(FixedWindow { limit: rate.count, period: rate.period, calendar: None, opened_at: 0 })
    }

    /// Its part of [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.limit, self.period)
    }

    /// The limit with these numbers.
    pub(super) fn of_numbers(limit: u64, period: Nanos) -> FixedWindow {
        FixedWindow { limit, period, calendar: None, opened_at: 0 }
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::FixedWindow(self)
    }

    /// `limit` in each window of a calendar.
    pub fn of_calendar(limit: i64, calendar: Calendar) -> Result<FixedWindow, InvalidParameter> {
        let (limit, period) = (checked_count("limit", limit)?, calendar.nominal());
        Ok(FixedWindow { limit, period, calendar: Some(calendar), opened_at: 0 })
    }

    /// Whether its windows are those of a calendar.
    pub(super) fn is_of_calendar(&self) -> bool {
        self.calendar.is_some()
    }

    /// The limit for a check at `now`, where the wall clock shows the time since the boot plus `wall_offset` microseconds.
    pub(super) fn at(self, now: Nanos, wall_offset: i64) -> FixedWindow {
        match self.calendar.and_then(|calendar| calendar.window(now, wall_offset)) {
            Some((start, end)) => FixedWindow { opened_at: start, period: end - start, ..self },
            None => self,
        }
    }

    /// The end of the window of a state.
    fn closes_at(&self, state: &Window) -> Nanos {
        let closes_at = self.opened_at + self.period;
        // A reservation of an earlier window may be settled in this one.
        if state.start < closes_at && self.opened_at > 0 { closes_at } else { state.start + self.period }
    }

    /// The count of the window that is open at `now`.
    fn taken(&self, state: &Window, now: Nanos) -> u64 {
        let is_open = state.start >= self.opened_at && now < self.closes_at(state);
        if is_open { state.count } else { 0 }
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
            false => Some(self.closes_at(state) - now),
        }
    }

    fn remaining(&self, state: &Window, now: Nanos) -> u64 {
        self.limit.saturating_sub(self.taken(state, now))
    }

    fn reset_after(&self, state: &Window, now: Nanos) -> Nanos {
        if self.taken(state, now) == 0 { 0 } else { self.closes_at(state) - now }
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
        // Costs of an earlier window are forgotten already.
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
