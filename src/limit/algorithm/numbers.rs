//! A limit as numbers, to be stored and read back.

use super::parameters::{COUNT_MAX, Nanos, OnChange, SPAN_MAX};
use super::{
    Concurrency, FixedWindow, Gcra, LeakyBucket, Limit, Refill, SLOTS_MAX, SlidingLog, SlidingWindow,
};

/// See the head of the file.  Stored numbers keep their meaning for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// The algorithm: 1 gcra, 2 sliding, 3 log, 4 fixed, 5 leaky, 6 concurrency, 7 refill.
    pub algorithm: u8,
    /// What happens to tokens that were taken under other parameters, with gcra and leaky: 0 rescale, 1 keep, 2 reset.
    pub on_change: u8,
    /// How many can be had at once.
    pub count: u64,
    /// The period or the lease in nanoseconds; with gcra and leaky the interval in which one token comes back.
    pub span: Nanos,
    /// How many come back together at the end of the span, with refill; else zero, and not stored.
    pub back: u64,
}

/// The number of the algorithm refill.
pub const REFILL: u8 = 7;

impl Limit {
    /// The numbers of the limit.
    pub fn numbers(&self) -> Numbers {
        let (algorithm, on_change, (count, span)) = match self {
            Limit::Gcra(gcra) => (1, gcra.on_change(), gcra.numbers()),
            Limit::SlidingWindow(window) => (2, OnChange::default(), window.numbers()),
            Limit::SlidingLog(log) => (3, OnChange::default(), log.numbers()),
            Limit::FixedWindow(window) => (4, OnChange::default(), window.numbers()),
            Limit::LeakyBucket(leaky) => (5, leaky.bucket().on_change(), leaky.bucket().numbers()),
            Limit::Concurrency(slots) => (6, OnChange::default(), slots.numbers()),
            Limit::Refill(refill) => (REFILL, OnChange::default(), refill.numbers()),
        };
        let back = if let Limit::Refill(refill) = self { refill.back() } else { 0 };
        let on_change = match on_change {
            OnChange::Rescale => 0,
            OnChange::Keep => 1,
            OnChange::Reset => 2,
        };
        Numbers { algorithm, on_change, count, span, back }
    }

    /// The limit with these numbers; none if there is no such limit.
    pub fn of_numbers(numbers: Numbers) -> Option<Limit> {
        let Numbers { algorithm, on_change, count, span, back } = numbers;
        if !(1..=COUNT_MAX).contains(&count) || !(1..=SPAN_MAX).contains(&span) {
            return None;
        }
        let on_change = match on_change {
            0 => OnChange::Rescale,
            1 => OnChange::Keep,
            2 => OnChange::Reset,
            _ => return None,
        };
        Some(match algorithm {
            1 => Gcra::of_numbers(count, span, on_change)?.limit(),
            2 => SlidingWindow::of_numbers(count, span).limit(),
            3 => SlidingLog::of_numbers(count, span).limit(),
            4 => FixedWindow::of_numbers(count, span).limit(),
            5 => LeakyBucket::of_bucket(Gcra::of_numbers(count, span, on_change)?).limit(),
            6 if count <= SLOTS_MAX as u64 => Concurrency::of_numbers(count, span).limit(),
            REFILL => Refill::of_numbers(count, back, span)?.limit(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ALGORITHMS, Parameters};
    use super::*;

    #[test]
    fn every_limit_is_made_again_of_its_numbers() {
        for (number, row) in (1..).zip(ALGORITHMS) {
            for (limit, on_change) in [(1, None), (7, Some(OnChange::Keep)), (799, Some(OnChange::Reset))] {
                let burst = Some(limit).filter(|_| row.has_burst);
                let on_change = on_change.filter(|_| row.has_burst && row.name != "refill");
                let parameters = Parameters { limit, period_millis: 90_001, burst, on_change };
                let limit = (row.build)(parameters).expect("the parameters are valid");
                assert_eq!(limit.numbers().algorithm, number, "{}", row.name);
                assert_eq!(Limit::of_numbers(limit.numbers()), Some(limit));
            }
        }
    }

    #[test]
    fn numbers_that_no_limit_has_make_none() {
        let good = Numbers { algorithm: 1, on_change: 0, count: 1, span: 1, back: 0 };
        assert!(Limit::of_numbers(good).is_some());
        for wrong in [
            Numbers { algorithm: 0, ..good },
            Numbers { algorithm: 8, ..good },
            Numbers { algorithm: 7, ..good },
            Numbers { on_change: 3, ..good },
            Numbers { count: 0, ..good },
            Numbers { span: 0, ..good },
            Numbers { count: COUNT_MAX, span: SPAN_MAX, ..good },
            Numbers { algorithm: 6, count: COUNT_MAX, ..good },
        ] {
            assert_eq!(Limit::of_numbers(wrong), None, "{wrong:?}");
        }
    }
}
