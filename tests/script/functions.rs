//! Libraries of functions: on every thread, whole or not at all, within their limits, and between servers.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Scripts;
use crate::support::client::{Client, text};
use crate::support::peers;
use crate::support::process::{Server, wait_for};

/// A library of this name with this text of Lua.
fn library(name: &str, body: &str) -> String {
    format!("#!lua name={name}\n{body}")
}

/// Loads a library in place of the one that has its name, and returns the reply.
fn load(client: &mut Client, name: &str, body: &str) -> String {
    text(&client.call(&["FUNCTION", "LOAD", "REPLACE", &library(name, body)]))
}

#[test]
fn every_thread_has_a_library_as_it_is_now() {
    let server = Server::quartet(&["--threads", "4"]);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(server.address())).collect();
    for round in 0..20 {
        let body = format!("redis.register_function('round', function() return {round} end)");
        let loader = &mut clients[round % 8];
        assert_eq!(load(loader, "shared", &body), "shared");
        for client in &mut clients {
            assert_eq!(client.ask("FCALL round 0"), round.to_string());
        }
    }
    assert_eq!(clients[3].ask("FUNCTION DELETE shared"), "OK");
    for client in &mut clients {
        assert_eq!(client.ask("FCALL round 0"), "-ERR Function not found");
    }
}

#[test]
fn a_library_takes_the_place_of_another_at_once() {
    let server = Server::quartet(&["--threads", "2"]);
    let body = |number: usize| {
        format!("for i = 1, 9 do redis.register_function('f' .. i, function() return {number} end) end")
    };
    let mut loader = Client::connect(server.address());
    load(&mut loader, "shared", &body(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(server.address());
                    let mut last = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        // All functions of a transaction are of one library, and none is older than one seen before.
                        client.ask("MULTI");
                        (1..=9).for_each(|number| drop(client.ask(&format!("FCALL f{number} 0"))));
                        let replies = text(&client.call(&["EXEC"]));
                        let numbers: Vec<usize> = replies
                            .split(|c: char| !c.is_ascii_digit())
                            .filter_map(|word| word.parse().ok())
                            .collect();
                        assert_eq!(numbers.len(), 9, "{replies}");
                        assert!(numbers.iter().all(|number| *number == numbers[0]), "{replies}");
                        assert!(numbers[0] >= last);
                        last = numbers[0];
                    }
                })
            })
            .collect();
        for number in 1..100 {
            assert_eq!(load(&mut loader, "shared", &body(number)), "shared");
        }
        is_over.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().expect("it saw whole libraries only"));
    });
}

#[test]
fn a_function_that_computes_a_key_starts_again_alone() {
    for threads in ["1", "4"] {
        let mut scripts = Scripts::start(&["--threads", threads]);
        let body = "redis.register_function('count', function(keys) local n = redis.call('INCR', keys[1]) \
                    redis.call('SET', 'computed:' .. n, n) return n end)";
        for number in 1..=20 {
            // A library that is loaded anew is not known to need that.
            assert_eq!(load(&mut scripts.client, "counting", &format!("{body} -- {number}")), "counting");
            assert_eq!(scripts.client.ask("FCALL count 1 counter"), number.to_string());
        }
        assert_eq!(scripts.client.ask("GET counter"), "20");
        assert_eq!(scripts.client.ask("DBSIZE"), "21");
    }
}

/// Whether the time of a library was over before it came to anything else, as may be on a busy machine.
fn is_too_late(reply: &str) -> bool {
    reply.ends_with("FUNCTION LOAD timeout")
}

#[test]
fn what_a_library_takes_is_limited() {
    let mut scripts = Scripts::start(&["--script-memory-limit", "16mb"]);
    let client = &mut scripts.client;
    assert_eq!(load(client, "good", "redis.register_function('f', function() return 1 end)"), "good");
    assert_eq!(
        load(client, "endless", "while true do end"),
        "-ERR Error registering functions: ERR FUNCTION LOAD timeout"
    );
    for greedy in [
        "local s = 'x' while true do s = s .. s end",
        "local s = ('x'):rep(100000000)",
        "local t = {} while true do t = {t, t} end",
    ] {
        let refused = load(client, "greedy", greedy);
        assert!(refused.contains("not enough memory") || is_too_late(&refused), "{refused}");
    }
    let many = "for i = 1, 20001 do redis.register_function('f' .. i, function() end) end";
    let refused = load(client, "many", many);
    assert!(
        refused.ends_with("ERR the library has too many functions") || is_too_late(&refused),
        "{refused}"
    );
    let long = format!("-- {}", "x".repeat(16 << 20));
    assert_eq!(load(client, "long", &long), "-ERR a library may have at most 16777216 bytes");
    assert_eq!(
        client.ask("FUNCTION LIST"),
        client.ask("FUNCTION LIST LIBRARYNAME good"),
        "there is no other"
    );
    assert_eq!(client.ask("FCALL f 0"), "1");
}

