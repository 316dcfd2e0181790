//! The 24 bits that an entry keeps for eviction: how each policy writes and reads them.

use super::adaptive::{self, Adaptive, Member};
use super::trace::Trace;
use super::{lfu, lru};
use crate::clock::Now;
use crate::settings::{EvictionPolicy, Settings};

/// How the policy in force keeps a key's 24 bits, at the time of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recency {
    keeper: Keeper,
    leaves_traces: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeper {
    Lru(lru::Clock),
    Lfu(lfu::Clock),
    Adaptive(Adaptive),
}

/// How a key was used where it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormerUse {
    /// It was not accessed for so many seconds.
    Idle(u64),
    /// Its count of accesses, on the policy's scale.
    Frequency(u8),
}

impl Recency {
    /// For use without settings: a clock that stands still.
    pub const UNTRACKED: Recency = Recency { keeper: Keeper::Lru(lru::Clock::START), leaves_traces: false };

    /// How the policy in force keeps recency.  Policies that need none keep the time of the last access, which
    /// OBJECT IDLETIME shows.
    pub fn of(settings: &Settings, now: Now) -> Recency {
        let keeper = match settings.maxmemory_policy {
            EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu => {
                Keeper::Lfu(lfu::Clock::at(now.millis(), settings.lfu_log_factor, settings.lfu_decay_time))
            }
            policy @ (EvictionPolicy::AllkeysAdaptive | EvictionPolicy::VolatileAdaptive) => {
                let only_volatile = policy == EvictionPolicy::VolatileAdaptive;
                Keeper::Adaptive(Adaptive { only_volatile, log_factor: settings.lfu_log_factor })
            }
            _ => Keeper::Lru(lru::Clock::at(now.millis())),
        };
        Recency { keeper, leaves_traces: true }
    }

    /// The same for a client whose accesses leave no trace (CLIENT NO-TOUCH).
    pub fn without_traces(self) -> Recency {
        Recency { leaves_traces: false, ..self }
    }

    /// The same for a command whose accesses count even after CLIENT NO-TOUCH (TOUCH).
    pub fn with_traces(self) -> Recency {
        Recency { leaves_traces: true, ..self }
    }

    /// The bits of a key that is accessed in a shard with this trace.
    #[inline]
    pub(in crate::store) fn accessed(self, bits: u32, trace: &mut Trace) -> u32 {
        if !self.leaves_traces {
            return bits;
        }
        match self.keeper {
            Keeper::Lru(clock) => clock.bits(),
            Keeper::Lfu(clock) => clock.accessed(bits, &mut trace.noise),
            Keeper::Adaptive(rules) => {
                adaptive::accessed(bits, trace.turnover, rules.log_factor, &mut trace.noise)
            }
        }
    }

    /// The bits of a new key.
    pub(in crate::store) fn inserted(self, trace: Trace) -> u32 {
        match self.keeper {
            Keeper::Lru(clock) => clock.bits(),
            Keeper::Lfu(clock) => clock.inserted(),
            Keeper::Adaptive(_) => adaptive::inserted(trace.turnover),
        }
    }

    /// The bits of a key that was moved right after an access: `old` where it was, `fresh` as if it were new where it is.
    pub(in crate::store) fn moved(self, old: u32, fresh: u32) -> u32 {
        match self.keeper {
            Keeper::Lru(_) | Keeper::Lfu(_) => old,
            Keeper::Adaptive(_) => adaptive::moved(old, fresh),
        }
    }

    /// The bits of a new key that was used elsewhere, if the policy in force keeps what is known of that: `fresh` are
    /// those of any new key.
    pub(in crate::store) fn after(self, use_before: FormerUse, fresh: u32) -> u32 {
        match (self.keeper, use_before) {
            (Keeper::Lru(clock), FormerUse::Idle(seconds)) => clock.bits_before(seconds),
            (Keeper::Lfu(_) | Keeper::Adaptive(_), FormerUse::Frequency(count)) => {
                fresh & !lfu::COUNT_MASK | u32::from(count)
            }
            _ => fresh,
        }
    }

    /// The rules of the adaptive policy, if one is in force.
    #[inline]
    pub(in crate::store) fn adaptive(self) -> Option<Adaptive> {
        match self.keeper {
            Keeper::Adaptive(rules) => Some(rules),
            Keeper::Lru(_) | Keeper::Lfu(_) => None,
        }
    }

    /// The same for an access that leaves traces.
    #[inline]
    pub(super) fn contested(self) -> Option<Adaptive> {
        self.adaptive().filter(|_| self.leaves_traces)
    }

    /// How long a key with these bits was not accessed; none if the policy in force does not track it.
    pub fn idle_seconds(self, bits: u32) -> Option<u64> {
        match self.keeper {
            Keeper::Lru(clock) => Some(clock.idle_seconds(bits)),
            Keeper::Lfu(_) | Keeper::Adaptive(_) => None,
        }
    }

    /// How often a key with these bits was accessed, on the policy's scale, in a shard with this trace; none if the
    /// policy in force does not track it.
    pub(in crate::store) fn frequency(self, bits: u32, trace: Trace) -> Option<u8> {
        match self.keeper {
            Keeper::Lru(_) => None,
            Keeper::Lfu(clock) => Some(clock.frequency(bits)),
            Keeper::Adaptive(_) => Some(adaptive::frequency(bits, trace.turnover)),
        }
    }

    /// How cold a key with these bits is in a shard with this trace, as `member` sees it if the policy is adaptive: of
    /// several the one with the highest rank goes first.
    pub(in crate::store) fn rank(self, bits: u32, trace: Trace, member: Member) -> u32 {
        match self.keeper {
            Keeper::Lru(clock) => clock.idle_units(bits),
            Keeper::Lfu(clock) => clock.rank(bits),
            Keeper::Adaptive(_) => member.rank(bits, trace.turnover),
        }
    }
}
