//! The effects of operations, of any service, which happen once no lock is held.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use super::fan_out::Limits;
use super::interest::Lookups;
use super::outbox::Offered;
use super::{Message, Outbox, Subscription};
use crate::alarm::Alarm;
use crate::allocator;
use crate::settings::OutputLimit;
use crate::wait::Barrier;

/// Microseconds in a millisecond: services count the one, the alarm the other.
const MILLISECOND: u64 = 1000;

/// The effects of a batch of operations.  Operations add to them; the thread that ran the operations calls
/// [`Effects::deliver`] at the end of the batch, once it holds no lock.
#[derive(Default)]
pub struct Effects {
    /// Outboxes with something new in them.
    wakes: Vec<Arc<Outbox>>,
    /// Outboxes that were closed since they were over their limit.
    cut_off: Vec<Arc<Outbox>>,
    /// Memory that is not needed any more.
    discarded: Vec<Box<dyn Send>>,
    /// The earliest time at which an operation's service has something to do, in microseconds of the server's clock.
    next_deadline: Option<u64>,
    /// The reply to the last operation has to wait for it.
    barrier: Option<Barrier>,
    /// What the thread remembers of its lookups of subjects.
    pub(super) lookups: Lookups,
    /// Whether there are subscribers, so that operations note events.  Set before an operation.
    pub wants_notices: bool,
    /// Whether an operation has noted events that its service has yet to publish.
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

    /// Sends a message to a subscription; false if it does not take it.
    pub(super) fn send_message(
        &mut self,
        message: &Message<'_>,
        subscription: &Arc<Subscription>,
        limits: &Limits,
    ) -> bool {
        let (options, outbox) = (subscription.options(), subscription.outbox());
        let is_own = message.sender == Some(outbox.id());
        if (options.only_events && message.kind.is_none()) || (is_own && !options.echo) || outbox.is_closing()
        {
            return false;
        }
        if !subscription.admit() {
            return false;
        }
        let mut buffer = Buffer::new();
        outbox.encoding().write(message, subscription, &mut buffer);
        let hard = limits.pubsub.load(Relaxed);
        self.send(outbox, buffer.into_bytes(), OutputLimit { hard, ..OutputLimit::default() })
    }

    /// Remembers to wake the receiver of an outbox at the end of the batch.  Repeated calls in a row cost nothing.
    pub fn wake(&mut self, outbox: &Arc<Outbox>) {
        if !self.wakes.last().is_some_and(|last| Arc::ptr_eq(last, outbox)) {
            self.wakes.push(Arc::clone(outbox));
        }
    }

    /// Forgets lookups of subjects that would keep ended subscriptions.  To be called now and then by a thread whose effects
    /// last.
    pub fn forget_ended(&mut self) {
        self.lookups.forget_ended();
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

    /// Has the reply to the operation wait for `barrier`; it may be sent at once if there is none.
    pub fn set_barrier(&mut self, barrier: Option<Barrier>) {
        self.barrier = barrier;
    }

    /// The barrier that the reply to the last operation has to wait for.
    pub fn take_barrier(&mut self) -> Option<Barrier> {
        self.barrier.take()
    }

    /// Sets the alarm, wakes each receiver once and frees discarded memory.  No lock may be held.
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
            if !outbox.is_of_stream() {
                let (client, address) = (outbox.id(), outbox.address());
                tracing::warn!(client, %address, "closing: output buffer limit reached");
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often a receiver is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn receiver(id: u64) -> (Arc<Outbox>, Arc<Count>) {
        let outbox = Arc::new(Outbox::new(id, "127.0.0.1:1".parse().expect("an address")));
        let count = Arc::<Count>::default();
        outbox.register(&Waker::from(Arc::clone(&count)));
        (outbox, count)
    }

    fn messages(outbox: &Outbox) -> Vec<u8> {
        let mut buffer = Buffer::new();
        outbox.drain_into(&mut buffer);
        buffer.into_bytes().into()
    }

    #[test]
    fn a_receiver_is_woken_once_per_batch() {
        let ((a, woken_a), (b, woken_b)) = (receiver(1), receiver(2));
        let (mut effects, limit) = (Effects::default(), OutputLimit::default());
        for outbox in [&a, &b, &a, &b] {
            assert!(effects.send(outbox, Bytes::from_static(b"x"), limit));
            effects.wake(outbox);
        }
        assert_eq!((woken_a.0.load(Relaxed), woken_b.0.load(Relaxed)), (0, 0));
        effects.deliver(&Alarm::default());
        assert_eq!((woken_a.0.load(Relaxed), woken_b.0.load(Relaxed)), (1, 1));
        // The receivers have not taken the messages yet, so they need not be woken for more.
        effects.send(&a, Bytes::from_static(b"y"), limit);
        effects.deliver(&Alarm::default());
        assert_eq!(woken_a.0.load(Relaxed), 1);
        assert_eq!((messages(&a), messages(&b)), (b"xxy".to_vec(), b"xx".to_vec()));
        effects.send(&a, Bytes::from_static(b"z"), limit);
        effects.deliver(&Alarm::default());
        assert_eq!(woken_a.0.load(Relaxed), 2);
    }

    #[test]
    fn an_outbox_over_its_hard_limit_is_closed() {
        let (outbox, woken) = receiver(1);
        let (mut effects, limit) = (Effects::default(), OutputLimit { hard: 3, ..OutputLimit::default() });
        assert!(effects.send(&outbox, Bytes::from_static(b"123"), limit));
        effects.deliver(&Alarm::default());
        assert!(!effects.send(&outbox, Bytes::from_static(b"4"), limit));
        assert!(outbox.is_closing());
        effects.deliver(&Alarm::default());
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(!effects.send(&outbox, Bytes::from_static(b"5"), OutputLimit::default()));
        effects.deliver(&Alarm::default());
        assert_eq!((woken.0.load(Relaxed), messages(&outbox)), (2, b"123".to_vec()));
    }

    #[test]
    fn the_alarm_is_set_for_the_earliest_deadline() {
        let (alarm, mut effects) = (Alarm::default(), Effects::default());
        for deadline in [30_000, 10_001, 20_000] {
            effects.set_deadline(deadline);
        }
        assert_eq!(alarm.next(), None);
        effects.deliver(&alarm);
        // Never before the deadline, which is not a whole number of milliseconds.
        assert_eq!(alarm.next(), Some(11));
    }
}