#[test]
fn names_and_descriptions_are_limited() {
    let mut scripts = Scripts::start(&[]);
    let client = &mut scripts.client;
    let described = |length: usize| {
        format!(
            "redis.register_function{{function_name='big', callback=function() return 1 end, \
             description=('x'):rep({length})}}"
        )
    };
    let too_long = "-ERR Error registering functions: ERR description argument given to \
                    redis.register_function may have at most 4096 bytes";
    let is_refused = |reply: &str| reply == too_long || is_too_late(reply);
    let refused = load(client, "big", &described(70_000_000));
    assert!(is_refused(&refused), "{refused}");
    assert_eq!(load(client, "big", &described(4097)), too_long);
    let many = format!("for i = 1, 20 do {} end", described(50_000_000).replace("'big'", "'f' .. i"));
    let refused = load(client, "big", &many);
    assert!(is_refused(&refused), "{refused}");
    assert_eq!(load(client, "big", &described(4096)), "big");
    assert_eq!(client.ask("FCALL big 0"), "1");
    for register in
        ["redis.register_function(name, call)", "redis.register_function{function_name=name, callback=call}"]
    {
        let named = |length: usize| {
            format!("local name, call = ('n'):rep({length}), function() return 2 end {register}")
        };
        let refused = load(client, "named", &named(1025));
        assert!(
            refused.ends_with(
                "function_name argument given to redis.register_function may have at most 1024 bytes"
            ),
            "{refused}"
        );
        assert_eq!(load(client, "named", &named(1024)), "named");
        assert_eq!(client.ask(&format!("FCALL {} 0", "n".repeat(1024))), "2");
    }
}

#[test]
fn what_libraries_keep_leaves_room_for_scripts() {
    let mut scripts = Scripts::start(&["--threads", "1", "--script-memory-limit", "4mb"]);
    let fill = "t = {} for i = 1, 10 do t[i] = ('x' .. i):rep(110000) collectgarbage() end";
    let body = format!(
        "local t redis.register_function('hold', function() local had = t ~= nil {fill} return tostring(had) end)"
    );
    assert_eq!(load(&mut scripts.client, "hoarder", &body), "hoarder");
    assert_eq!(scripts.client.ask("FCALL hold 0"), "false");
    // While a call takes long, another thread runs the next one, and that has a Lua of its own.
    wait_for(|| {
        assert_eq!(scripts.eval(&format!("local t {fill} return #t")), "10");
        let was_loaded_again = scripts.client.ask("FCALL hold 0") == "false";
        was_loaded_again.then_some(())
    });
}

#[test]
fn what_a_function_keeps_stays_within_its_library() {
    let mut scripts = Scripts::start(&["--threads", "1"]);
    let body =
        "local count = 0 redis.register_function('next', function() count = count + 1 return count end)";
    for name in ["one", "two"] {
        load(&mut scripts.client, name, &body.replace("next", &format!("next_{name}")));
    }
    assert_eq!(scripts.client.ask("FCALL next_one 0"), "1");
    assert_eq!(scripts.client.ask("FCALL next_one 0"), "2");
    assert_eq!(scripts.client.ask("FCALL next_two 0"), "1");
    load(&mut scripts.client, "one", &body.replace("next", "next_one"));
    assert_eq!(scripts.client.ask("FCALL next_one 0"), "1");
    assert!(scripts.eval("return count").contains("nonexistent global variable 'count'"));
    assert!(scripts.eval("redis.register_function('f', function() end)").contains("(a nil value)"));
}

/// Bodies of libraries that peers and we must take alike.
const BODIES: &[&str] = &[
    "redis.register_function('one', function() return 1 end)",
    "redis.register_function{function_name = 'two', callback = function(keys) return keys[1] end, \
     description = 'the second', flags = {'no-writes', 'allow-cross-slot-keys'}} -- xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

#[test]
fn payloads_go_to_redis_and_come_back() {
    let Some(program) = peers::peer("redis-server") else { return };
    let (redis, ours) = (Server::peer(&program), Server::quartet(&[]));
    let mut redis = Client::connect(redis.address());
    let mut ours = Client::connect(ours.address());
    let dump = |client: &mut Client| match client.call(&["FUNCTION", "DUMP"]) {
        redis_protocol::resp3::types::OwnedFrame::BlobString { data, .. } => data,
        other => panic!("a payload is a string: {other:?}"),
    };
    for (number, body) in BODIES.iter().enumerate() {
        redis.call(&["FUNCTION", "LOAD", &library(&format!("l{number}"), body)]);
    }
    let listed = |client: &mut Client| {
        (0..BODIES.len())
            .map(|number| client.ask(&format!("FUNCTION LIST WITHCODE LIBRARYNAME l{number}")))
            .collect::<Vec<_>>()
    };
    let theirs = dump(&mut redis);
    assert_eq!(text(&ours.call(&[b"FUNCTION".as_slice(), b"RESTORE", &theirs])), "OK");
    assert_eq!(listed(&mut ours), listed(&mut redis));
    let back = dump(&mut ours);
    redis.ask("FUNCTION FLUSH");
    assert_eq!(text(&redis.call(&[b"FUNCTION".as_slice(), b"RESTORE", &back])), "OK");
    assert_eq!(listed(&mut ours), listed(&mut redis));
    for client in [&mut ours, &mut redis] {
        let refused = text(&client.call(&[b"FUNCTION".as_slice(), b"RESTORE", &back]));
        assert!(refused.starts_with("-ERR Library l") && refused.ends_with(" already exists"), "{refused}");
        for policy in [&b"REPLACE"[..], b"FLUSH"] {
            assert_eq!(text(&client.call(&[b"FUNCTION".as_slice(), b"RESTORE", &back, policy])), "OK");
        }
        assert_eq!(client.ask("FCALL_RO two 1 key"), "key");
    }
}
