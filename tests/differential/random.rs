//! The same random requests to Quartet in this process and to redis-server: the replies must be equal.
//!
//! `QUARTET_SEED=7` plays one sequence, `QUARTET_SEQUENCES=1000` more of them, `QUARTET_LONG=1` a million requests for each type of
//! value, or as many sequences as are asked for, `QUARTET_LONG=1 QUARTET_TYPE=hash` those for one type.  A failure prints its seed and
//! the sequence as a transcript.

use std::time::Duration;

use quartet::catalog::command_table;
use quartet::command::{Command, Group, Row};
use quartet::random::Random;

use super::grow::request;
use super::peer::PeerServer;
use crate::transcripts::arguments::{encode, quote};
use crate::transcripts::format::Peer;
use crate::transcripts::in_process::InProcessTarget;
use crate::transcripts::reply::Value;
use crate::transcripts::target::{Expected, Received, Target};

/// Sequences played when nobody asks for more.
const SEQUENCES: u64 = 60;

/// Requests in a sequence.
const SEQUENCE_LENGTH: usize = 80;

/// Sequences for each type of value in a long run: a million requests.
const LONG_SEQUENCES: u64 = 12_500;

/// Newest version whose commands redis-server 7.0 has.
const KNOWN_VERSION: (u32, u32) = (7, 0);

/// Families of which random requests make sense.
const GROUPS: &[Group] = &[
    Group::Generic,
    Group::String,
    Group::Hash,
    Group::List,
    Group::Set,
    Group::SortedSet,
    Group::Transactions,
];

/// Types of values, each with what is said to it in a long run.
const TYPES: &[[Group; 3]] = &[
    [Group::String, Group::Generic, Group::Transactions],
    [Group::Hash, Group::Generic, Group::Transactions],
    [Group::List, Group::Generic, Group::Transactions],
    [Group::Set, Group::Generic, Group::Transactions],
    [Group::SortedSet, Group::Set, Group::Generic],
];

/// Requests that newer versions of Redis refuse: a command, an argument, and why.
const NEWER_REFUSALS: &[(&str, &str, &str)] =
    &[("lpos", "-9223372036854775808", "7.2 refuses a rank whose opposite is no integer")];

/// Commands whose replies are not comparable, or that would spoil the sequence, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("randomkey", "picks at random"),
    ("hrandfield", "picks at random"),
    ("hscan", "Redis takes negative cursors"),
    ("hincrbyfloat", "as INCRBYFLOAT"),
    ("dump", "the bytes of a payload are the server's own"),
    ("srandmember", "picks at random"),
    ("spop", "picks at random"),
    ("sscan", "Redis takes negative cursors"),
    ("zrandmember", "picks at random"),
    ("zscan", "Redis takes negative cursors"),
    ("zrank", "Redis 7.0 refuses further words in other words"),
    ("zrevrank", "as ZRANK"),
    ("scan", "its cursors and its order are the server's own"),
    ("keys", "its order is free"),
    ("wait", "waits for real"),
    ("sort", "the order of equal weights is free"),
    ("sort_ro", "as SORT"),
    ("blpop", "waits for real"),
    ("brpop", "waits for real"),
    ("blmpop", "waits for real"),
    ("blmove", "waits for real"),
    ("brpoplpush", "waits for real"),
    ("bzpopmin", "waits for real"),
    ("bzpopmax", "waits for real"),
    ("bzmpop", "waits for real"),
    ("incrbyfloat", "Redis computes with 80 bits; its digits have transcripts of their own"),
    ("object", "encodings and idle times are compared in transcripts"),
    ("lcs", "which of several longest matches is reported is compared in transcripts"),
];

/// Commands that reply with members in an order that is free, which may be among those of a transaction.
const UNORDERED: &[&str] = &["smembers", "sunion", "sinter", "sdiff", "exec"];

/// Commands whose integer replies depend on the moment of the call, with how far apart they may be.
const SLACK: &[(&str, i64)] = &[("ttl", 2), ("expiretime", 2), ("pttl", 2_000), ("pexpiretime", 2_000)];

#[test]
fn random_sequences_are_answered_as_redis_answers() {
    let Some(server) = PeerServer::start(Peer::Redis) else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("QUARTET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("QUARTET_SEQUENCES").unwrap_or(SEQUENCES),
    };
    if std::env::var_os("QUARTET_LONG").is_none() {
        return seeds.for_each(|seed| play(seed, GROUPS, &server));
    }
    let sequences = number("QUARTET_SEQUENCES").unwrap_or(LONG_SEQUENCES);
    let wanted = std::env::var("QUARTET_TYPE").ok();
    for groups in TYPES {
        let name = format!("{:?}", groups[0]).to_lowercase();
        if wanted.as_ref().is_none_or(|wanted| *wanted == name) {
            (0..sequences).for_each(|seed| play(seed, groups, &server));
        }
    }
}

