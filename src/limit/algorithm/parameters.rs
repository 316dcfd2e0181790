//! The parameters of limits, checked once, so that no decision can overflow afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A span or a timestamp in nanoseconds; timestamps are on the limiter's own scale (see [`crate::limit::nanos`]).
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: Nanos = 1_000_000;

/// Nanoseconds in a second; also the highest rate, one per nanosecond.
pub const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// The longest span, a hundred years: sums of a few of them and of the time fit 64 bits.
pub const SPAN_MAX: Nanos = 100 * 365 * 86_400 * NANOS_PER_SECOND;

/// The highest limit and the highest cost: counts are stored in six bytes.
pub const COUNT_MAX: u64 = (1 << 48) - 1;

/// A limit as a person states it: so many in a time, and perhaps how many of them at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// How many; for concurrency how many at the same time.
    pub limit: i64,
    /// In how many milliseconds; for concurrency how long a slot is leased.
    pub period_millis: i64,
    /// How many at once, where the algorithm has a burst; otherwise as many as `limit`.
    pub burst: Option<i64>,
    /// What happens to tokens that were taken under other parameters, where the algorithm counts time and not tokens.
    pub on_change: Option<OnChange>,
}

/// What happens to tokens that were taken from a `gcra` or `leaky` limit when its rate or its burst changes.  The other
/// algorithms count tokens, so their counts stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// As many tokens are missing as before, but no more than the bucket holds; they come back at the new rate.
    #[default]
    Rescale,
    /// It takes as long as before until all are back.
    Keep,
    /// All are back at once.
    Reset,
}

/// A value that is not allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidParameter {
    /// The name of the parameter.
    pub parameter: &'static str,
    /// The value.
    pub value: String,
    /// The allowed values.
    pub allowed: String,
}

impl InvalidParameter {
    pub(super) fn new(
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: String,
    ) -> InvalidParameter {
        InvalidParameter { parameter, value: value.to_string(), allowed }
    }
}

impl fmt::Display for InvalidParameter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {}; allowed is {}", self.parameter, self.value, self.allowed)
    }
}

impl std::error::Error for InvalidParameter {}

/// A count, or a cost, that may not be zero.
pub fn checked_count(parameter: &'static str, value: i64) -> Result<u64, InvalidParameter> {
    match u64::try_from(value) {
        Ok(count @ 1..=COUNT_MAX) => Ok(count),
        _ => Err(InvalidParameter::new(parameter, value, format!("1 to {COUNT_MAX}"))),
    }
}

/// A cost; 0 only asks.
pub fn checked_cost(value: i64) -> Result<u64, InvalidParameter> {
    match u64::try_from(value) {
        Ok(cost @ 0..=COUNT_MAX) => Ok(cost),
        _ => Err(InvalidParameter::new("cost", value, format!("0 to {COUNT_MAX}"))),
    }
}

/// A span of milliseconds, in nanoseconds.
pub fn checked_span(parameter: &'static str, millis: i64) -> Result<Nanos, InvalidParameter> {
    const MILLIS_MAX: u64 = SPAN_MAX / NANOS_PER_MILLI;
    match u64::try_from(millis) {
        Ok(millis @ 1..=MILLIS_MAX) => Ok(millis * NANOS_PER_MILLI),
        _ => {
            let allowed = format!("1 to {MILLIS_MAX} milliseconds (a hundred years)");
            Err(InvalidParameter::new(parameter, millis, allowed))
        }
    }
}

/// So many in a time, neither of them zero and not more than one per nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    pub(super) count: u64,
    pub(super) period: Nanos,
}

impl Rate {
    pub(super) fn new(limit: i64, period_millis: i64) -> Result<Rate, InvalidParameter> {
        let rate =
            Rate { count: checked_count("limit", limit)?, period: checked_span("period", period_millis)? };
        if rate.count > rate.period {
            let value = format!("{} per {period_millis} ms", rate.count);
            return Err(InvalidParameter::new("rate", value, format!("at most {NANOS_PER_SECOND} a second")));
        }
        Ok(rate)
    }

    /// The time that one of them takes, rounded up to a nanosecond.
    pub(super) fn interval(self) -> Nanos {
        self.period.div_ceil(self.count)
    }
}

/// Refuses parameters that only a bucket has whose state counts time.
pub(super) fn without_on_change(algorithm: &str, parameters: Parameters) -> Result<(), InvalidParameter> {
    if parameters.on_change.is_some() {
        let allowed = format!("none with {algorithm}, which keeps what it has counted");
        return Err(InvalidParameter::new("on_change", "given", allowed));
    }
    Ok(())
}

/// Refuses parameters that only a bucket has.
pub(super) fn without_bucket(algorithm: &str, parameters: Parameters) -> Result<(), InvalidParameter> {
    if let Some(burst) = parameters.burst {
        let allowed = format!("none with {algorithm}: its limit says it all");
        return Err(InvalidParameter::new("burst", burst, allowed));
    }
    without_on_change(algorithm, parameters)
}
