//! A policy as a person writes it: in a request's body, in the file of settings, or in a command.

use serde::{Deserialize, Serialize};

use super::algorithm::{self, FixedWindow, InvalidParameter, Limit, OnChange, Parameters, checked_span};
use super::budget::OnFull;
use super::calendar::{Calendar, Unit};
use super::violations::BlockAfter;

/// The most refusals after which a key is blocked.
const REFUSALS_MAX: u32 = 1_000_000;

/// What a policy says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Policy)]
pub struct Definition {
    /// The limits; a request must fit all of them, or it takes from none.
    #[schema(min_items = 1, max_items = 16)]
    pub limits: Vec<LimitDefinition>,
    /// Only counts what it would refuse, and lets it through.
    #[serde(default)]
    pub shadow: bool,
    /// What becomes of a reservation that is neither committed nor cancelled in time.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// The most keys that have counters at a time, of the limit with the longest period; without it only the memory for all
    /// counters bounds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_keys: Option<u64>,
    /// What becomes of keys without a counter when there is no room for one: they share one counter (`share`), are let
    /// through without being counted (`allow`), or are refused (`refuse`).
    #[serde(default)]
    pub on_full: OnFull,
    /// Blocks keys that are refused often, under every policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_after: Option<BlockAfterDefinition>,
    /// Other limits for some keys, in place of those that count per key; the first pattern that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Keys that are never limited: addresses, networks such as `10.0.0.0/8`, or else patterns with `*`, `?` and `[a-z]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Keys that are always refused, in the same way; they go before `allow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// One limit of a policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Limit)]
pub struct LimitDefinition {
    /// What it is called in answers, such as `user` or `global`; letters, digits, `_`, `-` and `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// gcra, sliding, log, fixed, leaky, concurrency or refill.
    #[schema(examples("gcra"))]
    pub algorithm: String,
    /// How many are allowed.
    #[schema(minimum = 1, examples(100))]
    pub limit: i64,
    /// In how many milliseconds; with concurrency how long a slot is leased.  It is needed unless `window` is there.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 1, examples(60_000))]
    pub period_ms: i64,
    /// With fixed, in place of a period: windows of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Unit>,
    /// The time zone of the calendar, as the IANA names it; UTC unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("Europe/Berlin"))]
    pub zone: Option<String>,
    /// How many at once, with gcra, leaky and refill; else as many as `limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<i64>,
    /// With gcra and leaky, what becomes of what is used up when this limit gets another rate or burst: rescale (as many
    /// stay used up, but no more than the burst; the default), keep (it takes as long as before until all are back) or
    /// reset (all are back at once).  The other algorithms keep what they have counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,
    /// What is counted together.
    #[serde(default)]
    pub scope: Scope,
}

/// When a key is blocked that is refused often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BlockAfter)]
pub struct BlockAfterDefinition {
    /// After so many refusals by the policy's limits.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub refusals: i64,
    /// In so many milliseconds from the first of them on.
    #[schema(minimum = 1)]
    pub within_ms: i64,
    /// For so many milliseconds.
    #[schema(minimum = 1)]
    pub for_ms: i64,
}

impl BlockAfterDefinition {
    /// What it says, ready for use.
    ///
    /// # Errors
    /// Which value is not allowed, and what is.
    pub fn build(&self) -> Result<BlockAfter, InvalidParameter> {
        let refusals = u32::try_from(self.refusals).ok().filter(|count| (1..=REFUSALS_MAX).contains(count));
        let refusals = refusals.ok_or_else(|| InvalidParameter {
            parameter: "refusals",
            value: self.refusals.to_string(),
            allowed: format!("1 to {REFUSALS_MAX}"),
        })?;
        let within = checked_span("within_ms", self.within_ms)?;
        Ok(BlockAfter { refusals, within, span: checked_span("for_ms", self.for_ms)? })
    }
}

/// What a limit counts together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every key has a counter of its own.
    #[default]
    Key,
    /// All keys share one counter.
    Global,
}

/// What becomes of a reservation that nobody ended in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnExpiry {
    /// What was reserved counts as used.
    #[default]
    Keep,
    /// What was reserved is given back.
    Refund,
}

/// Other limits for some keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Which keys: an address, a network, or else a pattern, as in `allow`.
    pub key: String,
    /// As many limits as the policy has that count per key, to be used in their place.
    pub limits: Vec<LimitDefinition>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Definition {
    /// The definition as JSON, which it can be read from again.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a definition is text, numbers and lists")
    }
}

impl LimitDefinition {
    /// A limit per key without a name.
    pub fn new(algorithm: &str, parameters: Parameters) -> LimitDefinition {
        LimitDefinition {
            name: None,
            algorithm: algorithm.to_owned(),
            limit: parameters.limit,
            period_ms: parameters.period_millis,
            window: None,
            zone: None,
            burst: parameters.burst,
            on_change: parameters.on_change,
            scope: Scope::Key,
        }
    }

    /// The same for all keys together.
    pub fn global(self) -> LimitDefinition {
        LimitDefinition { scope: Scope::Global, ..self }
    }

    /// What it decides by if its windows are those of a calendar.
    fn of_calendar(&self) -> Result<Option<Limit>, InvalidParameter> {
        let unfit = |parameter, value: String, allowed: &str| {
            let allowed = allowed.to_owned();
            Err(InvalidParameter { parameter, value, allowed })
        };
        let Some(unit) = self.window else {
            return match &self.zone {
                Some(zone) => unfit("zone", zone.escape_debug().to_string(), "none without a window"),
                None => Ok(None),
            };
        };
        if !self.algorithm.eq_ignore_ascii_case("fixed") {
            return unfit("window", "given".to_owned(), "one with the algorithm fixed");
        }
        if self.period_ms != 0 {
            return unfit("period_ms", self.period_ms.to_string(), "none beside a window");
        }
        if self.burst.is_some() || self.on_change.is_some() {
            return unfit("window", "given".to_owned(), "neither burst nor on_change beside it");
        }
        let calendar = Calendar::new(unit, self.zone.as_deref())?;
        FixedWindow::of_calendar(self.limit, calendar).map(|window| Some(window.limit()))
    }

    /// What it decides by.
    ///
    /// # Errors
    /// Which value is not allowed, and what is.
    pub fn build(&self) -> Result<Limit, InvalidParameter> {
        let Some(row) = algorithm::find(self.algorithm.as_bytes()) else {
            let names: Vec<&str> = algorithm::ALGORITHMS.iter().map(|row| row.name).collect();
            return Err(InvalidParameter {
                parameter: "algorithm",
                value: self.algorithm.escape_debug().to_string(),
                allowed: names.join(", "),
            });
        };
        if let Some(limit) = self.of_calendar()? {
            return Ok(limit);
        }
        let parameters = Parameters {
            limit: self.limit,
            period_millis: self.period_ms,
            burst: self.burst,
            on_change: self.on_change,
        };
        (row.build)(parameters)
    }
}
