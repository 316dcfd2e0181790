//! Client programs in other languages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use super::{Program, RECONNECT, RESTART, Restartable, STEPS, programs};
use crate::interop::program;
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::{Running, run};

/// What runs micro services does this too.
const SERVICE: &str = "service";

/// Where Debian's packages for Go are.
const GO_PATH: &str = "/usr/share/gocode";

/// Runs a client against all servers at the same time, since it mostly waits; `further` are its steps beside the common ones.
fn check(client: impl Fn() -> Command + Sync, further: &[&str]) {
    thread::scope(|scope| {
        for server in programs() {
            let thread = thread::Builder::new().name(server.name());
            thread
                .spawn_scoped(scope, || check_one(server, client(), further))
                .expect("the system has threads");
        }
    });
}

fn check_one(server: Program, mut client: Command, further: &[&str]) {
    let mut server = Restartable::start(server);
    client.arg(server.port.address().to_string());
    let mut running = Running::start(client);
    running.wait_for_line(RESTART);
    server.restart();
    let ended = running.end().success();
    let steps = [STEPS.as_slice(), further, &[RESTART, RECONNECT]].concat();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), steps);
}

/// The program `script`, for `interpreter` to run.
fn script(interpreter: &Path, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(program(script));
    command
}

#[test]
fn nats_py() {
    let Some(python) = peers::python(&["nats"]) else { return };
    check(|| script(&python, "python/nats_client.py"), &[SERVICE]);
}

#[test]
fn transport_node() {
    let Some(node) = peers::node("@nats-io/transport-node") else { return };
    check(|| script(&node, "node/nats_client.js"), &[SERVICE, "context"]);
}

#[test]
fn nats_go() {
    let Some(client) = go_program("nats_client") else { return };
    check(|| Command::new(&client), &[SERVICE, "snippet"]);
}

/// The files of a program in Go: those of its folder, or the one that it is.
fn go_files(name: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(program(&format!("go/{name}"))) else {
        return vec![program(&format!("go/{name}.go"))];
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it is readable").path()).collect();
    files.sort();
    files
}

/// A client in Go, built against the package as Debian has it.
pub(in crate::interop) fn go_program(name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    let go = peers::go(&Path::new(GO_PATH).join("src/github.com/nats-io/nats.go"))?;
    let client = FOLDER.get_or_init(Folder::new).path().join(name);
    let mut command = Command::new(go);
    command.args(["build", "-o"]).arg(&client).args(go_files(name));
    // Packages are looked for there and nowhere else, so nothing is fetched.
    command.envs([("GO111MODULE", "off"), ("GOPATH", GO_PATH), ("GOFLAGS", ""), ("CGO_ENABLED", "0")]);
    command.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"));
    run(command).success();
    Some(client)
}
