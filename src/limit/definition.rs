//! The definition of a policy, as people write it: in the body of a request, in the file of settings, or in a command.

use serde::{Deserialize, Serialize};

use super::algorithm::{self, FixedWindow, InvalidParameter, Limit, OnChange, Parameters, checked_span};
use super::budget::OnFull;
use super::calendar::{Calendar, Unit};
use super::violations::BlockAfter;

/// The highest number of refusals before a block.
const REFUSALS_MAX: u32 = 1_000_000;

/// The definition of a policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Policy, example = json!({"limits": [{"algorithm": "gcra", "limit": 100, "period_ms": 60000}]}))]
pub struct Definition {
    /// The limits.  A check takes from all of them, or from none.
    #[schema(min_items = 1, max_items = 16)]
    pub limits: Vec<LimitDefinition>,
    /// Shadow mode: the policy counts the requests that it would refuse, and allows them.
    #[serde(default)]
    pub shadow: bool,
    /// What happens to a reservation that is neither committed nor cancelled in time.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// The most keys that have counters at a time, by the limit with the longest period.  Without it only the memory for
    /// counters is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_keys: Option<u64>,
    /// What happens to keys without a counter when there is no room for one: they share one counter (`share`), are allowed
    /// and not counted (`allow`), or are refused (`refuse`).
    #[serde(default)]
    pub on_full: OnFull,
    /// When to block a key that is refused often; a block holds under every policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_after: Option<BlockAfterDefinition>,
    /// Other limits for some keys, in place of those with the scope `key`.  The first pattern that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Keys that are never limited: addresses, networks (`10.0.0.0/8`), or patterns with `*`, `?` and `[a-z]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Keys that are always refused, written in the same way.  `deny` goes before `allow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// One limit of a policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Limit)]
pub struct LimitDefinition {
    /// The name of the limit in answers, for example `user`: letters, digits, `_`, `-` and `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The algorithm: gcra, sliding, log, fixed, leaky, concurrency or refill.
    #[schema(examples("gcra"))]
    pub algorithm: String,
    /// How many are allowed per period.
    #[schema(minimum = 1, examples(100))]
    pub limit: i64,
    /// The period in milliseconds; with concurrency the lease of a slot.  Required without `window`.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 1, examples(60_000))]
    pub period_ms: i64,
    /// Windows of the calendar in place of a period, with fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Unit>,
    /// The time zone of the calendar, by its IANA name; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(examples("Europe/Berlin"))]
    pub zone: Option<String>,
    /// How many at once, with gcra, leaky and refill; as many as `limit` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<i64>,
    /// What happens to used tokens when this limit gets another rate or burst, with gcra and leaky: rescale (as many stay
    /// used, but no more than the burst; the default), keep (it takes as long as before until all are back) or reset (all
    /// are back at once).  The other algorithms keep their counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,
    /// Which keys share a counter.
    #[serde(default)]
    pub scope: Scope,
}

/// When a key that is refused often is blocked, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BlockAfter)]
pub struct BlockAfterDefinition {
    /// The number of refusals by the policy's limits.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub refusals: i64,
    /// The milliseconds within which they come, from the first of them on.
    #[schema(minimum = 1)]
    pub within_ms: i64,
    /// The milliseconds of the block.
    #[schema(minimum = 1)]
    pub for_ms: i64,
}

impl BlockAfterDefinition {
    /// The rule, ready for use.
    ///
    /// # Errors
    /// If a value is not allowed.
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

/// Which keys share a counter of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each key has its own counter.
    #[default]
    Key,
    /// All keys share one counter.
    Global,
}

/// What happens to a reservation that is not ended in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnExpiry {
    /// The reserved cost counts as used.
    #[default]
    Keep,
    /// The reserved cost is given back.
    Refund,
}

/// Other limits for some keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The keys: an address, a network or a pattern, as in `allow`.
    pub key: String,
    /// The limits for these keys: as many as the policy has with the scope `key`, in their place.
    pub limits: Vec<LimitDefinition>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Definition {
    /// The definition as JSON, from which it can be read again.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a definition is text, numbers and lists")
    }
}

impl LimitDefinition {
    /// A limit per key, without a name.
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

    /// The same limit for all keys together.
    pub fn global(self) -> LimitDefinition {
        LimitDefinition { scope: Scope::Global, ..self }
    }

    /// The limit if its windows are those of a calendar.
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

    /// The limit, ready for use.
    ///
    /// # Errors
    /// If a value is not allowed.
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
