//! Frameworks that people have run unchanged and with their defaults: each does its job, with workers of its own where it
//! has some, against Quartet with one thread and with four, and against redis-server, which shows that the program of the
//! job is right.
//!
//! A program finds its server's port in `INTEROP_PORT` and prints the name of each step that has passed.

use std::process::Command;
use std::thread;

use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

mod node;
mod other;
mod python;

/// Tells the program where its server is.
const PORT: &str = "INTEROP_PORT";

/// Runs the program against all servers at the same time, and looks that each step has passed in order.
fn check(command: impl Fn() -> Command + Sync, steps: &[&str]) {
    let Some(redis) = peers::peer("redis-server") else { return };
    let play = |server: &Server| {
        let mut command = command();
        command.env(PORT, server.port());
        let ended = run(command).success();
        assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), steps);
    };
    thread::scope(|scope| {
        // A failure says which one failed.
        let named = |name: &str| thread::Builder::new().name(name.into());
        let peer = named("redis-server").spawn_scoped(scope, || play(&Server::peer(&redis)));
        let threads =
            named("four threads").spawn_scoped(scope, || play(&Server::quartet(&["--threads", "4"])));
        assert!(peer.is_ok() && threads.is_ok(), "the system has threads");
        play(&Server::quartet(&["--threads", "1"]));
    });
}
