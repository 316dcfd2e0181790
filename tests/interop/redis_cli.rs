//! `redis-cli`: typed into and fed through a pipe.

use std::process::Command;

use crate::support::client::Client;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::{Ended, run, run_with_input};

use super::program;

/// Runs `redis-cli` with `arguments` against `server`, with `input` on its standard input.
pub(crate) fn redis_cli(server: &Server, arguments: &[&str], input: &str) -> Option<Ended> {
    let mut command = Command::new(peers::peer("redis-cli")?);
    command.args(["-p", &server.port()]).args(arguments);
    Some(run_with_input(command, input.as_bytes()).success())
}

#[test]
fn interactive() {
    let (Some(_), Some(python)) = (peers::peer("redis-cli"), peers::python(&["pty"])) else { return };
    let server = Server::quartet(&[]);
    let mut command = Command::new(python);
    command.arg(program("python/terminal.py")).arg(server.port());
    run(command).success();
}

#[test]
fn commands_through_a_pipe() {
    let server = Server::quartet(&[]);
    let input =
        "SET \"a key\" \"line\\none\"\nGET \"a key\"\nGET absent\nINCR 'a key'\nMGET absent 'a key'\n";
    let Some(ended) = redis_cli(&server, &[], input) else { return };
    let expected = "OK\nline\none\n\nERR value is not an integer or out of range\n\n\nline\none\n";
    assert_eq!(ended.stdout, expected);
}

#[test]
fn one_command() {
    let server = Server::quartet(&[]);
    let Some(ended) = redis_cli(&server, &["--no-raw", "SET", "key", "value", "EX", "100"], "") else {
        return;
    };
    assert_eq!(ended.stdout, "OK\n");
    let Some(ended) = redis_cli(&server, &["--no-raw", "-3", "MGET", "key", "absent"], "") else { return };
    assert_eq!(ended.stdout, "1) \"value\"\n2) (nil)\n");
}

#[test]
fn mass_insertion() {
    const KEYS: usize = 20_000;
    let server = Server::quartet(&[]);
    let input: String = (0..KEYS).map(|number| format!("SET mass:{number} value-{number}\r\n")).collect();
    let Some(ended) = redis_cli(&server, &["--pipe"], &input) else { return };
    assert!(ended.stdout.ends_with(&format!("errors: 0, replies: {KEYS}\n")), "{}", ended.stdout);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask(&format!("GET mass:{}", KEYS - 1)), format!("value-{}", KEYS - 1));
}
