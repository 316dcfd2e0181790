//! Counts and latencies, kept per thread without shared writes and added up when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// All threads' counters.
#[derive(Debug)]
pub struct Metrics {
    threads: Box<[CachePadded<ThreadMetrics>]>,
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
        Metrics { threads: (0..threads).map(thread).collect() }
    }

    /// One thread's counters.
    pub fn thread(&self, slot: usize) -> &ThreadMetrics {
        &self.threads[slot]
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
