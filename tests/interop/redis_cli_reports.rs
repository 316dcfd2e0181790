//! The reports of `redis-cli` about a server and its keys.

use std::process::Command;

use crate::support::client::Client;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

use super::program;
use super::redis_cli::redis_cli;

const SMALL_KEYS: usize = 100;

/// A big key of each type but string, with the command that fills it and what `redis-cli` calls its members.
const BIG_KEYS: [(&str, &str, &str); 4] = [
    ("list", "RPUSH big:list NUMBER", "items"),
    ("set", "SADD big:set NUMBER", "members"),
    ("hash", "HSET big:hash NUMBER value", "fields"),
    ("zset", "ZADD big:zset NUMBER NUMBER", "members"),
];
const MEMBERS: usize = 300;
const KEYS: usize = SMALL_KEYS + 1 + BIG_KEYS.len();

#[test]
fn scan() {
    let server = filled();
    let Some(ended) = redis_cli(&server, &["--scan", "--pattern", "small:*"], "") else { return };
    let mut keys: Vec<&str> = ended.stdout.lines().collect();
    keys.sort_unstable();
    let mut expected: Vec<String> = (0..SMALL_KEYS).map(|number| format!("small:{number}")).collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
}

#[test]
fn biggest_keys() {
    let server = filled();
    let Some(ended) = redis_cli(&server, &["--bigkeys"], "") else { return };
    assert!(ended.stdout.contains("Biggest string found '\"big\"' has 100000 bytes"), "{}", ended.stdout);
    for (kind, _, members) in BIG_KEYS {
        let line = format!("found '\"big:{kind}\"' has {MEMBERS} {members}");
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    }
    let sampled = format!("Sampled {KEYS} keys in the keyspace!");
    assert!(ended.stdout.contains(&sampled), "{}", ended.stdout);
}

#[test]
fn keys_that_take_most_memory() {
    let server = filled();
    let Some(ended) = redis_cli(&server, &["--memkeys"], "") else { return };
    assert!(ended.stdout.contains("Biggest string found '\"big\"' has 1"), "{}", ended.stdout);
    for (kind, ..) in BIG_KEYS {
        assert!(ended.stdout.contains(&format!("{kind} found '\"big:{kind}\"' has ")), "{}", ended.stdout);
    }
}

#[test]
fn hottest_keys() {
    let server = Server::quartet(&["--maxmemory-policy", "allkeys-lfu"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET hot 0"), "OK");
    assert_eq!(client.ask("HSET cold field 0"), "1");
    for number in 1..=SMALL_KEYS {
        assert_eq!(client.ask("INCR hot"), number.to_string());
    }
    let Some(ended) = redis_cli(&server, &["--hotkeys"], "") else { return };
    let hottest = ended.stdout.lines().find(|line| line.starts_with("hot key found with counter:"));
    assert!(hottest.is_some_and(|line| line.ends_with("keyname: \"hot\"")), "{}", ended.stdout);
}

/// What this server cannot do it refuses in words that name it.
#[test]
fn snapshot_of_a_replica() {
    let server = Server::quartet(&[]);
    let Some(program) = peers::peer("redis-cli") else { return };
    let file = server.folder().path().join("copy.rdb");
    let mut command = Command::new(program);
    command.args(["-p", &server.port(), "--rdb"]).arg(&file);
    let ended = run(command);
    assert_eq!(ended.code, Some(1));
    let refusal = "SYNC with master failed: -ERR unknown command 'SYNC', with args beginning with: \
                   (a command of Redis that is not built here yet)";
    assert!(ended.stderr.contains(refusal), "{}", ended.stderr);
    assert!(!file.exists());
}

#[test]
fn latency() {
    let server = Server::quartet(&[]);
    // Without a terminal it measures for a second and prints minimum, maximum, average and samples.
    let Some(ended) = redis_cli(&server, &["--latency", "--raw"], "") else { return };
    let figures: Vec<f64> =
        ended.stdout.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    assert_eq!(figures.len(), 4, "{}", ended.stdout);
}

#[test]
fn statistics() {
    let (Some(_), Some(python)) = (peers::peer("redis-cli"), peers::python(&["pty"])) else { return };
    let server = filled();
    let mut command = Command::new(python);
    command.arg(program("python/statistics.py")).arg(server.port()).arg(KEYS.to_string());
    run(command).success();
}

/// A server with small keys and a big one of each type.
fn filled() -> Server {
    let server = Server::quartet(&[]);
    let mut client = Client::connect(server.address());
    for number in 0..SMALL_KEYS {
        assert_eq!(client.ask(&format!("SET small:{number} {number}")), "OK");
    }
    assert_eq!(client.ask(&format!("SET big {}", "x".repeat(100_000))), "OK");
    for (_, command, _) in BIG_KEYS {
        for number in 0..MEMBERS {
            client.ask(&command.replace("NUMBER", &number.to_string()));
        }
    }
    server
}
