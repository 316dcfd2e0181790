//! Clients that want the whole store at once, beside a server that writes down what limits have counted: nobody waits for
//! ever for a lock, and a signal still stops the server.

use rustix::process::{Signal, kill_process};

use crate::support::client::{Client, request};
use crate::support::process::{Folder, Server};

/// So often must the limits have been written while clients want the gate for themselves.
const WRITTEN_AT_LEAST: u64 = 4;

/// The number in a field of INFO; 0 if it is not there.
fn field(info: &str, name: &str) -> u64 {
    let line = info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    line.map_or(0, |number| number.parse().expect("it is a number"))
}

/// Has a client say `transaction` again and again while another makes up keys to be limited, until the limits were written
/// several times; then stops the server with a signal.
#[track_caller]
fn check(transaction: &[&str]) {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let mut server = Server::quartet(&["--dir", &data]);
    let words = |line: &&str| request(&line.split(' ').collect::<Vec<_>>());
    let whole: Vec<u8> = transaction.iter().flat_map(words).collect();
    let (mut reports, mut limited) = (Client::connect(server.address()), Client::connect(server.address()));
    let (mut number, mut written) = (0, 0);
    while written < WRITTEN_AT_LEAST {
        reports.write(&whole);
        for _ in 0..20 {
            number += 1;
            limited.write(format!("RL.CHECK k{number} INLINE fixed 5 86400000\r\n").as_bytes());
        }
        for _ in transaction {
            let reply = reports.read_text().expect("it is answered");
            written = written.max(field(&reply, "limits_journal_syncs"));
        }
        for _ in 0..20 {
            let allowed = limited.read_text().expect("it is answered");
            assert!(allowed.starts_with("[1, 5, 4,"), "{allowed}");
        }
    }
    kill_process(server.process(), Signal::TERM).expect("it runs");
    assert!(server.wait().success());
}

#[test]
fn a_transaction_with_info_and_a_limiter_get_along() {
    check(&["MULTI", "INFO persistence", "DBSIZE", "EXEC"]);
}

#[test]
fn a_transaction_that_exchanges_databases_and_a_limiter_get_along() {
    check(&["MULTI", "SWAPDB 0 1", "SWAPDB 0 1", "KEYS zz*", "INFO persistence", "EXEC"]);
}
