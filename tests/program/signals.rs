//! No signal ends the server for no reason, and a second one that asks for the stop is heard.

use std::fs;
use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, limited, wait_for};

/// Those that would end a process that has not thought of them, but for those that stop the server.
const HARMLESS: &[Signal] = &[
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::PIPE,
    Signal::STKFLT,
    Signal::XFSZ,
];

fn send(server: &Server, signal: Signal) {
    kill_process(server.process(), signal).expect("the process lives");
}

#[test]
fn none_ends_the_server_for_no_reason() {
    let server = Server::quartet(&[]);
    for signal in HARMLESS {
        send(&server, *signal);
        assert_eq!(Client::connect(server.address()).ask("PING"), "PONG", "{signal:?}");
    }
    // From the first that the C library leaves to programs; they have no names.
    for number in 34..=64 {
        let status = Command::new("kill")
            .arg(format!("-{number}"))
            .arg(server.process().as_raw_nonzero().to_string())
            .status();
        assert!(status.expect("there is a program to send signals").success());
        assert_eq!(Client::connect(server.address()).ask("PING"), "PONG", "{number}");
    }
}

#[test]
fn those_that_stop_it_stop_it_in_order() {
    for signal in [Signal::QUIT, Signal::XCPU, Signal::POWER] {
        let mut server = Server::quartet(&[]);
        send(&server, signal);
        assert_eq!(server.wait().code(), Some(0), "{signal:?}: {}", server.folder().stderr());
    }
}

#[test]
fn a_file_that_may_not_grow_stops_what_needs_it_and_nothing_else() {
    let data = Folder::new();
    let path = data.path().join("data").display().to_string();
    let server =
        Server::quartet_as(&["--dir", &path, "--http-port", "0"], |command| limited("ulimit -f 64", command));
    let mut client = Client::connect(server.address());
    assert!(client.ask("LOCK.ACQUIRE first ann TTL 600000").contains("fence"));
    // The segment may not become longer than 32 KiB: locks stall, and say so, and nothing else does.
    let mut waiting = Client::connect(server.address());
    for number in 0..1_000 {
        waiting.write(format!("LOCK.ACQUIRE {number} ann TTL 600000\r\n").as_bytes());
    }
    let ready = wait_for(|| {
        Some(Http::connect(server.http_address()).get("/health/ready")).filter(|ready| ready.status == 503)
    });
    assert!(ready.text().contains("File too large"), "{}", ready.text());
    let stalled = client.ask("LOCK.ACQUIRE more bob TTL 600000");
    assert!(
        stalled.starts_with("-TRYAGAIN the journal of the locks cannot be written at the moment"),
        "{stalled}"
    );
    // No client waits until the file may grow, neither for a lock nor for a report.
    let replies: Vec<String> = (0..1_000).map(|_| waiting.read_text().expect("a reply")).collect();
    let unkept = replies.iter().position(|reply| reply.starts_with("-MISCONF the disk does not have"));
    let unkept = unkept.expect("some were done when the disk did not take them");
    assert!(client.ask("LOCK.INFO first").contains("ann"));
    assert_eq!(client.ask(&format!("LOCK.INFO {unkept}")), "(nil)");
    assert_eq!(client.ask("PING"), "PONG");
}

#[test]
fn a_hangup_has_the_settings_read_again() {
    let folder = Folder::new();
    let path = folder.path().join("quartet.toml");
    let write = |text: &str| fs::write(&path, text).expect("the folder can be written");
    write("log-level = 'warn'\ntimeout = 100\nslowlog-max-len = 5\n");
    let server = Server::quartet(&["--config", path.to_str().expect("it is text"), "--timeout", "200"]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("CONFIG SET slowlog-max-len 7 maxmemory 1gb"), "OK");
    write(
        "log-level = 'debug'\ntimeout = 300\nslowlog-max-len = 5\ndatabases = 4\n[limits.api]\nlimits = [{ algorithm = 'fixed', limit = 5, period_ms = 60000 }]\n",
    );
    send(&server, Signal::HUP);
    wait_for(|| (client.ask("CONFIG GET log-level") == "[log-level, debug]").then_some(()));
    // A flag goes before the file, and what CONFIG SET has changed stays unless the file changes it.
    assert_eq!(client.ask("CONFIG GET timeout"), "[timeout, 200]");
    assert_eq!(client.ask("CONFIG GET slowlog-max-len"), "[slowlog-max-len, 7]");
    assert_eq!(client.ask("CONFIG GET databases"), "[databases, 16]");
    wait_for(|| (client.ask("RL.POLICY LIST").contains("api")).then_some(()));
    write("log-level = 'loud'\n");
    send(&server, Signal::HUP);
    wait_for(|| server.folder().stderr().contains("settings stay as they were").then_some(()));
    assert_eq!(client.ask("CONFIG GET log-level"), "[log-level, debug]");
}

#[test]
fn a_second_one_does_not_wait() {
    let mut server = Server::quartet(&["--shutdown-delay", "3600"]);
    let mut client = Client::connect(server.address());
    send(&server, Signal::TERM);
    wait_for(|| server.folder().stderr().contains("stopping").then_some(()));
    assert_eq!(client.ask("PING"), "PONG");
    send(&server, Signal::INT);
    server.wait();
    assert_eq!(client.read_text(), None);
}
