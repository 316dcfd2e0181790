//! Whatever becomes of the reader of the log, the server serves, says what was lost, and stops well.

use std::fs::File;
use std::io::{Read, pipe};
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, quartet, wait_for};

/// Requests whose log lines are more than a pipe and the queue hold together.
const REQUESTS: usize = 20_000;
const REQUESTS_AT_ONCE: usize = 500;

/// A server that logs every HTTP request to `log`.
fn logging_to(log: impl Into<Stdio>) -> Server {
    Server::quartet_as(&["--http-port", "0", "--http-log-requests", "yes"], |mut command| {
        command.stderr(log);
        command
    })
}

fn dropped(server: &Server) -> u64 {
    let statistics = Client::connect(server.address()).ask("INFO stats");
    let line = statistics.lines().find_map(|line| line.strip_prefix("dropped_log_lines:"));
    line.expect("INFO counts them").trim().parse().expect("it is a number")
}

/// Makes `count` lines of the log.
fn cause_lines(server: &Server, count: usize) {
    let mut client = Http::connect(server.http_address());
    for _ in 0..count.div_ceil(REQUESTS_AT_ONCE) {
        client.write(
            "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS_AT_ONCE).as_bytes(),
        );
        for _ in 0..REQUESTS_AT_ONCE {
            assert_eq!(client.read("GET").expect("it is answered").status, 200);
        }
    }
}

fn stops_well(mut server: Server) {
    kill_process(server.process(), Signal::TERM).expect("the process lives");
    assert_eq!(server.wait().code(), Some(0));
}

fn full_device() -> File {
    File::options().write(true).open("/dev/full").expect("the system has such a device")
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let server = logging_to(full_device());
    cause_lines(&server, 1);
    wait_for(|| (dropped(&server) > 0).then_some(()));
    stops_well(server);
}

#[test]
fn a_reader_that_has_gone_stops_nobody() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let server = logging_to(writer);
    reader.read_exact(&mut [0]).expect("the server says that it serves");
    drop(reader);
    cause_lines(&server, 1);
    wait_for(|| (dropped(&server) > 0).then_some(()));
    stops_well(server);
}

#[test]
fn a_reader_that_does_not_read_stops_nobody_and_is_told_what_it_missed() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let server = logging_to(writer);
    cause_lines(&server, REQUESTS);
    assert!(dropped(&server) > 0);
    let metrics = Http::connect(server.http_address()).get("/metrics");
    assert!(!metrics.text().contains("quartet_log_lines_dropped_total 0\n"), "{}", metrics.text());
    let mut log = Vec::new();
    let mut chunk = [0; 1 << 16];
    while !log.windows(26).any(|part| part == b"lines of the log were drop") {
        let length = reader.read(&mut chunk).expect("the server lives");
        log.extend_from_slice(&chunk[..length]);
    }
    stops_well(server);
}

#[test]
fn a_reader_that_never_reads_does_not_hold_up_the_end() {
    let (_reader, writer) = pipe().expect("a pipe");
    let server = logging_to(writer);
    cause_lines(&server, REQUESTS);
    stops_well(server);
}

/// Runs the program with both its outputs on a device that is full, and returns its exit code.
fn code_of(arguments: &[&str]) -> Option<i32> {
    let folder = Folder::new();
    let mut command: Command = quartet(&folder);
    command.args(arguments).stdout(full_device()).stderr(full_device());
    command.status().expect("the binary was built for this test").code()
}

#[test]
fn a_log_that_cannot_be_written_causes_no_panic() {
    assert_eq!(code_of(&["--prot", "1"]), Some(1));
    assert_eq!(code_of(&["--help"]), Some(1));
    assert_eq!(code_of(&["--version"]), Some(1));
}

#[test]
fn the_level_changes_while_the_server_runs() {
    let server = Server::quartet(&["--http-port", "0", "--log-level", "warn"]);
    let mut client = Client::connect(server.address());
    let lines = |server: &Server| server.folder().stderr().matches("route=").count();
    cause_lines(&server, 1);
    assert_eq!(client.ask("CONFIG SET log-level debug"), "OK");
    assert_eq!(client.ask("CONFIG GET log-level"), "[log-level, debug]");
    cause_lines(&server, 1);
    wait_for(|| (lines(&server) == REQUESTS_AT_ONCE).then_some(()));
    assert_eq!(client.ask("CONFIG SET log-level error"), "OK");
    cause_lines(&server, 1);
    assert_eq!(
        client.ask("CONFIG SET log-level loud"),
        "-ERR CONFIG SET failed (possibly related to argument \
        'log-level') - argument(s) must be one of the following: trace, debug, info, warn, error"
    );
    assert_eq!(lines(&server), REQUESTS_AT_ONCE);
}
