//! The same random requests to Quartet in this process and to a peer: the replies must be equal.
//!
//! `QUARTET_SEED=7` plays one sequence, `QUARTET_SEQUENCES=1000` more of them, `QUARTET_LONG=1` a million requests for each type of
//! value, or the sequences that are asked for, `QUARTET_LONG=1 QUARTET_TYPE=hash` those for one type.  A failure prints its seed and
//! the sequence as a transcript.  Sequences take turns in the protocol and in how their bytes are cut into writes.
//! Valkey is asked what redis-server lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quartet::catalog::command_table;
use quartet::clock::{Clock, Now};
use quartet::command::{Command, Group, Row};
use quartet::random::Random;

use super::comparison::{self, Plan, in_order, is, is_unordered};
use super::grow;
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

/// One in so many requests asks how a key is kept.
const ENCODING_ODDS: usize = 25;

/// How long a command waits that finds nothing, and a little more.
const WAIT: Duration = Duration::from_millis(20);

/// Sequences for each type of value in a long run: a million requests.
const LONG_SEQUENCES: u64 = 12_500;

/// Newest versions whose commands the peers have.
const REDIS_VERSION: (u32, u32) = (7, 0);
const VALKEY_VERSION: (u32, u32) = (7, 2);

/// Newer commands that Valkey has too.
const OF_VALKEY: &[&str] = &[
    "hexpire",
    "hpexpire",
    "hexpireat",
    "hpexpireat",
    "hpersist",
    "httl",
    "hpttl",
    "hexpiretime",
    "hpexpiretime",
    "hgetex",
    "hsetex",
    "hgetdel",
    "delifeq",
];

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
const NEWER_REFUSALS: &[(&str, &str, &str)] = &[
    ("lpos", "-9223372036854775808", "7.2 refuses a rank whose opposite is no integer"),
    (
        "hpexpireat",
        "9223372036854775807",
        "Redis refuses a time beyond its range, also for a key that is not there",
    ),
];

/// Commands whose replies are not comparable, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[];

/// Commands whose integer replies depend on the moments at which a deadline was set and asked for, with the milliseconds of their
/// unit.  A transaction may hold any of them.
const TIMES: &[(&str, u64)] = &[
    ("ttl", 1_000),
    ("expiretime", 1_000),
    ("pttl", 1),
    ("pexpiretime", 1),
    ("httl", 1_000),
    ("hexpiretime", 1_000),
    ("hpttl", 1),
    ("hpexpiretime", 1),
    ("exec", 1),
];

/// Integers below this are no times: those of the requests are larger.
const LEAST_TIME: i64 = 500;

#[test]
fn random_sequences_are_answered_as_redis_answers() {
    compare(Peer::Redis, GROUPS, TYPES);
}

#[test]
fn random_sequences_are_answered_as_valkey_answers() {
    // Commands with deadlines of fields are few among all others.
    compare(Peer::Valkey, &TYPES[1], TYPES);
}

fn compare(peer: Peer, groups: &[Group], types: &[[Group; 3]]) {
    let Some(server) = PeerServer::start(peer) else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_long = std::env::var_os("QUARTET_LONG").is_some();
    let sequences = if is_long { LONG_SEQUENCES } else { SEQUENCES };
    let seeds = match number("QUARTET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("QUARTET_SEQUENCES").unwrap_or(sequences),
    };
    if !is_long {
        return seeds.for_each(|seed| play(seed, groups, (peer, &server)));
    }
    let wanted = std::env::var("QUARTET_TYPE").ok();
    for groups in types {
        let name = format!("{:?}", groups[0]).to_lowercase();
        if wanted.as_ref().is_none_or(|wanted| *wanted == name) {
            seeds.clone().for_each(|seed| play(seed, groups, (peer, &server)));
        }
    }
}

