//! Counts and latencies, kept per thread without shared writes and added up when somebody asks.

pub mod process;
mod rates;

pub use rates::Rates;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// All threads' counters.
#[derive(Debug)]
pub struct Metrics {
    threads: Box<[CachePadded<ThreadMetrics>]>,
    /// How much happens per second.
    pub rates: Rates,
}

/// One thread's counters.  Only that thread writes them, so an increment is a load and a store.
#[derive(Debug)]
pub struct ThreadMetrics {
    commands: Box<[CommandCounters]>,
    /// Bytes received.
    pub bytes_in: Counter,
    /// Bytes sent.
    pub bytes_out: Counter,
}

/// The counters of one command.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Times it ran.
    pub calls: Counter,
    /// Times it answered with an error after it began.
    pub failed: Counter,
    /// Times it was refused before it began.
    pub rejected: Counter,
    /// Times its duration was measured.
    pub timed: Counter,
    /// The sum of the measured durations in microseconds.
    pub timed_micros: Counter,
}

/// A number that one thread counts up and any thread may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only for the counter's own thread.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Starts again at zero.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

impl Metrics {
    /// Counters for `threads` threads and `commands` commands.
    pub fn new(threads: usize, commands: usize) -> Metrics {
        let thread = |_| {
            CachePadded::new(ThreadMetrics {
                commands: (0..commands).map(|_| CommandCounters::default()).collect(),
                bytes_in: Counter::default(),
                bytes_out: Counter::default(),
            })
        };
        Metrics { threads: (0..threads).map(thread).collect(), rates: Rates::default() }
    }

    /// One thread's counters.
    pub fn thread(&self, slot: usize) -> &ThreadMetrics {
        &self.threads[slot]
    }

    /// What all threads have counted together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for thread in self.threads() {
            totals.bytes_in += thread.bytes_in.get();
            totals.bytes_out += thread.bytes_out.get();
            for command in &thread.commands {
                totals.commands += command.calls.get();
            }
        }
        totals
    }

    /// What all threads have counted of the command with this row id.
    pub fn command_totals(&self, id: usize) -> CommandTotals {
        let mut sum = CommandTotals::default();
        let (mut timed, mut timed_micros) = (0, 0);
        for counters in self.threads().map(|thread| thread.command(id)) {
            sum.calls += counters.calls.get();
            sum.failed += counters.failed.get();
            sum.rejected += counters.rejected.get();
            timed += counters.timed.get();
            timed_micros += counters.timed_micros.get();
        }
        if timed > 0 {
            sum.micros = (timed_micros as f64 / timed as f64 * sum.calls as f64).round() as u64;
        }
        sum
    }

    /// Starts all counts again at zero.  For who runs alone: a thread that counts meanwhile might undo it.
    pub fn reset(&self) {
        for thread in self.threads() {
            thread.bytes_in.reset();
            thread.bytes_out.reset();
            for command in &thread.commands {
                command.reset();
            }
        }
    }

    /// All threads' counters.
    pub fn threads(&self) -> impl Iterator<Item = &ThreadMetrics> {
        self.threads.iter().map(|thread| &**thread)
    }
}

impl ThreadMetrics {
    /// The counters of the command with this row id.
    pub fn command(&self, id: usize) -> &CommandCounters {
        &self.commands[id]
    }
}

/// See [`Metrics::totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// See [`Metrics::command_totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTotals {
    /// Times it ran.
    pub calls: u64,
    /// Times it answered with an error after it began.
    pub failed: u64,
    /// Times it was refused before it began.
    pub rejected: u64,
    /// Microseconds it took all in all, scaled up from the calls that were timed.
    pub micros: u64,
}

impl CommandCounters {
    fn reset(&self) {
        for counter in [&self.calls, &self.failed, &self.rejected, &self.timed, &self.timed_micros] {
            counter.reset();
        }
    }
}
