//! The memory for counters: whether keys without a counter may get one, and what happens to them if they may not.
//!
//! Clients invent keys.  So the memory of all counters is limited, and a policy may limit the number of its keys.  When
//! either limit is reached, keys that have a counter are counted as before.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::policy::CounterName;

/// Whether the memory for counters is used up.
#[derive(Debug, Default)]
pub struct CounterBudget {
    is_exhausted: AtomicBool,
}

impl CounterBudget {
    /// Whether keys without a counter cannot get one.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Relaxed)
    }

    /// Notes whether the memory is used up.
    pub fn set_exhausted(&self, is_exhausted: bool) {
        // Written only when it changes: every check reads it.
        if self.is_exhausted.load(Relaxed) != is_exhausted {
            self.is_exhausted.store(is_exhausted, Relaxed);
        }
    }
}

/// What happens to keys without a counter when there is no room for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// They share one counter, as if they were one key.
    #[default]
    Share,
    /// They are allowed and not counted.
    Allow,
    /// They are refused.
    Refuse,
}

/// What happens to one key if it has no counter of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// It is counted in this counter, which all such keys share.
    Shared(CounterName),
    /// It is allowed and not counted.
    Allowed,
    /// It is refused.
    Refused,
}
