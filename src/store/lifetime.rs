//! How long keys live: the effect of a write on the deadline of its key, and the bounds that the settings put on it.

use super::entries::Deadline;
use crate::settings::Settings;

/// The effect of a write on the deadline of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// The key keeps the deadline it has, if any.
    Keep,
    /// The key lives until it is deleted, or as long as the settings allow.
    Forever,
    /// The key is gone after this.
    Until(Deadline),
}

/// No bound.
const NONE: u64 = u64::MAX;

const MILLIS_PER_SECOND: u64 = 1000;

/// How long keys of the cache live at most, in milliseconds.  Pinned entries are not bounded by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LifetimeBounds {
    /// Those that are written without a time to live.
    without_ttl: u64,
    /// All.
    longest: u64,
}

impl LifetimeBounds {
    /// No bounds.
    pub const UNBOUNDED: LifetimeBounds = LifetimeBounds { without_ttl: NONE, longest: NONE };

    /// The bounds in the settings `ttl-default` and `ttl-max`.
    pub fn of(settings: &Settings) -> LifetimeBounds {
        let millis =
            |seconds: u64| if seconds == 0 { NONE } else { seconds.saturating_mul(MILLIS_PER_SECOND) };
        let longest = millis(settings.ttl_max);
        LifetimeBounds { without_ttl: millis(settings.ttl_default).min(longest), longest }
    }

    /// The deadline of a key that is written at `now`: `old` is the one it had, none also if there was no such key.
    pub(super) fn written(
        self,
        lifetime: Lifetime,
        old: Option<Deadline>,
        now: Deadline,
    ) -> Option<Deadline> {
        match lifetime {
            Lifetime::Keep if old.is_some() => old,
            Lifetime::Keep | Lifetime::Forever => after(self.without_ttl, now),
            Lifetime::Until(deadline) => self.bounded(Some(deadline), now),
        }
    }

    /// The deadline of a key when only its deadline is changed at `now`.  None means that the client wants the key to live on.
    pub(super) fn bounded(self, deadline: Option<Deadline>, now: Deadline) -> Option<Deadline> {
        let latest = after(self.longest, now);
        deadline.map_or(latest, |deadline| Some(latest.map_or(deadline, |latest| deadline.min(latest))))
    }
}

fn after(span: u64, now: Deadline) -> Option<Deadline> {
    (span != NONE).then(|| now.saturating_add(span))
}
