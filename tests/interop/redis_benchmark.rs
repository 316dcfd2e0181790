//! `redis-benchmark`, which ends at the first error reply.

use std::process::Command;

use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

const REQUESTS: &str = "2000";

/// Its tests, as `-t` names them and as it reports them.
const TESTS: [(&str, &str); 19] = [
    ("ping_inline", "PING_INLINE"),
    ("ping_mbulk", "PING_MBULK"),
    ("set", "SET"),
    ("get", "GET"),
    ("incr", "INCR"),
    ("lpush", "LPUSH"),
    ("rpush", "RPUSH"),
    ("lpop", "LPOP"),
    ("rpop", "RPOP"),
    ("sadd", "SADD"),
    ("hset", "HSET"),
    ("spop", "SPOP"),
    ("zadd", "ZADD"),
    ("zpopmin", "ZPOPMIN"),
    ("lrange_100", "LRANGE_100 (first 100 elements)"),
    ("lrange_300", "LRANGE_300 (first 300 elements)"),
    ("lrange_500", "LRANGE_500 (first 500 elements)"),
    ("lrange_600", "LRANGE_600 (first 600 elements)"),
    ("mset", "MSET (10 keys)"),
];

/// What it fills a list with before it asks for ranges.
const PREPARATION: &str = "LPUSH (needed to benchmark LRANGE)";

/// Runs all tests with `options`, and looks that each came to a figure.
fn check(options: &[&str]) {
    let Some(program) = peers::peer("redis-benchmark") else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(program);
    command.args(["-p", &server.port(), "-n", REQUESTS, "-r", "1000", "-q"]);
    command.arg("-t").arg(TESTS.map(|(name, _)| name).join(",")).args(options);
    let ended = run(command).success();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.to_lowercase().contains("err"), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
    let figures: Vec<&str> = said
        .split(['\r', '\n'])
        .filter_map(|line| line.split_once(": ").filter(|(_, figure)| figure.contains("requests per second")))
        .map(|(test, _)| test)
        .filter(|test| *test != PREPARATION)
        .collect();
    assert_eq!(figures, TESTS.map(|(_, reported)| reported), "{said}");
}

#[test]
fn one_command_at_a_time() {
    check(&[]);
}

#[test]
fn sixteen_commands_at_a_time() {
    check(&["-P", "16"]);
}

#[test]
fn sixty_four_commands_at_a_time() {
    check(&["-P", "64", "-d", "512"]);
}

#[test]
fn on_two_threads() {
    check(&["--threads", "2", "-P", "16"]);
}

#[test]
fn on_two_threads_in_resp3() {
    check(&["--threads", "2", "-3"]);
}

#[test]
fn in_resp3() {
    check(&["-3"]);
}
