//! RL.POLICY: making, showing and removing policies while the server runs.

use std::sync::Arc;

use quartet_protocol::resp::Output;
use serde_json::Value;

use super::words::{Words, text};
use super::{change, no_such_policy};
use crate::command::{Call, Command, Handler};
use crate::limit::algorithm::OnChange;
use crate::limit::budget::OnFull;
use crate::limit::calendar::Unit;
use crate::limit::definition::{BlockAfterDefinition, Definition, LimitDefinition, OnExpiry, Scope};
use crate::limit::operation::Change;
use crate::limit::policy::Policy;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "rl.policy",
    summary: "A container for the commands that make and show policies of the rate limiter.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "set",
            syntax: "policy <JSON definition | ALGO algorithm LIMIT limit <PERIOD period | WINDOW <MINUTE | HOUR | DAY | WEEK | MONTH | YEAR> [ZONE zone]> [BURST burst] \
                     [ONCHANGE <RESCALE | KEEP | RESET>] [NAME name] [GLOBAL] \
                     [ALGO algorithm LIMIT limit <PERIOD period | WINDOW <MINUTE | HOUR | DAY | WEEK | MONTH | YEAR> [ZONE zone]> [BURST burst] \
                     [ONCHANGE <RESCALE | KEEP | RESET>] [NAME name] [GLOBAL] ...] [SHADOW] \
                     [ONEXPIRY <KEEP | REFUND>] [MAXKEYS count] [ONFULL <SHARE | ALLOW | REFUSE>] \
                     [BLOCKAFTER refusals WITHIN milliseconds FOR milliseconds] [ALLOW pattern [ALLOW pattern ...]] [DENY pattern [DENY pattern ...]]>",
            summary: "Makes or replaces a policy with one or several limits: gcra, sliding, log, fixed, leaky, \
                      concurrency or refill, each with a period in milliseconds. GLOBAL counts all keys together. SHADOW \
                      allows the requests that the policy would refuse, and counts them. JSON takes the definition that \
                      PUT /policies/{name} takes, with overrides for some keys.",
            complexity: "O(N) where N is the number of policies.",
            handler: Handler::Data(set),
            ..super::ROW
        },
        Command {
            name: "get",
            syntax: "policy",
            summary: "Returns the definition of a policy, or null if there is none.",
            handler: Handler::Data(get),
            ..super::ROW
        },
        Command {
            name: "del",
            syntax: "policy [policy ...]",
            summary: "Removes policies and returns how many there were. Their counters expire by themselves.",
            complexity: "O(N) where N is the number of policies.",
            handler: Handler::Data(del),
            ..super::ROW
        },
        Command {
            name: "list",
            summary: "Returns the names of all policies.",
            complexity: "O(N) where N is the number of policies.",
            handler: Handler::Data(list),
            ..super::ROW
        },
        Command { handler: Handler::Data(help), ..super::HELP },
    ],
    ..super::ROW
}];

fn set(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let name = text("policy", call.arguments.at(2))?;
    let mut words = Words::new(call.arguments.from(3));
    let definition = if words.accept(b"JSON") { from_json(&mut words)? } else { from_words(&mut words)? };
    change(call, Change::SetPolicy { name, definition })?;
    call.output.ok();
    Ok(())
}

fn from_json(words: &mut Words<'_>) -> Result<Definition, Refusal> {
    let definition = words.value()?;
    words.end()?;
    serde_json::from_slice(definition).map_err(|error| {
        let error = error.to_string().escape_debug().to_string();
        Refusal::new(format!("ERR the definition is not valid: {error}"))
    })
}

/// A limit, as far as it has been read.
struct Stated {
    algorithm: String,
    name: Option<String>,
    limit: Option<i64>,
    period: Option<i64>,
    window: Option<Unit>,
    zone: Option<String>,
    burst: Option<i64>,
    on_change: Option<OnChange>,
    scope: Scope,
}

fn from_words(words: &mut Words<'_>) -> Result<Definition, Refusal> {
    let mut definition = Definition::default();
    let mut limits: Vec<Stated> = Vec::new();
    while let Some(word) = words.next() {
        let limit = limits.last_mut().ok_or(Refusal::SYNTAX);
        match word.to_ascii_uppercase().as_slice() {
            b"ALGO" => limits.push(Stated {
                algorithm: text("algorithm", words.value()?)?.to_owned(),
                name: None,
                limit: None,
                period: None,
                window: None,
                zone: None,
                burst: None,
                on_change: None,
                scope: Scope::Key,
            }),
            b"LIMIT" => limit?.limit = Some(words.integer()?),
            b"PERIOD" => limit?.period = Some(words.integer()?),
            b"WINDOW" => limit?.window = Some(unit(words.value()?)?),
            b"ZONE" => limit?.zone = Some(text("zone", words.value()?)?.to_owned()),
            b"BURST" => limit?.burst = Some(words.integer()?),
            b"ONCHANGE" if words.accept(b"RESCALE") => limit?.on_change = Some(OnChange::Rescale),
            b"ONCHANGE" if words.accept(b"KEEP") => limit?.on_change = Some(OnChange::Keep),
            b"ONCHANGE" if words.accept(b"RESET") => limit?.on_change = Some(OnChange::Reset),
            b"NAME" => limit?.name = Some(text("name", words.value()?)?.to_owned()),
            b"GLOBAL" => limit?.scope = Scope::Global,
            b"SHADOW" => definition.shadow = true,
            b"ONEXPIRY" if words.accept(b"KEEP") => definition.on_expiry = OnExpiry::Keep,
            b"ONEXPIRY" if words.accept(b"REFUND") => definition.on_expiry = OnExpiry::Refund,
            b"MAXKEYS" => {
                let most = u64::try_from(words.integer()?);
                definition.max_keys = Some(most.map_err(|_| Refusal::NOT_AN_INTEGER)?);
            }
            b"ONFULL" if words.accept(b"SHARE") => definition.on_full = OnFull::Share,
            b"ONFULL" if words.accept(b"ALLOW") => definition.on_full = OnFull::Allow,
            b"ONFULL" if words.accept(b"REFUSE") => definition.on_full = OnFull::Refuse,
            b"BLOCKAFTER" => {
                let refusals = words.integer()?;
                let within_ms = words.integer_after(b"WITHIN")?;
                let for_ms = words.integer_after(b"FOR")?;
                definition.block_after = Some(BlockAfterDefinition { refusals, within_ms, for_ms });
            }
            b"ALLOW" => definition.allow.push(text("pattern", words.value()?)?.to_owned()),
            b"DENY" => definition.deny.push(text("pattern", words.value()?)?.to_owned()),
            _ => return Err(Refusal::syntax_at(word)),
        }
    }
    definition.limits = limits.into_iter().map(complete).collect::<Result<_, _>>()?;
    Ok(definition)
}

