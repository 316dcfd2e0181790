//! A histogram of durations.  Its buckets grow with the value, so that a quantile is off by two percent at most.
//!
//! Values below [`LINEAR`] microseconds have a bucket each; above, every doubling is cut into [`LINEAR`] buckets.

use super::Counter;

/// Buckets per doubling.
const LINEAR: u64 = 1 << LINEAR_BITS;
const LINEAR_BITS: u32 = 5;

/// Doublings above the linear part, up to 19 hours.  Longer durations count as that.
const DOUBLINGS: u32 = 31;
const BUCKETS: usize = ((DOUBLINGS + 1) << LINEAR_BITS) as usize;

/// One thread's durations of one command.  Only that thread adds.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[Counter]>,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: (0..BUCKETS).map(|_| Counter::default()).collect() }
    }
}

impl Histogram {
    /// Adds a duration.
    pub fn record(&self, micros: u64) {
        self.record_many(micros, 1);
    }

    /// Adds a duration `count` times.
    pub(super) fn record_many(&self, micros: u64, count: u64) {
        self.buckets[bucket_of(micros)].add(count);
    }

    /// Forgets all durations; as [`Counter::reset`].
    pub(super) fn reset(&self) {
        for bucket in &self.buckets {
            bucket.reset();
        }
    }
}

/// The histograms of several threads added up.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    counts: Vec<u64>,
}

impl Distribution {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(BUCKETS, 0);
        for (sum, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
    }

    /// Adds other durations.
    pub fn include(&mut self, other: &Distribution) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
    }

    /// The durations that came after those of `before`.  A reset in between leaves those since then, about.
    pub fn since(&self, before: &Distribution) -> Distribution {
        let before = before.counts.iter().chain(std::iter::repeat(&0));
        let counts = self.counts.iter().zip(before).map(|(count, before)| count.saturating_sub(*before));
        Distribution { counts: counts.collect() }
    }

    /// Number of durations.
    pub fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether there are no durations.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The duration in microseconds that `percent` of all do not exceed.  Zero if there are none.
    pub fn quantile(&self, percent: f64) -> u64 {
        let wanted = ((self.len() as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let (lowest, highest) = bounds(bucket);
                return lowest.midpoint(highest);
            }
        }
        0
    }

    /// How many durations do not exceed each of the rising limits.
    pub fn at_most(&self, limits: &[u64]) -> Vec<u64> {
        let mut buckets = self.counts.iter().enumerate().peekable();
        let mut seen = 0;
        let mut up_to = |limit: u64| {
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| bounds(*bucket).1 <= limit) {
                seen += count;
            }
            seen
        };
        limits.iter().map(|&limit| up_to(limit)).collect()
    }

    /// The sum of the durations in microseconds, as exact as the buckets are.
    pub fn sum(&self) -> u64 {
        let sum = |(bucket, count): (usize, &u64)| {
            let (lowest, highest) = bounds(bucket);
            lowest.midpoint(highest) * count
        };
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(sum).sum()
    }

    /// Those of the rising limits at which the count grows, each with the number of durations that do not exceed it.
    pub fn cumulative(&self, limits: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut steps = Vec::new();
        let mut buckets = self.counts.iter().enumerate().peekable();
        let (mut seen, total) = (0, self.len());
        for limit in limits {
            let before = seen;
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| bounds(*bucket).0 <= limit) {
                seen += count;
            }
            if seen > before {
                steps.push((limit, seen));
            }
            if seen == total {
                break;
            }
        }
        steps
    }
}

fn bucket_of(micros: u64) -> usize {
    if micros < LINEAR {
        return micros as usize;
    }
    let doubling = (u64::BITS - 1 - micros.leading_zeros() - LINEAR_BITS).min(DOUBLINGS);
    let within = (micros >> doubling).min(2 * LINEAR - 1) - LINEAR;
    let bucket = (u64::from(doubling) + 1) * LINEAR + within;
    (bucket as usize).min(BUCKETS - 1)
}

/// The lowest and the highest duration of a bucket.
fn bounds(bucket: usize) -> (u64, u64) {
    let (row, within) = (bucket as u64 / LINEAR, bucket as u64 % LINEAR);
    if row == 0 {
        return (within, within);
    }
    let doubling = row - 1;
    let lowest = (LINEAR + within) << doubling;
    (lowest, lowest + (1 << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_all_durations_without_gaps() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            let (lowest, highest) = bounds(bucket);
            assert_eq!(lowest, next, "bucket {bucket}");
            assert_eq!((bucket_of(lowest), bucket_of(highest)), (bucket, bucket));
            next = highest + 1;
        }
        assert_eq!(bucket_of(next), BUCKETS - 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_within_two_percent() {
        let histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(micros);
        }
        let mut distribution = Distribution::default();
        distribution.add(&histogram);
        assert_eq!(distribution.len(), 100_000);
        for percent in [0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let (found, exact) = (distribution.quantile(percent) as f64, percent * 1000.0);
            assert!((found - exact).abs() <= exact * 0.02, "{percent}: {found} instead of {exact}");
        }
        assert_eq!(Distribution::default().quantile(50.0), 0);
    }

    #[test]
    fn durations_since_a_copy_are_those_that_came_later() {
        let histogram = Histogram::default();
        let now = || {
            let mut distribution = Distribution::default();
            distribution.add(&histogram);
            distribution
        };
        histogram.record(5);
        let before = now();
        assert_eq!((before.since(&Distribution::default()).len(), now().since(&before).len()), (1, 0));
        histogram.record_many(7, 3);
        let since = now().since(&before);
        assert_eq!((since.len(), since.quantile(1.0)), (3, 7));
        let mut sum = Distribution::default();
        sum.include(&before);
        sum.include(&since);
        assert_eq!((sum.len(), sum.quantile(1.0)), (4, 5));
        histogram.reset();
        assert_eq!(now().since(&before).len(), 0, "a reset leaves nothing to subtract from");
    }

    #[test]
    fn every_limit_has_a_count() {
        let histogram = Histogram::default();
        for micros in [0, 1, 15, 16, 900, 5_000_000] {
            histogram.record(micros);
        }
        let mut distribution = Distribution::default();
        distribution.add(&histogram);
        assert_eq!(distribution.at_most(&[1, 15, 16, 1000]), [2, 3, 4, 5]);
        assert!(distribution.sum().abs_diff(5_000_932) < 100_000);
        assert_eq!((Distribution::default().at_most(&[1]), Distribution::default().sum()), (vec![0], 0));
    }

    #[test]
    fn cumulative_counts_skip_limits_that_add_nothing() {
        let histogram = Histogram::default();
        for micros in [1, 1, 3, 20] {
            histogram.record(micros);
        }
        let mut distribution = Distribution::default();
        distribution.add(&histogram);
        let limits = (0..).map(|power| 1 << power);
        assert_eq!(distribution.cumulative(limits), [(1, 2), (4, 3), (32, 4)]);
    }
}
