//! Scripts that run for long: what others are served meanwhile, and how such scripts end.

mod commands;
mod ends;
mod others;
mod timers;

use crate::support::client::{Client, request};
use crate::support::process::{Server, wait_for};

const BUSY: &str = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// A script that runs until it is stopped.
const ENDLESS: &str = "while true do end";

/// The same once it has the whole store.
const ENDLESS_ALONE: &str = "redis.call('GET', 'undeclared') while true do end";

/// A server with scripts that soon have run for long.
fn server(arguments: &[&str]) -> Server {
    let defaults = [["--busy-reply-threshold", "20"], ["--threads", "1"]];
    let given: Vec<&str> =
        defaults.iter().filter(|[name, _]| !arguments.contains(name)).flatten().copied().collect();
    Server::quartet(&[&given, arguments].concat())
}

/// A client whose script runs for long by the time that `other` is told so of `key`.
fn run_for_long(server: &Server, script: &str, keys: &[&str], other: &mut Client, key: &str) -> Client {
    let mut client = Client::connect(server.address());
    let count = keys.len().to_string();
    client.write(&request(&[&["EVAL", script, &count], keys].concat()));
    wait_for(|| (other.ask(&format!("GET {key}")) == BUSY).then_some(()));
    client
}

/// A key that lies in none of the shards that a script holds.
fn free_key(other: &mut Client) -> String {
    let mut names = (0..).map(|number| format!("free:{number}"));
    names.find(|name| other.ask(&format!("GET {name}")) != BUSY).expect("there are more shards")
}

/// The reply to a script that was stopped by SCRIPT KILL.
fn assert_killed(client: &mut Client) {
    let reply = client.read_text().expect("the script is answered");
    assert!(
        reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: ")
            && reply.ends_with(", on @user_script:1."),
        "{reply}"
    );
}
