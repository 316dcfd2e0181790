//! Rates per second, from samples of totals.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::lock_order::{Mutex, rank};

use super::Totals;
use crate::clock::Now;

/// Samples over which a rate is taken: some seconds at the pace of the server's housekeeping.
const SAMPLES: usize = 8;

/// The last few samples of the totals.
#[derive(Debug, Default)]
pub struct Rates {
    samples: Mutex<Samples, { rank::RATES }>,
    memory_peak: AtomicUsize,
}

#[derive(Debug, Default)]
struct Samples {
    /// The oldest is overwritten next.
    ring: [Sample; SAMPLES],
    taken: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_micros: u64,
    totals: Totals,
}

/// Rates as INFO shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerSecond {
    /// Commands per second.
    pub commands: u64,
    /// Kilobytes received per second.
    pub kilobytes_in: f64,
    /// Kilobytes sent per second.
    pub kilobytes_out: f64,
}

impl Rates {
    /// Takes a sample; called at an even pace.
    pub fn sample(&self, now: Now, totals: Totals, memory: usize) {
        let mut samples = self.samples.lock();
        let place = samples.taken % SAMPLES;
        samples.ring[place] = Sample { at_micros: now.micros(), totals };
        samples.taken += 1;
        self.note_memory(memory);
    }

    /// Keeps the highest use of memory so far, and returns it.
    pub fn note_memory(&self, memory: usize) -> usize {
        self.memory_peak.fetch_max(memory, Relaxed).max(memory)
    }

    /// The rates over the stored samples.
    pub fn per_second(&self) -> PerSecond {
        let samples = self.samples.lock();
        if samples.taken < 2 {
            return PerSecond::default();
        }
        let last = samples.ring[(samples.taken - 1) % SAMPLES];
        let first = samples.ring[samples.taken.saturating_sub(SAMPLES) % SAMPLES];
        let seconds = last.at_micros.saturating_sub(first.at_micros) as f64 / 1e6;
        if seconds == 0.0 {
            return PerSecond::default();
        }
        // CONFIG RESETSTAT between two samples makes a total fall.
        let per_second = |last: u64, first: u64| last.saturating_sub(first) as f64 / seconds;
        PerSecond {
            commands: per_second(last.totals.commands, first.totals.commands).round() as u64,
            kilobytes_in: per_second(last.totals.bytes_in, first.totals.bytes_in) / 1024.0,
            kilobytes_out: per_second(last.totals.bytes_out, first.totals.bytes_out) / 1024.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_cover_the_last_samples_only() {
        let rates = Rates::default();
        let start = Now::at(Duration::from_secs(9), Duration::ZERO);
        assert_eq!(rates.per_second(), PerSecond::default());
        for step in 0..20_u64 {
            // Quick first, slower later: only the later part may show.
            let commands = if step < 10 { step * 1000 } else { 10_000 + step * 50 };
            let totals =
                Totals { commands, bytes_in: step * 512, bytes_out: step * 2048, ..Totals::default() };
            rates.sample(start.after(Duration::from_millis(500 * step)), totals, step as usize);
        }
        let expected = PerSecond { commands: 100, kilobytes_in: 1.0, kilobytes_out: 4.0 };
        assert_eq!(rates.per_second(), expected);
        assert_eq!(rates.note_memory(3), 19);
    }
}
