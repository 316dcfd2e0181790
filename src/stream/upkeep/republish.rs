//! Messages that are published again, on another subject, once they are stored.
//!
//! A message whose headers say that this stream has published it before is not published again, so that streams which republish to one
//! another do not loop.

use std::sync::Arc;

use quartet_protocol::broker::headers::Headers;

use crate::delivery::{Effects, Message};
use crate::stream::api::direct;
use crate::stream::filter::Filter;
use crate::stream::header_names;
use crate::stream::message::StoredMessage;
use crate::stream::shared::{Keeping, State, Stream};
use crate::stream::state::{Missing, Storing};
use crate::stream::unapplied::Then;

impl Stream {
    /// Publishes a stored message again, if the stream does that.
    pub(in crate::stream) fn republish(&self, state: &mut State, storing: &Storing, then: &mut Vec<Then>) {
        let Some(republish) = &state.data.definition().republish else { return };
        let headers_only = republish.headers_only;
        if state.upkeep.transform.is_none() {
            // The definition was checked.
            let transform = republish.transform().ok().flatten();
            state.upkeep.transform = Some(transform.map(Arc::new));
        }
        if state.keeping(&self.hub) == Keeping::Synced {
            state.data.contents.memory.remove(&storing.sequence);
        }
        let transform = state.upkeep.transform.as_ref().and_then(Option::as_ref);
        let destination = transform.and_then(|transform| transform.apply(&storing.subject));
        let (Some(destination), Some(kept)) = (destination, storing.kept.clone()) else { return };
        let (sequence, before) = (storing.sequence, state.upkeep.sequence_before);
        then.push(Then::Call(Box::new(move |stream, _, effects| {
            stream.publish_again(&destination, &kept.message(sequence), before, headers_only, effects);
        })));
    }

    fn publish_again(
        &self,
        destination: &[u8],
        message: &StoredMessage<'_>,
        before: u64,
        headers_only: bool,
        effects: &mut Effects,
    ) {
        if self.has_published(message) {
            return;
        }
        let headers = direct::republished(&self.name, message, before, headers_only);
        let payload = if headers_only { &[] } else { message.payload };
        let again = Message { headers: &headers, ..Message::new(destination, payload) };
        self.hub.fan_out.publish(&again, effects);
    }

    /// Whether the message was published again by this stream before.
    fn has_published(&self, message: &StoredMessage<'_>) -> bool {
        Headers::new(message.headers).is_some_and(|headers| {
            headers
                .iter()
                .any(|(name, value)| name == header_names::STREAM.as_bytes() && value == self.name.as_bytes())
        })
    }
}

impl State {
    /// Before a message is stored, notes the previous one on its subject, if the republished message has to name it.
    ///
    /// # Errors
    /// If a directory has to be read first.
    pub(super) fn note_sequence_before(&mut self, storing: &Storing) -> Result<(), Missing> {
        let data = &self.data;
        if data.definition().republish.is_none() || storing.sequence <= data.index.last() {
            return Ok(());
        }
        let last = data.last_known(u64::MAX, &Filter::of([&*storing.subject]))?;
        self.upkeep.sequence_before = last.unwrap_or(0);
        Ok(())
    }
}
