//! Every command that redis-server has too: whether it is answered while a script runs that holds all keys.

use quartet::catalog::command_table;

use super::{BUSY, ENDLESS_ALONE, run_for_long, server};
use crate::support::client::{Client, request, text};
use crate::support::peers;
use crate::support::process::Server;

/// Commands that are not said, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("shutdown", "ends the server; transcripts of its own"),
    ("script|kill", "ends the script"),
    ("debug", "is not enabled at the peer"),
    ("reset", "its reply is compared in `others`"),
];

/// Commands that are answered differently, with the reason.
const DIFFERENCES: &[(&str, &str)] = &[
    ("command|getkeys", "7.0 asks for an argument more than 7.2"),
    ("command|getkeysandflags", "7.0 asks for an argument more than 7.2"),
];

/// What a server says to each command, on a connection of its own.
fn answer(server: &Server, name: &str, arity: usize) -> String {
    let mut words: Vec<&str> = name.split('|').collect();
    while words.len() < arity {
        words.push("1");
    }
    let mut client = Client::connect(server.address());
    client.write(&request(&words));
    client.read().as_ref().map_or("(closed)".to_owned(), text)
}

/// Whether they are alike: both are BUSY, both the same error, or both something else.
fn are_alike(ours: &str, theirs: &str) -> bool {
    let is_error = |reply: &str| reply.starts_with('-');
    if is_error(ours) || is_error(theirs) { ours == theirs } else { true }
}

#[test]
fn every_command_is_answered_as_redis_answers_it() {
    let Some(program) = peers::peer("redis-server") else { return };
    let quartet = server(&[]);
    let redis = Server::peer_with(&program, &["--busy-reply-threshold", "20"]);
    let mut others = [&quartet, &redis].map(|server| Client::connect(server.address()));
    let mut runners: Vec<Client> = Vec::new();
    for (server, other) in [&quartet, &redis].into_iter().zip(&mut others) {
        runners.push(run_for_long(server, ENDLESS_ALONE, &[], other, "x"));
    }
    let (mut failures, mut busy, mut served) = (Vec::new(), 0, 0);
    for row in command_table().rows() {
        if LEFT_OUT.iter().any(|(name, _)| *name == row.name) || !row.subcommands.is_empty() {
            continue;
        }
        let arity = row.arity.unsigned_abs() as usize;
        let [ours, theirs] = [&quartet, &redis].map(|server| answer(server, &row.name, arity));
        if theirs.starts_with("-ERR unknown") {
            continue;
        }
        if theirs == BUSY {
            busy += 1
        } else {
            served += 1
        }
        let is_known = DIFFERENCES.iter().any(|(name, _)| *name == row.name);
        if are_alike(&ours, &theirs) == is_known {
            failures.push(format!("{}: redis {theirs:?}, quartet {ours:?}", row.name));
        }
    }
    assert!(failures.is_empty(), "known differences included:\n{}", failures.join("\n"));
    assert!(busy > 200 && served >= 10, "{busy} commands were refused, {served} were not");
    others.iter_mut().for_each(|other| assert_eq!(other.ask("SCRIPT KILL"), "OK"));
}
