//! Scripts as client libraries send them.

use std::path::PathBuf;
use std::process::Command;

use super::program;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

/// Runs `tests/interop/SCRIPT PORT ARGUMENTS..` against a server of its own; it prints each step that has passed.
fn check(interpreter: Option<PathBuf>, script: &str, arguments: &[&str], steps: &[&str]) {
    let Some(interpreter) = interpreter else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(interpreter);
    command.arg(program(script)).arg(server.port()).args(arguments);
    let ended = run(command).success();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), steps);
}

const PYTHON: &[&str] = &["register_script", "evaluate", "functions", "lock", "asynchronous_lock"];

#[test]
fn redis_py_in_resp2() {
    check(peers::python(&["redis"]), "python/scripts.py", &["2"], PYTHON);
}

#[test]
fn redis_py_in_resp3() {
    check(peers::python(&["redis"]), "python/scripts.py", &["3"], PYTHON);
}

#[test]
fn ioredis() {
    let steps = ["define_command", "pipeline", "transaction", "computed_keys", "errors", "functions"];
    check(peers::node("ioredis"), "node/ioredis_scripts.js", &[], &steps);
}
