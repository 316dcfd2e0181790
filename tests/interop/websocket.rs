//! WebSocket clients of the npm registry.

use std::process::Command;

use super::program;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

const STEPS: [&str; 7] =
    ["connect", "publish_and_subscribe", "long_messages", "ping", "nats_over_websocket", "request", "close"];

fn check(compression: &str) {
    let Some(node) = peers::node("ws") else { return };
    let server = Server::quartet(&["--http-port", "0", "--websocket-compression", compression]);
    let mut command = Command::new(node);
    command.arg(program("node/websocket.js")).args([&server.http_address().to_string(), compression]);
    let ended = run(command).success();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), STEPS);
}

#[test]
fn ws_and_nats_core() {
    check("no");
}

#[test]
fn ws_and_nats_core_with_compression() {
    check("yes");
}
