//! The same random requests to Quartet in this process and to redis-server: the replies must be equal.
//!
//! `QUARTET_SEED=7` plays one sequence, `QUARTET_SEQUENCES=1000` more of them, `QUARTET_LONG=1` a million requests for each type of
//! value, or the sequences that are asked for, `QUARTET_LONG=1 QUARTET_TYPE=hash` those for one type.  A failure prints its seed and
//! the sequence as a transcript.  Sequences take turns in the protocol and in how their bytes are cut into writes.

use std::time::Duration;

use quartet::catalog::command_table;
use quartet::clock::{Clock, Now};
use quartet::command::{Command, Group, Row};
use quartet::random::Random;

use super::grow::request;
use super::peer::PeerServer;
use crate::transcripts::arguments::{encode, quote};
use crate::transcripts::format::Peer;
use crate::transcripts::in_process::InProcessTarget;
use crate::transcripts::reply::Value;
use crate::transcripts::runner::Way;
use crate::transcripts::target::{Expected, Received, Target};

/// Sequences played when nobody asks for more.
const SEQUENCES: u64 = 60;

/// The clients of a sequence.
const CLIENTS: [char; 2] = ['a', 'b'];

/// How often a sequence has one of its clients send some requests together.
const RUNS: usize = 20;

/// How many, in the middle.
const RUN_LENGTH: usize = 4;

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

/// Commands whose integer replies depend on the moments at which a deadline was set and asked for, with the milliseconds of their
/// unit.  A transaction may hold any of them.
const TIMES: &[(&str, u64)] =
    &[("ttl", 1_000), ("expiretime", 1_000), ("pttl", 1), ("pexpiretime", 1), ("exec", 1)];

/// Integers below this are no times: those of the requests are larger.
const LEAST_TIME: i64 = 500;

#[test]
fn random_sequences_are_answered_as_redis_answers() {
    let Some(server) = PeerServer::start(Peer::Redis) else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_long = std::env::var_os("QUARTET_LONG").is_some();
    let sequences = if is_long { LONG_SEQUENCES } else { SEQUENCES };
    let seeds = match number("QUARTET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("QUARTET_SEQUENCES").unwrap_or(sequences),
    };
    if !is_long {
        return seeds.for_each(|seed| play(seed, GROUPS, &server));
    }
    let wanted = std::env::var("QUARTET_TYPE").ok();
    for groups in TYPES {
        let name = format!("{:?}", groups[0]).to_lowercase();
        if wanted.as_ref().is_none_or(|wanted| *wanted == name) {
            seeds.clone().for_each(|seed| play(seed, groups, &server));
        }
    }
}

/// Plays one sequence to both.
fn play(seed: u64, groups: &[Group], server: &PeerServer) {
    let table = command_table();
    let commands: Vec<&Command> =
        table.commands().filter(|row| is_comparable(row, groups)).map(|row| row.command).collect();
    let mut random = Random::with_seed(seed);
    let mut times = Times::new();
    let mut quartet = Target::InProcess(InProcessTarget::starting_at(server.wall_time()));
    times.note_answer();
    let mut redis = server.target();
    let way = Way::ALL[(seed % 3) as usize];
    if seed / 3 % 2 == 1 {
        for target in [&mut quartet, &mut redis] {
            for client in CLIENTS {
                target.send(client, &[b"HELLO 3\r\n"]);
                target.receive(&Expected::from([(client, 1)]));
            }
        }
    }
    let mut said = String::new();
    for _ in 0..RUNS {
        let client = CLIENTS[random.below(CLIENTS.len())];
        let requests: Vec<_> = (0..1 + random.below(2 * RUN_LENGTH - 1))
            .map(|_| request(commands[random.below(commands.len())], &mut random))
            .filter(|words| !is_refused_by_newer(words))
            .collect();
        let writes = writes(&requests, way);
        let writes: Vec<&[u8]> = writes.iter().map(Vec::as_slice).collect();
        quartet.advance(times.since_last_run());
        let [ours, theirs] = [&mut quartet, &mut redis].map(|target| {
            target.send(client, &writes);
            let replies = target.receive(&Expected::from([(client, requests.len())])).remove(&client);
            replies.unwrap_or_default()
        });
        times.note_answer();
        for (place, words) in requests.iter().enumerate() {
            let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
            said += &format!("{client}: {}\n", quoted.join(" "));
            let (ours, theirs) = (ours.get(place), theirs.get(place));
            assert!(
                are_equal(&words[0], ours, theirs, times.slack(&words[0])),
                "QUARTET_SEED={seed} of {groups:?} makes a difference ({way:?})\n{said}Quartet: {}\nRedis:   {}",
                written(ours),
                written(theirs),
            );
        }
    }
}

