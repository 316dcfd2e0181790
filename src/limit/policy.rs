//! A policy ready for use: checked, with the names of its counters.

use smallvec::SmallVec;
use std::sync::Arc;

use super::address::Network;
use super::algorithm::{InvalidParameter, Limit, Nanos};
use super::budget::{Fallback, OnFull};
use super::definition::{Definition, LimitDefinition, OnExpiry, Scope};
use super::pattern::{Pattern, host_of};
use super::statistics::Statistics;
use super::violations::BlockAfter;

/// The most limits of a policy.
pub const LIMITS_MAX: usize = 16;

/// The most patterns in a list, and the most overrides: a check looks at each of them.
pub const PATTERNS_MAX: usize = 1000;

/// The longest pattern and the longest key of a client, in bytes.
pub const KEY_LENGTH_MAX: usize = 1024;

/// The longest name of a policy or a limit, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;

/// The most keys that `max_keys` may allow: the largest integer that every client can send.
const KEYS_MAX: u64 = i64::MAX as u64;

/// The key of a counter in the store.  Most need no allocation.
pub type CounterName = SmallVec<[u8; 48]>;

/// The beginning of every counter's key.
const COUNTER_PREFIX: &str = "rl:";

/// See the head of the file.
///
/// Its counters are keys of the store that read well in SCAN.  `rl:api:alice` is the counter of the key `alice` under the
/// first limit of the policy `api`, if that has no name; `rl:api/burst:alice` its counter under the limit `burst`; and
/// `rl:api/global` the one counter of the limit `global`, which counts all keys.  Names contain neither `:` nor `/`.
#[derive(Debug)]
pub struct Policy {
    name: Box<str>,
    definition: Definition,
    parts: Box<[Part]>,
    overrides: Box<[Exception]>,
    /// The limit per key with the longest window: its counters tell how many keys there are.
    counted_part: usize,
    allow: Box<[Pattern]>,
    deny: Box<[Pattern]>,
    block_after: Option<BlockAfter>,
    /// Counts of its decisions.
    pub statistics: Arc<Statistics>,
}

/// One limit of a policy.
#[derive(Debug)]
pub struct Part {
    /// Its name in answers: the name of the policy, or with several limits both names with a slash between.
    pub name: Box<str>,
    /// Which keys share a counter.
    pub scope: Scope,
    /// The limit.
    pub limit: Limit,
    /// The beginning of its counters' keys, or the whole key of its only counter.
    counter: Box<[u8]>,
}

#[derive(Debug)]
struct Exception {
    pattern: Pattern,
    limits: Box<[Limit]>,
}

/// Whether a key is on a list of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listed {
    /// On none.
    No,
    /// It is never limited.
    Allowed,
    /// It is always refused.
    Denied,
}