/// Plays one sequence to both.
fn play(seed: u64, groups: &[Group], (peer, server): (Peer, &PeerServer)) {
    let table = command_table();
    let commands: Vec<&Command> =
        table.commands().filter(|row| is_comparable(row, groups, peer)).map(|row| row.command).collect();
    let mut random = Random::with_seed(seed);
    let mut times = Times::new();
    let quartet = Target::InProcess(InProcessTarget::starting_at(server.wall_time()));
    times.note_answer();
    let way = Way::ALL[(seed % 3) as usize];
    let heading = format!("QUARTET_SEED={seed} of {groups:?} makes a difference ({way:?})");
    let mut both = Both {
        quartet,
        peer: server.target(),
        times,
        way,
        said: heading,
        name: peer.name(),
        has_own_texts: peer == Peer::Valkey,
    };
    if seed / 3 % 2 == 1 {
        for client in CLIENTS {
            both.ask(client, &[vec![b"HELLO".to_vec(), b"3".to_vec()]]);
        }
    }
    let mut in_transaction = [false; CLIENTS.len()];
    for _ in 0..RUNS {
        let client = random.below(CLIENTS.len());
        let mut together: Vec<Vec<Vec<u8>>> = Vec::new();
        for _ in 0..1 + random.below(2 * RUN_LENGTH - 1) {
            let mut words = match random.below(ENCODING_ODDS) {
                // Within a transaction nothing tells it from other replies.
                0 if !in_transaction[client] => {
                    vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), grow::key(&mut random)]
                }
                _ => grow::request(commands[random.below(commands.len())], peer, &mut random),
            };
            comparison::adapt(&mut words, peer);
            if is_refused_by_newer(&words) {
                continue;
            }
            let plan = comparison::plan(&words, in_transaction[client], peer);
            in_transaction[client] = stays_in_transaction(&words, in_transaction[client]);
            match plan {
                Plan::LeftOut => {}
                Plan::Together => together.push(words),
                plan => {
                    both.compare(CLIENTS[client], &std::mem::take(&mut together));
                    both.compare_alone(CLIENTS[client], &words, plan);
                }
            }
        }
        both.compare(CLIENTS[client], &together);
    }
}

/// Whether a client is in a transaction after a request.
fn stays_in_transaction(words: &[Vec<u8>], is_in: bool) -> bool {
    match words.len() {
        1 if is(&words[0], "multi") => true,
        1 if is(&words[0], "discard") => false,
        // One that is refused ends it too.
        _ if is(&words[0], "exec") => false,
        _ => is_in,
    }
}

/// Both servers, with what was said to them.
struct Both {
    quartet: Target,
    peer: Target,
    times: Times,
    way: Way,
    said: String,
    /// The peer's.
    name: &'static str,
    /// The peer refuses in words of its own, since Valkey has brought commands by itself and changed the texts of others.
    has_own_texts: bool,
}

/// How far replies may differ.
#[derive(Clone, Copy)]
struct Leeway {
    /// Of times.
    time: i64,
    /// Texts of errors behind their codes.
    texts: bool,
}

impl Both {
    /// The replies of both.
    fn ask(&mut self, client: char, requests: &[Vec<Vec<u8>>]) -> [Vec<Received>; 2] {
        let writes = writes(requests, self.way);
        let writes: Vec<&[u8]> = writes.iter().map(Vec::as_slice).collect();
        self.quartet.advance(self.times.since_last_run());
        let replies = [&mut self.quartet, &mut self.peer].map(|target| {
            target.send(client, &writes);
            let replies = target.receive(&Expected::from([(client, requests.len())])).remove(&client);
            replies.unwrap_or_default()
        });
        self.times.note_answer();
        replies
    }

    /// The reply of one of them to one request.
    fn ask_one(target: &mut Target, client: char, words: &[Vec<u8>]) -> Option<Received> {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        target.send(client, &[&bytes]);
        target.receive(&Expected::from([(client, 1)])).remove(&client)?.pop()
    }

