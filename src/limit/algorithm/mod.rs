//! The algorithms: pure functions from a state, a cost and the time to a decision and a new state.
//!
//! All arithmetic is exact, on whole nanoseconds.  Only the interval of a rate is rounded up, once, when the limit is
//! built.  The time is an argument.  A state is a few bytes (see `state`), which the store keeps until it no longer
//! matters.

mod concurrency;
mod decision;
mod fixed_window;
mod gcra;
mod leaky_bucket;
mod numbers;
mod parameters;
mod refill;
mod sliding_log;
mod sliding_window;
mod state;
#[cfg(test)]
mod tests;

pub use concurrency::{Concurrency, SLOTS_MAX, SlotId};
pub use decision::Decision;
pub use fixed_window::FixedWindow;
pub use gcra::Gcra;
pub use leaky_bucket::LeakyBucket;
pub use numbers::{Numbers, REFILL};
pub use parameters::{
    COUNT_MAX, InvalidParameter, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, OnChange, Parameters, SPAN_MAX,
    checked_cost, checked_count, checked_span,
};
pub use refill::Refill;
pub use sliding_log::{LOG_ENTRIES_MAX, SlidingLog};
pub use sliding_window::SlidingWindow;
pub use state::{STATE_LENGTH_MAX, StateBytes};

/// An algorithm as its users choose it.
pub struct AlgorithmRow {
    /// Its name in commands, policies and documents.
    pub name: &'static str,
    /// Its guarantee.
    pub promise: &'static str,
    /// How far it may deviate from the stated limit.
    pub error: &'static str,
    /// Whether it has a burst that differs from its limit.
    pub has_burst: bool,
    /// Makes a limit with it.
    pub build: fn(Parameters) -> Result<Limit, InvalidParameter>,
}

/// All algorithms.
pub static ALGORITHMS: &[AlgorithmRow] = &[
    AlgorithmRow {
        name: "gcra",
        promise: "a token bucket: at most burst at once, and limit per period in the long run",
        error: "the interval is rounded up to a nanosecond: at most one in a million is lost at 1,000 a second",
        has_burst: true,
        build: |parameters| Gcra::new(parameters).map(Gcra::limit),
    },
    AlgorithmRow {
        name: "sliding",
        promise: "at most limit in the last period by an estimate from two counts",
        error: "the window before is taken as even: a few percent on random traffic, up to twice the limit at worst",
        has_burst: false,
        build: |parameters| SlidingWindow::new(parameters).map(SlidingWindow::limit),
    },
    AlgorithmRow {
        name: "log",
        promise: "at most limit in any span as long as the period",
        error: "none up to a limit of 1,024; above, costs count up to a thousandth of the period too long",
        has_burst: false,
        build: |parameters| SlidingLog::new(parameters).map(SlidingLog::limit),
    },
    AlgorithmRow {
        name: "fixed",
        promise: "at most limit in each window; windows open with the first request",
        error: "a span across two windows can see twice the limit",
        has_burst: false,
        build: |parameters| FixedWindow::new(parameters).map(FixedWindow::limit),
    },
    AlgorithmRow {
        name: "leaky",
        promise: "admitted requests are told a delay that spaces them evenly; at most burst are in the queue",
        error: "the interval is rounded up to a nanosecond, as with gcra",
        has_burst: true,
        build: |parameters| LeakyBucket::new(parameters).map(LeakyBucket::limit),
    },
    AlgorithmRow {
        name: "concurrency",
        promise: "at most limit slots are held at a time, each until it is left or its lease (the period) ends",
        error: "none",
        has_burst: false,
        build: |parameters| Concurrency::new(parameters).map(Concurrency::limit),
    },
    AlgorithmRow {
        name: "refill",
        promise: "a token bucket: at most burst at once, and limit come back together at the end of each period",
        error: "none",
        has_burst: true,
        build: |parameters| Refill::new(parameters).map(Refill::limit),
    },
];

/// The algorithm of this name, in either case.
pub fn find(name: &[u8]) -> Option<&'static AlgorithmRow> {
    ALGORITHMS.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The operations of every algorithm.  `now` and `taken_at` are timestamps; `cost` and `amount` are in units of the limit.
pub trait Algorithm {
    /// The state of a counter; the default means that nothing was taken.
    type State: Default;

    /// The most that can be had at once.
    fn limit(&self) -> u64;

    /// Reads a state; none if the bytes are of another algorithm.
    fn decode(bytes: &[u8]) -> Option<Self::State>;

