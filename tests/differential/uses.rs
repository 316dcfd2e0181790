//! What counts as use of a key: every command that names one, and whether an eviction policy takes it for an access.

use std::time::Duration;

use quartet::catalog::command_table;
use quartet::command::{Group, Keys};

use super::peer::PeerServer;
use crate::transcripts::arguments::{encode, split};
use crate::transcripts::format::Peer;
use crate::transcripts::in_process::InProcessTarget;
use crate::transcripts::reply::Value;
use crate::transcripts::target::{Expected, Received, Target};

/// Families whose every command that names a key must be in [`CASES`].
const GROUPS: &[Group] =
    &[Group::Generic, Group::String, Group::Hash, Group::List, Group::Set, Group::SortedSet];

/// What is there before each case; `moved` is in another database too.
const PREPARED: &[&str] = &[
    "FLUSHALL",
    "SELECT 1",
    "SET moved other",
    "SELECT 0",
    // Redis shares smaller numbers between keys, and their use.
    "SET key 100000",
    "SET moved value",
    "SET other value",
    "SET volatile value EX 1000",
    "HSET hash field 1 other 2",
    "RPUSH list 1 2 3",
    "RPUSH lists 1 2 3",
    "SADD set a b c",
    "SADD sets b c d",
    "ZADD sorted 1 a 2 b 3 c",
    "ZADD scored 1 a 2 b",
];

/// A command, the key asked about afterwards, and whether that key was used.
struct Case(&'static str, &'static str, bool);

