//! Client programs in other languages.

use std::path::Path;
use std::process::Command;
use std::thread;

use super::{Keeping, programs};
use crate::interop::broker::programs::go_program;
use crate::interop::broker::{Program, RESTART};
use crate::interop::program;
use crate::support::peers;
use crate::support::program::Running;

/// Runs a client against all servers at the same time, since it mostly waits, until it has done so many jobs.
fn check(client: impl Fn() -> Command + Sync, jobs: usize) {
    thread::scope(|scope| {
        for server in programs() {
            let thread = thread::Builder::new().name(server.name());
            thread.spawn_scoped(scope, || check_one(server, client(), jobs)).expect("the system has threads");
        }
    });
}

fn check_one(server: Program, mut client: Command, jobs: usize) {
    let mut server = Keeping::start(server);
    client.arg(server.port.address().to_string());
    let mut running = Running::start(client);
    running.wait_for_line(RESTART);
    server.restart();
    let ended = running.end().success();
    assert_eq!(ended.stdout.lines().filter(|line| *line != RESTART).count(), jobs, "{}", ended.stdout);
}

/// The program `script`, for `interpreter` to run.
pub(super) fn script(interpreter: &Path, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(program(script));
    command
}

#[test]
fn nats_py() {
    let Some(python) = peers::python(&["nats"]) else { return };
    check(|| script(&python, "python/nats_streams.py"), 71);
}

#[test]
fn nats_js() {
    let Some(node) = peers::node("@nats-io/jetstream") else { return };
    check(|| script(&node, "node/nats_streams.js"), 45);
}

#[test]
fn nats_go() {
    let Some(client) = go_program("nats_streams") else { return };
    check(|| Command::new(&client), 23);
}
