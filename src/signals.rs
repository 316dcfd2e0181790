//! The effect of each signal, in one table, so that none ends the server for no reason.
//!
//! The table leaves out signals that do nothing by default (SIGCHLD, SIGCONT, SIGURG, SIGWINCH), SIGPIPE, which Rust
//! ignores, SIGKILL and SIGSTOP, which cannot be handled, those by which a terminal or a debugger suspends a process
//! (SIGTSTP, SIGTTIN, SIGTTOU, SIGTRAP), and those that report a broken process (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV,
//! SIGSYS).

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

/// The effect of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Ends the server in order; at once the second time.
    Stop,
    /// Reads settings and policies again.
    Reload,
    /// Ends the server once the broker's clients have left, or have had time to.
    Retire,
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
    // From a terminal.  In nginx it is the graceful end.
    Row { signal: Signal::QUIT, name: "SIGQUIT", action: Action::Stop },
    // The soft limit on processor time is reached; at the hard limit comes SIGKILL.
    Row { signal: Signal::XCPU, name: "SIGXCPU", action: Action::Stop },
    Row { signal: Signal::POWER, name: "SIGPWR", action: Action::Stop },
    // A terminal was closed, or the file of settings has changed.
    Row { signal: Signal::HUP, name: "SIGHUP", action: Action::Reload },
    // As in nats-server.
    Row { signal: Signal::USR2, name: "SIGUSR2", action: Action::Retire },
    // The write beyond the limit on the size of a file fails with an error of its own.
    Row { signal: Signal::XFSZ, name: "SIGXFSZ", action: Action::Ignore },
    // The server causes none of these.
    Row { signal: Signal::ALARM, name: "SIGALRM", action: Action::Ignore },
    Row { signal: Signal::VTALARM, name: "SIGVTALRM", action: Action::Ignore },
    Row { signal: Signal::PROF, name: "SIGPROF", action: Action::Ignore },
    Row { signal: Signal::IO, name: "SIGIO", action: Action::Ignore },
    Row { signal: Signal::USR1, name: "SIGUSR1", action: Action::Ignore },
    Row { signal: Signal::STKFLT, name: "SIGSTKFLT", action: Action::Ignore },
];

/// Signals without a meaning of their own, all ignored.  The C library keeps the first two or three for itself.
const REAL_TIME: RangeInclusive<i32> = 32..=64;

/// The time that the server has to end after a second signal to stop.
const STOP_AT_ONCE_MAX: Duration = Duration::from_secs(1);

/// Requests that signals have made.
#[derive(Clone, Default)]
pub struct Requests {
    /// To stop.
    pub stop: CancellationToken,
    /// To stop without waiting for clients any more.
    pub at_once: CancellationToken,
    /// To stop once the broker's clients have left.
    pub retire: CancellationToken,
    /// To read the settings again.
    pub reload: Arc<Notify>,
    signal: Arc<OnceLock<&'static str>>,
}

impl Requests {
    /// The signal that asked for the stop.
    pub fn signal(&self) -> &'static str {
        self.signal.get().copied().unwrap_or("a signal")
    }
}

/// Signals that have a handler, before anything listens for them.
pub struct Signals {
    runtime: Runtime,
    streams: Vec<(&'static Row, unix::Signal)>,
}

impl Signals {
    /// Sets handlers for all signals of the table except those to stop, which end the process until it serves.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn take() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = Signals { runtime, streams: Vec::new() };
        signals.add(|row| row.action != Action::Stop)?;
        signals.runtime.block_on(async {
            for number in REAL_TIME {
                // The handler stays although nothing listens.  A signal that does not exist does no harm.
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

    /// Listens on a thread of its own, so that a second signal takes effect whatever the rest of the server does.
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
                    Action::Retire => requests.retire.cancel(),
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

/// Stops waiting for clients, and ends the process if it does not end by itself in time.
fn stop_at_once(row: &Row, services: &Services, requests: &Requests) {
    tracing::warn!(signal = row.name, "a second signal to stop: not waiting for clients");
    requests.at_once.cancel();
    for client in services.clients.all() {
        client.outbox.close();
        client.outbox.wake();
    }
    thread::park_timeout(STOP_AT_ONCE_MAX);
    tracing::warn!("ending without an orderly stop");
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