const CASES: &[Case] = &[
    Case("GET key", "key", true),
    Case("SET key value", "key", true),
    Case("SET key value NX", "key", true),
    Case("SET key value XX", "key", true),
    Case("SET key value NX GET", "key", true),
    Case("SET key value KEEPTTL", "key", true),
    Case("SET key value XX EX 100", "key", true),
    Case("SETNX key value", "key", true),
    Case("SETEX key 100 value", "key", true),
    Case("PSETEX key 100000 value", "key", true),
    Case("GETSET key value", "key", true),
    Case("GETEX key", "key", true),
    Case("GETEX key EX 100", "key", true),
    Case("GETEX volatile PERSIST", "volatile", true),
    Case("GETPTTL key", "key", true),
    Case("GETDEL other", "key", false),
    Case("APPEND key 1", "key", true),
    Case("APPEND key ''", "key", true),
    Case("STRLEN key", "key", true),
    Case("SETRANGE key 0 1", "key", true),
    Case("SETRANGE key 0 ''", "key", true),
    Case("SETRANGE key 2000000000 1", "key", true),
    Case("GETRANGE key 0 -1", "key", true),
    Case("SUBSTR key 0 -1", "key", true),
    Case("INCR key", "key", true),
    Case("INCR other", "other", true),
    Case("DECR key", "key", true),
    Case("INCRBY key 2", "key", true),
    Case("INCRBY key 9223372036854775807", "key", true),
    Case("DECRBY key 2", "key", true),
    Case("INCRBYFLOAT key 0.5", "key", true),
    Case("INCRBYFLOAT other 0.5", "other", true),
    Case("INCREX key", "key", true),
    Case("INCREX key UBOUND 5", "key", true),
    Case("MGET key other", "key", true),
    Case("MSET key value other value", "other", true),
    Case("MSETNX key value new value", "key", true),
    Case("MSETNX new value key value", "key", true),
    Case("LCS key other", "other", true),
    Case("DELEX key IFEQ other", "key", true),
    Case("DELIFEQ key other", "key", true),
    Case("DEL key", "other", false),
    Case("UNLINK key", "other", false),
    Case("EXISTS key", "key", false),
    Case("TOUCH key", "key", true),
    Case("TYPE key", "key", false),
    Case("OBJECT ENCODING key", "key", false),
    Case("OBJECT FREQ key", "key", false),
    Case("OBJECT IDLETIME key", "key", false),
    Case("OBJECT REFCOUNT key", "key", false),
    Case("TTL key", "key", false),
    Case("PTTL key", "key", false),
    Case("EXPIRETIME key", "key", false),
    Case("PEXPIRETIME key", "key", false),
    Case("EXPIRE key 100", "key", true),
    Case("EXPIRE key 100 XX", "key", true),
    Case("EXPIRE volatile 100 NX", "volatile", true),
    Case("EXPIRE volatile 10 GT", "volatile", true),
    Case("EXPIREAT key 30000000000", "key", true),
    Case("PEXPIRE key 100000", "key", true),
    Case("PEXPIREAT key 30000000000000", "key", true),
    Case("PERSIST key", "key", true),
    Case("PERSIST volatile", "volatile", true),
    Case("COPY key new", "key", true),
    Case("COPY key new DB 1", "key", true),
    Case("COPY key other", "key", true),
    Case("COPY key other", "other", true),
    Case("RENAME key new", "new", true),
    Case("RENAME key key", "key", true),
    Case("RENAMENX key new", "new", true),
    Case("RENAMENX key other", "key", true),
    Case("RENAMENX key other", "other", true),
    Case("MOVE moved 1", "moved", true),
    Case("SCAN 0", "key", false),
    Case("KEYS key", "key", false),
    Case("RANDOMKEY", "key", false),
    Case("WATCH key", "key", false),
    Case("MEMORY USAGE key", "key", false),
    Case("DUMP key", "key", true),
    Case("RESTORE key 0 x", "key", true),
    Case("HSET hash field 1", "hash", true),
    Case("HSET hash new 1", "hash", true),
    Case("HMSET hash field 1", "hash", true),
    Case("HSETNX hash field 1", "hash", true),
    Case("HSETNX hash new 1", "hash", true),
    Case("HGET hash field", "hash", true),
    Case("HGET hash missing", "hash", true),
    Case("HMGET hash field missing", "hash", true),
    Case("HGETALL hash", "hash", true),
    Case("HKEYS hash", "hash", true),
    Case("HVALS hash", "hash", true),
    Case("HLEN hash", "hash", true),
    Case("HEXISTS hash field", "hash", true),
    Case("HSTRLEN hash field", "hash", true),
    Case("HDEL hash field", "hash", true),
    Case("HDEL hash missing", "hash", true),
    Case("HGETDEL hash FIELDS 1 field", "hash", true),
    Case("HEXPIRE hash 100 FIELDS 1 field", "hash", true),
    Case("HPEXPIRE hash 100000 FIELDS 1 field", "hash", true),
    Case("HEXPIREAT hash 40000000000 FIELDS 1 field", "hash", true),
    Case("HPEXPIREAT hash 40000000000000 FIELDS 1 field", "hash", true),
    Case("HPERSIST hash FIELDS 1 field", "hash", true),
    Case("HTTL hash FIELDS 1 field", "hash", true),
    Case("HPTTL hash FIELDS 1 field", "hash", true),
    Case("HEXPIRETIME hash FIELDS 1 field", "hash", true),
    Case("HPEXPIRETIME hash FIELDS 1 field", "hash", true),
    Case("HGETEX hash EX 100 FIELDS 1 field", "hash", true),
    Case("HSETEX hash EX 100 FIELDS 1 field 1", "hash", true),
    Case("HINCRBY hash field 1", "hash", true),
    Case("HINCRBYFLOAT hash field 0.5", "hash", true),
    Case("HRANDFIELD hash", "hash", true),
    Case("HRANDFIELD hash 2", "hash", true),
    Case("HSCAN hash 0", "hash", true),
    Case("HGET key field", "key", true),
    Case("HSET key field 1", "key", true),
    Case("LPUSH list 4", "list", true),
    Case("RPUSH list 4", "list", true),
    Case("LPUSHX list 4", "list", true),
    Case("RPUSHX list 4", "list", true),
    Case("LPOP list", "list", true),
    Case("RPOP list 2", "list", true),
    Case("LPOP list 0", "list", true),
    Case("LLEN list", "list", true),
    Case("LINDEX list 0", "list", true),
    Case("LRANGE list 0 -1", "list", true),
    Case("LSET list 0 x", "list", true),
    Case("LSET list 9 x", "list", true),
    Case("LINSERT list BEFORE 1 x", "list", true),
    Case("LINSERT list BEFORE missing x", "list", true),
    Case("LREM list 0 1", "list", true),
    Case("LREM list 0 missing", "list", true),
    Case("LTRIM list 1 -1", "list", true),
    Case("LPOS list 1", "list", true),
    Case("LMOVE list lists LEFT LEFT", "list", true),
    Case("LMOVE list lists LEFT LEFT", "lists", true),
    Case("LMOVE list list LEFT RIGHT", "list", true),
    Case("RPOPLPUSH list lists", "lists", true),
    Case("RPOPLPUSH list key", "key", true),
    Case("LMPOP 2 missing list LEFT", "list", true),
    Case("LPUSH key x", "key", true),
    Case("ZADD sorted 5 d", "sorted", true),
    Case("ZADD sorted 1 a", "sorted", true),
    Case("ZADD sorted NX 1 a", "sorted", true),
    Case("ZADD key 1 a", "key", true),
    Case("ZINCRBY sorted 1 a", "sorted", true),
    Case("ZSCORE sorted a", "sorted", true),
    Case("ZSCORE key a", "key", true),
    Case("ZMSCORE sorted a missing", "sorted", true),
    Case("ZCARD sorted", "sorted", true),
    Case("ZRANK sorted a", "sorted", true),
    Case("ZREVRANK sorted a", "sorted", true),
    Case("ZREM sorted a", "sorted", true),
    Case("ZREM sorted missing", "sorted", true),
    Case("ZPOPMIN sorted", "sorted", true),
    Case("ZPOPMAX sorted 2", "sorted", true),
    Case("ZMPOP 2 missing sorted MIN", "sorted", true),
    Case("BZPOPMIN missing sorted 1", "sorted", true),
    Case("BZPOPMAX sorted 1", "sorted", true),
    Case("BZMPOP 1 2 missing sorted MIN", "sorted", true),
    Case("ZRANGE sorted 0 -1", "sorted", true),
    Case("ZREVRANGE sorted 0 -1", "sorted", true),
    Case("ZRANGEBYSCORE sorted 0 2", "sorted", true),
    Case("ZREVRANGEBYSCORE sorted 2 0", "sorted", true),
    Case("ZRANGEBYLEX sorted - +", "sorted", true),
    Case("ZREVRANGEBYLEX sorted + -", "sorted", true),
    Case("ZRANGESTORE scored sorted 0 -1", "sorted", true),
    Case("ZCOUNT sorted 0 1", "sorted", true),
    Case("ZLEXCOUNT sorted - +", "sorted", true),
    Case("ZREMRANGEBYRANK sorted 0 0", "sorted", true),
    Case("ZREMRANGEBYSCORE sorted 7 8", "sorted", true),
    Case("ZREMRANGEBYLEX sorted - [a", "sorted", true),
    Case("ZUNION 2 sorted scored", "scored", true),
    Case("ZINTER 2 sorted scored", "scored", true),
    Case("ZDIFF 2 sorted scored", "sorted", true),
    Case("ZUNIONSTORE new 2 sorted scored", "scored", true),
    Case("ZINTERSTORE new 2 sorted scored", "scored", true),
    Case("ZDIFFSTORE new 2 sorted scored", "sorted", true),
    Case("ZINTERCARD 2 sorted scored", "sorted", true),
    Case("ZRANDMEMBER sorted", "sorted", true),
    Case("ZRANDMEMBER sorted 2", "sorted", true),
    Case("ZSCAN sorted 0", "sorted", true),
    Case("SADD set d", "set", true),
    Case("SADD set a", "set", true),
    Case("SADD key a", "key", true),
    Case("SREM set a", "set", true),
    Case("SREM set missing", "set", true),
    Case("SMOVE set sets a", "set", true),
    Case("SMOVE set sets a", "sets", true),
    Case("SCARD set", "set", true),
    Case("SISMEMBER set a", "set", true),
    Case("SMISMEMBER set a missing", "set", true),
    Case("SMEMBERS set", "set", true),
    Case("SPOP set", "set", true),
    Case("SPOP set 2", "set", true),
    Case("SRANDMEMBER set", "set", true),
    Case("SRANDMEMBER set 2", "set", true),
    Case("SSCAN set 0", "set", true),
    Case("SUNION set sets", "sets", true),
    Case("SINTER set sets", "sets", true),
    Case("SDIFF set sets", "set", true),
    Case("SUNIONSTORE new set sets", "sets", true),
    Case("SINTERSTORE new set sets", "sets", true),
    Case("SDIFFSTORE new set sets", "set", true),
    Case("SINTERCARD 2 set sets", "set", true),
    Case("BLPOP missing list 0", "list", true),
    Case("SORT list", "list", true),
    Case("SORT list STORE other", "list", true),
    Case("SORT_RO list", "list", true),
    Case("SORT set ALPHA", "set", true),
    Case("SORT sorted BY nosort STORE other", "sorted", true),
    Case("BRPOP list 0", "list", true),
    Case("BLMPOP 0 1 list LEFT", "list", true),
    Case("BLMOVE list lists LEFT LEFT 0", "lists", true),
    Case("BRPOPLPUSH list lists 0", "list", true),
];

