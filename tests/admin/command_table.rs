//! What COMMAND DOCS, GETKEYS and LIST say of every command, against redis-server, and whether INFO commandstats and LATENCY HISTOGRAM
//! know every command.

use std::collections::{BTreeMap, BTreeSet};

use quartet::catalog::command_table;
use quartet::command::{CommandTable, Row};
use quartet::random::Random;
use redis_protocol::resp3::types::OwnedFrame;

use crate::differential::grow;
use crate::support::client::{Client, request, text};
use crate::support::peers;
use crate::support::process::{Server, wait_for};
use crate::transcripts::format::Peer;

/// Requests that are grown for each command with keys.
const REQUESTS: usize = 20;

/// Commands of redis-server that Quartet does not have, by their beginning, with the reason.
const MISSING: &[(&str, &str)] = &[
    ("acl", "one password; users of the broker are described in its settings"),
    ("bit", "not built yet"),
    ("client|pause", "not built yet"),
    ("client|unpause", "not built yet"),
    ("cluster", "there is no cluster"),
    ("failover", "there are no replicas"),
    ("geo", "not built yet"),
    ("getbit", "not built yet"),
    ("migrate", "DUMP and RESTORE do it"),
    ("module", "there are no modules"),
    ("pf", "not built yet"),
    ("psync", "there are no replicas"),
    ("replconf", "there are no replicas"),
    ("restore-asking", "there is no cluster"),
    ("setbit", "not built yet"),
    ("sync", "there are no replicas"),
    ("x", "streams of another kind; not built yet"),
];

/// Docs that differ, with the reason.
const DOCS: &[(&str, &str)] = &[];

/// Commands whose keys are found differently, with the reason.
const KEYS: &[(&str, &str)] = &[
    ("sort", "a request that SORT refuses has no keys here"),
    ("sort_ro", "a request that SORT_RO refuses has no keys here"),
    ("zrank", "Redis 7.0 takes no third word"),
];

/// Categories of the ACL whose lists differ, with the reason.
const CATEGORIES: &[(&str, &str)] = &[];

/// Commands that are not said, with the reason.
const UNSAID: &[(&str, &str)] = &[
    ("shutdown", "ends the server"),
    ("config|resetstat", "takes the figures away"),
    ("latency|reset", "takes latencies away"),
];

fn servers() -> Option<(Server, Server)> {
    Some((Server::peer(&peers::peer("redis-server")?), Server::quartet(&[])))
}

fn names(client: &mut Client, request: &str) -> BTreeSet<String> {
    let words: Vec<&str> = request.split(' ').collect();
    let OwnedFrame::Array { data, .. } = client.call(&words) else { panic!("{request} answers an array") };
    data.iter().map(text).collect()
}

fn is_listed(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(listed, _)| *listed == name)
}

/// The rows of commands that the peer has too.
fn common<'t>(table: &'t CommandTable, theirs: &BTreeSet<String>) -> Vec<&'t Row> {
    table.rows().iter().filter(|row| theirs.contains(&row.name)).collect()
}

#[track_caller]
fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "known differences included:\n{}", failures.join("\n"));
}

#[test]
fn command_list_has_every_command_but_those_with_a_reason() {
    let Some((redis, quartet)) = servers() else { return };
    let [mut redis, mut quartet] = [&redis, &quartet].map(|server| Client::connect(server.address()));
    let (theirs, ours) = (names(&mut redis, "COMMAND LIST"), names(&mut quartet, "COMMAND LIST"));
    let lacking: Vec<&String> = theirs.difference(&ours).collect();
    let unexplained: Vec<String> = lacking
        .iter()
        .filter(|name| !MISSING.iter().any(|(beginning, _)| name.starts_with(beginning)))
        .map(|name| (*name).clone())
        .collect();
    assert_none(&unexplained);
    for (beginning, _) in MISSING {
        assert!(
            lacking.iter().any(|name| name.starts_with(beginning)),
            "{beginning} has a reason and is not missing"
        );
    }
    let categories = names(&mut redis, "ACL CAT");
    let mut failures = Vec::new();
    for category in categories {
        let request = format!("COMMAND LIST FILTERBY ACLCAT {category}");
        let of_both = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| ours.contains(name) && theirs.contains(name)).collect()
        };
        let (theirs, ours) = (of_both(names(&mut redis, &request)), of_both(names(&mut quartet, &request)));
        if (theirs == ours) == is_listed(CATEGORIES, &category) {
            let difference: Vec<_> = theirs.symmetric_difference(&ours).collect();
            failures.push(format!("{category}: {difference:?}"));
        }
    }
    assert_none(&failures);
}

/// What the documentation of a command says beside its text: group, version, and what is used in its place.
const FACTS: &[&str] = &["group", "since", "deprecated_since", "replaced_by"];

/// The facts of a command.
fn docs(client: &mut Client, name: &str) -> String {
    let words = ["COMMAND", "DOCS", name];
    let OwnedFrame::Array { data, .. } = client.call(&words) else { panic!("an array of pairs") };
    let Some(OwnedFrame::Array { data: facts, .. }) = data.get(1) else { return "(none)".to_owned() };
    let pairs = facts.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1])));
    let compared = pairs.filter(|(fact, _)| FACTS.contains(&fact.as_str()));
    compared.map(|(fact, value)| format!("{fact} {value} ")).collect()
}

