//! Which of the waiting requests gets a message, and how requests end that get no more.

use super::Consumer;
use super::deliver::{Candidate, Receiver};
use super::effect::Turn;
use super::rules::Priority;
use super::status::{Detail, Kind, Status};
use super::waiting::Request;

/// What becomes of the first request while somebody is sought for a message.
enum Turnout {
    /// It takes the message.
    Takes,
    /// It may not have the message; others may.
    Passes,
    /// It gets nothing more, and a status that says so.
    Ends(Kind),
    /// Nobody wants its messages any more.
    Gone,
}

impl Consumer {
    /// The request that gets a message.  All have their turn, a message each.
    pub(super) fn requester(&mut self, turn: &mut Turn<'_>, candidate: Candidate) -> Option<Receiver> {
        let mut passed = 0;
        while passed < self.waiting.len() {
            match self.turnout(turn, candidate) {
                Turnout::Takes => return self.take_turn(turn, candidate),
                Turnout::Passes => {
                    self.waiting.rotate();
                    passed += 1;
                }
                Turnout::Ends(kind) => {
                    let request = self.waiting.front()?;
                    turn.status(&request.target, Status { kind, detail: request.rest() });
                    self.waiting.remove_front();
                }
                Turnout::Gone => self.waiting.remove_front(),
            }
        }
        None
    }

    fn turnout(&mut self, turn: &Turn<'_>, candidate: Candidate) -> Turnout {
        let (ahead, out, turns) = (self.ahead, self.outstanding.len() as u64, self.turns);
        let held = self.pin.id();
        let priority = self.rules.priority();
        let Some(request) = self.waiting.front() else { return Turnout::Gone };
        if request.wanted_in != turns {
            if !(turn.is_wanted)(&request.target) {
                return Turnout::Gone;
            }
            request.wanted_in = turns;
        }
        if request.expires.is_some_and(|expires| expires <= turn.micros()) {
            return Turnout::Ends(Kind::RequestTimeout);
        }
        match priority {
            Priority::PinnedClient(_) if request.pin.is_some() && request.pin != held => {
                return Turnout::Ends(Kind::WrongPinId);
            }
            Priority::PinnedClient(_) if held.is_some() && request.pin.is_none() => return Turnout::Passes,
            Priority::Overflow if !overflows(request, ahead, out) => return Turnout::Passes,
            _ => {}
        }
        let Some(bytes_left) = request.bytes_left else { return Turnout::Takes };
        match self.message_bytes(turn, candidate, self.delivered + 1) <= bytes_left {
            true => Turnout::Takes,
            false => Turnout::Ends(Kind::MaxBytesExceeded),
        }
    }

    /// Gives the message to the first request, which goes to the end of the queue if it wants more.
    fn take_turn(&mut self, turn: &mut Turn<'_>, candidate: Candidate) -> Option<Receiver> {
        let mut pin = None;
        if let Priority::PinnedClient(_) = self.rules.priority() {
            let id = match self.pin.id() {
                Some(id) => id,
                None => self.pin_client(turn),
            };
            self.renew_pin(turn.micros());
            pin = Some(id);
        }
        let is_counted = self.waiting.front()?.bytes_left.is_some();
        let number = self.delivered + 1;
        let bytes = if is_counted { self.message_bytes(turn, candidate, number) } else { 0 };
        let request = self.waiting.front()?;
        request.pin = pin;
        request.left -= 1;
        request.delivered += 1;
        if let Some(left) = &mut request.bytes_left {
            *left -= bytes;
            if *left == 0 {
                request.left = 0;
            }
        }
        if let Some((span, next)) = &mut request.heartbeat {
            *next = turn.micros().saturating_add(*span);
        }
        let target = request.target.clone();
        let mut after = None;
        if request.left > 0 {
            self.waiting.rotate();
        } else {
            let has_bytes = request.bytes_left.is_some_and(|left| left > 0);
            after = has_bytes.then(|| Status { kind: Kind::BatchCompleted, detail: request.rest() });
            self.waiting.fill_front();
        }
        Some(Receiver { target, pin, after })
    }

    /// Ends the requests that take only what there is, as they cannot have anything more now.  nats-server leaves one that
    /// has to wait for acknowledgements without an answer until something else happens to the consumer.
    pub(super) fn end_no_wait(&mut self, turn: &mut Turn<'_>) {
        if !self.waiting.has_no_wait() {
            return;
        }
        self.waiting.retain(|request| {
            let ends = request.is_no_wait && (request.expires.is_none() || request.delivered > 0);
            if ends && (turn.is_wanted)(&request.target) {
                turn.status(&request.target, Status::of(Kind::NoMessages));
            }
            !ends
        });
    }

    /// Ends the requests that have expired or that nobody wants any more, and sends the heartbeats that are due.
    pub(super) fn look_through(&mut self, turn: &mut Turn<'_>) {
        let now = turn.micros();
        let heartbeat = self.heartbeat();
        self.waiting.retain(|request| {
            if !(turn.is_wanted)(&request.target) {
                return false;
            }
            if request.expires.is_some_and(|expires| expires <= now) {
                turn.status(&request.target, Status { kind: Kind::RequestTimeout, detail: request.rest() });
                return false;
            }
            if let Some((span, next)) = &mut request.heartbeat
                && *next <= now
            {
                *next = now.saturating_add(*span);
                turn.status(&request.target, heartbeat);
            }
            true
        });
    }

    /// Drops the requests that nobody wants any more, so that [`super::Report::waiting`] counts only others.
    pub fn forget_gone(&mut self, turn: &mut Turn<'_>) {
        if self.waiting.len() > 0 {
            self.look_through(turn);
        }
    }

    /// Tells all who wait that the consumer gives them nothing more.
    pub fn end_requests(&mut self, turn: &mut Turn<'_>, kind: Kind) {
        self.waiting.retain(|request| {
            turn.status(&request.target, Status::of(kind));
            false
        });
    }

    /// The heartbeat of a receiver that gets nothing else.
    pub(super) fn heartbeat(&self) -> Status {
        let detail = Detail::Delivered {
            consumer: self.delivered,
            stream: self.position,
            stalled: self.line.unanswered(),
        };
        Status { kind: Kind::IdleHeartbeat, detail }
    }
}

/// Whether a request may be served though others could be.
fn overflows(request: &Request, pending: u64, ack_pending: u64) -> bool {
    let has_none = request.min_pending == 0 && request.min_ack_pending == 0;
    has_none
        || (request.min_pending > 0 && request.min_pending <= pending)
        || (request.min_ack_pending > 0 && request.min_ack_pending <= ack_pending)
}
