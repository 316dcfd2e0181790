//! Commands that look through all keys are answered beside long commands of several clients, which overlap all the time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use redis_protocol::resp3::types::OwnedFrame;

use crate::support::client::{Client, request, text};
use crate::support::process::{Server, wait_for};

/// Keys that nobody holds.
const FREE: usize = 1_000;

/// Long commands that a client says at most, one after the other: several times as many as it takes to answer all others.
const COMMANDS: usize = 60;

/// Takes long enough to be told apart from other commands on any machine.
const LONG: &str = "for _ = 1, 15000000 do end return redis.call('INCR', KEYS[1])";

/// Workers, and the clients that say long commands: two for each, which is all that its threads can run at once.
const CASES: [(&str, usize); 2] = [("1", 2), ("3", 6)];

/// Has `walk` run while each of these clients says long commands on a key of its own.  None of them may come to its end.
fn beside_long_commands((threads, runners): (&str, usize), walk: impl FnOnce(&mut Client)) {
    let server = Server::quartet(&["--threads", threads, "--busy-reply-threshold", "60000"]);
    let mut client = Client::connect(server.address());
    let free: Vec<String> = (0..FREE).map(|number| format!("free:{number}")).collect();
    let set = ["MSET"].into_iter().chain(free.iter().flat_map(|key| [key.as_str(), "value"]));
    assert_eq!(text(&client.call(&set.collect::<Vec<_>>())), "OK");
    let (is_over, said) = (AtomicBool::new(false), Vec::from_iter((0..runners).map(|_| AtomicUsize::new(0))));
    thread::scope(|scope| {
        for (number, said) in said.iter().enumerate() {
            let (address, is_over) = (server.address(), &is_over);
            scope.spawn(move || {
                let mut runner = Client::connect(address);
                let line = request(&["EVAL", LONG, "1", &format!("held:{number}")]);
                while !is_over.load(SeqCst) && said.load(SeqCst) < COMMANDS {
                    runner.write(&line);
                    let reply = runner.read_text();
                    assert_eq!(reply, Some((said.fetch_add(1, SeqCst) + 1).to_string()));
                }
            });
        }
        wait_for(|| said.iter().all(|said| said.load(SeqCst) > 0).then_some(()));
        walk(&mut client);
        let said: Vec<usize> = said.iter().map(|said| said.load(SeqCst)).collect();
        is_over.store(true, SeqCst);
        assert!(said.iter().all(|&said| said < COMMANDS), "with {threads} workers after {said:?}");
    });
}

/// The strings of an array.
fn strings(frame: &OwnedFrame) -> Vec<String> {
    let OwnedFrame::Array { data, .. } = frame else { panic!("{frame:?} is no array") };
    data.iter().map(text).collect()
}

fn all_keys(runners: usize) -> BTreeSet<String> {
    let held = (0..runners).map(|number| format!("held:{number}"));
    (0..FREE).map(|number| format!("free:{number}")).chain(held).collect()
}

#[test]
fn keys_are_found_and_counted() {
    for case @ (_, runners) in CASES {
        beside_long_commands(case, |client| {
            let all = all_keys(runners);
            assert_eq!(client.ask("DBSIZE"), all.len().to_string());
            let keyspace = client.ask("INFO keyspace");
            assert!(keyspace.contains(&format!("db0:keys={},", all.len())), "{keyspace}");
            assert!(all.contains(&client.ask("RANDOMKEY")));
            assert_eq!(client.ask("KEYS free:7"), "[free:7]");
            let names = strings(&client.call(&["KEYS", "*"]));
            assert_eq!(names.len(), all.len(), "each comes once");
            assert_eq!(BTreeSet::from_iter(names), all);
        });
    }
}

#[test]
fn keys_are_walked_to_the_end() {
    for case @ (_, runners) in CASES {
        beside_long_commands(case, |client| {
            let (mut seen, mut cursor) = (BTreeSet::new(), "0".to_owned());
            loop {
                let frame = client.call(&["SCAN", &cursor, "COUNT", "10000"]);
                let OwnedFrame::Array { data, .. } = frame else { panic!("{frame:?} is no page") };
                seen.extend(strings(&data[1]));
                cursor = text(&data[0]);
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(seen, all_keys(runners));
        });
    }
}

/// Commands that were told apart by the keys which they look through: they wait for those who hold these, and for nobody else.
#[test]
fn keys_with_a_prefix_are_removed() {
    for case in CASES {
        beside_long_commands(case, |client| {
            let (mut removed, mut cursor) = (0, "0".to_owned());
            loop {
                let frame = client.call(&["DELPREFIX", &cursor, "free:", "COUNT", "10000"]);
                let step = strings(&frame);
                removed += step[1].parse::<usize>().expect("it counts");
                cursor.clone_from(&step[0]);
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(removed, FREE);
        });
    }
}

/// Commands that need the store alone have their turn as well.
#[test]
fn the_store_is_had_alone() {
    for case in CASES {
        beside_long_commands(case, |client| {
            assert_eq!(client.ask("SWAPDB 4 5"), "OK");
            for (line, reply) in [("MULTI", "OK"), ("DBSIZE", "QUEUED"), ("RANDOMKEY", "QUEUED")] {
                assert_eq!(client.ask(line), reply);
            }
            assert!(client.ask("EXEC").starts_with('['));
        });
    }
}