    /// Says requests in one go and compares their replies.
    fn compare(&mut self, client: char, requests: &[Vec<Vec<u8>>]) {
        if requests.is_empty() {
            return;
        }
        let [ours, theirs] = self.ask(client, requests);
        for (place, words) in requests.iter().enumerate() {
            self.note(client, words);
            let (ours, theirs) = (ours.get(place), theirs.get(place));
            let leeway = Leeway { time: self.times.slack(&words[0]), texts: self.has_own_texts };
            self.assert(are_equal(words, ours, theirs, leeway), ours, theirs);
        }
    }

    /// Says a request that is compared in a way of its own.
    fn compare_alone(&mut self, client: char, words: &[Vec<u8>], plan: Plan) {
        self.note(client, words);
        let request = words.to_vec();
        match plan {
            Plan::Together | Plan::LeftOut => unreachable!("it is not alone"),
            Plan::Picks { asks } => {
                let [ours, theirs] = self.ask(client, &[request]);
                self.compare_picks(client, words, asks, (ours.first(), theirs.first()));
            }
            Plan::Pops => self.compare_pops(client, words),
            Plan::Walks { parts } => {
                let [mut ours, mut theirs] = self.ask(client, &[request]);
                let found = [(&mut self.quartet, ours.pop()), (&mut self.peer, theirs.pop())]
                    .map(|(target, first)| walked(target, client, words, parts, first));
                let [ours, theirs] = &found;
                self.assert_same(ours.as_ref(), theirs.as_ref());
            }
            Plan::Dumps => {
                let [ours, theirs] = self.ask(client, &[request]);
                let (ours, theirs) = (ours.first(), theirs.first());
                let (
                    Some(Received::Value(Value::Bulk(our_payload))),
                    Some(Received::Value(Value::Bulk(payload))),
                ) = (ours, theirs)
                else {
                    return self.assert_same(ours, theirs);
                };
                let restore = |payload: &[u8]| {
                    [&b"RESTORE"[..], &words[1], b"0", payload, b"REPLACE"].map(<[u8]>::to_vec)
                };
                let [ours, theirs] = [(&mut self.quartet, payload), (&mut self.peer, our_payload)]
                    .map(|(target, payload)| Both::ask_one(target, client, &restore(payload)));
                // Valkey does not read the form of Redis 7.4, the first in which fields expire.
                let is_foreign = self.name == Peer::Valkey.name() && comparison::is_of_redis_7_4(our_payload);
                let theirs = if is_foreign { ours.clone() } else { theirs };
                let is_restored = |received: &Option<Received>| matches!(received, Some(Received::Value(Value::Simple(text))) if text == b"OK");
                self.assert(is_restored(&ours) && is_restored(&theirs), ours.as_ref(), theirs.as_ref());
            }
            Plan::Lexical { key } => {
                let key = words.get(key).cloned().unwrap_or_default();
                let all = [&b"ZRANGE"[..], &key, b"0", b"-1", b"WITHSCORES"].map(<[u8]>::to_vec);
                let found = Both::ask_one(&mut self.quartet, client, &all);
                if comparison::scores(found.as_ref())
                    .is_none_or(|scores| scores.iter().all(|score| *score == scores[0]))
                {
                    self.compare(client, &[words.to_vec()]);
                }
            }
            Plan::Waits => {
                let mut bytes = Vec::new();
                encode(words, &mut bytes);
                self.quartet.advance(self.times.since_last_run());
                let [ours, theirs] = [&mut self.quartet, &mut self.peer].map(|target| {
                    target.send(client, &[&bytes]);
                    let expected = Expected::from([(client, 1)]);
                    let mut replies = target.receive(&expected).remove(&client).unwrap_or_default();
                    if replies.is_empty() {
                        target.advance(WAIT);
                        self.times.ahead += WAIT;
                        replies = target.receive(&expected).remove(&client).unwrap_or_default();
                    }
                    replies.pop()
                });
                self.times.note_answer();
                self.assert_same(ours.as_ref(), theirs.as_ref());
            }
        }
    }

