//! What a stream does by itself: it removes expired messages, publishes scheduled ones, republishes stored ones, and moves undeliverable
//! ones to the dead letters.
//!
//! | file | what it is |
//! |---|---|
//! | `age`, `markers` | messages that expire, and the markers that take the place of a subject's last message |
//! | `schedules` | messages that are published later |
//! | `republish` | messages that are published again |
//! | `dead_letters` | messages that consumers give up |
//! | `retention` | messages that no consumer needs |
//! | `advisories` | messages about what happens to streams, consumers and messages |
//! | `together` | several changes as one operation of the journal |
//! | `changes` | what follows when a stream or a consumer is created, deleted, or gets another definition |
//! | `headers`, `times` | copying headers from one message to another; finding the first message at a time |
//! | `wall_clock` | what is due when somebody moves the clock |
//!
//! Whatever is due is done in [`Stream::advance`], on the thread of the alarm, some of it at a time.  Every removal is a change among
//! the unapplied ones, so that a start, which applies the records of the journal in their order, comes to the same state.

mod advisories;
mod age;
mod changes;
mod dead_letters;
mod headers;
mod markers;
mod republish;
mod retention;
mod schedules;
#[cfg(test)]
mod tests;
mod times;
mod together;
mod wall_clock;

use std::sync::Arc;

use self::advisories::Event;
use self::age::Age;
use self::dead_letters::Letter;
use super::definition::Transform;
use super::shared::{Life, State, Stream, nanoseconds};
use crate::clock::Now;
use crate::delivery::Effects;

pub(super) use self::advisories::advisory_id;
pub(super) use self::wall_clock::WallOffset;

/// The time before a retry of what the disk or another stream did not take, in microseconds.
const RETRY_MICROS: u64 = 1_000_000;

/// The upkeep that a stream has not finished.
#[derive(Default)]
pub(super) struct Upkeep {
    age: Age,
    /// Scheduled messages that are due and could not be published yet.
    unpublished: Vec<u64>,
    /// Dead letters that could not be stored yet.
    letters: Vec<Letter>,
    /// When these are tried again.
    retry_at: Option<u64>,
    /// The disk takes nothing just now, so nothing is tried before this time.
    not_before: Option<u64>,
    /// Where to continue looking for messages that no consumer needs.
    unneeded_from: Option<u64>,
    /// How messages are republished, once the definition was read.
    transform: Option<Option<Arc<Transform>>>,
    /// The message before the one that is being stored, on its subject.
    sequence_before: u64,
    /// Advisories to be published once the lock is given up.
    events: Vec<Event>,
}

impl Stream {
    /// Does what is due.
    pub(super) fn advance(self: &Arc<Stream>, now: Now, effects: &mut Effects) {
        {
            let mut state = self.state.lock();
            self.hub.forget_deadline((self.id, 0), &mut state.deadline);
            state.upkeep.not_before = None;
            if state.life != Life::There {
                return;
            }
        }
        let is_writable = self.hub.admit().is_ok();
        let mut has_failed = !is_writable;
        if is_writable {
            self.publish_scheduled(now, effects);
            for done in [self.expire(now, effects), self.drop_unneeded(effects)] {
                if let Err(error) = done {
                    self.log_unreadable(&error);
                    has_failed = true;
                }
            }
            self.send_letters_again(now, effects);
        }
        let mut state = self.state.lock();
        if has_failed {
            state.upkeep.not_before = Some(now.micros().saturating_add(RETRY_MICROS));
        }
        state.data.ids.retire(nanoseconds(now));
        self.plan(&mut state, effects);
    }

    /// Notes when the stream has something to do next.
    pub(super) fn plan(&self, state: &mut State, effects: &mut Effects) {
        let now = self.hub.clock.now();
        let next = if state.life == Life::There { state.next_upkeep(now) } else { None };
        self.hub.set_deadline((self.id, 0), &mut state.deadline, next, effects);
    }
}

impl State {
    /// When the stream has something to do next, in microseconds on the clock of deadlines.  It may be too early, never too late.
    fn next_upkeep(&mut self, now: Now) -> Option<u64> {
        let times = [self.next_expiry(), self.data.schedules.next_due(), self.data.ids.next_retirement()];
        let timed = times.into_iter().flatten().min().map(|time| deadline(now, time));
        let unneeded = self.upkeep.unneeded_from.map(|_| now.micros());
        let next = timed.into_iter().chain(self.upkeep.retry_at).chain(unneeded).min()?;
        Some(next.max(self.upkeep.not_before.unwrap_or(0)))
    }
}

/// When a time in nanoseconds since 1970 has come, in microseconds on the clock of deadlines, never too early.
fn deadline(now: Now, time: i64) -> u64 {
    let wall = i128::from(time.div_euclid(1000)) + i128::from(time.rem_euclid(1000) > 0);
    let after = wall - i128::from(now.wall_micros()) + i128::from(now.micros());
    u64::try_from(after.max(0)).unwrap_or(u64::MAX)
}
