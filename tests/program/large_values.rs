//! Large values take the memory they need once, and give it back; an announced one takes none before it comes.
//!
//! Copies by a command show in the peak memory of the process, which is a count, unlike the time that it takes.
//!
//! `QUARTET_LONG=1` sends strings of 512 MiB, the longest that there are.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use super::large_objects::length_until_pong;
use crate::support::client::{Client, request};
use crate::support::http::Http;
use crate::support::process::Server;

pub(super) const MEBIBYTE: usize = 1024 * 1024;
const LARGE: usize = 128 * MEBIBYTE;

/// Memory that comes and goes for other reasons.
pub(super) const SLACK: usize = 24 * MEBIBYTE;

/// Looks at the memory before a test gives up: some seconds' worth.
const LOOKS_MAX: usize = 200_000;

/// A line of `/proc/…/status` in bytes.
pub(super) fn memory(server: &Server, line: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().as_raw_nonzero()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|text| text.strip_prefix(line)).expect("the system tells");
    let kilobytes = line.split_whitespace().next().expect("a number");
    1024 * kilobytes.parse::<usize>().expect("a number")
}

pub(super) fn resident(server: &Server) -> usize {
    memory(server, "VmRSS:")
}

/// Has the system forget how much memory the process had at most.
pub(super) fn forget_peak(server: &Server) {
    fs::write(format!("/proc/{}/clear_refs", server.process().as_raw_nonzero()), "5").expect("it is ours");
}

/// Asserts that the process takes no more than `limit` soon.
fn assert_falls_to(server: &Server, client: &mut Client, limit: usize, what: &str) {
    for _ in 0..LOOKS_MAX {
        if resident(server) <= limit {
            return;
        }
        assert_eq!(client.ask("PING"), "PONG");
    }
    panic!("{what}: {} bytes are resident, not {limit}", resident(server));
}

#[test]
fn are_held_once_and_given_back() {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET small value"), "OK");
    let start = resident(&server);
    let value = "v".repeat(LARGE);
    let tail = "t".repeat(LARGE / 2);
    // The commands, and how much data there is in the end.
    let steps: [(&str, Vec<Vec<&str>>, &str, usize); 6] = [
        ("SET", vec![vec!["SET", "key", &value]], "OK", LARGE),
        ("SET over it", vec![vec!["SET", "key", &value, "EX", "1000"]], "OK", 2 * LARGE),
        ("MSET", vec![vec!["DEL", "key"], vec!["MSET", "key", &value]], "OK", 2 * LARGE),
        ("APPEND", vec![vec!["APPEND", "key", "end"]], "134217731", LARGE),
        ("APPEND of much", vec![vec!["APPEND", "key", &tail]], "201326595", 2 * LARGE),
        ("SETRANGE within", vec![vec!["SETRANGE", "key", "100000000", "x"]], "201326595", 2 * LARGE),
    ];
    for (what, requests, reply, most) in steps {
        assert_falls_to(&server, &mut client, start + 3 * LARGE / 2 + SLACK, what);
        forget_peak(&server);
        for line in &requests {
            client.write(&request(line));
        }
        for _ in 1..requests.len() {
            client.read_text();
        }
        assert_eq!(client.read_text().as_deref(), Some(reply), "{what}");
        let peak = memory(&server, "VmHWM:");
        assert!(peak <= start + most + SLACK, "{what}: {peak} bytes at most, from {start}");
    }
    assert_eq!(client.ask("DEL key"), "1");
    assert_falls_to(&server, &mut client, start + SLACK, "DEL");
    // A transaction keeps what it has queued.
    assert_eq!(client.ask("MULTI"), "OK");
    forget_peak(&server);
    assert_eq!(client.ask(&format!("SET key {value}")), "QUEUED");
    assert_eq!(client.ask("EXEC"), "[OK]");
    let peak = memory(&server, "VmHWM:");
    assert!(peak <= start + LARGE + SLACK, "EXEC: {peak} bytes at most, from {start}");
    assert_eq!(client.ask("FLUSHALL"), "OK");
    assert_falls_to(&server, &mut client, start + SLACK, "FLUSHALL");
    // Zeros that were never written take no memory.
    assert_eq!(client.ask("SETRANGE hole 424000000 x"), "424000001");
    assert_eq!(client.ask("GETRANGE hole 423999999 -1"), "\0x");
    assert!(resident(&server) <= start + SLACK);
}

