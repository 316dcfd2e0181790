//! By how much the store has grown: what a shard says when it is unlocked.

use std::ops::{Add, AddAssign};

/// Bytes by which a part of the store has grown; below zero if it has shrunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Growth {
    /// Of all that is stored.
    pub all: isize,
    /// Of the rate limiter's counters alone, which have a limit of their own.
    pub counters: isize,
}

impl Add for Growth {
    type Output = Growth;

    fn add(self, other: Growth) -> Growth {
        Growth { all: self.all + other.all, counters: self.counters + other.counters }
    }
}

impl AddAssign for Growth {
    fn add_assign(&mut self, other: Growth) {
        *self = *self + other;
    }
}