#[test]
fn command_docs_are_those_of_redis() {
    let Some((redis, quartet)) = servers() else { return };
    let [mut redis, mut quartet] = [&redis, &quartet].map(|server| Client::connect(server.address()));
    let theirs = names(&mut redis, "COMMAND LIST");
    let mut failures = Vec::new();
    let table = command_table();
    let common = common(&table, &theirs);
    assert!(common.len() > 250, "both have {} commands", common.len());
    for row in common {
        let (theirs, ours) = (docs(&mut redis, &row.name), docs(&mut quartet, &row.name));
        if (theirs == ours) == is_listed(DOCS, &row.name) {
            failures.push(format!("{}: redis {theirs:?}, quartet {ours:?}", row.name));
        }
    }
    assert_none(&failures);
}

#[test]
fn the_keys_of_commands_are_found_where_redis_finds_them() {
    let Some((redis, quartet)) = servers() else { return };
    let [mut redis, mut quartet] = [&redis, &quartet].map(|server| Client::connect(server.address()));
    let theirs = names(&mut redis, "COMMAND LIST");
    let mut random = Random::with_seed(17);
    let (mut failures, mut compared) = (Vec::new(), 0);
    let table = command_table();
    for row in common(&table, &theirs).into_iter().filter(|row| row.subcommands.is_empty()) {
        let mut differences = Vec::new();
        for _ in 0..REQUESTS {
            let mut words: Vec<Vec<u8>> = ["COMMAND", "GETKEYS"].map(|word| word.as_bytes().to_vec()).into();
            let mut grown = grow::request(row.command, Peer::Redis, &mut random);
            if let Some((container, _)) = row.name.split_once('|') {
                grown.insert(0, container.as_bytes().to_vec());
            }
            words.append(&mut grown);
            let [theirs, ours] = [&mut redis, &mut quartet].map(|server| text(&server.call(&words)));
            compared += usize::from(!theirs.starts_with('-'));
            // Where an error is, both have one; the texts of damaged requests are compared elsewhere.
            if theirs != ours && !(theirs.starts_with('-') && ours.starts_with('-')) {
                let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
                differences.push(format!("{}: redis {theirs}, quartet {ours}", words.join(" ")));
            }
        }
        if differences.is_empty() == is_listed(KEYS, &row.name) {
            failures.push(format!("{} {}", row.name, differences.first().cloned().unwrap_or_default()));
        }
    }
    assert_none(&failures);
    assert!(compared > 1_000, "{compared} requests had keys");
}

/// How often each command ran or was refused, and which ran.
fn statistics(client: &mut Client) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let page = text(&client.call(&["INFO", "commandstats"]));
    let (mut said, mut ran) = (BTreeMap::new(), BTreeSet::new());
    for line in page.lines() {
        let Some((name, figures)) = line.strip_prefix("cmdstat_").and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let figure = |wanted: &str| -> u64 {
            let mut figures = figures.split(',').filter_map(|figure| figure.split_once('='));
            let value = figures.find(|(figure, _)| *figure == wanted).map(|(_, value)| value);
            value.and_then(|value| value.parse().ok()).expect("a number")
        };
        said.insert(name.to_owned(), figure("calls") + figure("rejected_calls"));
        if figure("calls") > 0 {
            ran.insert(name.to_owned());
        }
    }
    (said, ran)
}

#[test]
fn every_command_is_in_the_statistics_as_often_as_it_was_said() {
    let server = Server::quartet(&[]);
    let table = command_table();
    let said = |row: &&Row| row.subcommands.is_empty() && !is_listed(UNSAID, &row.name);
    let rows: Vec<&Row> = table.rows().iter().filter(said).collect();
    for row in &rows {
        let mut words: Vec<&str> = row.name.split('|').collect();
        words.resize(words.len().max(row.arity.unsigned_abs() as usize), "1");
        let mut client = Client::connect(server.address());
        client.write(&request(&words));
        // Those that wait for keys are counted when they begin to, and have no reply yet.
        if !row.name.starts_with('b') {
            client.read();
        }
    }
    let mut control = Client::connect(server.address());
    let (counts, ran) = wait_for(|| {
        let (counts, ran) = statistics(&mut control);
        rows.iter().all(|row| counts.contains_key(&row.name)).then_some((counts, ran))
    });
    for row in rows {
        // The page itself has been asked for more than once.
        assert!(counts[&row.name] == 1 || row.name == "info", "{}: {}", row.name, counts[&row.name]);
    }
    let OwnedFrame::Array { data, .. } = control.call(&["LATENCY", "HISTOGRAM"]) else { panic!("an array") };
    let timed: BTreeSet<String> = data.iter().step_by(2).map(text).collect();
    let untimed: Vec<_> = ran.difference(&timed).collect();
    assert!(untimed.is_empty(), "{untimed:?} ran and have no latency");
}