/// The bytes of some requests, cut into writes.
fn writes(requests: &[Vec<Vec<u8>>], way: Way) -> Vec<Vec<u8>> {
    let encoded = requests.iter().map(|words| {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        bytes
    });
    match way {
        Way::CommandPerWrite => encoded.collect(),
        Way::Pipelined => vec![encoded.flatten().collect()],
        Way::BytePerWrite => encoded.flatten().map(|byte| vec![byte]).collect(),
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

/// How far apart the moments may be at which the two servers have met a request.  Quartet's clock is set before requests are sent,
/// and Redis, whose clock goes on, has met them when it has answered.
struct Times {
    clock: Clock,
    /// When Quartet's clock was set.
    set: Now,
    /// The longest that an answer took.
    longest_millis: u64,
}

impl Times {
    fn new() -> Times {
        let clock = Clock::machine();
        Times { set: clock.now(), clock, longest_millis: 0 }
    }

    /// How far Quartet's clock has to advance.
    fn since_last_run(&mut self) -> Duration {
        let now = self.clock.now();
        let passed = Duration::from_micros(now.micros() - self.set.micros());
        self.set = now;
        passed
    }

    /// Both have answered, or Redis has told its time.
    fn note_answer(&mut self) {
        let millis = (self.clock.now().micros() - self.set.micros()).div_ceil(1_000);
        self.longest_millis = self.longest_millis.max(millis);
    }

    /// How much integers in the reply of a command may differ: the clocks by what it took to tell the time, the deadline by what it took
    /// to set it, what is left by what it took to ask, and one for what is rounded.
    fn slack(&self, command: &[u8]) -> i64 {
        let unit = TIMES.iter().find(|(name, _)| command.eq_ignore_ascii_case(name.as_bytes()));
        unit.map_or(0, |(_, millis)| 1 + (3 * self.longest_millis).div_ceil(*millis) as i64)
    }
}

/// Whether two servers' replies are the same, as far as they can be, with times that differ by no more than the slack.
fn are_equal(command: &[u8], ours: Option<&Received>, theirs: Option<&Received>, slack: i64) -> bool {
    let is_unordered = UNORDERED.iter().any(|name| command.eq_ignore_ascii_case(name.as_bytes()));
    match (ours, theirs) {
        (Some(Received::Value(ours)), Some(Received::Value(theirs))) if is_unordered => {
            values_are_equal(&in_order(ours), &in_order(theirs), slack)
        }
        (Some(Received::Value(ours)), Some(Received::Value(theirs))) => values_are_equal(ours, theirs, slack),
        (ours, theirs) => ours == theirs,
    }
}

/// The same with the strings of each array and set in their order.
fn in_order(value: &Value) -> Value {
    let (Value::Array(items) | Value::Set(items)) = value else { return value.clone() };
    let is_set = matches!(value, Value::Set(_));
    let mut items: Vec<Value> = items.iter().map(in_order).collect();
    if items.iter().all(|item| matches!(item, Value::Bulk(_))) {
        items.sort_by_key(|item| item.lines());
    }
    if is_set { Value::Set(items) } else { Value::Array(items) }
}

fn values_are_equal(ours: &Value, theirs: &Value, slack: i64) -> bool {
    match (ours, theirs) {
        // Small integers are counts, and what Redis says of keys without deadline.
        (Value::Integer(ours), Value::Integer(theirs)) if slack > 0 && *theirs >= LEAST_TIME => {
            ours.abs_diff(*theirs) <= slack.unsigned_abs()
        }
        (Value::Array(ours), Value::Array(theirs)) | (Value::Set(ours), Value::Set(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| values_are_equal(ours, theirs, slack))
        }
        // Redis 7.0 writes such a score with an exponent, 7.2 with all its digits.
        (Value::Bulk(ours), Value::Bulk(theirs)) if ours != theirs => is_one_large_number(ours, theirs),
        (Value::Double(ours), Value::Double(theirs)) if ours != theirs => {
            is_one_large_number(ours.as_bytes(), theirs.as_bytes())
        }
        _ => ours == theirs,
    }
}

fn is_one_large_number(ours: &[u8], theirs: &[u8]) -> bool {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    number(ours).is_some_and(|ours| ours.abs() > 1e17 && number(theirs) == Some(ours))
}

fn written(received: Option<&Received>) -> String {
    match received {
        Some(Received::Value(value)) => value.lines().join("\n         "),
        Some(Received::Closed) => "(closed)".to_owned(),
        None => "(nothing)".to_owned(),
    }
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
