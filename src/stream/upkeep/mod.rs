//! What a stream does by itself: messages go when their time is over, are published when it has come, are published again, and go
//! to the dead letters.
//!
//! | file | what it is |
//! |---|---|
//! | `age`, `markers` | messages that go because of their time, and what stays where the last message of a subject was |
//! | `schedules` | messages that are published later |
//! | `republish` | messages that are published again |
//! | `dead_letters` | messages that consumers give up |
//! | `retention` | messages that no consumer needs |
//! | `advisories` | what is told to whoever listens |
//! | `together` | several changes as one operation of the journal |
//! | `changes` | what follows when a stream or a consumer begins, ends, or has another definition |
//! | `headers`, `times` | headers that are taken over; which message was stored when |
//! | `wall_clock` | what is due when somebody moves the clock |
//!
//! Whatever is due is done in [`Stream::advance`], on the thread of the alarm, some of it at a time.  Every removal is a change among
//! the pending ones, so that a start, which applies the records of the journal in their order, comes to the same state.

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

pub(super) use self::wall_clock::WallOffset;

/// After how long something is tried again that the disk or another stream did not take, in microseconds.
const RETRY_MICROS: u64 = 1_000_000;

/// What a stream does by itself and is not through with.
#[derive(Default)]
pub(super) struct Upkeep {
    age: Age,
    /// Messages that are to be published, and that cannot be just now.
    unpublished: Vec<u64>,
    /// The same of dead letters.
    letters: Vec<Letter>,
    /// When these are tried again.
    retry_at: Option<u64>,
    /// The disk takes nothing just now, so nothing is tried before this time.
    not_before: Option<u64>,
    /// From which message on it is still to be looked for those that no consumer needs.
    unneeded_from: Option<u64>,
    /// How messages are published again, once that is known of the definition.
    transform: Option<Option<Arc<Transform>>>,
    /// The message before the one that is being stored, on its subject.
    sequence_before: u64,
    /// What is to be told once the lock is given up.
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
        if is_writable {
            self.publish_scheduled(now, effects);
            if let Err(error) = self.expire(now, effects) {
                self.log_unreadable(&error);
            }
            if let Err(error) = self.drop_unneeded(effects) {
                self.log_unreadable(&error);
            }
            self.send_letters_again(now, effects);
        }
        let mut state = self.state.lock();
        if !is_writable {
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
