//! A request for messages, and what is looked at before it waits.

use std::time::Duration;

use super::Consumer;
use super::effect::{Target, Turn};
use super::pin::PinId;
use super::rules::{Priority, Pull, micros};
use super::status::{Detail, Kind, Status};
use super::waiting::Request;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PullRequest {
    /// Where it wants its messages.
    pub target: Target,
    /// How many; 0 counts as one.
    pub batch: u32,
    /// How long it waits for them; none for any time.
    pub expires: Option<Duration>,
    /// Whether it takes only what there is.  With `expires` it waits for the first message, then takes what there is.
    pub no_wait: bool,
    /// How many bytes it takes at most, as clients count them; 0 for any number.
    pub max_bytes: usize,
    /// After how long without a message it wants a heartbeat.
    pub idle_heartbeat: Option<Duration>,
    /// The priority group that it belongs to.
    pub group: Option<Box<[u8]>>,
    /// How many messages must be pending before it is served; 0 for no such condition.
    pub min_pending: u64,
    /// How many messages must be without an acknowledgement before it is served; 0 for no such condition.
    pub min_ack_pending: u64,
    /// The id of the pinned client that it comes from.
    pub pin: Option<PinId>,
}

impl PullRequest {
    /// A request for so many messages that waits until it has them.
    pub fn plain(target: Target, batch: u32) -> PullRequest {
        PullRequest {
            target,
            batch,
            expires: None,
            no_wait: false,
            max_bytes: 0,
            idle_heartbeat: None,
            group: None,
            min_pending: 0,
            min_ack_pending: 0,
            pin: None,
        }
    }
}

impl Consumer {
    /// Takes a request.  It waits, or its target gets a status that says why it does not.
    pub fn request(&mut self, turn: &mut Turn<'_>, request: PullRequest) {
        self.used(turn.micros());
        if let Err(status) = self.admit(turn, &request) {
            // A client with a heartbeat asks again when it misses that; told at once, it would ask again at once.
            if status.kind != Kind::MaxWaiting || request.idle_heartbeat.is_none() {
                turn.status(&request.target, status);
            }
            return;
        }
        let now = turn.micros();
        self.waiting.add(Request {
            target: request.target,
            left: request.batch.max(1),
            bytes_left: (request.max_bytes > 0).then_some(request.max_bytes),
            delivered: 0,
            expires: request.expires.map(|span| now.saturating_add(micros(span))),
            heartbeat: request.idle_heartbeat.map(|span| (micros(span), now.saturating_add(micros(span)))),
            is_no_wait: request.no_wait,
            min_pending: request.min_pending,
            min_ack_pending: request.min_ack_pending,
            pin: request.pin,
            wanted_in: self.turns,
        });
    }

    fn admit(&mut self, turn: &mut Turn<'_>, request: &PullRequest) -> Result<(), Status> {
        let pull = self.rules.pull().ok_or(Status::of(Kind::PushBased))?;
        if !self.is_settled {
            return Err(Status::of(Kind::StreamUnreadable));
        }
        check_heartbeat(request)?;
        check_caps(pull, request)?;
        check_group(pull, request)?;
        let waiting_max = pull.waiting_max();
        self.admit_pin(turn, request)?;
        if self.waiting.len() >= waiting_max {
            self.look_through(turn);
        }
        if request.no_wait {
            self.admit_no_wait(turn, request)?;
        }
        if self.waiting.len() >= waiting_max {
            return Err(Status::of(Kind::MaxWaiting));
        }
        Ok(())
    }

    fn admit_pin(&mut self, turn: &Turn<'_>, request: &PullRequest) -> Result<(), Status> {
        let (Some(held), Some(asked)) = (self.pin.id(), request.pin) else { return Ok(()) };
        if held != asked {
            return Err(Status::of(Kind::PinIdMismatch));
        }
        self.renew_pin(turn.micros());
        Ok(())
    }

    fn admit_no_wait(&mut self, turn: &mut Turn<'_>, request: &PullRequest) -> Result<(), Status> {
        let there = self.ahead + self.outstanding.waiting() as u64;
        if there == 0 && request.expires.is_none() {
            return Err(Status::of(Kind::NoMessages));
        }
        if there > 0 {
            self.look_through(turn);
            if there < self.waiting.wanted() {
                return Err(Status::of(Kind::RequestsPending));
            }
        }
        Ok(())
    }
}

fn check_heartbeat(request: &PullRequest) -> Result<(), Status> {
    let fits = |heartbeat: Duration| heartbeat.saturating_mul(2) <= request.expires.unwrap_or_default();
    match request.idle_heartbeat.is_none_or(fits) {
        true => Ok(()),
        false => Err(Status::of(Kind::HeartbeatTooLarge)),
    }
}

fn check_caps(pull: &Pull, request: &PullRequest) -> Result<(), Status> {
    if let Some(max) = pull.max_batch.filter(|max| request.batch > *max) {
        return Err(Status { kind: Kind::MaxBatch, detail: Detail::Limit(u64::from(max)) });
    }
    if let Some(max) = pull.max_expires.filter(|max| request.expires.is_some_and(|span| span > *max)) {
        return Err(Status { kind: Kind::MaxExpires, detail: Detail::Span(max) });
    }
    if let Some(max) = pull.max_bytes.filter(|max| request.max_bytes as u64 > *max) {
        return Err(Status { kind: Kind::MaxBytes, detail: Detail::Limit(max) });
    }
    Ok(())
}

fn check_group(pull: &Pull, request: &PullRequest) -> Result<(), Status> {
    let has_minimum = request.min_pending > 0 || request.min_ack_pending > 0;
    if has_minimum && pull.priority != Priority::Overflow {
        return Err(Status::of(Kind::NotOverflow));
    }
    if request.pin.is_some() && !matches!(pull.priority, Priority::PinnedClient(_)) {
        return Err(Status::of(Kind::NotPinnedClient));
    }
    if pull.priority == Priority::None {
        return Ok(());
    }
    let group = request.group.as_ref().ok_or(Status::of(Kind::GroupMissing))?;
    match pull.groups.contains(group) {
        true => Ok(()),
        false => Err(Status::of(Kind::GroupInvalid)),
    }
}
