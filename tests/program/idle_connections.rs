//! Ten thousand connections that do nothing: all are held, and cost little.

use std::io::Write;
use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use crate::support::client::Client;
use crate::support::process::Server;

const CONNECTIONS: usize = 10_000;

/// Open files of the test itself and of the tests beside it.
const OTHER_FILES: u64 = 500;

/// Far above what a connection should cost: it finds a leak or a buffer for each, not a few bytes.
const BYTES_PER_CONNECTION_MAX: usize = 32 * 1024;

#[test]
fn are_held() {
    let count = allowed_connections();
    let server = Server::quartet(&["--maxclients", "20000"]);
    let mut first = Client::connect(server.address());
    assert_eq!(first.ask("PING"), "PONG");
    let before = resident_bytes(server.process());
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(server.address())).collect();
    clients.iter_mut().for_each(|client| client.write(b"PING\r\n"));
    for client in &mut clients {
        assert_eq!(client.read_text().as_deref(), Some("PONG"));
    }
    let each = resident_bytes(server.process()).saturating_sub(before) / count;
    // The harness captures the printing macros of tests that pass, but not the stream itself.
    let _ = writeln!(io::stderr(), "{count} idle connections take {each} bytes of resident memory each");
    assert!(each <= BYTES_PER_CONNECTION_MAX, "{each} bytes for each connection");
    assert!(first.ask("INFO clients").contains(&format!("connected_clients:{}", count + 1)));
    drop(clients);
    assert_eq!(first.ask("PING"), "PONG");
}

/// Raises the limit on open files as far as it goes; how many connections it leaves room for.
fn allowed_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
    let files = limit.maximum.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    CONNECTIONS.min(usize::try_from(files).unwrap_or(CONNECTIONS))
}

/// The memory of a process that is in use, as the kernel counts it.
fn resident_bytes(process: Pid) -> usize {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = fs::read_to_string(path).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel counts it");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes * 1024
}
