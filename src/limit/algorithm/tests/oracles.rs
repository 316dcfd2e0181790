//! The algorithms once more, from their promises: whole histories and fractions instead of states.

use super::super::{LOG_ENTRIES_MAX, Nanos, Parameters};
use super::rational::Rational;

/// A naive implementation of an algorithm.
pub(super) trait Oracle {
    /// The highest cost that may be had, as a fraction.
    fn available(&mut self, now: Nanos) -> Rational;

    /// Takes a cost that was admitted.
    fn take(&mut self, cost: u64, now: Nanos);

    /// Gives back the newest.
    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos);

    /// How long an admitted request waits.
    fn delay(&mut self, _now: Nanos) -> Nanos {
        0
    }
}

/// The oracle of the algorithm called `name`.
pub(super) fn oracle(name: &str, parameters: Parameters) -> Box<dyn Oracle> {
    let limit = parameters.limit as u64;
    let period = parameters.period_millis as u64 * 1_000_000;
    let burst = parameters.burst.unwrap_or(parameters.limit) as u64;
    let interval = Rational::new(period, limit).ceiling();
    match name {
        "gcra" => Box::new(Bucket::new(burst, Rational::whole(interval))),
        "leaky" => Box::new(Queue(Bucket::new(burst, Rational::whole(interval)))),
        "fixed" => Box::new(Fixed { limit, period, taken: Vec::new() }),
        "sliding" => Box::new(Sliding { limit, period, start: 0, taken: Vec::new() }),
        "log" => {
            let grain =
                if limit as usize <= LOG_ENTRIES_MAX { 1 } else { Rational::new(period, 1022).ceiling() };
            Box::new(Log { limit, period, grain, taken: Vec::new() })
        }
        "refill" => Box::new(Refill { capacity: burst, back: limit, period, tokens: burst, refill_at: 0 }),
        "concurrency" => Box::new(Log { limit, period, grain: 1, taken: Vec::new() }),
        _ => panic!("{name} has no oracle"),
    }
}

/// A bucket of fractions of tokens.
pub(super) struct Bucket {
    capacity: Rational,
    interval: Rational,
    tokens: Rational,
    at: Nanos,
}

impl Bucket {
    pub(super) fn new(capacity: u64, interval: Rational) -> Bucket {
        let capacity = Rational::whole(capacity);
        Bucket { tokens: capacity.clone(), capacity, interval, at: 0 }
    }

    /// So many tokens come back in a time.
    fn refill(&mut self, now: Nanos) {
        let back = &Rational::whole(now - self.at) / &self.interval;
        self.at = now;
        self.tokens = (&self.tokens + &back).min(self.capacity.clone());
    }
}

impl Oracle for Bucket {
    fn available(&mut self, now: Nanos) -> Rational {
        self.refill(now);
        self.tokens.clone()
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        self.refill(now);
        self.tokens = &self.tokens - &Rational::whole(cost);
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        self.refill(now);
        let mut amount = Rational::whole(amount);
        if now > taken_at {
            // Tokens that have come back by themselves since are no longer owed.
            let back = &Rational::whole(now - taken_at) / &self.interval;
            let left = if back < self.capacity { &self.capacity - &back } else { Rational::whole(0) };
            amount = amount.min(left);
        }
        self.tokens = (&self.tokens + &amount).min(self.capacity.clone());
    }
}

/// A bucket seen as a queue: the missing tokens wait in line.
struct Queue(Bucket);

impl Oracle for Queue {
    fn available(&mut self, now: Nanos) -> Rational {
        self.0.available(now)
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        self.0.take(cost, now);
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        self.0.refund(amount, taken_at, now);
    }

    fn delay(&mut self, now: Nanos) -> Nanos {
        let available = self.0.available(now);
        let waiting = &self.0.capacity - &available;
        (&waiting * &self.0.interval).ceiling()
    }
}

/// A bucket that is refilled step by step.
struct Refill {
    capacity: u64,
    back: u64,
    period: Nanos,
    tokens: u64,
    /// When tokens come back next, if any are missing.
    refill_at: Nanos,
}

impl Refill {
    fn refill(&mut self, now: Nanos) {
        while self.tokens < self.capacity && self.refill_at <= now {
            self.tokens = (self.tokens + self.back).min(self.capacity);
            self.refill_at += self.period;
        }
    }
}

