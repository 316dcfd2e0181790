//! Messages for one receiver, a connection or a stream: they wait here until it takes them.
//!
//! A publisher appends under a short lock and remembers the outbox; at the end of its batch it wakes each receiver
//! once.  The size is bounded, for a connection by the setting `client-output-buffer-limit`: a receiver that reads too
//! slowly is cut off, and no one else waits for it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use super::Encoding;
use super::stream::{EVENT_BYTES_MAX, EVENTS_MAX, Streams};
use crate::lock_order::{Mutex, rank};
use crate::settings::OutputLimit;

/// The outbox is not over its soft limit.
const NEVER: u64 = u64::MAX;

/// The connection was not asked to end.
const OPEN: u8 = 0;
/// It is to end once everything is written.
const FINISHING: u8 = 1;
/// It is to end without waiting for its client.
const CLOSING: u8 = 2;

/// The fate of a message that was offered to an outbox.
pub(super) enum Offered {
    /// Nothing waited before it: the receiver has to be woken.
    First,
    /// Others wait before it: the receiver is woken already.
    Behind,
    /// The outbox was closed before.
    Refused,
    /// The outbox is closed now, since it would have been over its limit.
    CutOff,
}

/// See the module's text.
pub struct Outbox {
    /// The number of the client, or of the stream among the streams.
    id: u64,
    /// The client's address; of no meaning for a stream.
    address: SocketAddr,
    /// See [`Encoding`].
    encoding: AtomicU8,
    /// The common bounds of streams, if this is the outbox of one: it has other limits than a client.
    streams: Option<Arc<Streams>>,
    queue: Mutex<VecDeque<Bytes>, { rank::OUTBOX }>,
    /// Bytes in the queue.
    queued: AtomicUsize,
    /// Bytes that the connection's thread has taken but not written yet.
    unsent: AtomicUsize,
    /// Since when the outbox is over its soft limit, in milliseconds of the server's clock; [`NEVER`] if it is not.
    soft_since: AtomicU64,
    end: AtomicU8,
    /// Wakes the receiver; it stays the same.
    waker: OnceLock<Waker>,
}

impl Outbox {
    /// An empty outbox for the client with this number and address, which speaks RESP2 so far.
    pub fn new(id: u64, address: SocketAddr) -> Outbox {
        Outbox::with(id, address, Encoding::Resp2, None)
    }

    /// An empty outbox for a stream.
    pub(super) fn of_stream(id: u64, encoding: Encoding, streams: Arc<Streams>) -> Outbox {
        Outbox::with(id, (Ipv4Addr::UNSPECIFIED, 0).into(), encoding, Some(streams))
    }

    fn with(id: u64, address: SocketAddr, encoding: Encoding, streams: Option<Arc<Streams>>) -> Outbox {
        Outbox {
            id,
            address,
            encoding: AtomicU8::new(encoding as u8),
            streams,
            queue: Mutex::default(),
            queued: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            soft_since: AtomicU64::new(NEVER),
            end: AtomicU8::new(OPEN),
            waker: OnceLock::new(),
        }
    }

    /// The number of the client, or of the stream among the streams.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The client's address; of no meaning for a stream.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether its receiver is a stream.
    pub(super) fn is_of_stream(&self) -> bool {
        self.streams.is_some()
    }

    /// The form in which the receiver gets messages.
    pub fn encoding(&self) -> Encoding {
        Encoding::of(self.encoding.load(Relaxed))
    }

    /// Changes the form of messages from here on.
    pub fn set_encoding(&self, encoding: Encoding) {
        self.encoding.store(encoding as u8, Relaxed);
    }

