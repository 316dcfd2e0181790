//! A client library that moves keys between Quartet and redis-server as payloads.

use std::process::Command;

use super::program;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::run;

#[test]
fn redis_py_moves_keys_there_and_back() {
    let (Some(python), Some(redis)) = (peers::python(&["redis"]), peers::peer("redis-server")) else {
        return;
    };
    let (quartet, redis) = (Server::quartet(&[]), Server::peer(&redis));
    for (source, destination, protocol) in [(&redis, &quartet, "2"), (&quartet, &redis, "3")] {
        let mut command = Command::new(&python);
        command.arg(program("python/dumped_values.py"));
        command.args([&source.port(), &destination.port(), protocol]);
        let ended = run(command).success();
        assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), ["there", "back", "refusals"]);
    }
}
