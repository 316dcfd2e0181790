//! By how much the store has grown, as a shard reports when it is unlocked.

use std::ops::{Add, AddAssign};

/// Bytes by which a part of the store has grown; below zero if it has shrunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Growth {
    /// Of all that is stored.
    pub all: isize,
    /// Of the pinned entries alone, which have a limit of their own.
    pub pinned: isize,
}

impl Add for Growth {
    type Output = Growth;

    fn add(self, other: Growth) -> Growth {
        Growth { all: self.all + other.all, pinned: self.pinned + other.pinned }
    }
}

impl AddAssign for Growth {
    fn add_assign(&mut self, other: Growth) {
        *self = *self + other;
    }
}
