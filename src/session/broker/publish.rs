//! PUB and HPUB.

use std::sync::Arc;

use bytes::Bytes;
use quartet_protocol::broker::{Publication, subject, write};

use super::run::Run;
use crate::access::{Violation, is_reserved_reply};
use crate::client::{BrokerOptions, CloseReason, LastOperation};
use crate::command::Flow;
use crate::delivery::{Message, Subscription};

impl Run<'_> {
    /// Publishes a message.  `buffer` is what its payload lies in, if that can be shared.
    pub(super) fn publish(&mut self, publication: Publication<'_>, buffer: Option<&Bytes>) -> Flow {
        let Publication { subject, reply, headers, payload, has_headers } = publication;
        self.last_operation =
            if has_headers { LastOperation::PublishWithHeaders } else { LastOperation::Publish };
        if !self.options.intersects(BrokerOptions::VERBOSE | BrokerOptions::PEDANTIC) {
            if has_headers && !self.options.contains(BrokerOptions::HEADERS) {
                return self.close(CloseReason::ProtocolViolation);
            }
        } else if !self.check_publication(&publication) {
            return self.close(CloseReason::ProtocolViolation);
        }
        if !reply.is_empty() && is_reserved_reply(reply) {
            self.refuse_violation(Violation::Reply(reply));
            return Flow::Continue;
        }
        if !self.session.rights.may_publish(subject, &self.session.shared.outbox, self.now) {
            self.refuse_violation(Violation::Publish(subject));
            return Flow::Continue;
        }
        let shared_payload = buffer.map(|buffer| buffer.slice_ref(payload));
        let message = Message {
            reply,
            headers,
            shared_payload: shared_payload.as_ref(),
            sender: Some(self.session.shared.id),
            listener: self.session.shared.door.listener(),
            ..Message::new(subject, payload)
        };
        let receivers = self.publisher.services.fan_out.publish(&message, self.publisher.effects);
        self.has_own_message |= receivers.has_sender;
        if receivers.are_none() && !reply.is_empty() && self.options.contains(BrokerOptions::NO_RESPONDERS) {
            self.tell_no_responders(subject, reply);
        }
        if self.publisher.effects.has_requests() {
            self.session.requests.carry_out(&mut self.publisher, self.now);
            // The answer may be among the messages of this batch.
            self.has_own_message = true;
        }
        Flow::Continue
    }

    /// Answers a client that wants answers or checks; false if the conversation ends.
    #[cold]
    fn check_publication(&mut self, publication: &Publication<'_>) -> bool {
        if publication.has_headers && !self.options.contains(BrokerOptions::HEADERS) {
            return false;
        }
        if self.options.contains(BrokerOptions::PEDANTIC) && !subject::is_literal(publication.subject) {
            self.answer(|output| write::error(output, "Invalid Publish Subject"));
        }
        self.acknowledge();
        true
    }

    /// Tells the client that nobody receives its request, on its own subscription to the reply subject.
    #[cold]
    fn tell_no_responders(&mut self, subject: &[u8], reply: &[u8]) {
        let matches = self.publisher.services.fan_out.channels.find(reply);
        let client = Some(self.session.shared.id);
        let own = |subscription: &&Arc<Subscription>| subscription.outbox().client() == client;
        if let Some(subscription) = matches.each.iter().find(own) {
            let id = &subscription.options().id;
            self.answer(|output| write::no_responders(output, reply, id, subject));
        }
    }
}