/// The words that ask how a policy thinks of a key, and what one access makes of the answer.
struct Policy {
    name: &'static str,
    asks: &'static str,
    used: fn(before: i64, after: i64) -> bool,
}

const LFU: Policy = Policy { name: "allkeys-lfu", asks: "FREQ", used: |before, after| after > before };

const POLICIES: &[Policy] = &[
    LFU,
    Policy { name: "allkeys-adaptive", asks: "FREQ", used: |before, after| after > before },
    Policy { name: "allkeys-lru", asks: "IDLETIME", used: |_, after| after == 0 },
];

/// For how long nobody uses a key before the command: longer than what recency is counted in, and each tenth of a second costs a turn.
const IDLE: Duration = Duration::from_secs(10);

/// Every access counts for LFU, and nothing is forgotten.
const SETTINGS: &[&str] = &["CONFIG SET lfu-log-factor 0", "CONFIG SET lfu-decay-time 0"];

#[test]
fn every_command_with_a_key_is_a_use_of_it_or_not() {
    let table = command_table();
    let with_keys = table
        .rows()
        .iter()
        .filter(|row| row.command.keys != Keys::NONE && GROUPS.contains(&row.command.group));
    for row in with_keys {
        let words = row.name.replace('|', " ").to_uppercase();
        let has_case = CASES.iter().any(|case| case.0 == words || case.0.starts_with(&format!("{words} ")));
        assert!(has_case, "{words} has no case");
    }
    for policy in POLICIES {
        let mut target = Target::InProcess(InProcessTarget::new());
        check(&mut target, policy, IDLE, |_| true);
    }
}

