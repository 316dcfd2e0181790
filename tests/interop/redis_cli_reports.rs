//! The reports of `redis-cli` about a server and its keys.

use std::process::Command;

use crate::support::client::Client;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

use super::program;
use super::redis_cli::redis_cli;

const SMALL_KEYS: usize = 100;

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
    assert!(
        ended.stdout.contains(&format!("Sampled {} keys in the keyspace!", SMALL_KEYS + 1)),
        "{}",
        ended.stdout
    );
}

#[test]
fn keys_that_take_most_memory() {
    let server = filled();
    let Some(ended) = redis_cli(&server, &["--memkeys"], "") else { return };
    assert!(ended.stdout.contains("Biggest string found '\"big\"' has 1"), "{}", ended.stdout);
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
    command.arg(program("python/statistics.py")).arg(server.port()).arg((SMALL_KEYS + 1).to_string());
    run(command).success();
}

/// A server with small keys and a big one.
fn filled() -> Server {
    let server = Server::quartet(&[]);
    let mut client = Client::connect(server.address());
    for number in 0..SMALL_KEYS {
        assert_eq!(client.ask(&format!("SET small:{number} {number}")), "OK");
    }
    assert_eq!(client.ask(&format!("SET big {}", "x".repeat(100_000))), "OK");
    server
}