    /// Writes a state over `bytes`.
    fn encode(state: &Self::State, bytes: &mut StateBytes);

    /// Converts a state that was written under other parameters; false if there is nothing to change.
    fn adopt(&self, _state: &mut Self::State, _now: Nanos) -> bool {
        false
    }

    /// How long until `cost` is allowed if nobody takes anything: zero if it is allowed now, none if it never is.
    /// A cost of 0 is always allowed.
    fn wait(&self, state: &Self::State, cost: u64, now: Nanos) -> Option<Nanos>;

    /// The highest cost that is allowed now.
    fn remaining(&self, state: &Self::State, now: Nanos) -> u64;

    /// How long until the state equals the default.
    fn reset_after(&self, state: &Self::State, now: Nanos) -> Nanos;

    /// Takes `cost`, whether there is room for it or not.
    fn charge(&self, state: &mut Self::State, cost: u64, now: Nanos);

    /// Gives back costs that were taken at or before `taken_at`, the newest first.  A cost that no longer counts is not
    /// given back again.
    fn refund(&self, state: &mut Self::State, amount: u64, taken_at: Nanos, now: Nanos);

    /// Moves all timestamps, for a state that is read on another scale of time.
    fn shift(state: &mut Self::State, by: i64);

    /// The time in which as many come back as can be had at once.
    fn window(&self) -> Nanos;

    /// How long a request that is admitted now has to wait before it goes on.
    fn delay(&self, _state: &Self::State, _now: Nanos) -> Nanos {
        0
    }
}

/// One limit: an algorithm with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// See [`Gcra`].
    Gcra(Gcra),
    /// See [`SlidingWindow`].
    SlidingWindow(SlidingWindow),
    /// See [`SlidingLog`].
    SlidingLog(SlidingLog),
    /// See [`FixedWindow`].
    FixedWindow(FixedWindow),
    /// See [`LeakyBucket`].
    LeakyBucket(LeakyBucket),
    /// See [`Concurrency`].
    Concurrency(Concurrency),
    /// See [`Refill`].
    Refill(Refill),
}

/// Does the same with any algorithm that a limit may have.
macro_rules! with_algorithm {
    ($limit:expr, $algorithm:ident => $body:expr) => {
        match $limit {
            Limit::Gcra($algorithm) => $body,
            Limit::SlidingWindow($algorithm) => $body,
            Limit::SlidingLog($algorithm) => $body,
            Limit::FixedWindow($algorithm) => $body,
            Limit::LeakyBucket($algorithm) => $body,
            Limit::Concurrency($algorithm) => $body,
            Limit::Refill($algorithm) => $body,
        }
    };
}

impl Limit {
    /// Decides on `cost` without taking it: `remaining` does not count it.
    pub fn peek(&self, state: &[u8], cost: u64, now: Nanos) -> Decision {
        with_algorithm!(self, algorithm => peek(algorithm, &read(algorithm, state, now), cost, now))
    }

    /// Converts a state that was written under other parameters.  Then `changed` becomes the new state, and the answer is
    /// how long to keep it.  The new parameters apply from then on, so the state has to be kept before a client is told how
    /// long to wait.
    pub fn adopt(&self, state: &[u8], now: Nanos, changed: &mut StateBytes) -> Option<Nanos> {
        with_algorithm!(self, algorithm => {
            let mut state = decode(algorithm, state);
            algorithm.adopt(&mut state, now).then(|| {
                write(algorithm, &state, changed);
                algorithm.reset_after(&state, now)
            })
        })
    }

    /// Takes `cost` if it is allowed.  `changed` becomes the new state, to be kept for [`Decision::reset_after`], if it is
    /// allowed, and also if the state was written under other parameters, see [`Limit::adopt`]; otherwise it stays empty.
    pub fn take(&self, state: &[u8], cost: u64, now: Nanos, changed: &mut StateBytes) -> Decision {
        with_algorithm!(self, algorithm => take(algorithm, state, cost, now, changed))
    }

    /// Takes `cost` in any case, which may leave less than nothing.  `changed` becomes the new state; the answer is how
    /// long to keep it.
    pub fn charge(&self, state: &[u8], cost: u64, now: Nanos, changed: &mut StateBytes) -> Nanos {
        with_algorithm!(self, algorithm => {
            let mut state = read(algorithm, state, now);
            algorithm.charge(&mut state, cost, now);
            write(algorithm, &state, changed);
            algorithm.reset_after(&state, now)
        })
    }