    /// What is picked at random has the right number of elements, and all of them are there.
    fn compare_picks(
        &mut self,
        client: char,
        words: &[Vec<u8>],
        asks: &str,
        (ours, theirs): (Option<&Received>, Option<&Received>),
    ) {
        let (Some(Received::Value(our_value)), Some(Received::Value(value))) = (ours, theirs) else {
            return self.assert_same(ours, theirs);
        };
        if !matches!(our_value, Value::Error(_)) {
            self.assert(comparison::are_alike(our_value, value), ours, theirs);
        } else {
            self.assert_same(ours, theirs);
        }
        let picked = comparison::picked(words, our_value);
        if picked.is_empty() {
            return;
        }
        let is_distinct = BTreeSet::from_iter(&picked).len() == picked.len();
        self.assert(is_distinct || comparison::count(words).is_none(), ours, theirs);
        let key = words.get(1).cloned();
        let ask: Vec<_> = [asks.as_bytes().to_vec()].into_iter().chain(key).chain(picked).collect();
        let there = Both::ask_one(&mut self.peer, client, &ask);
        let are_there = matches!(&there, Some(Received::Value(value)) if comparison::are_there(value));
        self.assert(are_there, ours, there.as_ref());
    }

    /// What Quartet pops at random is removed from the peer too.
    fn compare_pops(&mut self, client: char, words: &[Vec<u8>]) {
        let ours = Both::ask_one(&mut self.quartet, client, words);
        let popped = match &ours {
            Some(Received::Value(value)) => comparison::picked(&words[..2.min(words.len())], value),
            _ => Vec::new(),
        };
        if popped.is_empty() {
            let theirs = Both::ask_one(&mut self.peer, client, words);
            return self.assert_same(ours.as_ref(), theirs.as_ref());
        }
        let card = Both::ask_one(&mut self.peer, client, &[b"SCARD".to_vec(), words[1].clone()]);
        let remove: Vec<_> =
            [b"SREM".to_vec(), words[1].clone()].into_iter().chain(popped.iter().cloned()).collect();
        let removed = Both::ask_one(&mut self.peer, client, &remove);
        let is_right = match (&card, &removed) {
            (Some(Received::Value(Value::Integer(card))), Some(Received::Value(Value::Integer(removed)))) => {
                let asked = if words.len() > 2 { comparison::count(words).unwrap_or(0) } else { 1 };
                let expected = asked.min(*card as usize);
                *removed as usize == expected && popped.len() == expected
            }
            _ => false,
        };
        self.assert(is_right, ours.as_ref(), removed.as_ref());
    }

    fn note(&mut self, client: char, words: &[Vec<u8>]) {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        self.said += &format!("\n{client}: {}", quoted.join(" "));
    }

    fn assert_same(&self, ours: Option<&Received>, theirs: Option<&Received>) {
        let leeway = Leeway { time: 0, texts: self.has_own_texts };
        self.assert(are_equal(&[Vec::new()], ours, theirs, leeway), ours, theirs);
    }

    fn assert(&self, is_right: bool, ours: Option<&Received>, theirs: Option<&Received>) {
        let (said, name) = (&self.said, self.name);
        assert!(is_right, "{said}\nQuartet: {}\n{name}: {}", written(ours), written(theirs));
    }
}

