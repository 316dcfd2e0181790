//! What operations leave to be done once no lock is held, whichever service they belong to.

use std::sync::Arc;

use bytes::Bytes;

use super::Outbox;
use super::outbox::Offered;
use crate::alarm::Alarm;
use crate::allocator;
use crate::settings::OutputLimit;
use crate::wait::Barrier;

/// Microseconds in a millisecond: services count the one, the alarm the other.
const MILLISECOND: u64 = 1000;

/// What a batch of operations leaves to be done once no lock is held.  Operations add to it; the thread that ran them
/// calls [`Effects::deliver`] at the end of its batch.
#[derive(Default)]
pub struct Effects {
    /// Outboxes with something new in them.
    wakes: Vec<Arc<Outbox>>,
    /// Outboxes that were closed since they were over their limit.
    cut_off: Vec<Arc<Outbox>>,
    /// Memory that nobody needs any more.
    discarded: Vec<Box<dyn Send>>,
    /// The earliest time at which an operation's service has something to do, in microseconds of the server's clock.
    next_deadline: Option<u64>,
    /// What the reply to the last operation has to wait for.
    barrier: Option<Barrier>,
    /// Whether anyone listens, so that operations note what happens.  Set before an operation.
    pub wants_notices: bool,
    /// Whether an operation has noted something that its service has yet to publish.
    pub has_notices: bool,
}

impl Effects {
    /// Puts a message into an outbox and remembers to wake its receiver.  An outbox that would exceed the hard limit is
    /// closed instead: false if it is or was.
    pub fn send(&mut self, outbox: &Arc<Outbox>, message: Bytes, limit: OutputLimit) -> bool {
        match outbox.offer(message, limit) {
            Offered::First => self.wake(outbox),
            Offered::Behind => {}
            Offered::Refused => return false,
            Offered::CutOff => {
                // The log is written once no lock is held.
                self.cut_off.push(Arc::clone(outbox));
                self.wake(outbox);
                return false;
            }
        }
        true
    }

    /// Remembers to wake the receiver of an outbox at the end of the batch.  Repeated calls in a row cost nothing.
    pub fn wake(&mut self, outbox: &Arc<Outbox>) {
        if !self.wakes.last().is_some_and(|last| Arc::ptr_eq(last, outbox)) {
            self.wakes.push(Arc::clone(outbox));
        }
    }

    /// Frees `contents` once no lock is held.
    pub fn discard(&mut self, contents: impl Send + 'static) {
        self.discarded.push(Box::new(contents));
    }

    /// Sets the alarm, at the end of the batch, for the time at which a service has something to do next, in
    /// microseconds of the server's clock.
    pub fn set_deadline(&mut self, deadline: u64) {
        self.next_deadline = Some(self.next_deadline.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Notes what the reply to an operation has to wait for; none if it may be sent at once.
    pub fn set_barrier(&mut self, barrier: Option<Barrier>) {
        self.barrier = barrier;
    }

    /// What the reply to the last operation has to wait for.
    pub fn take_barrier(&mut self) -> Option<Barrier> {
        self.barrier.take()
    }

    /// Sets the alarm, wakes each receiver once and frees what was discarded.  No lock may be held.
    pub fn deliver(&mut self, alarm: &Alarm) {
        if let Some(deadline) = self.next_deadline.take() {
            alarm.set(deadline.div_ceil(MILLISECOND));
        }
        self.deliver_wakes();
        if !self.discarded.is_empty() {
            self.discarded.clear();
            allocator::ask_for_purge();
        }
        for outbox in self.cut_off.drain(..) {
            // A stream that has fallen behind is nothing for the log: its reader sees the end.
            if let Some(address) = outbox.address() {
                tracing::warn!(client = outbox.id(), %address, "closing: output buffer limit reached");
            }
        }
    }

    fn deliver_wakes(&mut self) {
        if self.wakes.is_empty() {
            return;
        }
        self.wakes.sort_unstable_by_key(|outbox| (outbox.id(), Arc::as_ptr(outbox)));
        self.wakes.dedup_by(|one, other| Arc::ptr_eq(one, other));
        for outbox in self.wakes.drain(..) {
            outbox.wake();
        }
    }
}