    /// Gives back `amount` of the costs that were taken at or before `taken_at`.  `changed` becomes the new state; the
    /// answer is how long to keep it.
    pub fn refund(
        &self,
        state: &[u8],
        amount: u64,
        taken_at: Nanos,
        now: Nanos,
        changed: &mut StateBytes,
    ) -> Nanos {
        with_algorithm!(self, algorithm => {
            let mut state = read(algorithm, state, now);
            algorithm.refund(&mut state, amount, taken_at, now);
            write(algorithm, &state, changed);
            algorithm.reset_after(&state, now)
        })
    }

    /// Whether this is a state of the limit's algorithm.  A state of another algorithm counts as none.
    pub fn wrote(&self, state: &[u8]) -> bool {
        with_algorithm!(self, algorithm => is_of(algorithm, state))
    }

    /// The limit for a check at `now`: one by the calendar learns which window is open.
    pub fn at(self, now: Nanos, wall_offset: impl FnOnce() -> i64) -> Limit {
        match self {
            Limit::FixedWindow(window) if window.is_of_calendar() => window.at(now, wall_offset()).limit(),
            other => other,
        }
    }

    /// The most that can be had at once.
    pub fn capacity(&self) -> u64 {
        with_algorithm!(self, algorithm => Algorithm::limit(algorithm))
    }

    /// The time in which as many come back as can be had at once.
    pub fn window(&self) -> Nanos {
        with_algorithm!(self, algorithm => algorithm.window())
    }
}

/// The same state, of any algorithm, on a scale of time that is ahead by `by` nanoseconds.
pub fn shift_state(state: &[u8], by: i64, changed: &mut StateBytes) {
    fn shift<A: Algorithm>(state: &[u8], by: i64, changed: &mut StateBytes) -> bool {
        let Some(mut state) = A::decode(state) else { return false };
        A::shift(&mut state, by);
        A::encode(&state, changed);
        true
    }
    let _ = shift::<Gcra>(state, by, changed)
        || shift::<SlidingWindow>(state, by, changed)
        || shift::<SlidingLog>(state, by, changed)
        || shift::<FixedWindow>(state, by, changed)
        || shift::<Concurrency>(state, by, changed)
        || shift::<Refill>(state, by, changed);
}

fn decode<A: Algorithm>(_: &A, bytes: &[u8]) -> A::State {
    A::decode(bytes).unwrap_or_default()
}

fn read<A: Algorithm>(algorithm: &A, bytes: &[u8], now: Nanos) -> A::State {
    let mut state = decode(algorithm, bytes);
    algorithm.adopt(&mut state, now);
    state
}

fn is_of<A: Algorithm>(_: &A, bytes: &[u8]) -> bool {
    A::decode(bytes).is_some()
}

fn write<A: Algorithm>(_: &A, state: &A::State, bytes: &mut StateBytes) {
    A::encode(state, bytes);
}

/// [`Limit::take`] for a known algorithm.
#[inline]
pub fn take<A: Algorithm>(
    algorithm: &A,
    state: &[u8],
    cost: u64,
    now: Nanos,
    changed: &mut StateBytes,
) -> Decision {
    let mut state = decode(algorithm, state);
    let is_adopted = algorithm.adopt(&mut state, now);
    let wait = algorithm.wait(&state, cost, now);
    if wait != Some(0) {
        if is_adopted {
            write(algorithm, &state, changed);
        }
        return answer(algorithm, &state, wait, now);
    }
    let delay = algorithm.delay(&state, now);
    algorithm.charge(&mut state, cost, now);
    write(algorithm, &state, changed);
    Decision { delay, ..answer(algorithm, &state, wait, now) }
}

fn peek<A: Algorithm>(algorithm: &A, state: &A::State, cost: u64, now: Nanos) -> Decision {
    answer(algorithm, state, algorithm.wait(state, cost, now), now)
}

/// The decision on a cost that is allowed after `wait`.
#[inline]
fn answer<A: Algorithm>(algorithm: &A, state: &A::State, wait: Option<Nanos>, now: Nanos) -> Decision {
    let allowed = wait == Some(0);
    Decision {
        allowed,
        limit: algorithm.limit(),
        remaining: algorithm.remaining(state, now),
        retry_after: wait.filter(|_| !allowed),
        reset_after: algorithm.reset_after(state, now),
        delay: if allowed { algorithm.delay(state, now) } else { 0 },
    }
}
