//! Delivering to whoever subscribes: interest, heartbeats, the rate, and the window of flow control.

use std::sync::Arc;

use super::Consumer;
use super::deliver::Candidate;
use super::effect::{Target, Turn};
use super::limits::{FLOW_WINDOW_MAX, FLOW_WINDOW_START, RATE_BURST_MICROS};
use super::rules::{Rules, micros};
use super::status::{Detail, FlowToken, Kind, Status};

/// What is known of the subject that messages are pushed to.
pub(super) struct Line {
    pub(super) target: Target,
    /// Whether somebody subscribes.
    is_bound: bool,
    /// When a heartbeat is due.
    heartbeat: u64,
    /// Bytes that may be on their way before the receiver says that it got them.
    window: usize,
    /// Bytes on their way.
    bytes: usize,
    /// The question that was not answered yet, and the bytes that an answer covers.
    question: Option<(FlowToken, usize)>,
    /// Questions asked so far.
    questions: u32,
    /// When the rate is kept again.
    free_at: u64,
}

impl Line {
    pub(super) fn of(rules: &Rules) -> Line {
        Line {
            target: rules.push().map_or(Arc::from(&b""[..]), |push| Arc::from(&*push.subject)),
            is_bound: false,
            heartbeat: u64::MAX,
            window: FLOW_WINDOW_START,
            bytes: 0,
            question: None,
            questions: 0,
            free_at: 0,
        }
    }

    pub(super) fn is_bound(&self) -> bool {
        self.is_bound
    }

    pub(super) fn unanswered(&self) -> Option<FlowToken> {
        self.question.map(|(token, _)| token)
    }

    /// When a heartbeat is due.
    pub(super) fn due(&self) -> Option<u64> {
        (self.is_bound && self.heartbeat < u64::MAX).then_some(self.heartbeat)
    }
}

impl Consumer {
    /// Somebody subscribes to the subject of a push consumer, or nobody does any more.
    pub fn interest_changed(&mut self, turn: &mut Turn<'_>, is_bound: bool) {
        if self.rules.push().is_none() || self.line.is_bound == is_bound {
            return;
        }
        // A new receiver has nothing to answer and its own speed.
        let questions = self.line.questions;
        self.line = Line { is_bound, questions, ..Line::of(&self.rules) };
        self.postpone_heartbeat(turn.micros());
        self.used(turn.micros());
    }

    /// The receiver has come as far as a question of flow control.  An answer to another question counts for nothing.
    pub fn flow_answered(&mut self, turn: &mut Turn<'_>, token: FlowToken) {
        let Some((_, covered)) = self.line.question.take_if(|(asked, _)| *asked == token) else { return };
        self.line.window = (self.line.window * 2).min(FLOW_WINDOW_MAX);
        self.line.bytes = self.line.bytes.saturating_sub(covered);
        self.ask_if_far_ahead(turn);
    }

    /// Whether a message may be pushed now.
    pub(super) fn may_push(&mut self, turn: &Turn<'_>) -> bool {
        if !self.line.is_bound || self.line.bytes > self.line.window {
            return false;
        }
        if self.line.free_at > turn.micros().saturating_add(RATE_BURST_MICROS) {
            self.not_before = Some(self.line.free_at);
            return false;
        }
        true
    }

    /// A message was delivered.
    pub(super) fn sent(&mut self, turn: &mut Turn<'_>, sent: Candidate) {
        let Some(push) = self.rules.push() else { return };
        let (rate_limit, has_flow_control) = (push.rate_limit, push.flow_control);
        self.postpone_heartbeat(turn.micros());
        if rate_limit.is_none() && !has_flow_control {
            return;
        }
        let bytes = self.message_bytes(turn, sent, self.delivered);
        if let Some(bits_per_second) = rate_limit {
            let span = bytes as u64 * 8 * 1_000_000 / bits_per_second.max(1);
            self.line.free_at = self.line.free_at.max(turn.micros()).saturating_add(span);
        }
        if has_flow_control {
            self.line.bytes += bytes;
            self.ask_if_far_ahead(turn);
        }
    }

    /// Asks the receiver how far it is when half of the window is on its way.
    fn ask_if_far_ahead(&mut self, turn: &mut Turn<'_>) {
        let line = &mut self.line;
        if line.question.is_some() || line.bytes <= line.window / 2 {
            return;
        }
        line.questions = line.questions.wrapping_add(1);
        let token = FlowToken::of(line.questions);
        line.question = Some((token, line.bytes));
        turn.status(&line.target, Status { kind: Kind::FlowControl, detail: Detail::Flow(token) });
    }

    pub(super) fn push_heartbeat(&mut self, turn: &mut Turn<'_>) {
        if self.line.due().is_some_and(|due| due <= turn.micros()) {
            let heartbeat = self.heartbeat();
            turn.status(&self.line.target, heartbeat);
            self.postpone_heartbeat(turn.micros());
        }
    }

    fn postpone_heartbeat(&mut self, now: u64) {
        let span = self.rules.push().and_then(|push| push.idle_heartbeat);
        self.line.heartbeat = span.map_or(u64::MAX, |span| now.saturating_add(micros(span)));
    }
}
