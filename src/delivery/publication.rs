//! One message on its way into the stages of its receivers: what they share of it.

use std::sync::Arc;

use bytes::Bytes;
use quartet_protocol::buffer::{Buffer, Mark};

use super::backlog::Backlog;
use super::message::SHARED_PAYLOAD_MIN;
use super::{Encoding, Message, Outbox, SharedMessage, Subscription};

/// One message that is being staged.
pub(super) struct Publication<'m> {
    /// What receivers get.
    pub(super) message: &'m Message<'m>,
    /// The subject by which they were found: that of the message, unless it is a delivery.
    pub(super) target: &'m [u8],
    /// About how many bytes each receiver gets.
    pub(super) length: usize,
    pub(super) backlog: &'m Arc<Backlog>,
    /// Made when they are first needed.
    kept: Option<Arc<SharedMessage>>,
    long_payload: Option<Bytes>,
    /// The form that was written last.
    pub(super) last: Option<Form<'m>>,
}

/// A form of a message, which can be copied for other receivers.
pub(super) struct Form<'m> {
    pub(super) encoding: Encoding,
    pub(super) subscription: &'m Subscription,
    pub(super) stage: usize,
    pub(super) start: Mark,
    pub(super) length: usize,
}

impl<'m> Publication<'m> {
    /// A message to be staged for the receivers of `target`.
    pub(super) fn new(
        message: &'m Message<'m>,
        target: &'m [u8],
        backlog: &'m Arc<Backlog>,
    ) -> Publication<'m> {
        let length = message.length();
        Publication { message, target, length, backlog, kept: None, long_payload: None, last: None }
    }

    /// Whether a subscription is meant for such a message.
    #[inline]
    pub(super) fn concerns(&self, subscription: &Subscription) -> bool {
        let options = subscription.options();
        let is_wanted = !options.only_events || self.message.kind.is_some();
        is_wanted && (options.echo || !self.is_from(subscription.outbox()))
    }

    /// Whether the client of this outbox has published it.
    #[inline]
    pub(super) fn is_from(&self, outbox: &Outbox) -> bool {
        outbox.belongs_to(self.message.sender)
    }

    /// The subject by which its receivers were found, if that is not its own.
    pub(super) fn other_target(&self) -> &'m [u8] {
        if self.target == self.message.subject { &[] } else { self.target }
    }

    /// Whether its payload is shared by all receivers.
    pub(super) fn is_long(&self) -> bool {
        self.message.payload.len() >= SHARED_PAYLOAD_MIN
    }

    /// The long payload, which all receivers share.
    pub(super) fn long_payload(&mut self) -> &Bytes {
        self.long_payload.get_or_insert_with(|| {
            let copied = || Bytes::copy_from_slice(self.message.payload);
            let payload = self.message.shared_payload.cloned().unwrap_or_else(copied);
            self.backlog.budget.charge_payload(payload)
        })
    }

    /// The message for receivers that have fallen behind.
    pub(super) fn kept(&mut self) -> Arc<SharedMessage> {
        if self.kept.is_none() {
            let long_payload = self.is_long().then(|| self.long_payload().clone());
            let kept =
                SharedMessage::new(self.message, self.other_target(), long_payload, &self.backlog.budget);
            self.kept = Some(Arc::new(kept));
        }
        Arc::clone(self.kept.as_ref().expect("it was made"))
    }

    /// Writes the message as the receiver of `subscription` gets it.
    pub(super) fn write(&mut self, encoding: Encoding, subscription: &Subscription, buffer: &mut Buffer) {
        let message = *self.message;
        if self.is_long() {
            let shared_payload = Some(self.long_payload());
            encoding.write(&Message { shared_payload, ..message }, subscription, buffer);
        } else {
            encoding.write(&Message { shared_payload: None, ..message }, subscription, buffer);
        }
    }
}