#[test]
fn redis_counts_the_same_commands_as_use() {
    let Some(server) = PeerServer::start(Peer::Redis) else { return };
    let table = command_table();
    let knows = |command: &str| {
        let mut words = command.split(' ').map(str::as_bytes);
        let row = table.resolve(words.next().unwrap_or_default(), words.next()).expect("a command");
        let mut numbers =
            row.command.since.split('.').map(|number| number.parse::<u32>().unwrap_or(u32::MAX));
        (numbers.next(), numbers.next()) <= (Some(7), Some(0))
    };
    check(&mut server.target(), &LFU, Duration::ZERO, knows);
}

/// Plays the cases that are `known`, with `pause` between what is prepared and the command.
fn check(target: &mut Target, policy: &Policy, pause: Duration, known: impl Fn(&str) -> bool) {
    SETTINGS.iter().for_each(|setting| drop(ask(target, setting)));
    ask(target, &format!("CONFIG SET maxmemory-policy {}", policy.name));
    for Case(command, key, expected) in CASES.iter().filter(|case| known(case.0)) {
        PREPARED.iter().for_each(|command| drop(ask(target, command)));
        target.advance(pause);
        // A key that the command makes of another is compared with that one.
        let before_at = if *key == "new" { "key" } else { key };
        let before = number(&ask(target, &format!("OBJECT {} {before_at}", policy.asks)));
        ask(target, command);
        let after = number(&ask(target, &format!("OBJECT {} {key}", policy.asks)));
        ask(target, "UNWATCH");
        let used = (policy.used)(before, after);
        assert_eq!(used, *expected, "{command}: {key} under {}: {before}, {after}", policy.name);
    }
}

fn ask(target: &mut Target, command: &str) -> Value {
    let mut bytes = Vec::new();
    encode(&split(command).expect("the command is well quoted"), &mut bytes);
    target.send('a', &[&bytes]);
    let answers = target.receive(&Expected::from([('a', 1)])).remove(&'a').unwrap_or_default();
    match <[Received; 1]>::try_from(answers) {
        Ok([Received::Value(value)]) => value,
        other => panic!("{command}: {other:?}"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}