impl Policy {
    /// The policy of a name and a definition.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn new(
        name: &str,
        definition: Definition,
        statistics: Arc<Statistics>,
    ) -> Result<Policy, InvalidParameter> {
        check_name("policy", name)?;
        check_length("limits", definition.limits.len(), 1, LIMITS_MAX)?;
        for (list, length) in [
            ("overrides", definition.overrides.len()),
            ("allow", definition.allow.len()),
            ("deny", definition.deny.len()),
        ] {
            check_length(list, length, 0, PATTERNS_MAX)?;
        }
        let patterns =
            |list: &[String]| list.iter().map(|pattern| Pattern::parse(pattern.as_bytes())).collect();
        let (allow, deny): (Result<_, _>, Result<_, _>) =
            (patterns(&definition.allow), patterns(&definition.deny));
        let parts = parts(name, &definition.limits)?;
        let per_key = parts.iter().filter(|part| part.scope == Scope::Key).count();
        let overrides: Result<_, _> = definition
            .overrides
            .iter()
            .map(|other| {
                check_length("the number of limits of an override", other.limits.len(), per_key, per_key)?;
                for name in other.limits.iter().filter_map(|limit| limit.name.as_ref()) {
                    check_name("the name of a limit", name)?;
                }
                let limits: Result<_, _> = other.limits.iter().map(LimitDefinition::build).collect();
                Ok(Exception { pattern: Pattern::parse(other.key.as_bytes())?, limits: limits? })
            })
            .collect();
        if let Some(most) = definition.max_keys.filter(|most| !(1..=KEYS_MAX).contains(most)) {
            let allowed = format!("from 1 to {KEYS_MAX}");
            return Err(InvalidParameter { parameter: "max_keys", value: most.to_string(), allowed });
        }
        let block_after = definition.block_after.map(|rule| rule.build()).transpose()?;
        let keyed = parts.iter().enumerate().filter(|(_, part)| part.scope == Scope::Key);
        let longest = keyed.max_by_key(|(_, part)| part.limit.window());
        let counted_part = longest.map_or(0, |(index, _)| index);
        Ok(Policy {
            name: name.into(),
            parts,
            overrides: overrides?,
            allow: allow?,
            deny: deny?,
            counted_part,
            block_after,
            definition,
            statistics,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its definition.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Its limits.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it only counts the requests that it would refuse.
    pub fn is_shadow(&self) -> bool {
        self.definition.shadow
    }

    /// The limit whose counters tell how many keys it has.
    pub fn counted_part(&self) -> usize {
        self.counted_part
    }

    /// The beginning of the keys of that limit's counters; none if it counts all keys together.
    pub fn counted_prefix(&self) -> Option<&[u8]> {
        let part = &self.parts[self.counted_part];
        (part.scope == Scope::Key).then_some(&*part.counter)
    }

    /// Whether it has as many keys as it may have.
    pub fn is_full(&self) -> bool {
        self.definition.max_keys.is_some_and(|most| self.statistics.keys() >= most)
    }

    /// What happens to a key without a counter of this limit when there is no room for one; none if all keys share its
    /// counter anyway.
    pub fn fallback(&self, part: usize) -> Option<Fallback> {
        let part = &self.parts[part];
        if part.scope == Scope::Global {
            return None;
        }
        Some(match self.definition.on_full {
            // It is the counter of the empty key, which no client has.
            OnFull::Share => Fallback::Shared(CounterName::from_slice(&part.counter)),
            OnFull::Allow => Fallback::Allowed,
            OnFull::Refuse => Fallback::Refused,
        })
    }

    /// What happens to a reservation that is not ended in time.
    pub fn on_expiry(&self) -> OnExpiry {
        self.definition.on_expiry
    }

    /// Counts a refusal of a key by its limits.  Returns for how long the key is to be blocked, if it is.
    pub fn block_after(&self, key: &[u8], now: Nanos) -> Option<Nanos> {
        let rule = self.block_after.as_ref()?;
        self.statistics.violations.count(key, rule, now).then_some(rule.span)
    }

    /// Whether it blocks keys that are refused often.
    pub fn blocks(&self) -> bool {
        self.block_after.is_some()
    }

    /// Whether it has lists of its own.
    pub fn has_lists(&self) -> bool {
        !self.allow.is_empty() || !self.deny.is_empty()
    }

    /// Whether a key is on one of its lists; `host` is the key's host if the key is an address.
    pub fn listed(&self, key: &[u8], host: Option<Network>) -> Listed {
        let on = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches(key, host));
        match () {
            () if on(&self.deny) => Listed::Denied,
            () if on(&self.allow) => Listed::Allowed,
            () => Listed::No,
        }
    }

    /// The limits of a key, each with the key of its counter in the store.
    pub fn limits_of(&self, key: &[u8]) -> impl Iterator<Item = (usize, Limit, CounterName)> {
        let host = if self.overrides.is_empty() { None } else { host_of(key) };
        let exception = self.overrides.iter().find(|other| other.pattern.matches(key, host));
        let mut instead = exception.map(|exception| exception.limits.iter());
        self.parts.iter().enumerate().map(move |(index, part)| {
            let mut counter = CounterName::from_slice(&part.counter);
            if part.scope == Scope::Global {
                return (index, part.limit, counter);
            }
            counter.extend_from_slice(key);
            let other = instead.as_mut().and_then(Iterator::next);
            (index, other.copied().unwrap_or(part.limit), counter)
        })
    }
}

fn parts(policy: &str, definitions: &[LimitDefinition]) -> Result<Box<[Part]>, InvalidParameter> {
    let mut parts: Vec<Part> = Vec::with_capacity(definitions.len());
    for (index, definition) in definitions.iter().enumerate() {
        let limit = definition.build()?;
        let own = match &definition.name {
            Some(name) => {
                check_name("the name of a limit", name)?;
                Some(name.clone())
            }
            None if definition.scope == Scope::Global => Some("global".to_owned()),
            None if index == 0 => None,
            None => Some((index + 1).to_string()),
        };
        let full = own.map_or_else(|| policy.to_owned(), |own| format!("{policy}/{own}"));
        let end = if definition.scope == Scope::Key { ":" } else { "" };
        if parts.iter().any(|part| *part.name == *full) {
            let allowed = "another name for each limit".to_owned();
            return Err(InvalidParameter { parameter: "the name of a limit", value: full, allowed });
        }
        parts.push(Part {
            counter: format!("{COUNTER_PREFIX}{full}{end}").into_bytes().into(),
            name: full.into(),
            scope: definition.scope,
            limit,
        });
    }
    Ok(parts.into())
}

/// Checks a client's key.
///
/// # Errors
/// If it is empty, as if no client was named, or too long.
pub fn checked_key(key: &[u8]) -> Result<&[u8], InvalidParameter> {
    if (1..=KEY_LENGTH_MAX).contains(&key.len()) {
        return Ok(key);
    }
    let value = if key.is_empty() { "empty".to_owned() } else { format!("{} bytes long", key.len()) };
    Err(InvalidParameter { parameter: "key", value, allowed: format!("1 to {KEY_LENGTH_MAX} bytes") })
}

/// The key in the store of the counter of a limit that a request states itself.
pub fn inline_counter(key: &[u8]) -> CounterName {
    // Policies have names, so none of their counters begins with this.
    let mut counter = CounterName::from_slice(COUNTER_PREFIX.as_bytes());
    counter.push(b':');
    counter.extend_from_slice(key);
    counter
}

fn check_name(what: &'static str, name: &str) -> Result<(), InvalidParameter> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if fits && (1..=NAME_LENGTH_MAX).contains(&name.len()) {
        return Ok(());
    }
    let value = name.chars().take(NAME_LENGTH_MAX).collect::<String>().escape_debug().to_string();
    let allowed = format!("1 to {NAME_LENGTH_MAX} letters, digits, _, - and .");
    Err(InvalidParameter { parameter: what, value, allowed })
}

fn check_length(
    what: &'static str,
    length: usize,
    least: usize,
    most: usize,
) -> Result<(), InvalidParameter> {
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let allowed = if least == most { least.to_string() } else { format!("{least} to {most}") };
    Err(InvalidParameter { parameter: what, value: length.to_string(), allowed })
}
