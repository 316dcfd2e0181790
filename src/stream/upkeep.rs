//! What a stream does by itself: messages go when their time is over, are published when it has come, and are published again.

use std::sync::Arc;

use super::consumer::effect::{DeadLetter, Effect};
use super::running::Work;
use super::segment;
use super::shared::{State, Stream};
use super::state::{Place, Storing};
use crate::clock::Now;
use crate::delivery::Effects;

impl Stream {
    /// Does what is due.
    pub(super) fn advance(self: &Arc<Stream>, _now: Now, _effects: &mut Effects) {}

    /// A message was stored: it is published again if the stream is to do that.
    pub(super) fn stored(self: &Arc<Stream>, _state: &mut State, _storing: &Storing, _effects: &mut Effects) {
    }

    /// Stores a message that its consumer gives up on the consumer's dead-letter subject.
    pub(super) fn send_dead_letter(
        self: &Arc<Stream>,
        _work: &mut Work,
        _letter: &DeadLetter,
        _place: Option<Place>,
        _now: Now,
        _effects: &mut Effects,
    ) {
    }

    /// Tells whoever listens of what happened to a consumer.
    pub(super) fn advise(&self, _consumer: &str, _effect: &Effect, _now: Now, _effects: &mut Effects) {}

    /// Many messages have gone: consumers look at all that they know.
    pub(super) fn sweep_consumers(self: &Arc<Stream>, _state: &mut State, _effects: &mut Effects) {}

    /// The first message stored at or after a time in nanoseconds since 1970.
    pub(super) fn sequence_at(&self, _time: i64) -> Result<Option<u64>, segment::ReadError> {
        Ok(None)
    }
}