/// Walks to the end after the first page; all parts that were found, each once, or what was answered instead of a page.
fn walked(
    target: &mut Target,
    client: char,
    words: &[Vec<u8>],
    parts: usize,
    first: Option<Received>,
) -> Option<Received> {
    let (mut found, mut received) = (BTreeMap::new(), first);
    let place = if is(&words[0], "scan") { 1 } else { 2 };
    let parts = if words.iter().any(|word| is(word, "novalues")) { 1 } else { parts };
    loop {
        let Some(Received::Value(Value::Array(page))) = &received else { return received };
        let [Value::Bulk(cursor), Value::Array(elements)] = page.as_slice() else { return received };
        found.extend(elements.chunks(parts).map(|part| (part[0].lines(), Value::Array(part.to_vec()))));
        if cursor == b"0" {
            return Some(Received::Value(Value::Array(found.into_values().collect())));
        }
        let mut words = words.to_vec();
        words[place] = cursor.clone();
        received = Both::ask_one(target, client, &words);
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

fn is_comparable(row: &Row, groups: &[Group], peer: Peer) -> bool {
    let newest = if peer == Peer::Valkey { VALKEY_VERSION } else { REDIS_VERSION };
    let known = {
        let mut numbers = row.command.since.split('.').map(str::parse::<u32>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) <= newest)
    };
    let known = known || peer == Peer::Valkey && OF_VALKEY.contains(&row.name.as_str());
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
    /// How far Quartet's clock has advanced for commands that wait, while that of Redis has not yet.
    ahead: Duration,
}

impl Times {
    fn new() -> Times {
        let clock = Clock::machine();
        Times { set: clock.now(), clock, longest_millis: 0, ahead: Duration::ZERO }
    }

    /// How far Quartet's clock has to advance.
    fn since_last_run(&mut self) -> Duration {
        let now = self.clock.now();
        let passed = Duration::from_micros(now.micros() - self.set.micros());
        self.set = now;
        let advance = passed.saturating_sub(self.ahead);
        self.ahead = self.ahead.saturating_sub(passed);
        advance
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
fn are_equal(words: &[Vec<u8>], ours: Option<&Received>, theirs: Option<&Received>, leeway: Leeway) -> bool {
    match (ours, theirs) {
        (Some(Received::Value(ours)), Some(Received::Value(theirs))) if is_unordered(words) => {
            values_are_equal(&in_order(ours), &in_order(theirs), leeway)
        }
        (Some(Received::Value(ours)), Some(Received::Value(theirs))) => {
            values_are_equal(ours, theirs, leeway) || are_encodings_of_one(words, ours, theirs)
        }
        (ours, theirs) => ours == theirs,
    }
}

/// Encodings that differ: Quartet's, a peer's, and why.
const ENCODINGS: &[(&str, &str, &str)] = &[
    ("listpack", "quicklist", "Redis keeps short lists in a listpack since 7.2"),
    ("listpack", "hashtable", "Redis keeps small sets in a listpack since 7.2"),
    ("listpack", "skiplist", "Redis' SORT makes a skiplist of the sorted set that it sorts"),
    ("int", "embstr", "Redis does not look whether the sum of INCRBYFLOAT is an integer"),
];

fn are_encodings_of_one(words: &[Vec<u8>], ours: &Value, theirs: &Value) -> bool {
    let is = |value: &Value, name: &str| matches!(value, Value::Bulk(bytes) if bytes == name.as_bytes());
    words[0] == b"OBJECT" && ENCODINGS.iter().any(|(our, their, _)| is(ours, our) && is(theirs, their))
}

fn values_are_equal(ours: &Value, theirs: &Value, leeway: Leeway) -> bool {
    match (ours, theirs) {
        // Small integers are counts, and what Redis says of keys without deadline.
        (Value::Integer(ours), Value::Integer(theirs)) if leeway.time > 0 && *theirs >= LEAST_TIME => {
            ours.abs_diff(*theirs) <= leeway.time.unsigned_abs()
        }
        (Value::Array(ours), Value::Array(theirs)) | (Value::Set(ours), Value::Set(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| values_are_equal(ours, theirs, leeway))
        }
        (Value::Error(ours), Value::Error(theirs)) if leeway.texts => code(ours) == code(theirs),
        // Redis 7.0 writes such a score with an exponent, 7.2 with all its digits.
        (Value::Bulk(ours), Value::Bulk(theirs)) if ours != theirs => is_one_large_number(ours, theirs),
        (Value::Double(ours), Value::Double(theirs)) if ours != theirs => {
            is_one_large_number(ours.as_bytes(), theirs.as_bytes())
        }
        _ => ours == theirs,
    }
}

/// The code of an error: its first word.
fn code(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b' ').next().unwrap_or_default()
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
