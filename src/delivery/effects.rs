//! The effects of operations, of any service, which happen once no lock is held.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;

use super::after_batch::Works;
use super::interest::Lookups;
use super::request::{Request, Unfinished};
use super::slowing::Crowd;
use super::staging::Stages;
use super::traffic::Untold;
use super::{Amount, FanOut, Listener, Outbox};
use crate::alarm::Alarm;
use crate::freeing;
use crate::wait::{Barrier, Position};

/// Microseconds in a millisecond: services count the one, the alarm the other.
pub(super) const MILLISECOND: u64 = 1000;

/// The effects of a batch of operations.  Operations add to them; the thread that ran the operations calls
/// [`FanOut::deliver`] at the end of the batch, once it holds no lock.
#[derive(Default)]
pub struct Effects {
    /// Messages for each receiver.
    stages: Stages,
    /// Outboxes with something new in them, some perhaps twice.
    wakes: Vec<Arc<Outbox>>,
    /// The messages that this thread has published and sent.
    pub(super) traffic: Untold,
    /// The work for the end of the batch.
    pub(super) works: Works,
    /// Requests that the publisher is to carry out.
    pub(super) requests: Vec<Request>,
    /// Up to where the client of the batch has stored something.
    pub(super) stored_until: Option<Position>,
    /// Requests of other threads' clients that have their answers in this batch.
    pub(super) answered: Vec<Arc<Unfinished>>,
    /// Memory that is not needed any more.
    discarded: Vec<Box<dyn Send>>,
    /// Its bytes.
    discarded_bytes: usize,
    /// The earliest time at which an operation's service has something to do, in microseconds of the server's clock.
    next_deadline: Option<u64>,
    /// The reply to the last operation has to wait for it.
    barrier: Option<Barrier>,
    /// What the thread remembers of its lookups of subjects.
    lookups: Lookups,
    /// What the publisher of this turn has to wait for.
    slowed_by: Option<Arc<dyn Crowd>>,
    /// Why a sink has not kept a message whose publisher wants no answer.
    refused: Option<String>,
    /// It has waited long enough for its next message to be published in any case.
    is_pressing: bool,
    /// Sinks that take a message now, each within another.
    pub(super) sinks_within: u8,
    /// Whether somebody may want events, so that operations note them.  Set before an operation.
    pub wants_notices: bool,
    /// Whether an operation has noted events that its service has yet to publish.
    pub has_notices: bool,
}

impl Effects {
    /// Sends a line, which is no message, to an outbox at once.
    pub fn send(&mut self, line: &Bytes, outbox: &Arc<Outbox>, fan_out: &FanOut) {
        if outbox.take_line(line, &fan_out.backlog) {
            self.wake(outbox);
        }
    }

    /// What a publishing needs: lookups of subjects, and the stages of receivers.
    #[inline]
    pub(super) fn for_publishing(&mut self) -> (&mut Lookups, &mut Stages) {
        (&mut self.lookups, &mut self.stages)
    }

    /// Says that a turn of a publisher begins.
    pub fn begin_turn(&mut self) {
        self.slowed_by = None;
        self.is_pressing = false;
        self.stages.begin_turn();
    }

    /// Whether no more should be published in this turn: its messages are so many bytes for all their receivers that these should
    /// have their turns before, or the publisher has to slow down.
    #[inline]
    pub fn is_turn_over(&self) -> bool {
        self.slowed_by.is_some() || self.stages.is_turn_over()
    }

    /// Has the publisher hold back what else it has to publish until this sink is not crowded any more: it has more to
    /// write to the disk than this can take now.  Messages that were published before are not held back.
    pub fn slow_down(&mut self, crowd: Arc<dyn Crowd>) {
        self.slowed_by = Some(crowd);
    }

    /// What the publisher of this turn has to wait for, if it has to slow down.
    #[inline]
    pub fn slowed_by(&self) -> Option<&Arc<dyn Crowd>> {
        self.slowed_by.as_ref()
    }

    /// Says why a sink has not kept a message whose publisher wants no answer.
    pub fn note_refused(&mut self, reason: String) {
        self.refused = Some(reason);
    }

    /// Why a sink has not kept a message since this was last asked, for a publisher that can tell its client nevertheless.
    pub fn take_refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    /// Says that the publisher of this turn has waited for so long that its next message is published in any case.
    pub fn press_on(&mut self) {
        self.is_pressing = true;
    }

    /// Whether the next message may wait once more.
    pub(super) fn may_wait(&self) -> bool {
        !self.is_pressing
    }

