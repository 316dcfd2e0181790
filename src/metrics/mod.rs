//! Counts and latencies.  Each thread keeps its own, without shared writes, and a reader adds them up.

mod errors;
pub mod exposition;
mod histogram;
pub mod latency;
pub mod process;
mod rates;
mod requests;
pub mod slow_log;

pub use errors::ErrorCounts;
pub use histogram::{Distribution, Histogram};
pub use rates::Rates;
pub use requests::{Requests, RouteTotals};

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use latency::LatencyMonitor;
use slow_log::SlowLog;

/// A call that takes this many microseconds is long.  Each long call is timed.
pub const LONG_MICROS: u64 = 100;

/// All threads' counters, and records of slow commands and events.
#[derive(Debug)]
pub struct Metrics {
    threads: Box<[CachePadded<ThreadMetrics>]>,
    /// Rates per second.
    pub rates: Rates,
    /// Commands that took long.
    pub slow_log: SlowLog,
    /// Events that held threads up.
    pub latency: LatencyMonitor,
    /// HTTP requests.
    pub requests: Requests,
    /// The processor time of the process.
    pub processor: process::ProcessorMeter,
}

/// One thread's counters.  Only that thread writes them, so an increment is a load and a store.
#[derive(Debug)]
pub struct ThreadMetrics {
    commands: Box<[CommandCounters]>,
    /// Error replies.
    pub errors: ErrorCounts,
    /// Bytes received.
    pub bytes_in: Counter,
    /// Bytes sent.
    pub bytes_out: Counter,
    /// Reads that found their key.
    pub hits: Counter,
    /// Reads that did not.
    pub misses: Counter,
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
    /// Times it ran since its duration was measured last.
    pub untimed: Counter,
    /// Times its duration was measured and short.
    pub timed: Counter,
    /// The sum of the short measured durations in microseconds.
    pub timed_micros: Counter,
    /// Times it took [`LONG_MICROS`] or more.
    pub long: Counter,
    /// The sum of those durations in microseconds.
    pub long_micros: Counter,
    /// The measured durations, once there are any.
    durations: OnceLock<Histogram>,
}

/// A number that one thread counts up and any thread may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// See [`Metrics::totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
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
    /// Microseconds of all calls: of the long ones as measured, of the short ones scaled up from those that were timed.
    pub micros: u64,
}

impl Counter {
    /// Adds to the count.  Only the counter's own thread may.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Takes one back that was counted before it came to nothing.  Only the counter's own thread may.
    pub fn take_back(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(1), Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// The count, which begins anew.  Only the counter's own thread may.
    pub fn take(&self) -> u64 {
        let count = self.get();
        self.reset();
        count
    }

    /// Sets the count to zero.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

impl CommandCounters {
    /// Adds a measured duration, also to the histogram if `tracked`.  A short one stands there for the calls since the last one too.
    pub fn time(&self, micros: u64, tracked: bool) {
        let is_long = micros >= LONG_MICROS;
        let (count, sum) =
            if is_long { (&self.long, &self.long_micros) } else { (&self.timed, &self.timed_micros) };
        count.add(1);
        sum.add(micros);
        let weight = if is_long { 1 } else { 1 + self.untimed.take() };
        if tracked {
            self.durations.get_or_init(Histogram::default).record_many(micros, weight);
        }
    }

    fn reset(&self) {
        let CommandCounters {
            calls, failed, rejected, untimed, timed, timed_micros, long, long_micros, ..
        } = self;
        for counter in [calls, failed, rejected, untimed, timed, timed_micros, long, long_micros] {
            counter.reset();
        }
        if let Some(durations) = self.durations.get() {
            durations.reset();
        }
    }
}

impl Metrics {
    /// Counters for `threads` threads and `commands` commands.
    pub fn new(threads: usize, commands: usize) -> Metrics {
        let thread = |_| {
            CachePadded::new(ThreadMetrics {
                commands: (0..commands).map(|_| CommandCounters::default()).collect(),
                errors: ErrorCounts::default(),
                bytes_in: Counter::default(),
                bytes_out: Counter::default(),
                hits: Counter::default(),
                misses: Counter::default(),
            })
        };
        Metrics {
            threads: (0..threads).map(thread).collect(),
            rates: Rates::default(),
            slow_log: SlowLog::default(),
            latency: LatencyMonitor::default(),
            requests: Requests::default(),
            processor: process::ProcessorMeter::default(),
        }
    }

    /// One thread's counters.
    pub fn thread(&self, slot: usize) -> &ThreadMetrics {
        &self.threads[slot]
    }

    /// All threads' counters.
    pub fn threads(&self) -> impl Iterator<Item = &ThreadMetrics> {
        self.threads.iter().map(|thread| &**thread)
    }

    /// The counts of all threads together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for thread in self.threads() {
            totals.bytes_in += thread.bytes_in.get();
            totals.bytes_out += thread.bytes_out.get();
            totals.hits += thread.hits.get();
            totals.misses += thread.misses.get();
            for command in &thread.commands {
                totals.commands += command.calls.get();
            }
        }
        totals
    }

    /// The counts of all threads of the command with this row id.
    pub fn command_totals(&self, id: usize) -> CommandTotals {
        let mut sum = CommandTotals::default();
        let (mut timed, mut timed_micros, mut long, mut long_micros) = (0, 0, 0, 0);
        for counters in self.threads().map(|thread| thread.command(id)) {
            sum.calls += counters.calls.get();
            sum.failed += counters.failed.get();
            sum.rejected += counters.rejected.get();
            timed += counters.timed.get();
            timed_micros += counters.timed_micros.get();
            long += counters.long.get();
            long_micros += counters.long_micros.get();
        }
        let short_calls = sum.calls.saturating_sub(long) as f64;
        let average = if timed > 0 { timed_micros as f64 / timed as f64 } else { 0.0 };
        sum.micros = long_micros + (average * short_calls).round() as u64;
        sum
    }

    /// The measured durations of the command with this row id.
    pub fn durations(&self, id: usize) -> Distribution {
        let mut distribution = Distribution::default();
        for counters in self.threads().map(|thread| thread.command(id)) {
            if let Some(durations) = counters.durations.get() {
                distribution.add(durations);
            }
        }
        distribution
    }

    /// Error replies by code.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for thread in self.threads() {
            thread.errors.add_to(&mut sum);
        }
        sum
    }

    /// Sets all counts to zero.  The caller runs alone, since a thread that counts meanwhile could undo it.
    pub fn reset(&self) {
        for thread in self.threads() {
            for counter in [&thread.bytes_in, &thread.bytes_out, &thread.hits, &thread.misses] {
                counter.reset();
            }
            thread.errors.reset();
            for command in &thread.commands {
                command.reset();
            }
        }
    }
}

impl ThreadMetrics {
    /// The counters of the command with this row id.
    pub fn command(&self, id: usize) -> &CommandCounters {
        &self.commands[id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_duration_stands_for_the_calls_since_the_last_one() {
        let metrics = Metrics::new(1, 1);
        let counters = metrics.thread(0).command(0);
        for (untimed, micros) in [(0, 3), (63, 5), (0, LONG_MICROS), (2, 7)] {
            counters.calls.add(untimed + 1);
            counters.untimed.add(untimed);
            counters.time(micros, true);
        }
        assert_eq!(metrics.durations(0).len(), metrics.command_totals(0).calls);
    }
}