/// Requests on a value of the greatest length with how their replies begin; `%` stands for the length, `#` for one less.
const ON_THE_LONGEST: &[(&str, &str)] = &[
    ("STRLEN key", "%"),
    ("APPEND key x", "-ERR string exceeds maximum allowed size"),
    ("SETRANGE key % x", "-ERR string exceeds maximum allowed size"),
    ("SETRANGE key # z", "%"),
    ("GETRANGE key -3 -1", "vvz"),
    ("APPEND missing v", "1"),
];

/// Values as long as they may be come and go in both protocols, at most one copy beside the value, while others are answered.
#[test]
fn of_the_greatest_length_come_and_go() {
    let length = if std::env::var_os("QUARTET_LONG").is_some() { 512 * MEBIBYTE } else { 32 * MEBIBYTE };
    let server = Server::quartet(&["--threads", "1", "--max-value-size", &length.to_string()]);
    let mut other = Client::connect(server.address());
    assert_eq!(other.ask("SET small value"), "OK");
    let start = resident(&server);
    let value = "v".repeat(length);
    for protocol in ["2", "3"] {
        forget_peak(&server);
        let mut client = TcpStream::connect(server.address()).expect("the server listens");
        let mut ask = |words: &[&str]| {
            // What the last reply has taken is given back first.
            assert_falls_to(&server, &mut other, start + length + SLACK, words[0]);
            client.write_all(&request(words)).expect("the server reads");
            client.write_all(b"PING\r\n").expect("the server reads");
            (0..50).for_each(|number| assert_eq!(other.ask(&format!("ECHO {number}")), number.to_string()));
            length_until_pong(&mut client)
        };
        ask(&["HELLO", protocol]);
        assert_eq!(ask(&["SET", "key", &value]), "+OK\r\n+PONG\r\n".len());
        let whole = length + format!("${length}\r\n\r\n+PONG\r\n").len();
        for read in [&["GET", "key"][..], &["GETRANGE", "key", "0", "-1"], &["SET", "key", &value, "GET"]] {
            assert_eq!(ask(read), whole, "{}", read[0]);
        }
        let peak = memory(&server, "VmHWM:");
        assert!(peak <= start + 2 * length + SLACK, "{peak} bytes at most, from {start}");
        let fill =
            |text: &str| text.replace('%', &length.to_string()).replace('#', &(length - 1).to_string());
        for (line, reply) in ON_THE_LONGEST {
            let answer = other.ask(&fill(line));
            assert!(answer.starts_with(&fill(reply)), "{line}: {answer}");
        }
        assert_eq!(other.ask("DEL key missing"), "2");
        assert_falls_to(&server, &mut other, start + SLACK, "DEL");
    }
}

