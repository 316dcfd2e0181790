//! What is compared of commands whose replies are not the same byte for byte: picks at random, walks, payloads, waits.
//!
//! A request that is compared in another way goes alone, outside of transactions, and what follows it makes both servers equal again.

use crate::transcripts::format::Peer;
use crate::transcripts::reply::Value;
use crate::transcripts::target::Received;

/// How a request is said and compared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Plan {
    /// With others, by its reply.
    Together,
    /// By the number of what was picked, and that all of it is there, as this command says.
    Picks { asks: &'static str },
    /// One server picks members, and the other one removes them.
    Pops,
    /// By what a whole walk finds, of which each part has so many elements.
    Walks { parts: usize },
    /// Each server restores what the other one dumps.
    Dumps,
    /// Together with others if all scores are the same, else not at all: the key, at this place, holds members in an order which
    /// such a command takes to be another.
    Lexical { key: usize },
    /// By what it answers once time has passed.
    Waits,
    /// Not at all.
    LeftOut,
}

/// Commands with a plan of their own, which holds outside of transactions; within one they are left out, but for those that wait,
/// since none waits there.
const PLANS: &[(&str, Plan)] = &[
    ("randomkey", Plan::Picks { asks: "exists" }),
    ("srandmember", Plan::Picks { asks: "smismember" }),
    ("hrandfield", Plan::Picks { asks: "hmget" }),
    ("zrandmember", Plan::Picks { asks: "zmscore" }),
    ("spop", Plan::Pops),
    ("scan", Plan::Walks { parts: 1 }),
    ("sscan", Plan::Walks { parts: 1 }),
    ("hscan", Plan::Walks { parts: 2 }),
    ("zscan", Plan::Walks { parts: 2 }),
    ("dump", Plan::Dumps),
    ("zlexcount", Plan::Lexical { key: 1 }),
    ("zrangebylex", Plan::Lexical { key: 1 }),
    ("zrevrangebylex", Plan::Lexical { key: 1 }),
    ("zremrangebylex", Plan::Lexical { key: 1 }),
    ("blpop", Plan::Waits),
    ("brpop", Plan::Waits),
    ("blmove", Plan::Waits),
    ("brpoplpush", Plan::Waits),
    ("bzpopmin", Plan::Waits),
    ("bzpopmax", Plan::Waits),
    ("blmpop", Plan::Waits),
    ("bzmpop", Plan::Waits),
];

/// Commands whose time to wait comes first; with the others it is the last word.
const TIMEOUT_FIRST: &[&str] = &["blmpop", "bzmpop"];

/// The time that commands wait which find nothing.
const TIMEOUT: &[u8] = b"0.01";

/// Commands that reply with elements in an order that is free, which may be among those of a transaction.
const UNORDERED: &[&str] = &["smembers", "sunion", "sinter", "sdiff", "keys", "sort", "sort_ro", "exec"];

/// Commands that abort a transaction of Valkey 9.1, and are refused only by Redis.
const ABORTING: &[&str] = &["multi", "watch"];

/// The plan for a request of a client that is in a transaction or not.
pub(super) fn plan(words: &[Vec<u8>], in_transaction: bool, peer: Peer) -> Plan {
    let aborts = ABORTING.iter().any(|name| is(&words[0], name));
    if in_transaction && peer == Peer::Valkey && aborts {
        return Plan::LeftOut;
    }
    let plan = PLANS.iter().find(|(name, _)| is(&words[0], name)).map_or(Plan::Together, |(_, plan)| *plan);
    let is_by_member = words.iter().any(|word| is(word, "bylex"));
    let plan = match plan {
        Plan::Together if is_by_member => {
            Plan::Lexical { key: 1 + usize::from(is(&words[0], "zrangestore")) }
        }
        plan => plan,
    };
    match plan {
        Plan::Waits | Plan::Together if in_transaction => Plan::Together,
        _ if in_transaction => Plan::LeftOut,
        plan => plan,
    }
}

/// Changes a request into one of which more can be compared.
pub(super) fn adapt(words: &mut Vec<Vec<u8>>, peer: Peer) {
    let name = String::from_utf8_lossy(&words[0]).to_lowercase();
    match name.as_str() {
        // Redis 7.0 refuses further words in other words.
        "zrank" | "zrevrank" if peer == Peer::Redis => words.truncate(3),
        // Which of several longest matches is reported is compared in transcripts.
        "lcs" if words.len() > 2 => {
            words.truncate(3);
            words.push(b"LEN".to_vec());
        }
        // There are no replicas to wait for, and 7.2 refuses a time that the clock does not reach.
        "wait" if words.len() == 3 => {
            let [count, millis] = [1, 2].map(|place| integer(&words[place]));
            if count.is_some_and(|count| count > 0) {
                words[1] = b"0".to_vec();
            }
            if millis == Some(i64::MAX) && peer == Peer::Redis {
                words[2] = b"1000".to_vec();
            }
        }
        "waitaof" if words.len() == 4 && integer(&words[2]).is_some_and(|count| count > 0) => {
            words[2] = b"0".to_vec();
        }
        // Valkey takes an option twice.
        "hgetex" | "hsetex" if peer == Peer::Valkey => {
            words.dedup_by(|word, before| word == before && (is(word, "persist") || is(word, "keepttl")));
        }
        "sort" | "sort_ro" => adapt_sort(words),
        // A walk begins at the start: Redis 7.0 takes negative cursors too, and none for 0.
        "scan" if words.len() > 1 => {
            begin_walk(&mut words[1]);
            name_types(words);
        }
        "hscan" | "sscan" | "zscan" if words.len() > 2 => begin_walk(&mut words[2]),
        _ if plan(words, false, peer) == Plan::Waits && words.len() > 1 => {
            let place = if TIMEOUT_FIRST.contains(&name.as_str()) { 1 } else { words.len() - 1 };
            if number(&words[place]).is_some_and(|seconds| seconds >= 0.0) {
                words[place] = TIMEOUT.to_vec();
            }
        }
        _ => {}
    }
}

