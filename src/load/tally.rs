//! What a run counts: operations, how long each took, refusals and errors.

use hdrhistogram::Histogram;

/// Three digits of every latency are kept.
const DIGITS: u8 = 3;

/// The longest latency that is told apart: an hour, in microseconds.
const LATENCY_MAX: u64 = 3_600_000_000;

/// The counts of one thread, or of several together.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    latencies: Histogram<u64>,
    /// Operations that came to their end, whatever that was.
    pub(super) operations: u64,
    /// Those of them that the server refused as it should: a lock that is held, a limit that is reached.
    pub(super) refused: u64,
    /// Those of them that were answered by an error.
    pub(super) errors: u64,
    /// Further operations, which were due and never began, since the server is slower than the rate.
    pub(super) missed: u64,
    /// The first error.
    pub(super) first_error: Option<String>,
}

impl Tally {
    /// Nothing was counted yet.
    pub(super) fn new() -> Tally {
        let latencies =
            Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).expect("the bounds are a valid range");
        Tally { latencies, operations: 0, refused: 0, missed: 0, errors: 0, first_error: None }
    }

    /// Counts an operation that took so many microseconds.
    #[inline]
    pub(super) fn done(&mut self, micros: u64) {
        self.done_alike(micros, 1);
    }

    /// Counts `count` operations that took equally long.
    #[inline]
    pub(super) fn done_alike(&mut self, micros: u64, count: u64) {
        self.operations += count;
        self.timed(micros, count);
    }

    /// Records a latency without counting an operation, which goes on.
    #[inline]
    pub(super) fn timed(&mut self, micros: u64, count: u64) {
        // The histogram would take a latency that nothing had for the longest.
        if count == 0 {
            return;
        }
        self.latencies.saturating_record_n(micros, count);
    }

    /// Counts an operation that ended without a latency worth keeping.
    #[inline]
    pub(super) fn ended(&mut self, count: u64) {
        self.operations += count;
    }

    /// Counts an operation that has waited so many microseconds and did not begin.
    pub(super) fn missed(&mut self, micros: u64) {
        self.missed += 1;
        self.timed(micros, 1);
    }

    /// Counts an error.
    #[cold]
    pub(super) fn failed(&mut self, text: &[u8]) {
        self.errors += 1;
        if self.first_error.is_none() {
            self.first_error = Some(String::from_utf8_lossy(text).into_owned());
        }
    }

    /// Adds the counts of another thread.
    pub(super) fn add(&mut self, other: Tally) {
        // Both have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        self.operations += other.operations;
        self.refused += other.refused;
        self.missed += other.missed;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// How many latencies were recorded.
    pub(super) fn timed_count(&self) -> u64 {
        self.latencies.len()
    }

    /// The latency in microseconds that a share of the operations did not exceed.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        self.latencies.value_at_quantile(share)
    }

    /// The longest latency in microseconds.
    pub(super) fn longest(&self) -> u64 {
        self.latencies.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_took_is_no_latency() {
        let mut tally = Tally::new();
        tally.done(10);
        tally.done_alike(LATENCY_MAX, 0);
        assert_eq!((tally.operations, tally.longest()), (1, 10));
    }

    #[test]
    fn threads_add_up() {
        let (mut one, mut other) = (Tally::new(), Tally::new());
        one.done_alike(10, 99);
        other.done(1000);
        other.failed(b"ERR no");
        one.failed(b"ERR yes");
        one.add(other);
        assert_eq!((one.operations, one.errors), (100, 2));
        assert_eq!(one.first_error.as_deref(), Some("ERR yes"));
        assert_eq!((one.quantile(0.5), one.quantile(0.99), one.longest()), (10, 10, 1000));
    }
}
