//! Messages for one client: they wait here until the thread of its connection writes them out.
//!
//! A producer appends under a short lock and remembers the outbox; at the end of its batch it wakes each client
//! once.  The setting `client-output-buffer-limit` bounds the size: a client that reads too slowly for what it
//! subscribed to loses its connection, and no other client waits for it.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use crate::lock_order::{Mutex, rank};
use crate::settings::OutputLimit;

/// The connection was not asked to end.
const OPEN: u8 = 0;
/// It is to end once everything is written.
const FINISHING: u8 = 1;
/// It is to end without waiting for its client.
const CLOSING: u8 = 2;

/// See the module's text.
pub struct Outbox {
    /// The client's number, which is never used again.
    id: u64,
    /// The client's address, for the log.
    address: SocketAddr,
    queue: Mutex<Vec<Bytes>, { rank::OUTBOX }>,
    /// Bytes in the queue.
    queued: AtomicUsize,
    /// Bytes its own thread has taken over but not yet written.
    unsent: AtomicUsize,
    soft_since: Mutex<Option<u64>, { rank::OUTBOX_SOFT_LIMIT }>,
    end: AtomicU8,
    /// The connection's task, which stays the same.
    waker: OnceLock<Waker>,
}

impl Outbox {
    /// An empty outbox for the client with this number and address.
    pub fn new(id: u64, address: SocketAddr) -> Outbox {
        Outbox {
            id,
            address,
            queue: Mutex::default(),
            queued: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            soft_since: Mutex::default(),
            end: AtomicU8::new(OPEN),
            waker: OnceLock::new(),
        }
    }

    /// The client's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The client's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends an encoded message; true if nothing waited before it, so that the client has to be woken.
    pub fn push(&self, message: Bytes) -> bool {
        self.queued.fetch_add(message.len(), Relaxed);
        let mut queue = self.queue.lock();
        queue.push(message);
        queue.len() == 1
    }

    /// Moves everything that waits to the end of `buffer`.
    pub fn drain_into(&self, buffer: &mut Buffer) {
        if self.queued.load(Relaxed) == 0 {
            return;
        }
        let messages = std::mem::take(&mut *self.queue.lock());
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        self.queued.fetch_sub(bytes, Relaxed);
        for message in messages {
            buffer.extend_shared(message);
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queued.load(Relaxed) == 0
    }

    /// Bytes that wait for the client here and in its connection.
    pub fn bytes(&self) -> usize {
        self.queued.load(Relaxed) + self.unsent.load(Relaxed)
    }

    /// Tells how much the connection holds that the client has not read yet.
    pub fn set_unsent(&self, bytes: usize) {
        if self.unsent.load(Relaxed) != bytes {
            self.unsent.store(bytes, Relaxed);
        }
    }

    /// Whether the limit is exceeded at `now` (milliseconds): over the hard one, or over the soft one for too long.
    pub fn exceeds(&self, limit: OutputLimit, now: u64) -> bool {
        let bytes = self.bytes();
        if limit.hard != 0 && bytes >= limit.hard {
            return true;
        }
        if limit.soft == 0 || bytes < limit.soft {
            if limit.soft != 0 {
                *self.soft_since.lock() = None;
            }
            return false;
        }
        let since = *self.soft_since.lock().get_or_insert(now);
        now.saturating_sub(since) >= limit.soft_seconds * 1000
    }

    /// Asks the connection to end, whether or not its client takes what waits for it.  Takes effect when the client is
    /// woken.
    pub fn close(&self) {
        self.end.store(CLOSING, Relaxed);
    }

    /// Asks the connection to end once its client has taken what waits for it, since the server stops.
    pub fn finish(&self) {
        self.end.fetch_max(FINISHING, Relaxed);
    }

    /// Whether the connection was asked to end without waiting for its client.
    pub fn is_closing(&self) -> bool {
        self.end.load(Relaxed) == CLOSING
    }

    /// Whether the connection was asked to end in either way.
    pub fn is_ending(&self) -> bool {
        self.end.load(Relaxed) != OPEN
    }

    /// Wakes the client's connection, if it waits.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Tells who is woken when something arrives: always the same task, before it first looks.
    pub fn register(&self, waker: &Waker) {
        let registered = self.waker.get_or_init(|| waker.clone());
        debug_assert!(registered.will_wake(waker));
    }
}