/// The order of elements of equal weight is free, and so is which of them are within a limit.
fn adapt_sort(words: &mut Vec<Vec<u8>>) {
    if words.iter().any(|word| is(word, "by")) {
        for (option, length) in [("limit", 3), ("store", 2)] {
            while let Some(place) = words.iter().position(|word| is(word, option)) {
                words.drain(place..(place + length).min(words.len()));
            }
        }
    }
}

fn begin_walk(cursor: &mut Vec<u8>) {
    if cursor.is_empty() || std::str::from_utf8(cursor).is_ok_and(|text| text.parse::<i128>().is_ok()) {
        *cursor = b"0".to_vec();
    }
}

/// Valkey refuses types that it does not know, and Redis finds nothing.
fn name_types(words: &mut [Vec<u8>]) {
    const TYPES: [&str; 5] = ["string", "hash", "list", "set", "zset"];
    for place in 1..words.len() {
        if is(&words[place - 1], "type") {
            words[place] = TYPES[words[place].len() % TYPES.len()].as_bytes().to_vec();
        }
    }
}

/// What tells how many elements are asked for.
pub(super) fn count(words: &[Vec<u8>]) -> Option<usize> {
    std::str::from_utf8(words.get(2)?).ok()?.parse().ok()
}

/// The elements that a command has picked: its reply, or the first ones of its pairs.
pub(super) fn picked(words: &[Vec<u8>], reply: &Value) -> Vec<Vec<u8>> {
    let has_values = words.len() > 3;
    let bulk = |value: &Value| match value {
        Value::Bulk(bytes) => vec![bytes.clone()],
        Value::Array(pair) => match pair.first() {
            Some(Value::Bulk(bytes)) => vec![bytes.clone()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    match reply {
        Value::Bulk(bytes) => vec![bytes.clone()],
        Value::Array(items) | Value::Set(items) => {
            let is_flat = items.iter().all(|item| matches!(item, Value::Bulk(_)));
            let step = if has_values && is_flat { 2 } else { 1 };
            items.iter().step_by(step).flat_map(bulk).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a reply tells that all elements are there which were asked about.
pub(super) fn are_there(reply: &Value) -> bool {
    let is_there =
        |value: &Value| !matches!(value, Value::Integer(0) | Value::Nil | Value::Null | Value::Error(_));
    match reply {
        Value::Array(items) => items.iter().all(is_there),
        reply => is_there(reply),
    }
}

/// Whether two replies have the same shape: kinds and lengths.
pub(super) fn are_alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) | (Value::Set(ours), Value::Set(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| are_alike(ours, theirs))
        }
        (Value::Bulk(_), Value::Bulk(_)) | (Value::Double(_), Value::Double(_)) => true,
        (ours, theirs) => ours == theirs,
    }
}

/// Whether the order in the replies of a command is free.
pub(super) fn is_unordered(words: &[Vec<u8>]) -> bool {
    let is_sorted = words.iter().all(|word| !is(word, "by"));
    UNORDERED.iter().any(|name| is(&words[0], name) && !(name.starts_with("sort") && is_sorted))
}

/// A value with the elements of each array and set in their order.
pub(super) fn in_order(value: &Value) -> Value {
    let (Value::Array(items) | Value::Set(items)) = value else { return value.clone() };
    let mut items: Vec<Value> = items.iter().map(in_order).collect();
    if items.iter().all(|item| matches!(item, Value::Bulk(_) | Value::Nil | Value::Null)) {
        items.sort_by_key(|item| item.lines());
    }
    if matches!(value, Value::Set(_)) { Value::Set(items) } else { Value::Array(items) }
}

/// Whether a word is another one in small letters.
pub(super) fn is(word: &[u8], other: &str) -> bool {
    word.eq_ignore_ascii_case(other.as_bytes())
}

fn number(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Whether a payload is of the version that Redis 7.4 writes.
pub(super) fn is_of_redis_7_4(payload: &[u8]) -> bool {
    payload.len().checked_sub(10).is_some_and(|at| payload[at..at + 2] == [12, 0])
}

/// The scores in a reply with members and scores; none if it is no such reply.
pub(super) fn scores(received: Option<&Received>) -> Option<Vec<&Value>> {
    match received {
        // In RESP3 each member has an array of its own.
        Some(Received::Value(Value::Array(parts))) => match parts.first() {
            Some(Value::Array(_)) => parts
                .iter()
                .map(|part| if let Value::Array(pair) = part { pair.last() } else { None })
                .collect(),
            _ => Some(parts.iter().skip(1).step_by(2).collect()),
        },
        _ => None,
    }
}
