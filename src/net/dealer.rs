//! Deals connections to the least loaded worker, where they stay.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::Sender;

use bytes::Bytes;

use super::tcp::{Connection, NextAction};
use super::wakeups::Wakeups;
use super::worker::Worker;
use crate::client::SharedClient;
use crate::session::Protocol;

/// An accepted connection, on its way to its worker.
pub struct Accepted {
    /// A socket that does not block.
    pub stream: TcpStream,
    /// Input that was read from it already.
    pub input: Bytes,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The client as others see it.
    pub shared: Arc<SharedClient>,
    /// Whether the client needs no password.
    pub authenticated: bool,
}

/// What a worker is handed.
pub(super) enum Handed {
    /// A connection.
    Connection(Accepted),
    /// A connection whose turn another thread has ended, its number, and what follows.
    Back(usize, Box<Connection>, NextAction),
    /// No more connections come.
    Last,
}

/// A worker's end of the way to it.
#[derive(Clone)]
pub(super) struct Hand {
    /// Not bounded by itself: the limits of the doors bound the connections that exist at all.
    handing: Sender<Handed>,
    wakeups: Arc<Wakeups>,
    /// The number of its connections.
    connections: Arc<AtomicUsize>,
}

impl Hand {
    pub(super) fn new(handing: Sender<Handed>, wakeups: Arc<Wakeups>, connections: Arc<AtomicUsize>) -> Hand {
        Hand { handing, wakeups, connections }
    }

    fn deal(&self, accepted: Accepted) {
        self.connections.fetch_add(1, Relaxed);
        let id = accepted.shared.id;
        if self.handing.send(Handed::Connection(accepted)).is_err() {
            // The worker has ended, which happens only while the server stops.
            tracing::debug!(client = id, "connection came too late");
        }
        self.wakeups.wake_worker();
    }

    /// Gives the worker a connection back whose turn this thread has ended.
    pub(super) fn give_back(&self, number: usize, connection: Box<Connection>, next: NextAction) {
        if self.handing.send(Handed::Back(number, connection, next)).is_err() {
            tracing::debug!("a connection was given back too late: its worker has ended");
        }
        self.wakeups.wake_worker();
    }

    /// Tells the worker to end once its connections have ended.
    pub(super) fn finish(&self) {
        // A worker that has ended needs not be told.
        let _ = self.handing.send(Handed::Last);
        self.wakeups.wake_worker();
    }
}

/// See the module's text.  Cheap to clone; whoever has one may deal for as long as he likes, but workers that have ended take
/// nothing.
#[derive(Clone)]
pub struct Dealer(Arc<[Hand]>);

impl Dealer {
    /// Deals to these workers.
    pub fn new(workers: &[Worker]) -> Dealer {
        Dealer(workers.iter().map(|worker| worker.hand().clone()).collect())
    }

    /// Hands a connection to the worker that has the fewest.
    pub fn deal(&self, accepted: Accepted) {
        if let Some(hand) = self.0.iter().min_by_key(|hand| hand.connections.load(Relaxed)) {
            hand.deal(accepted);
        }
    }
}
