//! The sink by which the fan-out hands a message to the stream that keeps its subject.

use std::sync::Arc;

use quartet_protocol::broker::subject;

use super::shared::Stream;
use super::store::{Incoming, Publisher};
use crate::delivery::{Effects, Message, Sink};

/// Stores what is published on the subjects of a stream, whichever listener it comes by.
pub(super) struct StreamSink(pub(super) Arc<Stream>);

impl Sink for StreamSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        // RESP takes any text for a channel.
        if !subject::is_literal(message.subject) {
            return false;
        }
        let StreamSink(stream) = self;
        let Message { subject, headers, payload, reply, .. } = *message;
        let publisher = if reply.is_empty() { Publisher::Nobody } else { Publisher::Reply(reply) };
        let incoming = Incoming { subject, headers, payload, left: None };
        let is_there = stream.store(&incoming, stream.hub.clock.now(), publisher, effects);
        if stream.is_overloaded() {
            effects.slow_down();
        }
        is_there
    }
}
