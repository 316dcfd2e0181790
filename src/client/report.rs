//! The facts of a client of the broker at one moment, for monitoring.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{CloseReason, Door, Identity, SharedClient};
use crate::delivery::Amount;

/// See the module's text.  Times are in milliseconds of the server's clock.
#[derive(Clone, Debug)]
pub struct ClientReport {
    /// Its number.
    pub id: u64,
    /// The listener that it came by.
    pub door: Door,
    /// The address it came from.
    pub address: SocketAddr,
    /// When it connected.
    pub connected_at: u64,
    /// When it last said something.
    pub last_active: u64,
    /// When and why it has gone, if it has.
    pub end: Option<(u64, CloseReason)>,
    /// How long it took to answer the last ping, if it has answered any.
    pub round_trip: Option<Duration>,
    /// Bytes that wait for it.
    pub pending_bytes: usize,
    /// What it has published.
    pub published: Amount,
    /// What it was sent.
    pub sent: Amount,
    /// The number of its subscriptions.
    pub subscriptions: usize,
    /// What it told about itself.
    pub identity: Identity,
}

impl ClientReport {
    /// The facts now; none of a client that does not speak with the broker.
    pub fn of(client: &SharedClient) -> Option<ClientReport> {
        let facts = client.broker()?;
        Some(ClientReport {
            id: client.id,
            door: client.door,
            address: client.outbox.address(),
            connected_at: client.connected_at,
            last_active: client.last_active.load(Relaxed),
            end: None,
            round_trip: facts.round_trip(),
            pending_bytes: client.outbox.bytes(),
            published: facts.published(),
            sent: client.outbox.sent(),
            subscriptions: facts.subscription_count(),
            identity: client.identity(),
        })
    }
}
