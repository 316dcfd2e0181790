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
