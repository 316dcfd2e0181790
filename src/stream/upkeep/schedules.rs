//! Messages that are published later: each is a message of its own until its time has come, and then one on its target.
//!
//! Storing the one and removing the other is one operation, so a message is published exactly once, even after a crash, and not before its time.
//! Subscribers of the target get it once the disk has it.

use std::sync::Arc;

use quartet_protocol::broker::headers::Headers;

use super::RETRY_MICROS;
use super::together::Step;
use crate::clock::Now;
use crate::delivery::{Effects, Message};
use crate::stream::definition::StreamDefinition;
use crate::stream::header_names;
use crate::stream::ingest::{Lifetime, Wishes, raised};
use crate::stream::message::StoredMessage;
use crate::stream::reading::ReadError;
use crate::stream::shared::{State, Stream, nanoseconds};
use crate::stream::unapplied::Then;

/// The most messages that are published in one turn of a stream; then other streams have theirs.
pub(super) const PUBLISHED_PER_TURN: usize = 256;

/// What is published when the time of a message has come.
struct Publication {
    target: Box<[u8]>,
    headers: Vec<u8>,
    payload: Box<[u8]>,
}

impl Publication {
    /// The publication that a message schedules; none if it schedules none.
    fn of(message: &StoredMessage<'_>) -> Option<Publication> {
        let wishes = Headers::new(message.headers).map(Wishes::read)?;
        let mut headers = super::headers::without_requests(message.headers, &[]);
        let own = [
            (header_names::SCHEDULER, Some(message.subject)),
            (header_names::SCHEDULE_NEXT, Some(&b"purge"[..])),
            (header_names::LIFETIME, wishes.schedule_lifetime),
        ];
        for (name, value) in own {
            // A subject has no line breaks, and a value had none where it stood before.
            let _ = value.map(|value| headers.push(name.as_bytes(), value));
        }
        let (target, payload) = (wishes.schedule_target?.into(), message.payload.into());
        Some(Publication { target, headers: headers.finish(), payload })
    }

    /// Raises its lifetime, if its stream asks for that.
    fn raise_lifetime(&mut self, stream: &StreamDefinition) {
        let lifetime =
            Headers::new(&self.headers).map(Wishes::read).and_then(|wishes| Lifetime::read(&wishes));
        if let Some((_, headers)) = raised(stream, lifetime, &self.headers) {
            self.headers = headers;
        }
    }

    fn message(&self) -> Message<'_> {
        Message { headers: &self.headers, ..Message::new(&self.target, &self.payload) }
    }
}

impl Stream {
    /// Publishes messages whose time has come.
    pub(super) fn publish_scheduled(self: &Arc<Stream>, now: Now, effects: &mut Effects) {
        let due = self.state.lock().take_scheduled(now);
        for sequence in due {
            match self.read_one(sequence, Publication::of) {
                Ok(Some(publication)) => self.publish_instead(sequence, publication, now, effects),
                Ok(None) | Err(ReadError::Gone) => {}
                Err(error) if error.is_damage() => {
                    tracing::error!(stream = &*self.name, sequence, %error, "a message cannot be published");
                }
                Err(error) => {
                    tracing::error!(stream = &*self.name, sequence, %error, "a message cannot be published, and is tried again");
                    let mut state = self.state.lock();
                    state.upkeep.unpublished.push(sequence);
                    state.upkeep.retry_at = Some(now.micros().saturating_add(RETRY_MICROS));
                }
            }
        }
    }

    /// Publishes the message that another one schedules, and removes the latter.
    fn publish_instead(
        self: &Arc<Stream>,
        sequence: u64,
        mut publication: Publication,
        now: Now,
        effects: &mut Effects,
    ) {
        let mut state = self.state.lock();
        let (definition, index) = (state.data.definition(), &state.data.index);
        if !index.is_stored(sequence) || definition.sealed {
            return;
        }
        publication.raise_lifetime(definition);
        let publication = Arc::new(publication);
        let keeps_target = definition.takes(&publication.target);
        let published = Arc::clone(&publication);
        let then = Then::Call(Box::new(move |stream, synced, effects| {
            let message = published.message();
            match (synced.is_ok(), keeps_target) {
                (false, _) => {}
                (true, true) => drop(stream.hub.fan_out.send_to(&published.target, &message, effects)),
                // The stream no longer keeps the target.
                (true, false) => drop(stream.hub.fan_out.publish(&message, effects)),
            }
        }));
        let drop = Step::Drop { sequences: std::iter::once(sequence).collect(), is_recorded: true };
        let Publication { target, headers, payload } = &*publication;
        let store = keeps_target.then_some(Step::Store { subject: target, headers, payload });
        let steps = store.into_iter().chain([drop]).collect();
        self.change_together(&mut state, steps, nanoseconds(now), then, effects);
    }
}

impl State {
    /// Takes messages whose time has come.
    fn take_scheduled(&mut self, now: Now) -> Vec<u64> {
        let State { data, upkeep, .. } = self;
        let mut due = Vec::new();
        if upkeep.retry_at.is_some_and(|at| at <= now.micros()) {
            due.append(&mut upkeep.unpublished);
        }
        let time = nanoseconds(now);
        while due.len() < PUBLISHED_PER_TURN
            && let Some(sequence) = data.schedules.take_due(time, |sequence| data.index.is_stored(sequence))
        {
            due.push(sequence);
        }
        due
    }
}
