//! Room for counters: whether keys that have none yet may get one, and what becomes of such keys when they may not.
//!
//! Clients invent keys.  So the counters of all policies have a limit of memory, and those of a policy may have a number; a
//! key that has a counter goes on being counted as ever when either is reached.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::policy::CounterName;

/// Whether the memory for counters is used up.
#[derive(Debug, Default)]
pub struct Room {
    is_full: AtomicBool,
}

impl Room {
    /// Whether keys that have no counter cannot get one.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Notes whether the memory is used up; true if that is new.
    pub fn set_full(&self, is_full: bool) -> bool {
        self.is_full.load(Relaxed) != is_full && self.is_full.swap(is_full, Relaxed) != is_full
    }
}

/// What becomes of keys that have no counter when there is no room for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// They share one counter, as if they were one key.
    #[default]
    Share,
    /// They are let through and not counted.
    Allow,
    /// They are refused.
    Refuse,
}

/// Where one key is counted if it turns out to have no counter of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Instead {
    /// In this counter, which it shares.
    Shared(CounterName),
    /// Nowhere.
    Allowed,
    /// Nowhere, since it is refused.
    Refused,
}