    /// Hands all messages so far to the outboxes of their receivers, which are woken at the end of the batch.
    pub fn hand_over(&mut self) {
        self.stages.hand_over(&mut self.wakes, &mut self.traffic);
    }

    /// The same within a batch that may go on for long.  Receivers for which too much waits meet their policy here, so a batch
    /// takes no more memory than receivers may have.
    pub(super) fn hand_over_amid_batch(&mut self) {
        self.hand_over();
        self.stages.relieve(&mut self.wakes);
    }

    /// Whether so much is staged that it has to be handed over before more is.
    #[inline]
    pub(super) fn are_full(&self) -> bool {
        self.stages.is_full()
    }

    /// Appends to `buffer` all messages for a receiver of this thread, those of this batch included.
    pub fn take_messages(&mut self, outbox: &Outbox, buffer: &mut Buffer) {
        self.hand_over();
        outbox.drain_into(buffer);
    }

    /// Adds the messages of this batch so far to the counts of their subscriptions.
    pub(super) fn count_deliveries(&mut self) {
        self.stages.count();
    }

    /// What clients of a listener have published in this batch so far.
    pub fn published(&self, listener: Listener) -> Amount {
        self.traffic.published(listener)
    }

    /// Takes the memory of bytes that are written, for the messages of another batch.
    pub fn give_back(&mut self, buffer: Buffer) {
        self.stages.give_back(buffer);
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

    /// Frees contents of about so many bytes once no lock is held, and not on this thread if they are large.
    pub fn discard(&mut self, contents: impl Send + 'static, bytes: usize) {
        self.discarded.push(Box::new(contents));
        self.discarded_bytes += bytes;
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

    /// Hands over messages, does the work for the end of the batch and hands over its messages, wakes each receiver once, sets
    /// the alarm and frees discarded memory.  No lock may be held.
    ///
    /// Work may be left over for the next call, if it asks for more work without end.  A server's threads use
    /// [`FanOut::deliver`], which leaves it to another batch.
    pub fn deliver(&mut self, alarm: &Alarm) {
        self.hand_over_amid_batch();
        self.work();
        self.traffic.tell();
        self.deliver_wakes();
        self.answered.clear();
        self.stored_until = None;
        if let Some(deadline) = self.next_deadline.take() {
            alarm.set(deadline.div_ceil(MILLISECOND));
        }
        if !self.discarded.is_empty() {
            let bytes = mem::take(&mut self.discarded_bytes);
            freeing::free(Box::new(mem::take(&mut self.discarded)), bytes);
        }
    }

    fn deliver_wakes(&mut self) {
        if self.wakes.len() > 1 {
            self.wakes.sort_unstable_by_key(Arc::as_ptr);
            self.wakes.dedup_by(|one, other| Arc::ptr_eq(one, other));
        }
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
    use crate::settings::Settings;

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
        let (fan_out, mut effects) = (FanOut::default(), Effects::default());
        for outbox in [&a, &b, &a, &b] {
            effects.send(&Bytes::from_static(b"x"), outbox, &fan_out);
            effects.wake(outbox);
        }
        assert_eq!((woken_a.0.load(Relaxed), woken_b.0.load(Relaxed)), (0, 0));
        effects.deliver(&Alarm::default());
        assert_eq!((woken_a.0.load(Relaxed), woken_b.0.load(Relaxed)), (1, 1));
        // The receivers have not taken the messages yet, so they need not be woken for more.
        effects.send(&Bytes::from_static(b"y"), &a, &fan_out);
        effects.deliver(&Alarm::default());
        assert_eq!(woken_a.0.load(Relaxed), 1);
        assert_eq!((messages(&a), messages(&b)), (b"xxy".to_vec(), b"xx".to_vec()));
        effects.send(&Bytes::from_static(b"z"), &a, &fan_out);
        effects.deliver(&Alarm::default());
        assert_eq!(woken_a.0.load(Relaxed), 2);
    }

    #[test]
    fn an_outbox_over_its_hard_limit_is_closed() {
        let (outbox, woken) = receiver(1);
        let (fan_out, mut effects) = (FanOut::default(), Effects::default());
        let mut settings = Settings::default();
        settings.client_output_buffer_limit.pubsub.hard = 3;
        fan_out.follow_settings(&settings);
        let mut send = |line: &'static [u8]| {
            effects.send(&Bytes::from_static(line), &outbox, &fan_out);
            effects.deliver(&Alarm::default());
            (outbox.is_closing(), woken.0.load(Relaxed))
        };
        assert_eq!(send(b"123"), (false, 1));
        assert_eq!(send(b"4"), (true, 2));
        assert_eq!(send(b"5"), (true, 2));
        assert_eq!(messages(&outbox), b"123");
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