    /// Appends an encoded message.  If it would exceed the hard limit, or that of its stream, the outbox is closed.
    pub(super) fn offer(&self, message: Bytes, limit: OutputLimit) -> Offered {
        if self.is_closing() {
            return Offered::Refused;
        }
        if let Some(streams) = &self.streams {
            return self.offer_stream(message, streams);
        }
        if limit.hard != 0 && self.bytes() + message.len() > limit.hard {
            self.close();
            return Offered::CutOff;
        }
        self.queued.fetch_add(message.len(), Relaxed);
        let mut queue = self.queue.lock();
        queue.push_back(message);
        if queue.len() == 1 { Offered::First } else { Offered::Behind }
    }

    fn offer_stream(&self, message: Bytes, streams: &Streams) -> Offered {
        let mut queue = self.queue.lock();
        let (queued, length) = (self.queued.load(Relaxed), message.len());
        if queue.len() == EVENTS_MAX || queued + length > EVENT_BYTES_MAX || !streams.take_room(length) {
            self.close();
            queue.clear();
            streams.give_room_back(self.queued.swap(0, Relaxed));
            return Offered::CutOff;
        }
        self.queued.fetch_add(length, Relaxed);
        queue.push_back(message);
        if queue.len() == 1 { Offered::First } else { Offered::Behind }
    }

    /// Takes the first message, for a stream.
    pub(super) fn take_first(&self) -> Option<Bytes> {
        let message = self.queue.lock().pop_front()?;
        self.queued.fetch_sub(message.len(), Relaxed);
        if let Some(streams) = &self.streams {
            streams.give_room_back(message.len());
        }
        Some(message)
    }

    /// Moves messages to the end of `buffer`, until nothing waits or about `room` bytes were moved: the rest waits here,
    /// where the receiver's policy applies to it.
    pub fn collect(&self, buffer: &mut Buffer, room: usize) {
        if buffer.len() < room {
            self.drain_into(buffer);
        }
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

    /// Bytes that wait here and in the connection.
    pub fn bytes(&self) -> usize {
        self.queued.load(Relaxed) + self.unsent.load(Relaxed)
    }

    /// Sets how many bytes the connection holds that its client has not read yet.
    pub fn set_unsent(&self, bytes: usize) {
        if self.unsent.load(Relaxed) != bytes {
            self.unsent.store(bytes, Relaxed);
        }
    }

    /// Whether the limit is exceeded at `now` (milliseconds): over the hard one, or over the soft one for too long.  To be
    /// called by one thread.
    pub fn exceeds(&self, limit: OutputLimit, now: u64) -> bool {
        let bytes = self.bytes();
        if limit.hard != 0 && bytes >= limit.hard {
            return true;
        }
        if limit.soft == 0 || bytes < limit.soft {
            self.soft_since.store(NEVER, Relaxed);
            return false;
        }
        if self.soft_since.load(Relaxed) == NEVER {
            self.soft_since.store(now, Relaxed);
        }
        now.saturating_sub(self.soft_since.load(Relaxed)) >= limit.soft_seconds * 1000
    }

    /// Asks the receiver to end, whether or not the waiting messages are read.  Takes effect when it is woken.
    pub fn close(&self) {
        self.end.store(CLOSING, Relaxed);
    }

    /// Asks the connection to end once its client has read the waiting messages, since the server stops.
    pub fn finish(&self) {
        self.end.fetch_max(FINISHING, Relaxed);
    }

    /// Whether the receiver was asked to end without waiting for the reader.
    pub fn is_closing(&self) -> bool {
        self.end.load(Relaxed) == CLOSING
    }

    /// Whether the receiver was asked to end in either way.
    pub fn is_ending(&self) -> bool {
        self.end.load(Relaxed) != OPEN
    }

    /// Wakes the receiver, if it waits.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Sets the waker of the receiver: always the same, and before the receiver first takes messages.
    pub fn register(&self, waker: &Waker) {
        let registered = self.waker.get_or_init(|| waker.clone());
        debug_assert!(registered.will_wake(waker));
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(streams) = &self.streams {
            streams.give_room_back(*self.queued.get_mut());
        }
    }
}