/// A unit of the calendar, in upper or lower case.
fn unit(word: &[u8]) -> Result<Unit, Refusal> {
    let word = String::from_utf8_lossy(word).to_ascii_lowercase();
    serde_json::from_value(Value::String(word))
        .map_err(|_| Refusal::new("ERR a window is one of MINUTE, HOUR, DAY, WEEK, MONTH and YEAR"))
}

fn complete(stated: Stated) -> Result<LimitDefinition, Refusal> {
    let missing = |word: &str| Refusal::new(format!("ERR a limit needs {word}"));
    Ok(LimitDefinition {
        name: stated.name,
        algorithm: stated.algorithm,
        limit: stated.limit.ok_or_else(|| missing("LIMIT"))?,
        period_ms: match stated.window {
            Some(_) => stated.period.unwrap_or(0),
            None => stated.period.ok_or_else(|| missing("PERIOD"))?,
        },
        window: stated.window,
        zone: stated.zone,
        burst: stated.burst,
        on_change: stated.on_change,
        scope: stated.scope,
    })
}

fn get(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let Some(policy) = call.services.limits.policies.get(call.arguments.at(2)) else {
        call.output.null();
        return Ok(());
    };
    let definition = serde_json::to_value(policy.definition());
    write_json(call.output, &definition.expect("a definition is text, numbers and lists"));
    Ok(())
}

/// Writes objects as maps, and true and false as 1 and 0.
fn write_json(output: &mut Output, value: &Value) {
    match value {
        Value::Null => output.null(),
        Value::Bool(value) => output.integer(i64::from(*value)),
        Value::Number(number) => output.integer(number.as_i64().unwrap_or_default()),
        Value::String(text) => output.bulk(text.as_bytes()),
        Value::Array(items) => {
            output.array(items.len());
            items.iter().for_each(|item| write_json(output, item));
        }
        Value::Object(fields) => {
            output.map(fields.len());
            for (name, value) in fields {
                output.bulk(name.as_bytes());
                write_json(output, value);
            }
        }
    }
}

fn del(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let names = call.arguments.from(2).iter().collect();
    let removed = change(call, Change::RemovePolicies { names })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let policies = call.services.limits.policies.list();
    call.output.array(policies.len());
    for policy in policies {
        call.output.bulk(policy.name().as_bytes());
    }
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "DEL <policy> [<policy> ...]",
        "    Remove policies. Their counters expire by themselves.",
        "GET <policy>",
        "    Return the definition of a policy.",
        "LIST",
        "    Return the names of all policies.",
        "SET <policy> ALGO <algorithm> LIMIT <limit> PERIOD <milliseconds> [<option> ...]",
        "    Make or replace a policy. The algorithms are gcra, sliding, log, fixed, leaky,",
        "    concurrency and refill. In place of PERIOD, fixed takes a window of the calendar:",
        "    WINDOW <MINUTE|HOUR|DAY|WEEK|MONTH|YEAR> [ZONE <zone>].",
        "    Options of a limit: BURST <burst>, NAME <name>, GLOBAL, and",
        "    ONCHANGE <RESCALE|KEEP|RESET>, which says what a new rate does to used tokens.",
        "    Another ALGO begins another limit. Options of the policy: SHADOW,",
        "    ONEXPIRY <KEEP|REFUND>, ALLOW <pattern>, DENY <pattern>, MAXKEYS <count>, and",
        "    ONFULL <SHARE|ALLOW|REFUSE> for keys without a counter when there is no room.",
        "    To block keys that are refused often:",
        "    BLOCKAFTER <count> WITHIN <milliseconds> FOR <milliseconds>.",
        "SET <policy> JSON <definition>",
        "    The same from the definition that PUT /policies/{name} takes.",
    ]);
    Ok(())
}

/// The policy of a name, which must exist, or all policies.
pub(super) fn named_or_all(call: &Call<'_, '_>, name: Option<&[u8]>) -> Result<Vec<Arc<Policy>>, Refusal> {
    let policies = &call.services.limits.policies;
    match name {
        Some(name) => Ok(vec![policies.get(name).ok_or_else(|| no_such_policy(name))?]),
        None => Ok(policies.list()),
    }
}
