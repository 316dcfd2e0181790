//! When operations begin: as soon as there is room (closed loop), or by a schedule (open loop).
//!
//! An open loop knows when each operation is meant to begin.  If a server stalls, the operations that fall due meanwhile begin late, and
//! their latency counts from when they were meant to begin: so the stall shows in as many latencies as it would at users who do not wait
//! for one another.  A closed loop only notices that a few requests took long.

/// Decides when the operations of one thread begin.  Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// How many may still begin, if the run is bounded by their count.
    left: u64,
    /// From when on none begins, if the run is bounded by time.
    ends_at: u64,
    schedule: Option<Schedule>,
}

/// The times of an open loop.
#[derive(Clone, Debug)]
struct Schedule {
    began: u64,
    /// Microseconds from one operation to the next.
    interval: f64,
    /// How many have begun.
    begun: u64,
    /// The share of an interval by which this thread is behind the first one.
    phase: f64,
}

/// What bounds a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// So many operations.
    Count(u64),
    /// So many microseconds.
    Micros(u64),
}

impl Pace {
    /// The pace of thread `thread` of `threads`, from `now` on.  `rate` is the number of operations a second of all threads together in
    /// an open loop.
    pub(super) fn new(bound: Bound, rate: Option<f64>, now: u64, thread: usize, threads: usize) -> Pace {
        let (thread, threads) = (thread as u64, threads as u64);
        let (left, ends_at) = match bound {
            Bound::Count(count) => (count / threads + u64::from(thread < count % threads), u64::MAX),
            Bound::Micros(micros) => (u64::MAX, now + micros),
        };
        let schedule = rate.map(|rate| Schedule {
            began: now,
            interval: 1e6 * threads as f64 / rate,
            begun: 0,
            phase: thread as f64 / threads as f64,
        });
        Pace { left, ends_at, schedule }
    }

    /// Begins an operation, if one may begin.  The time from which its latency counts.
    #[inline]
    pub(super) fn begin(&mut self, now: u64) -> Option<u64> {
        if self.is_over(now) {
            return None;
        }
        let intended = match &mut self.schedule {
            None => now,
            Some(schedule) => schedule.begin(now)?,
        };
        self.left -= 1;
        Some(intended)
    }

    /// Begins up to `most` operations at once, as many as may begin and count their latency from the same time: that time, and how many.
    #[inline]
    pub(super) fn begin_together(&mut self, now: u64, most: u64) -> Option<(u64, u64)> {
        if self.schedule.is_some() {
            return self.begin(now).map(|intended| (intended, 1));
        }
        let count = if self.is_over(now) { 0 } else { most.min(self.left) };
        self.left -= count;
        (count > 0).then_some((now, count))
    }

    /// Whether no operation begins any more.
    #[inline]
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.left == 0 || now >= self.ends_at
    }

    /// When the next operation may begin, if there is a schedule.
    pub(super) fn next_at(&self, now: u64) -> Option<u64> {
        let schedule = self.schedule.as_ref()?;
        if self.is_over(now) { None } else { Some(schedule.next()) }
    }

    /// For each operation that was due before the end and did not begin: how long it has waited.  Leaving them out would hide that the
    /// server cannot follow the rate.
    pub(super) fn missed(&mut self) -> impl Iterator<Item = u64> + '_ {
        let ends_at = self.ends_at;
        std::iter::from_fn(move || {
            if ends_at == u64::MAX {
                return None;
            }
            let intended = self.schedule.as_mut()?.begin(ends_at - 1)?;
            Some(ends_at - intended)
        })
    }
}

impl Schedule {
    fn next(&self) -> u64 {
        self.began + ((self.begun as f64 + self.phase) * self.interval) as u64
    }

    fn begin(&mut self, now: u64) -> Option<u64> {
        let intended = self.next();
        if intended > now {
            return None;
        }
        self.begun += 1;
        Some(intended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// One connection with one request at a time against a server that answers after a millisecond, but stands still for the fifth of
    /// ten seconds.  Time is simulated.
    fn latencies(rate: Option<f64>) -> Tally {
        let mut pace = Pace::new(Bound::Micros(10 * SECOND), rate, 0, 0, 1);
        let (mut now, mut tally) = (0, Tally::new());
        while !pace.is_over(now) {
            let Some(intended) = pace.begin(now) else {
                now = pace.next_at(now).expect("the loop is open");
                continue;
            };
            let is_stalled = (4 * SECOND..5 * SECOND).contains(&now);
            now = if is_stalled { 5 * SECOND } else { now + 1000 };
            tally.done(now - intended);
        }
        pace.missed().for_each(|waited| tally.missed(waited));
        tally
    }

    #[test]
    fn a_stall_shows_in_an_open_loop_only() {
        let (open, closed) = (latencies(Some(100.0)), latencies(None));
        assert_eq!(open.operations + open.missed, 1000);
        // A hundred of a thousand requests fell due during the stall, and waited from none of it to all of it.
        assert!(open.quantile(0.85) <= 1_001, "{}", open.quantile(0.85));
        assert!((450_000..600_000).contains(&open.quantile(0.95)), "{}", open.quantile(0.95));
        assert!(open.quantile(0.99) > 850_000);
        // Of a closed loop it delays one request, which no quantile shows.
        assert!(closed.quantile(0.999) <= 1_001);
        assert!(closed.quantile(1.0) > 900_000);
    }

    #[test]
    fn a_server_that_is_slower_than_the_rate_shows_in_every_latency() {
        // Two thousand a second are wanted; a millisecond each allows for half of them.
        let tally = latencies(Some(2000.0));
        assert_eq!(tally.operations + tally.missed, 20_000);
        assert!(tally.missed > 10_000);
        assert!(tally.quantile(0.5) > 2 * SECOND);
    }

    #[test]
    fn threads_share_a_count_and_a_rate() {
        let paces = (0..3).map(|thread| Pace::new(Bound::Count(10), Some(30.0), 0, thread, 3));
        let begun: Vec<Vec<u64>> =
            paces.map(|mut pace| std::iter::from_fn(|| pace.begin(SECOND)).collect()).collect();
        assert_eq!(begun.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 3]);
        assert_eq!(begun[0][..2], [0, 100_000]);
        assert_eq!(begun[1][..2], [33_333, 133_333]);
    }

    #[test]
    fn a_closed_loop_begins_many_at_once_and_a_schedule_one_by_one() {
        let mut pace = Pace::new(Bound::Count(5), None, 0, 0, 1);
        assert_eq!(pace.begin_together(3, 4), Some((3, 4)));
        assert_eq!((pace.begin_together(4, 4), pace.begin_together(4, 4)), (Some((4, 1)), None));
        let mut pace = Pace::new(Bound::Count(5), Some(1000.0), 0, 0, 1);
        let begun: Vec<_> = std::iter::from_fn(|| pace.begin_together(2500, 4)).collect();
        assert_eq!(begun, [(0, 1), (1000, 1), (2000, 1)]);
    }

    #[test]
    fn time_and_count_end_a_run() {
        let mut pace = Pace::new(Bound::Count(2), None, 5, 0, 1);
        assert_eq!((pace.begin(7), pace.begin(8), pace.begin(9)), (Some(7), Some(8), None));
        let mut pace = Pace::new(Bound::Micros(10), None, 5, 0, 1);
        assert_eq!((pace.begin(14), pace.begin(15)), (Some(14), None));
        assert_eq!(pace.missed().count(), 0);
    }
}
