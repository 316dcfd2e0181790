//! What an access to a key brings with it.

use super::bits::Recency;
use crate::clock::Now;
use crate::settings::Settings;
use crate::store::entries::Deadline;
use crate::store::lifetime::LifetimeBounds;

/// What the outside world contributes to a command: the time and how recency is kept.
#[derive(Clone, Copy, Debug)]
pub struct AccessContext {
    /// Milliseconds on the clock deadlines live on.
    pub now: Deadline,
    /// How the eviction policy in force keeps recency.
    pub recency: Recency,
    /// How long keys live at most.
    pub lifetimes: LifetimeBounds,
}

impl AccessContext {
    /// What the settings say at a time.
    pub fn of(settings: &Settings, now: Now) -> AccessContext {
        AccessContext {
            now: now.millis(),
            recency: Recency::of(settings, now),
            lifetimes: LifetimeBounds::of(settings),
        }
    }
}
