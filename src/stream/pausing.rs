//! Pausing a consumer, which only changes its definition.

use std::sync::Arc;

use super::api::error;
use super::consumers::Defined;
use super::consuming::ConsumerCreated;
use super::json::Time;
use super::shared::Stream;
use super::store::lost;
use crate::delivery::Effects;
use crate::wait::Lost;

impl Stream {
    /// Pauses a consumer until a time; without one, or with one that has passed, the consumer resumes.
    pub fn pause_consumer(
        self: &Arc<Stream>,
        name: &str,
        until: Option<Time>,
        paused: ConsumerCreated,
        effects: &mut Effects,
    ) {
        let name = name.to_owned();
        let decide = move |stream: &Arc<Stream>, synced: Result<(), Lost>, effects: &mut Effects| {
            let admitted = stream.admit(&stream.state.lock());
            let decided = match (synced, admitted) {
                (Err(Lost), _) => Err(lost()),
                (_, Err(error)) => Err(error),
                _ => stream.with_pause(&name, until).ok_or_else(|| error::CONSUMER_NOT_FOUND.error()),
            };
            match decided {
                Ok(defined) => stream.keep_consumer(defined, paused, effects),
                Err(error) => paused(stream, Err(error), effects),
            }
        };
        self.once_settled(Box::new(decide), effects);
    }

    /// The definition of a consumer with another pause; none if there is no such consumer.
    fn with_pause(&self, name: &str, until: Option<Time>) -> Option<Defined> {
        let state = self.state.lock();
        let slot = state.consumers.named(name)?;
        let mut definition = slot.definition.clone();
        definition.pause_until = until.map(Time::utc);
        let (id, name, created) = (slot.id, Arc::clone(&slot.name), slot.created);
        Some(Defined { id, name, created, definition, since: None })
    }
}
