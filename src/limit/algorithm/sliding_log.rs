//! Sliding log: every admitted request is remembered for as long as it counts.
//!
//! Promise: in any span as long as the period at most `limit` are admitted, and a request is refused only if it
//! would break that.
//!
//! Error: none up to a limit of 1,024.  Memory is bounded by 1,024 entries of 14 bytes.  Above that limit, which only makes
//! sense with costs, timestamps are rounded up to the next 1,022nd part of the period, and requests with the same timestamp
//! share an entry.  A cost is then forgotten up to a thousandth of the period late, and never early.

use smallvec::SmallVec;

use super::parameters::{COUNT_MAX, InvalidParameter, Nanos, Parameters, Rate, without_bucket};
use super::state::{StateBytes, Tag, begin, pad, put, shifted, tagged, take};
use super::{Algorithm, Limit};

/// The most entries of a log; see the head of the file.
pub const LOG_ENTRIES_MAX: usize = 1024;

/// The parts of a period when there may be more requests than entries.  A window then has at most two timestamps more: one
/// is cut off at its start and one is rounded up past its end.
const PARTS: u64 = LOG_ENTRIES_MAX as u64 - 2;

/// Bytes of an entry.
const WIDTH: usize = 14;

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlidingLog {
    limit: u64,
    period: Nanos,
    /// Timestamps are rounded up to a multiple of it.
    grain: Nanos,
}

impl SlidingLog {
    /// `limit` in any span as long as the period, exactly.
    pub fn new(parameters: Parameters) -> Result<SlidingLog, InvalidParameter> {
        without_bucket("log", parameters)?;
        let rate = Rate::new(parameters.limit, parameters.period_millis)?;
        Ok(SlidingLog::of_numbers(rate.count, rate.period))
    }

    /// Its part of [`Limit::numbers`].
    pub(super) fn numbers(&self) -> (u64, Nanos) {
        (self.limit, self.period)
    }

    /// The limit with these numbers.
    pub(super) fn of_numbers(limit: u64, period: Nanos) -> SlidingLog {
        let is_exact = limit <= LOG_ENTRIES_MAX as u64;
        let grain = if is_exact { 1 } else { period.div_ceil(PARTS) };
        SlidingLog { limit, period, grain }
    }

    /// As a limit.
    pub fn limit(self) -> Limit {
        Limit::SlidingLog(self)
    }

    /// The entries that still count.
    fn in_sight<'a>(&self, log: &'a Log, now: Nanos) -> &'a [Taken] {
        let gone = log.0.partition_point(|taken| taken.at + self.period <= now);
        &log.0[gone..]
    }

    fn forget(&self, log: &mut Log, now: Nanos) {
        let gone = log.0.len() - self.in_sight(log, now).len();
        log.0.drain(..gone);
    }
}

/// The cost that was taken at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Taken {
    at: Nanos,
    cost: u64,
}

fn sum(entries: &[Taken]) -> u64 {
    entries.iter().map(|taken| taken.cost).sum()
}

/// The costs that were taken, in the order of time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log(SmallVec<[Taken; 8]>);

impl Algorithm for SlidingLog {
    type State = Log;

    fn limit(&self) -> u64 {
        self.limit
    }

    fn decode(bytes: &[u8]) -> Option<Log> {
        let mut fields = tagged(bytes, Tag::Log)?;
        let mut log = Log::default();
        while !fields.is_empty() {
            let taken = Taken { at: take(&mut fields, 8)?, cost: take(&mut fields, 6)? };
            if taken.cost == 0 {
                break;
            }
            log.0.push(taken);
        }
        Some(log)
    }

    fn encode(state: &Log, bytes: &mut StateBytes) {
        begin(bytes, Tag::Log);
        for taken in &state.0 {
            put(bytes, taken.at, 8);
            put(bytes, taken.cost, 6);
        }
        pad(bytes, state.0.len(), WIDTH, LOG_ENTRIES_MAX);
    }

    fn wait(&self, state: &Log, cost: u64, now: Nanos) -> Option<Nanos> {
        if cost == 0 {
            return Some(0);
        }
        let others = self.limit.checked_sub(cost)?;
        let entries = self.in_sight(state, now);
        let mut taken = sum(entries);
        if taken <= others {
            return Some(0);
        }
        let last_to_go = entries.iter().find(|entry| {
            taken -= entry.cost;
            taken <= others
        });
        last_to_go.map(|entry| entry.at + self.period - now)
    }

    fn remaining(&self, state: &Log, now: Nanos) -> u64 {
        self.limit.saturating_sub(sum(self.in_sight(state, now)))
    }

    fn reset_after(&self, state: &Log, now: Nanos) -> Nanos {
        self.in_sight(state, now).last().map_or(0, |newest| newest.at + self.period - now)
    }

    fn charge(&self, state: &mut Log, cost: u64, now: Nanos) {
        self.forget(state, now);
        if cost == 0 {
            return;
        }
        let newest = state.0.last().map_or(0, |newest| newest.at);
        let at = now.next_multiple_of(self.grain).max(newest);
        match state.0.last_mut() {
            Some(newest) if newest.at == at => newest.cost = newest.cost.saturating_add(cost).min(COUNT_MAX),
            _ => state.0.push(Taken { at, cost }),
        }
        // This happens only after charges over the limit or a change of the policy.  The oldest two then share the later
        // timestamp.
        if state.0.len() > LOG_ENTRIES_MAX {
            state.0[1].cost = state.0[1].cost.saturating_add(state.0[0].cost).min(COUNT_MAX);
            state.0.remove(0);
        }
    }

    fn refund(&self, state: &mut Log, amount: u64, taken_at: Nanos, now: Nanos) {
        self.forget(state, now);
        let taken_at = taken_at.next_multiple_of(self.grain);
        let mut left = amount;
        for taken in state.0.iter_mut().rev().filter(|taken| taken.at <= taken_at) {
            let given_back = taken.cost.min(left);
            taken.cost -= given_back;
            left -= given_back;
        }
        state.0.retain(|taken| taken.cost > 0);
    }

    fn window(&self) -> Nanos {
        self.period
    }

    fn shift(state: &mut Log, by: i64) {
        for taken in &mut state.0 {
            taken.at = shifted(taken.at, by);
        }
    }
}