#[test]
fn that_are_only_announced_take_nothing() {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET small value"), "OK");
    let start = resident(&server);
    let mut others: Vec<Client> = (0..50).map(|_| Client::connect(server.address())).collect();
    for other in &mut others {
        other.write(format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${}\r\n", 512 * MEBIBYTE).as_bytes());
        other.write(&[b'x'; 1000]);
    }
    for _ in 0..100 {
        assert_eq!(client.ask("PING"), "PONG");
    }
    assert!(resident(&server) <= start + SLACK);
    assert_eq!(client.ask("EXISTS key"), "0");
}

/// The memory of many small values goes back too: within a twentieth after FLUSHALL, and with MEMORY PURGE.
#[test]
fn and_many_small_ones_are_given_back() {
    const KEYS: usize = 400_000;
    let server = Server::quartet(&["--threads", "2"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("SET small value"), "OK");
    let start = resident(&server);
    let value = "v".repeat(100);
    // Two connections, so that what one thread has allocated is freed by another.
    let mut other = Client::connect(server.address());
    for (half, client) in [&mut client, &mut other].into_iter().enumerate() {
        for chunk in 0..KEYS / 2 / 1000 {
            let mut requests = Vec::new();
            for number in 0..1000 {
                requests.extend(request(&["SET", &format!("key:{half}:{chunk}:{number}"), &value]));
            }
            client.write(&requests);
            for _ in 0..1000 {
                assert_eq!(client.read_text().as_deref(), Some("OK"));
            }
        }
    }
    let full = resident(&server);
    assert_eq!(client.ask("FLUSHALL"), "OK");
    assert_falls_to(&server, &mut client, start + (full - start) / 8, "FLUSHALL");
    assert_eq!(client.ask("MEMORY PURGE"), "OK");
}

#[test]
fn of_an_http_body_are_collected_once() {
    const BODY: usize = 64 * MEBIBYTE;
    const BINARY: (&str, &str) = ("Content-Type", "application/octet-stream");
    let server = Server::quartet(&["--threads", "1", "--http-port", "0"]);
    let mut client = Client::connect(server.address());
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.ask("PUT", "/cache/small", &[BINARY], b"value").status, 201);
    let start = resident(&server);
    let body = "b".repeat(BODY);
    assert_eq!(http.ask("PUT", "/cache/large", &[BINARY], body.as_bytes()).status, 201);
    let peak = memory(&server, "VmHWM:");
    assert!(peak <= start + BODY + BODY / 4 + SLACK, "{peak} bytes at most, from {start}");
    assert_eq!(client.ask("DEL large"), "1");
    assert_falls_to(&server, &mut client, start + SLACK, "DEL");
}

/// Each of several arguments is what was sent, whether its buffer was kept or it was copied on the way.
#[test]
fn several_in_one_request_are_told_apart() {
    let server = Server::quartet(&["--threads", "1"]);
    let mut client = Client::connect(server.address());
    let lengths = [MEBIBYTE, 40_000, 10, 3 * MEBIBYTE, 32 * 1024, 5 * MEBIBYTE, 0, 100_000, 1];
    let pairs: Vec<(String, String)> = lengths
        .iter()
        .enumerate()
        .map(|(number, length)| {
            (format!("key:{number}"), char::from(b'a' + number as u8).to_string().repeat(*length))
        })
        .collect();
    let words = || pairs.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
    for queued in [false, true] {
        assert_eq!(client.ask("FLUSHALL"), "OK");
        let mset: Vec<&str> = ["MSET"].into_iter().chain(words()).collect();
        if queued {
            client.write(&[request(&["MULTI"]), request(&mset), request(&["EXEC"])].concat());
            for reply in ["OK", "QUEUED", "[OK]"] {
                assert_eq!(client.read_text().as_deref(), Some(reply));
            }
        } else {
            // Other requests stand before and behind it.
            client.write(&[request(&["PING"]), request(&mset), request(&["PING"])].concat());
            for reply in ["PONG", "OK", "PONG"] {
                assert_eq!(client.read_text().as_deref(), Some(reply));
            }
        }
        for (key, value) in &pairs {
            client.write(&request(&["GET", key]));
            assert!(client.read_text().as_ref() == Some(value), "{key}");
        }
    }
    assert_eq!(client.ask("APPEND key:3 end"), (3 * MEBIBYTE + 3).to_string());
    assert_eq!(client.ask("GETRANGE key:3 -5 -1"), "ddend");
    assert_eq!(client.ask("GETRANGE key:5 0 2"), "fff");
}
