//! What the server answers, read from both versions of the Redis protocol.

use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::{Error, Result};

/// A resource was granted.
pub(crate) struct Grant {
    pub(crate) token: u64,
    /// What was left of the lease when the server answered; nothing with a session.
    pub(crate) left: Option<Duration>,
    /// How long the request has waited in the server.
    pub(crate) waited: Duration,
}

/// What a limiter has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// How much the limit allows.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// When a retry succeeds if nobody else takes anything; nothing if it is allowed, or never will be.
    pub retry_after: Option<Duration>,
    /// When all is back.
    pub reset_after: Duration,
    /// The limit that decided; nothing if the request stated its limit.
    pub policy: Option<String>,
    /// Whether a policy in shadow mode would have refused it.
    pub shadow: bool,
    /// How long to wait before going on, which spaces requests evenly; only the algorithm `leaky` asks for it.
    pub delay: Duration,
    /// How much was taken.
    pub taken: u64,
}

impl Decision {
    /// The decision, or an error if it is a refusal.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`].
    pub fn allowed(self) -> Result<Decision> {
        if self.allowed { Ok(self) } else { Err(Error::RateLimited(self)) }
    }

    /// The headers of a response over HTTP, as Quartet itself writes them: RateLimit and, if it is refused, Retry-After.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let name = self.policy.as_deref().unwrap_or("limit");
        let wait = self.retry_after.unwrap_or(self.reset_after);
        let seconds = wait.as_millis().div_ceil(1000);
        let mut headers = vec![
            ("ratelimit-policy", format!("\"{name}\";q={}", self.limit)),
            ("ratelimit", format!("\"{name}\";r={};t={seconds}", self.remaining)),
        ];
        if self.retry_after.is_some() {
            headers.push(("retry-after", seconds.to_string()));
        }
        headers
    }
}

/// The elements of a decision in their order, as the second version of the protocol has them without names.
const DECISION: [&str; 8] =
    ["allowed", "limit", "remaining", "retry_after_ms", "reset_after_ms", "policy", "shadow", "delay_ms"];

/// A reply as names and values.
pub(crate) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Of a map, or of a list with names and values in turn.
    fn paired(reply: Value) -> Result<Fields> {
        Ok(Fields(redis::from_redis_value(reply).map_err(redis::RedisError::from)?))
    }

    /// Of a map, or of a list in the order of these names.
    fn listed<'a>(reply: Value, names: impl Iterator<Item = &'a str>) -> Result<Fields> {
        match reply {
            Value::Array(values) => Ok(Fields(names.map(str::to_owned).zip(values).collect())),
            other => Fields::paired(other),
        }
    }

    pub(crate) fn get<T: FromRedisValue>(&self, name: &str) -> Result<T> {
        let found = self.0.iter().find(|(other, _)| other == name);
        let value = found.map_or(Value::Nil, |(_, value)| value.clone());
        Ok(redis::from_redis_value(value).map_err(redis::RedisError::from)?)
    }

    fn time(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_millis(self.get(name)?))
    }
}

/// The reply of LOCK.ACQUIRE.
pub(crate) fn grant(reply: Value) -> Result<Option<Grant>> {
    if reply == Value::Nil {
        return Ok(None);
    }
    let fields = Fields::paired(reply)?;
    let left: Option<u64> = fields.get("ttl_ms")?;
    Ok(Some(Grant {
        token: fields.get("fence")?,
        left: left.map(Duration::from_millis),
        waited: fields.time("waited_ms")?,
    }))
}

/// The reply of a check for this cost, with further elements before and behind it.
pub(crate) fn decision(
    reply: Value,
    cost: u64,
    before: &[&str],
    after: &[&str],
) -> Result<(Decision, Fields)> {
    let names = before.iter().chain(&DECISION).chain(after).copied();
    let fields = Fields::listed(reply, names)?;
    let allowed = fields.get::<i64>("allowed")? == 1;
    let retry: i64 = fields.get("retry_after_ms")?;
    let taken: Option<u64> = fields.get("taken")?;
    let decision = Decision {
        allowed,
        limit: fields.get("limit")?,
        remaining: fields.get("remaining")?,
        retry_after: u64::try_from(retry).ok().map(Duration::from_millis),
        reset_after: fields.time("reset_after_ms")?,
        policy: fields.get("policy")?,
        shadow: fields.get::<i64>("shadow")? == 1,
        delay: fields.time("delay_ms")?,
        taken: taken.unwrap_or(if allowed { cost } else { 0 }),
    };
    Ok((decision, fields))
}
