//! What a consumer says about itself.

use super::Consumer;
use super::pin::PinId;

/// The figures of a consumer at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The number of the last delivery.
    pub delivered_consumer: u64,
    /// The sequence up to which every message was delivered or passed over.
    pub delivered_stream: u64,
    /// The number of the delivery up to which every message was acknowledged.
    pub floor_consumer: u64,
    /// The sequence up to which every message was acknowledged.
    pub floor_stream: u64,
    /// When something was delivered last, in microseconds since 1970; none since the start.
    pub delivered_at: Option<i64>,
    /// When something was acknowledged last, in microseconds since 1970; none since the start.
    pub acknowledged_at: Option<i64>,
    /// Messages that are to be delivered for the first time.
    pub pending: u64,
    /// Messages that were delivered and not acknowledged, those put off included.
    pub ack_pending: usize,
    /// Messages among these that were delivered more than once.
    pub redelivered: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Whether somebody subscribes to the subject of a push consumer.
    pub is_bound: bool,
    /// The pinned client.
    pub pin: Option<PinId>,
    /// Since when it is pinned, in microseconds since 1970.
    pub pinned_at: Option<i64>,
}

impl Consumer {
    /// How often a message was delivered that is not acknowledged; none if it is not out.
    pub fn deliveries(&self, sequence: u64) -> Option<u32> {
        self.outstanding.get(sequence).map(|entry| entry.deliveries)
    }

    /// Whether it has reached a message.
    pub fn has_delivered(&self, sequence: u64) -> bool {
        sequence > 0 && sequence <= self.position
    }

    /// See [`Report`].
    pub fn report(&self) -> Report {
        let (floor_consumer, floor_stream) = match self.outstanding.first() {
            Some(first) => (first.consumer - 1, first.sequence - 1),
            None => (self.delivered, self.position),
        };
        Report {
            delivered_consumer: self.delivered,
            delivered_stream: self.position,
            floor_consumer,
            floor_stream,
            delivered_at: self.delivered_at,
            acknowledged_at: self.acknowledged_at,
            pending: self.undelivered_count(),
            ack_pending: self.outstanding.len(),
            redelivered: self.outstanding.redelivered(),
            waiting: self.waiting.len(),
            is_bound: self.line.is_bound(),
            pin: self.pin.id(),
            pinned_at: self.pin.since(),
        }
    }
}
