//! Large hashes, lists, sets and sorted sets hold nobody up while they are read, and give their memory back however they go.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::large_values::{MEBIBYTE, SLACK, forget_peak, memory, resident};
use crate::support::client::{Client, request};
use crate::support::process::Server;

/// Parts of a large key, and bytes of each: more together than the sockets of both sides hold.
const PARTS: usize = 40_000;
const PART: usize = 1_000;

/// Parts that are sent in one request.
const CHUNK: usize = 500;

/// Looks at the memory before a test gives up: some seconds' worth.
const LOOKS_MAX: usize = 200_000;

/// Adds the parts to a key with a command that takes so many words before each of them.
fn fill(client: &mut Client, command: &str, key: &str, words: impl Fn(usize) -> Vec<String>) {
    for start in (0..PARTS).step_by(CHUNK) {
        let mut request_words = vec![command.to_owned(), key.to_owned()];
        request_words.extend((start..start + CHUNK).flat_map(&words));
        client.write(&request(&request_words));
    }
    for _ in (0..PARTS).step_by(CHUNK) {
        client.read_text().expect("a number of parts");
    }
}

fn part(number: usize) -> String {
    format!("{number:0PART$}")
}

fn server_with_large_keys() -> (Server, Client) {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    fill(&mut client, "HSET", "hash", |number| vec![format!("field:{number}"), part(number)]);
    fill(&mut client, "RPUSH", "list", |number| vec![part(number)]);
    fill(&mut client, "SADD", "set", |number| vec![part(number)]);
    fill(&mut client, "ZADD", "sorted", |number| vec![number.to_string(), part(number)]);
    (server, client)
}

/// A pipeline of whole reads: with one worker, another client is answered before any of their replies has ended, and the server
/// makes a reply only when the one before it is nearly read.
#[test]
fn are_read_while_others_are_answered() {
    const REPEATED: usize = 5;
    let (server, mut other) = server_with_large_keys();
    let reads: [&[&str]; 4] = [
        &["HGETALL", "hash"],
        &["LRANGE", "list", "0", "-1"],
        &["SMEMBERS", "set"],
        &["ZRANGE", "sorted", "0", "-1", "WITHSCORES"],
    ];
    for words in reads {
        let before = resident(&server);
        forget_peak(&server);
        let mut reader = TcpStream::connect(server.address()).expect("the server listens");
        reader.write_all(&request(words).repeat(REPEATED)).expect("the server reads");
        reader.write_all(&request(&["PING"])).expect("the server reads");
        for (question, answer) in [
            ("PING", "PONG".to_owned()),
            ("HGET hash field:7", part(7)),
            ("LINDEX list 20000", part(20_000)),
            ("SCARD set", PARTS.to_string()),
            ("ZSCORE sorted nobody", "(nil)".to_owned()),
        ] {
            assert_eq!(other.ask(question), answer, "{words:?}");
        }
        assert!(length_until_pong(&mut reader) > REPEATED * PARTS * PART, "{words:?}");
        let peak = memory(&server, "VmHWM:");
        let most = before + 3 * PARTS * PART + SLACK;
        assert!(peak <= most, "{words:?}: {peak} bytes at most, from {before}");
    }
}

/// Reads replies up to a PONG and returns the number of their bytes.
pub(super) fn length_until_pong(reader: &mut TcpStream) -> usize {
    const PONG: &[u8] = b"+PONG\r\n";
    let (mut length, mut last) = (0, Vec::new());
    let mut chunk = vec![0; MEBIBYTE];
    while !last.ends_with(PONG) {
        let count = reader.read(&mut chunk).expect("the server answers");
        assert!(count > 0, "the server closed the connection");
        length += count;
        last.extend_from_slice(&chunk[count.saturating_sub(PONG.len())..count]);
        last.drain(..last.len().saturating_sub(PONG.len()));
    }
    length
}

#[test]
fn give_their_memory_back_however_they_go() {
    let (server, mut client) = server_with_large_keys();
    assert_eq!(client.ask("SET small value"), "OK");
    let steps: [(&str, &[(&str, &str)]); 6] = [
        ("DEL", &[("DEL copy", "1")]),
        ("UNLINK", &[("UNLINK copy", "1")]),
        ("SET", &[("SET copy value", "OK")]),
        ("RENAME", &[("RENAME small copy", "OK"), ("RENAME copy small", "OK")]),
        ("expiry", &[("PEXPIRE copy 1", "1")]),
        ("a script", &[("EVAL return(redis.call('del',KEYS[1])) 1 copy", "1")]),
    ];
    for key in ["hash", "list", "set", "sorted"] {
        for (what, commands) in steps {
            let start = resident(&server);
            assert_eq!(client.ask(&format!("COPY {key} copy REPLACE")), "1");
            // The copy may lie in what the step before has freed.
            let usage = client.ask("MEMORY USAGE copy").parse::<usize>().unwrap_or_default();
            assert!(usage > PARTS * PART / 2, "{key} was copied: {usage}");
            for (command, reply) in commands {
                assert_eq!(client.ask(command), *reply, "{command}");
            }
            assert_falls_to(&server, &mut client, start + SLACK / 2, &format!("{what} of {key}"));
        }
    }
    let full = resident(&server);
    assert_eq!(client.ask("FLUSHALL"), "OK");
    assert_falls_to(&server, &mut client, full - 3 * PARTS * PART, "FLUSHALL");
}

/// Asserts that the process takes no more than `limit` soon.
fn assert_falls_to(server: &Server, client: &mut Client, limit: usize, what: &str) {
    for _ in 0..LOOKS_MAX {
        if resident(server) <= limit {
            return;
        }
        assert_eq!(client.ask("PING"), "PONG");
    }
    panic!("{what}: {} MiB are resident, not {}", resident(server) / MEBIBYTE, limit / MEBIBYTE);
}
