//! The main job of a cache: writes past `maxmemory` through a real client.

use std::process::Command;

use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

use super::program;

const LIMIT: usize = 64 << 20;

#[test]
fn old_keys_make_room_for_new_ones() {
    let Some(python) = peers::python(&["redis"]) else { return };
    let server = Server::quartet(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut command = Command::new(python);
    command.arg(program("python/pressure.py")).arg(server.port()).arg(LIMIT.to_string());
    let ended = run(command).success();
    assert!(ended.stdout.contains(" evicted, "), "{}", ended.stdout);
}
