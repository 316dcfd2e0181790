//! The context of an access to a key.

use super::bits::Recency;
use crate::clock::Now;
use crate::settings::Settings;
use crate::store::entries::Deadline;
use crate::store::lifetime::LifetimeBounds;

/// The time of a command, how the policy keeps recency, and how long keys live at most.
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
    /// The context at a time, as the settings have it.
    pub fn of(settings: &Settings, now: Now) -> AccessContext {
        AccessContext {
            now: now.millis(),
            recency: Recency::of(settings, now),
            lifetimes: LifetimeBounds::of(settings),
        }
    }
}
