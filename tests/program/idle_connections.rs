//! Ten thousand connections that do nothing: all are held, and cost little.

use std::io::Write;
use std::{fs, io};

use rustix::process::Pid;

use crate::support::client::Client;
use crate::support::process::{Crowd, Server};

const CONNECTIONS: usize = 10_000;

/// Far above what a connection should cost: it finds a leak or a buffer for each, not a few bytes.
const BYTES_PER_CONNECTION_MAX: usize = 32 * 1024;

#[test]
fn are_held() {
    let crowd = Crowd::of(CONNECTIONS);
    let count = crowd.count;
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

/// The memory of a process that is in use, as the kernel counts it.
fn resident_bytes(process: Pid) -> usize {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = fs::read_to_string(path).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel counts it");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes * 1024
}