impl Oracle for Refill {
    fn available(&mut self, now: Nanos) -> Rational {
        self.refill(now);
        Rational::whole(self.tokens)
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        self.refill(now);
        if self.tokens == self.capacity {
            self.refill_at = now + self.period;
        }
        self.tokens -= cost;
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        self.refill(now);
        let mut owed = self.capacity;
        // Tokens that have come back since are not owed any more.
        let mut timestamp = taken_at + self.period;
        while timestamp <= now && owed > 0 {
            owed = owed.saturating_sub(self.back);
            timestamp += self.period;
        }
        self.tokens = (self.tokens + amount.min(owed)).min(self.capacity);
    }
}

/// The costs that were taken, in the order of time.
type History = Vec<(Nanos, u64)>;

fn sum(history: &History, counts: impl Fn(Nanos) -> bool) -> u64 {
    history.iter().filter(|(at, _)| counts(*at)).map(|(_, cost)| cost).sum()
}

/// Gives back the newest costs that still count.
fn give_back(history: &mut History, mut amount: u64, counts: impl Fn(Nanos) -> bool) {
    for (_, cost) in history.iter_mut().rev().filter(|(at, _)| counts(*at)) {
        let given = amount.min(*cost);
        *cost -= given;
        amount -= given;
    }
}

fn at_most(limit: u64, taken: u64) -> Rational {
    Rational::whole(limit.saturating_sub(taken))
}

struct Fixed {
    limit: u64,
    period: Nanos,
    taken: History,
}

impl Fixed {
    /// The start of the window that is open, found by going through all of history.
    fn window(&self, now: Nanos) -> Option<Nanos> {
        let mut start: Option<Nanos> = None;
        for &(at, cost) in &self.taken {
            if cost > 0 && start.is_none_or(|start| at >= start + self.period) {
                start = Some(at);
            }
        }
        start.filter(|start| now < start + self.period)
    }
}

impl Oracle for Fixed {
    fn available(&mut self, now: Nanos) -> Rational {
        let start = self.window(now);
        at_most(self.limit, sum(&self.taken, |at| start.is_some_and(|start| at >= start)))
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        self.taken.push((now, cost));
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        let start = self.window(now);
        // A fixed window counts; it cannot tell when in the window something was taken.
        if start.is_some_and(|start| taken_at >= start) {
            give_back(&mut self.taken, amount, |at| start.is_some_and(|start| at >= start));
        }
    }
}

struct Sliding {
    limit: u64,
    period: Nanos,
    start: Nanos,
    taken: History,
}

impl Sliding {
    fn window(&self, at: Nanos) -> Option<u64> {
        at.checked_sub(self.start).map(|since| since / self.period)
    }

    /// The costs of the current window and of the one before it.
    fn counts(&self, now: Nanos) -> (u64, u64) {
        let open = self.window(now).expect("time goes on");
        let of = |window: Option<u64>| sum(&self.taken, |at| window.is_some() && self.window(at) == window);
        (of(Some(open)), of(open.checked_sub(1)))
    }
}

impl Oracle for Sliding {
    fn available(&mut self, now: Nanos) -> Rational {
        let (current, before) = self.counts(now);
        let elapsed = (now - self.start) % self.period;
        let share = Rational::new(self.period - elapsed, self.period);
        let taken = &Rational::whole(current) + &(&Rational::whole(before) * &share);
        (&Rational::whole(self.limit) - &taken).max(Rational::whole(0))
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        if self.counts(now) == (0, 0) {
            self.start = now;
        }
        self.taken.push((now, cost));
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        let open = self.window(now).expect("time goes on");
        // The window in which it was taken and the older one of the two are all that can be told apart.
        let Some(newest) = self.window(taken_at) else { return };
        let (start, period) = (self.start, self.period);
        let window = |at: Nanos| at.checked_sub(start).map(|since| since / period);
        give_back(&mut self.taken, amount, |at| {
            window(at).is_some_and(|window| window <= newest && window + 1 >= open)
        });
    }
}

struct Log {
    limit: u64,
    period: Nanos,
    grain: Nanos,
    taken: History,
}

impl Log {
    fn rounded(&self, timestamp: Nanos) -> Nanos {
        Rational::new(timestamp, self.grain).ceiling() * self.grain
    }
}

impl Oracle for Log {
    fn available(&mut self, now: Nanos) -> Rational {
        let period = self.period;
        at_most(self.limit, sum(&self.taken, |at| now < at + period))
    }

    fn take(&mut self, cost: u64, now: Nanos) {
        self.taken.push((self.rounded(now), cost));
    }

    fn refund(&mut self, amount: u64, taken_at: Nanos, now: Nanos) {
        let (period, newest) = (self.period, self.rounded(taken_at));
        give_back(&mut self.taken, amount, |at| now < at + period && at <= newest);
    }
}
