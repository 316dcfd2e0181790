//! COMMAND INFO against redis-server: arity, flags, key positions and categories of every command both have.

use std::collections::BTreeSet;

use quartet::catalog::command_table;
use redis_protocol::resp3::types::OwnedFrame;

use crate::support::client::{Client, text};
use crate::support::peers;
use crate::support::process::Server;

/// The items of COMMAND INFO that are compared.
const ITEMS: &[&str] = &["name", "arity", "flags", "first key", "last key", "step", "categories"];

/// Flags of Redis that speak of what does not exist here: loading in the background, replicas, keys that only the
/// command itself can find.
const FOREIGN_FLAGS: &[&str] = &["no_async_loading", "may_replicate", "movablekeys", "asking", "sentinel"];

/// Known differences, with their reasons.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    ("blpop", &["flags"], IN_SCRIPTS),
    ("brpop", &["flags"], IN_SCRIPTS),
    ("blmove", &["flags"], IN_SCRIPTS),
    ("brpoplpush", &["flags"], IN_SCRIPTS),
    ("bzpopmin", &["flags"], IN_SCRIPTS),
    ("bzpopmax", &["flags"], IN_SCRIPTS),
    ("client|reply", &["flags"], "not within MULTI, as in Valkey"),
    ("command|getkeys", &["arity"], "7.0 asks for an argument more than 7.2"),
    ("command|getkeysandflags", &["arity"], "7.0 asks for an argument more than 7.2"),
    ("zrank", &["arity"], "7.2 takes a word more than 7.0"),
    ("zrevrank", &["arity"], "7.2 takes a word more than 7.0"),
    ("spublish", POSITIONS, "a channel is no key where there is no cluster"),
    ("ssubscribe", POSITIONS, "a channel is no key where there is no cluster"),
    ("sunsubscribe", POSITIONS, "a channel is no key where there is no cluster"),
];

const IN_SCRIPTS: &str = "scripts may say it since 7.2, where it does not wait";

const POSITIONS: &[&str] = &["first key", "last key", "step"];

#[test]
fn command_info_is_that_of_redis() {
    let Some(program) = peers::peer("redis-server") else { return };
    let (redis, quartet) = (Server::peer(&program), Server::quartet(&[]));
    let (mut redis, mut quartet) = (Client::connect(redis.address()), Client::connect(quartet.address()));
    let mut failures = Vec::new();
    for row in command_table().rows() {
        let request = format!("COMMAND INFO {}", row.name);
        let (theirs, ours) = (facts(&mut redis, &request), facts(&mut quartet, &request));
        // A command that Redis lacks has nothing to be compared with.
        let (Some(theirs), Some(ours)) = (theirs, ours) else { continue };
        for (item, (theirs, ours)) in ITEMS.iter().zip(theirs.iter().zip(&ours)) {
            let known = DIFFERENCES.iter().any(|(name, known, _)| *name == row.name && known.contains(item));
            if known == (theirs == ours) {
                failures.push(format!("{} {item}: redis {theirs:?}, quartet {ours:?}", row.name));
            }
        }
    }
    assert!(failures.is_empty(), "known differences included:\n{}", failures.join("\n"));
}

/// The compared items of the one command of a reply, each as a set of words.
fn facts(client: &mut Client, request: &str) -> Option<Vec<BTreeSet<String>>> {
    let words: Vec<&str> = request.split(' ').collect();
    let OwnedFrame::Array { data, .. } = client.call(&words) else { panic!("{request} answers an array") };
    let OwnedFrame::Array { data: items, .. } = data.first()? else { return None };
    let words = |item: &OwnedFrame| match item {
        OwnedFrame::Array { data, .. } => data.iter().map(text).collect(),
        other => BTreeSet::from([text(other)]),
    };
    let foreign = |word: &String| FOREIGN_FLAGS.iter().any(|flag| word.contains(flag));
    let without_foreign = |set: BTreeSet<String>| set.into_iter().filter(|word| !foreign(word)).collect();
    Some(items.iter().take(ITEMS.len()).map(words).map(without_foreign).collect())
}
