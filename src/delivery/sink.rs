//! Sinks: receivers within the server, which take messages while they are published.  Streams are such receivers, and so is
//! the part that answers requests to the server.
//!
//! A sink is no subscription: it has no outbox, misses nothing, and is neither counted nor listed among the receivers of a
//! message.  But its publisher learns that the message was heard.

use std::sync::Arc;

use smallvec::SmallVec;

use super::interest::PlacedSink;
use super::slowing::Crowd;
use super::{Effects, FanOut, Message};

/// How often sinks may publish within one another.  A message beyond that reaches subscribers, but no sink.
pub(super) const NESTING_MAX: u8 = 8;

/// The sinks of one message, of which there is seldom more than one.
pub(super) type Taking = SmallVec<[Arc<dyn Sink>; 2]>;

/// See the module's text.
pub trait Sink: Send + Sync {
    /// Takes a message that is being published, on the publisher's thread, after its subscribers were given it.  The sink may
    /// publish by the same `effects`, whose messages follow those of the batch so far.  False if it does not want the message after all:
    /// then nobody has heard it here.
    ///
    /// The caller may hold locks of the store and of services, so it must wait for nothing and take no locks but those behind
    /// them.
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool;

    /// The number by which its owner finds what the sink stands for, if it has one.
    fn number(&self) -> Option<u64> {
        None
    }

    /// What further messages on a subject should wait for, if there are so many that their publishers are to be slowed down.
    fn crowd(&self, _subject: &[u8]) -> Option<Arc<dyn Crowd>> {
        None
    }
}

/// A sink that was added for one subject or wildcard, with which it can be removed.
pub struct SinkId(pub(super) Arc<PlacedSink>);

impl SinkId {
    /// The subject or wildcard that the sink takes.
    pub fn pattern(&self) -> &[u8] {
        self.0.pattern()
    }
}

impl FanOut {
    /// Makes a sink take the messages of a subject of the broker, or of the subjects that match a wildcard, whoever publishes
    /// them: clients of all listeners, and services their events.  A wildcard that does not name the beginning of hidden
    /// subjects (`$...`, `_INBOX.`) does not match them.  The text must be a valid pattern.
    ///
    /// A sink that was added for several patterns takes each message once.
    pub fn add_sink(&self, pattern: &[u8], sink: Arc<dyn Sink>) -> SinkId {
        self.presence.note_begin(pattern);
        self.channels.add_sink(pattern, sink)
    }

    /// Removes a sink from the subject or wildcard that it was added for.  A message that is published meanwhile may still
    /// reach it.
    pub fn remove_sink(&self, id: SinkId) {
        self.presence.note_end(id.pattern());
        self.channels.remove_sink(id);
    }
}

/// Hands a message to sinks; false if none takes it, as when too many publish within one another.
pub(super) fn take(sinks: &Taking, message: &Message<'_>, effects: &mut Effects) -> bool {
    if sinks.is_empty() || effects.sinks_within == NESTING_MAX {
        return false;
    }
    effects.sinks_within += 1;
    let is_taken = sinks.iter().fold(false, |is_taken, sink| sink.take(message, effects) | is_taken);
    effects.sinks_within -= 1;
    is_taken
}
