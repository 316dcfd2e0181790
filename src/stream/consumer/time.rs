//! What happens because time passes.

use super::Consumer;
use super::effect::{Effect, Turn};
use super::rules::micros;
use crate::clock::Now;

impl Consumer {
    /// The next time, in microseconds on the clock of deadlines, at which [`Consumer::act`] and [`Consumer::deliver`] have
    /// something to do; none if only others can change anything.  It may come too early, never too late.
    pub fn next_action(&mut self, now: Now) -> Option<u64> {
        let times = [
            self.outstanding.next_deadline(),
            self.waiting.due(),
            self.line.due(),
            self.pin.until(),
            self.inactive_at,
            self.not_before,
            self.held_until,
            self.paused_until(now),
        ];
        times.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn act(&mut self, turn: &mut Turn<'_>) {
        self.expire_outstanding(turn);
        if self.waiting.due().is_some_and(|due| due <= turn.micros()) {
            self.look_through(turn);
        }
        self.push_heartbeat(turn);
        self.expire_pin(turn);
        self.end_if_inactive(turn);
    }

    /// Whether it is paused.
    pub fn is_paused(&self, now: Now) -> bool {
        self.rules.pause_until.is_some_and(|until| now.wall_micros() < until)
    }

    /// Whether it waits for the disk to read again.
    pub(super) fn is_held(&mut self, now: Now) -> bool {
        self.held_until = self.held_until.filter(|until| now.micros() < *until);
        self.held_until.is_some()
    }

    fn paused_until(&self, now: Now) -> Option<u64> {
        let left = self.rules.pause_until?.saturating_sub(now.wall_micros());
        u64::try_from(left).ok().filter(|left| *left > 0).map(|left| now.micros().saturating_add(left))
    }

    /// Somebody uses the consumer.
    pub(super) fn used(&mut self, now: u64) {
        let span = self.rules.inactive_threshold.filter(|_| !self.line.is_bound());
        self.inactive_at = span.map(|span| now.saturating_add(micros(span)));
    }

    fn end_if_inactive(&mut self, turn: &mut Turn<'_>) {
        if self.inactive_at.is_none_or(|at| at > turn.micros()) {
            return;
        }
        self.forget_gone(turn);
        if self.waiting.len() > 0 {
            self.used(turn.micros());
        } else {
            self.inactive_at = None;
            turn.effects.push(Effect::Inactive);
        }
    }
}
