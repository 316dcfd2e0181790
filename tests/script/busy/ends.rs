//! How scripts that run for long end.

use rustix::process::{Signal, kill_process};

use super::{BUSY, ENDLESS, free_key, run_for_long, server};
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::wait_for;

const UNKILLABLE: &str = "-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";

/// Writes, and runs until it is stopped.
const WRITING: &str = "redis.call('SET', KEYS[1], 1) while true do end";

#[test]
fn a_script_that_has_written_ends_with_the_server() {
    for stop in ["SHUTDOWN NOSAVE", "SIGTERM"] {
        let mut server = server(&[]);
        let mut other = Client::connect(server.address());
        let mut runner = run_for_long(&server, WRITING, &["held"], &mut other, "held");
        assert_eq!(other.ask("SCRIPT KILL"), UNKILLABLE);
        if stop == "SIGTERM" {
            kill_process(server.process(), Signal::TERM).expect("the process lives");
        } else {
            other.write(format!("{stop}\r\n").as_bytes());
        }
        assert_eq!(server.wait().code(), Some(0), "{stop}: {}", server.folder().stderr());
        assert_eq!(
            runner.read_text().as_deref(),
            Some("-ERR the server is about to stop: the script was stopped")
        );
    }
}

#[test]
fn a_script_that_writes_after_its_threshold_cannot_be_stopped_any_more() {
    let server = server(&["--script-time-limit", "2"]);
    let mut other = Client::connect(server.address());
    // It writes once it has seen what another client does beside it.
    let script = "while redis.call('TIME') do if redis.call('EXISTS', KEYS[1]) == 0 then \
                  redis.call('SET', KEYS[1], 1) end end";
    let mut runner = run_for_long(&server, script, &["held"], &mut other, "held");
    assert_eq!(other.ask("SCRIPT KILL"), UNKILLABLE);
    let reply = runner.read_text();
    assert!(reply.is_some_and(|reply| reply.contains("script-time-limit")), "its time ends it");
    assert_eq!(other.ask("GET held"), "(nil)", "what it did is undone");
}

#[test]
fn the_time_limit_ends_what_cannot_be_undone_too() {
    let server = server(&["--script-time-limit", "1"]);
    let mut other = Client::connect(server.address());
    let script = "redis.call('SET', 'before', 1) redis.call('FLUSHALL') redis.call('SET', 'after', 1) \
                  while true do end";
    let mut runner = run_for_long(&server, script, &[], &mut other, "x");
    assert_eq!(other.ask("SCRIPT KILL"), UNKILLABLE);
    let reply = runner.read_text().expect("its time ends it");
    assert!(reply.contains("that could not be undone"), "{reply}");
    assert_eq!(other.ask("KEYS *"), "[after]");
}

#[test]
fn the_script_of_a_client_that_has_gone_is_stopped_like_others() {
    let server = server(&[]);
    let mut other = Client::connect(server.address());
    drop(run_for_long(&server, ENDLESS, &["held"], &mut other, "held"));
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    wait_for(|| (other.ask("GET held") == "(nil)").then_some(()));
}

#[test]
fn a_script_over_http_runs_and_ends_like_others() {
    let server = server(&["--http-port", "0"]);
    let (mut runner, mut http) = (Http::connect(server.http_address()), Http::connect(server.http_address()));
    let mut other = Client::connect(server.address());
    let headers = [("Content-Type", "application/json")];
    let script = format!("[\"EVAL\", \"{ENDLESS}\", 1, \"held\"]");
    let body = script.as_bytes();
    let host = server.http_address();
    let head = format!("POST /redis HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
    runner.write(&[head.as_bytes(), body].concat());
    wait_for(|| (other.ask("GET held") == BUSY).then_some(()));
    let free = free_key(&mut other);
    assert_eq!(other.ask(&format!("SET {free} 1")), "OK");
    let reply = http.ask("POST", "/redis", &headers, b"[\"GET\", \"held\"]");
    assert!(reply.text().contains("BUSY Redis is busy"), "{}", reply.text());
    assert_eq!(http.get("/cache/held").problem(), "busy");
    let reply = http.ask("POST", "/redis", &headers, b"[\"SCRIPT\", \"KILL\"]");
    assert_eq!(reply.text(), "{\"result\":\"OK\"}");
    let reply = runner.read("POST").expect("the script is answered");
    assert!(reply.text().contains("Script killed by user"), "{}", reply.text());
}
