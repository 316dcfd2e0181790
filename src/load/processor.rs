//! Processor time of this program's threads, and of a server on the same machine, from `/proc`.
//!
//! Where there is no `/proc`, or it may not be read, times are left out.

use std::fs::{read_dir, read_link, read_to_string};
use std::net::SocketAddr;
use std::path::Path;

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The process of a server on this machine.
#[derive(Clone, Debug)]
pub(super) struct ServerProcess {
    number: String,
}

impl ServerProcess {
    /// The process that listens at an address of this machine, if it is one and that can be seen.
    pub(super) fn listening_at(address: SocketAddr) -> Option<ServerProcess> {
        let socket = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| read_to_string(path).ok())
            .find_map(|table| listening_socket(&table, address.port()))?;
        let wanted = format!("socket:[{socket}]");
        let processes = read_dir("/proc").ok()?.flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().into_string().ok());
        numbers.find_map(|number| {
            let is_process = number.bytes().all(|byte| byte.is_ascii_digit());
            (is_process && has_open(&number, &wanted)).then_some(ServerProcess { number })
        })
    }

    /// Nanoseconds of processor time that its present threads have taken.
    pub(super) fn nanos(&self) -> Option<u64> {
        let threads = read_dir(format!("/proc/{}/task", self.number)).ok()?.flatten();
        Some(threads.filter_map(|thread| nanos_in(&thread.path().join("schedstat"))).sum())
    }
}

/// Whether a process has this file open.
fn has_open(process: &str, wanted: &str) -> bool {
    let Ok(files) = read_dir(format!("/proc/{process}/fd")) else { return false };
    files.flatten().any(|file| read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

/// The number of the socket that listens at a port.
fn listening_socket(table: &str, port: u16) -> Option<String> {
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        if state != LISTENING || !local.ends_with(&wanted) {
            return None;
        }
        fields.nth(5).filter(|number| *number != "0").map(str::to_owned)
    })
}

/// Nanoseconds of processor time that this thread has taken, or zero.
pub(super) fn nanos_of_thread() -> u64 {
    nanos_in(Path::new("/proc/thread-self/schedstat")).unwrap_or(0)
}

fn nanos_in(path: &Path) -> Option<u64> {
    read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let process = ServerProcess::listening_at(address).expect("it is this one");
        assert_eq!(process.number, std::process::id().to_string());
        assert!(process.nanos().is_some_and(|nanos| nanos > 0));
        // The kernel counts what a thread has done at its next tick.
        let is_counted = (0..1_000_000_000_u64).any(|_| nanos_of_thread() > 0);
        assert!(is_counted);
        drop(listener);
        assert!(ServerProcess::listening_at(address).is_none());
    }
}
