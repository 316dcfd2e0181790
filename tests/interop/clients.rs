//! Client libraries of other languages.

use std::path::PathBuf;
use std::process::Command;

use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

use super::program;

/// The steps of each client program, which prints a step's name once it has passed.
const STEPS: [&str; 10] = [
    "connect",
    "set_and_get",
    "expire_and_ttl",
    "remove",
    "pipeline",
    "transaction",
    "scan",
    "publish_and_subscribe",
    "errors",
    "reconnect",
];

/// Runs `tests/interop/SCRIPT PORT ARGUMENTS..` against a server of its own.
fn check(interpreter: Option<PathBuf>, script: &str, arguments: &[&str]) {
    let Some(interpreter) = interpreter else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(interpreter);
    command.arg(program(script)).arg(server.port()).args(arguments);
    let ended = run(command).success();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), STEPS);
}

#[test]
fn redis_py_blocking_in_resp2() {
    check(peers::python(&["redis"]), "python/blocking.py", &["2"]);
}

#[test]
fn redis_py_blocking_in_resp3() {
    check(peers::python(&["redis"]), "python/blocking.py", &["3"]);
}

#[test]
fn redis_py_asynchronous_in_resp2() {
    check(peers::python(&["redis"]), "python/asynchronous.py", &["2"]);
}

#[test]
fn redis_py_asynchronous_in_resp3() {
    check(peers::python(&["redis"]), "python/asynchronous.py", &["3"]);
}

#[test]
fn ioredis() {
    check(peers::node("ioredis"), "node/ioredis.js", &[]);
}

#[test]
fn node_redis() {
    check(peers::node("redis"), "node/node_redis.js", &[]);
}

/// What the client of the REST convention does, printing a step's name once it has passed.
const REST_STEPS: [&str; 13] = [
    "connect",
    "set_and_get",
    "expire_and_ttl",
    "remove",
    "pipeline",
    "automatic_pipelining",
    "transaction",
    "scan",
    "hashes",
    "publish",
    "errors_are_told",
    "without_base64",
    "commands_of_our_own",
];

#[test]
fn upstash_redis_over_http() {
    let Some(node) = peers::node("@upstash/redis") else { return };
    let server = Server::quartet(&["--http-port", "0", "--requirepass", "sesame"]);
    let url = format!("http://{}/redis", server.http_address());
    let mut command = Command::new(node);
    command.arg(program("node/upstash.js")).args([url.as_str(), "sesame"]);
    let ended = run(command).success();
    // The build for Node, then the one for edge functions and browsers.
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), [REST_STEPS, REST_STEPS].concat());
}

/// The steps of a client program that keeps queues in lists.
fn check_queues(interpreter: Option<PathBuf>, script: &str, steps: &[&str]) {
    let Some(interpreter) = interpreter else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(interpreter);
    command.arg(program(script)).arg(server.port());
    let ended = run(command).success();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), steps);
}

#[test]
fn queues_of_redis_py() {
    let steps = [
        "push_and_pop",
        "wait_in_vain",
        "wait_for_an_element",
        "in_order",
        "unblocked",
        "workers_that_lose_nothing",
    ];
    check_queues(peers::python(&["redis"]), "python/queues.py", &steps);
}

#[test]
fn queues_of_ioredis() {
    let steps = ["push_and_pop", "wait_in_vain", "in_order", "unblocked", "workers_that_lose_nothing"];
    check_queues(peers::node("ioredis"), "node/queues.js", &steps);
}
