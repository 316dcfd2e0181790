//! `redis-benchmark`, which ends at the first error reply.

use std::process::Command;

use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

const REQUESTS: &str = "4000";

/// Runs the tests that need strings alone with `options`, and looks that each came to a figure.
fn check(options: &[&str]) {
    const TESTS: [&str; 6] = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"];
    let Some(program) = peers::peer("redis-benchmark") else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(program);
    command.args(["-p", &server.port(), "-n", REQUESTS, "-r", "1000", "-q"]);
    command.args(["-t", "ping_inline,ping_mbulk,set,get,incr,mset"]).args(options);
    let ended = run(command).success();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.to_lowercase().contains("err"), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
    let figures: Vec<&str> = said
        .split(['\r', '\n'])
        .filter_map(|line| line.split_once(": ").filter(|(_, figure)| figure.contains("requests per second")))
        .map(|(test, _)| test)
        .collect();
    assert_eq!(figures, TESTS, "{said}");
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
fn in_resp3() {
    check(&["-3"]);
}
