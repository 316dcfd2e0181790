//! The sink by which the fan-out hands a message to the stream that keeps its subject.

use std::sync::Arc;

use quartet_protocol::broker::subject;

use super::shared::Stream;
use super::store::{Incoming, Publisher};
use crate::delivery::{Crowd, Effects, Message, Sink};

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
        stream.slow_down_if_crowded(effects);
        is_there
    }

    fn number(&self) -> Option<u64> {
        Some(self.0.id)
    }

    fn crowd(&self, _: &[u8]) -> Option<Arc<dyn Crowd>> {
        self.0.is_crowded().then(|| Arc::clone(&self.0) as _)
    }
}
