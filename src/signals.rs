//! The signals of the system: what each of them does, in one table, so that none ends the server for no reason.
//!
//! Not in the table are those that do nothing anyway (SIGCHLD, SIGCONT, SIGURG, SIGWINCH), SIGPIPE, which Rust's start
//! ignores, SIGKILL and SIGSTOP, which nobody can handle, those by which a terminal or a debugger stops a process that
//! goes on later (SIGTSTP, SIGTTIN, SIGTTOU, SIGTRAP), and those that say that the process itself is broken (SIGABRT,
//! SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS).

use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::command::Services;
use crate::log_subscriber::FLUSH_TIME_MAX;

/// What a signal does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Ends the server in order; at once the second time.
    Stop,
    /// Reads settings and policies again.
    Reload,
    /// Nothing.
    Ignore,
}

struct Row {
    signal: Signal,
    name: &'static str,
    action: Action,
}

const ROWS: &[Row] = &[
    Row { signal: Signal::TERM, name: "SIGTERM", action: Action::Stop },
    Row { signal: Signal::INT, name: "SIGINT", action: Action::Stop },
    // From a terminal, and from those who know nginx, where it is the gentle end.
    Row { signal: Signal::QUIT, name: "SIGQUIT", action: Action::Stop },
    // The time on the processor that the limit allows is used up; at the hard limit comes SIGKILL.
    Row { signal: Signal::XCPU, name: "SIGXCPU", action: Action::Stop },
    Row { signal: Signal::POWER, name: "SIGPWR", action: Action::Stop },
    // A terminal that was closed, or somebody who has changed the file of settings.
    Row { signal: Signal::HUP, name: "SIGHUP", action: Action::Reload },
    // The write that met the limit on the size of a file fails and says so.
    Row { signal: Signal::XFSZ, name: "SIGXFSZ", action: Action::Ignore },
    // Nothing here asks for these.
    Row { signal: Signal::ALARM, name: "SIGALRM", action: Action::Ignore },
    Row { signal: Signal::VTALARM, name: "SIGVTALRM", action: Action::Ignore },
    Row { signal: Signal::PROF, name: "SIGPROF", action: Action::Ignore },
    Row { signal: Signal::IO, name: "SIGIO", action: Action::Ignore },
    Row { signal: Signal::USR1, name: "SIGUSR1", action: Action::Ignore },
    Row { signal: Signal::USR2, name: "SIGUSR2", action: Action::Ignore },
    Row { signal: Signal::STKFLT, name: "SIGSTKFLT", action: Action::Ignore },
];

/// The signals that have no meaning of their own, all of which are ignored.  The C library keeps the first two or three for
/// itself.
const REAL_TIME: RangeInclusive<i32> = 32..=64;

/// How long the server may still take to end after a second signal to stop.
const STOP_AT_ONCE_MAX: Duration = Duration::from_secs(1);

/// What signals have asked of the server.
#[derive(Clone, Default)]
pub struct Requests {
    /// It is to stop.
    pub stop: CancellationToken,
    /// It is not to wait for anybody any more.
    pub at_once: CancellationToken,
    /// It is to read its settings again.
    pub reload: Arc<Notify>,
    signal: Arc<OnceLock<&'static str>>,
}

impl Requests {
    /// The signal that has asked for the stop.
    pub fn signal(&self) -> &'static str {
        self.signal.get().copied().unwrap_or("a signal")
    }
}

/// The signals that are taken, and that nobody listens to yet.
pub struct Signals {
    runtime: Runtime,
    streams: Vec<(&'static Row, unix::Signal)>,
}

impl Signals {
    /// Takes all signals of the table but those to stop, which go on ending the process until it serves.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn take() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = Signals { runtime, streams: Vec::new() };
        signals.add(|row| row.action != Action::Stop)?;
        signals.runtime.block_on(async {
            for number in REAL_TIME {
                // It stays taken although nobody listens; one that does not exist is no harm.
                let _ = unix::signal(SignalKind::from_raw(number));
            }
        });
        Ok(signals)
    }

    fn add(&mut self, is_wanted: impl Fn(&Row) -> bool) -> io::Result<()> {
        let _context = self.runtime.enter();
        for row in ROWS.iter().filter(|row| is_wanted(row)) {
            self.streams.push((row, unix::signal(SignalKind::from_raw(row.signal.as_raw()))?));
        }
        Ok(())
    }

    /// Listens, on a thread of its own, so that a second signal is heard whatever the rest of the server does.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn follow(mut self, services: Arc<Services>, requests: Requests) -> io::Result<()> {
        self.add(|row| row.action == Action::Stop)?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            loop {
                let row = self.runtime.block_on(next(&mut self.streams));
                match row.action {
                    Action::Ignore => tracing::debug!(signal = row.name, "ignored"),
                    Action::Reload => requests.reload.notify_one(),
                    Action::Stop if requests.signal.set(row.name).is_ok() => requests.stop.cancel(),
                    Action::Stop => stop_at_once(row, &services, &requests),
                }
            }
        })?;
        Ok(())
    }
}

async fn next(streams: &mut [(&'static Row, unix::Signal)]) -> &'static Row {
    poll_fn(|context| {
        let heard =
            streams.iter_mut().find_map(|(row, stream)| stream.poll_recv(context).is_ready().then_some(*row));
        heard.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Ends what clients are owed, and then the process if it takes too long to end by itself.
fn stop_at_once(row: &Row, services: &Services, requests: &Requests) {
    tracing::warn!(signal = row.name, "a second signal to stop: waiting for nobody");
    requests.at_once.cancel();
    for client in services.clients.all() {
        client.outbox.close();
        client.outbox.wake();
    }
    thread::park_timeout(STOP_AT_ONCE_MAX);
    tracing::warn!("ending without having stopped in order");
    services.log.flush(FLUSH_TIME_MAX);
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_one_row() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..at].iter().all(|other| other.signal != row.signal), "{}", row.name);
        }
    }
}