/// Plays one sequence to both.
fn play(seed: u64, groups: &[Group], server: &PeerServer) {
    let table = command_table();
    let commands: Vec<&Command> =
        table.commands().filter(|row| is_comparable(row, groups)).map(|row| row.command).collect();
    let mut random = Random::with_seed(seed);
    let mut quartet = Target::InProcess(InProcessTarget::starting_at(server.wall_time()));
    let mut redis = server.target();
    let mut said = String::new();
    for _ in 0..SEQUENCE_LENGTH {
        let client = if random.below(5) == 0 { 'b' } else { 'a' };
        let words = request(commands[random.below(commands.len())], &mut random);
        if is_refused_by_newer(&words) {
            continue;
        }
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        said += &format!("{client}: {}\n", quoted.join(" "));
        let mut bytes = Vec::new();
        encode(&words, &mut bytes);
        let answers = [&mut quartet, &mut redis].map(|target| {
            target.send(client, &[&bytes]);
            target.receive(&Expected::from([(client, 1)])).remove(&client).unwrap_or_default()
        });
        let [ours, theirs] = &answers;
        assert!(
            are_equal(&words[0], ours, theirs),
            "QUARTET_SEED={seed} of {groups:?} makes a difference\n{said}Quartet: {}\nRedis:   {}",
            written(ours),
            written(theirs),
        );
    }
}

fn is_refused_by_newer(words: &[Vec<u8>]) -> bool {
    NEWER_REFUSALS.iter().any(|(command, argument, _)| {
        words[0].eq_ignore_ascii_case(command.as_bytes())
            && words.iter().any(|word| word.as_slice() == argument.as_bytes())
    })
}

fn is_comparable(row: &Row, groups: &[Group]) -> bool {
    let known = {
        let mut numbers = row.command.since.split('.').map(str::parse::<u32>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) <= KNOWN_VERSION)
    };
    let left_out = LEFT_OUT.iter().any(|(name, _)| *name == row.name);
    known && !left_out && groups.contains(&row.command.group) && row.subcommands.is_empty()
}

/// Whether two servers' replies are the same, as far as they can be.
fn are_equal(command: &[u8], ours: &[Received], theirs: &[Received]) -> bool {
    let own_slack = SLACK.iter().find(|(name, _)| command.eq_ignore_ascii_case(name.as_bytes()));
    // A transaction may hold any of them.
    let slack = match own_slack {
        Some((_, slack)) => *slack,
        None if command.eq_ignore_ascii_case(b"exec") => 2_000,
        None => 0,
    };
    let is_unordered = UNORDERED.iter().any(|name| command.eq_ignore_ascii_case(name.as_bytes()));
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|pair| match pair {
            (Received::Value(ours), Received::Value(theirs)) if is_unordered => {
                values_are_equal(&in_order(ours), &in_order(theirs), slack)
            }
            (Received::Value(ours), Received::Value(theirs)) => values_are_equal(ours, theirs, slack),
            (ours, theirs) => ours == theirs,
        })
}

/// The same with the strings of each array in their order.
fn in_order(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let mut items: Vec<Value> = items.iter().map(in_order).collect();
    if items.iter().all(|item| matches!(item, Value::Bulk(_))) {
        items.sort_by_key(|item| item.lines());
    }
    Value::Array(items)
}

fn values_are_equal(ours: &Value, theirs: &Value, slack: i64) -> bool {
    match (ours, theirs) {
        // Small integers are counts, and what Redis says of keys without deadline.
        (Value::Integer(ours), Value::Integer(theirs)) if theirs.saturating_abs() > slack => {
            ours.abs_diff(*theirs) <= slack.unsigned_abs()
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| values_are_equal(ours, theirs, slack))
        }
        // Redis 7.0 writes such a score with an exponent, 7.2 with all its digits.
        (Value::Bulk(ours), Value::Bulk(theirs)) if ours != theirs => {
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
            number(ours).is_some_and(|ours| ours.abs() > 1e17 && number(theirs) == Some(ours))
        }
        _ => ours == theirs,
    }
}

fn written(received: &[Received]) -> String {
    let lines = received.iter().flat_map(|received| match received {
        Received::Value(value) => value.lines(),
        Received::Closed => vec!["(closed)".to_owned()],
    });
    lines.collect::<Vec<_>>().join("\n         ")
}

impl PeerServer {
    /// The time on the peer's wall clock.
    fn wall_time(&self) -> Duration {
        let Target::Socket(mut control) = self.target() else { unreachable!("a peer is behind a socket") };
        let Value::Array(parts) = control.control("TIME") else { panic!("TIME answers an array") };
        let numbers: Vec<u64> = parts
            .iter()
            .map(|part| match part {
                Value::Bulk(digits) => String::from_utf8_lossy(digits).parse().expect("TIME answers numbers"),
                other => panic!("TIME answers {other:?}"),
            })
            .collect();
        Duration::from_secs(numbers[0]) + Duration::from_micros(numbers[1])
    }
}
