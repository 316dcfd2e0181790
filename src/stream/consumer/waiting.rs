//! The requests that wait for messages, in the order in which they have their turn.

use std::collections::VecDeque;

use super::effect::Target;
use super::pin::PinId;
use super::status::Detail;

/// Filled requests for which a consumer that has had its turn keeps room.
const FILLED_KEPT: usize = 4;

/// A request that waits.
pub(super) struct Request {
    pub(super) target: Target,
    /// Messages that it still wants.
    pub(super) left: u32,
    /// Bytes that it still takes; none for any number.
    pub(super) bytes_left: Option<usize>,
    /// Messages that it got.
    pub(super) delivered: u32,
    /// When it expires.
    pub(super) expires: Option<u64>,
    /// How often it wants to hear from the consumer, and when next.
    pub(super) heartbeat: Option<(u64, u64)>,
    /// Whether it ends when there is nothing more.
    pub(super) is_no_wait: bool,
    /// It is served if at least so many messages are pending or without an acknowledgement; 0 for no such condition.
    pub(super) min_pending: u64,
    pub(super) min_ack_pending: u64,
    pub(super) pin: Option<PinId>,
    /// The turn in which somebody was last found to want its messages.
    pub(super) wanted_in: u64,
}

impl Request {
    /// What it asked for and has not got.
    pub(super) fn rest(&self) -> Detail {
        Detail::Rest { messages: self.left, bytes: self.bytes_left.unwrap_or(0) }
    }

    /// It did not get a message that it took.
    fn untake(&mut self, bytes: usize) {
        self.left += 1;
        self.delivered = self.delivered.saturating_sub(1);
        self.bytes_left.iter_mut().for_each(|left| *left += bytes);
    }

    fn due(&self) -> u64 {
        let heartbeat = self.heartbeat.map_or(u64::MAX, |(_, next)| next);
        self.expires.unwrap_or(u64::MAX).min(heartbeat)
    }
}

/// See the module's text.
pub(super) struct Waiting {
    requests: VecDeque<Request>,
    /// Requests that have taken their last message in the latest turn.  It may turn out that they did not get it.
    filled: Vec<Request>,
    /// Requests that do not wait.
    no_wait: usize,
    /// No request is due earlier.
    due: u64,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { requests: VecDeque::new(), filled: Vec::new(), no_wait: 0, due: u64::MAX }
    }
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether a request takes so many bytes only.
    pub(super) fn counts_bytes(&self) -> bool {
        self.requests.iter().any(|request| request.bytes_left.is_some())
    }

    pub(super) fn has_no_wait(&self) -> bool {
        self.no_wait > 0
    }

    /// A time before which no request expires or wants a heartbeat; none if there is nothing to wait for.
    pub(super) fn due(&self) -> Option<u64> {
        (self.due < u64::MAX).then_some(self.due)
    }

    /// Messages that all requests together still want.
    pub(super) fn wanted(&self) -> u64 {
        self.requests.iter().map(|request| u64::from(request.left)).sum()
    }

    pub(super) fn add(&mut self, request: Request) {
        self.due = self.due.min(request.due());
        self.no_wait += usize::from(request.is_no_wait);
        self.requests.push_back(request);
    }

    pub(super) fn front(&mut self) -> Option<&mut Request> {
        self.requests.front_mut()
    }

    pub(super) fn remove_front(&mut self) {
        let _ = self.take_front();
    }

    /// The first request has taken its last message.
    pub(super) fn fill_front(&mut self) {
        let filled = self.take_front();
        self.filled.extend(filled);
    }

    fn take_front(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.no_wait -= usize::from(request.is_no_wait);
        self.forget_if_empty();
        Some(request)
    }

    /// A turn begins: whatever the last one has delivered has arrived.
    pub(super) fn forget_filled(&mut self) {
        self.filled.clear();
        self.filled.shrink_to(FILLED_KEPT);
    }

    /// Whether the request that has taken a message in the latest turn takes so many bytes only.
    pub(super) fn counts_bytes_of(&self, target: &Target) -> bool {
        let mut requests = self.filled.iter().chain(&self.requests);
        requests.find(|request| request.target == *target).is_some_and(|request| request.bytes_left.is_some())
    }

    /// A request did not get a message of so many bytes that it took in the latest turn, so it waits for another one.
    pub(super) fn give_back(&mut self, target: &Target, bytes: usize) {
        let is_it = |request: &Request| request.target == *target;
        if let Some(place) = self.filled.iter().position(is_it) {
            let mut request = self.filled.swap_remove(place);
            request.untake(bytes);
            self.due = self.due.min(request.due());
            self.no_wait += usize::from(request.is_no_wait);
            self.requests.push_front(request);
        } else if let Some(request) = self.requests.iter_mut().find(|request| is_it(request)) {
            request.untake(bytes);
        }
    }

    /// The first request has had its turn.
    pub(super) fn rotate(&mut self) {
        if self.requests.len() > 1 {
            self.requests.rotate_left(1);
        }
    }

    /// Keeps the requests that `keep` wants, and looks anew when the next one is due.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Request) -> bool) {
        self.requests.retain_mut(|request| {
            let is_kept = keep(request);
            self.no_wait -= usize::from(!is_kept && request.is_no_wait);
            is_kept
        });
        self.due = self.requests.iter().map(Request::due).min().unwrap_or(u64::MAX);
        self.forget_if_empty();
    }

    fn forget_if_empty(&mut self) {
        if self.requests.is_empty() {
            self.due = u64::MAX;
        }
    }
}
