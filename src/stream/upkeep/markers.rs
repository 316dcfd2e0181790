//! Markers: messages that are stored when the last message of a subject expires, so that readers of the subject learn
//! of it.
//!
//! They are as nats-server writes them.  A message that is deleted or purged leaves none, and neither does a marker.

use quartet_protocol::broker::headers::Headers;

use super::age::Ending;
use crate::stream::header_names;
use crate::stream::json::Nanoseconds;
use crate::stream::running::LastRead;
use crate::stream::shared::Stream;

/// The headers of a marker with this lifetime.
pub(super) fn headers(lifetime: Nanoseconds) -> Vec<u8> {
    use header_names::{LIFETIME, MARKER_REASON, ROLLUP};
    format!("NATS/1.0\r\n{MARKER_REASON}: MaxAge\r\n{LIFETIME}: {lifetime}\r\n{ROLLUP}: sub\r\n\r\n")
        .into_bytes()
}

impl Stream {
    /// Whether the last message of a subject is a marker; a message that cannot be read counts as none.
    pub(super) fn is_marker(&self, ending: &Ending) -> bool {
        let is_marker = self.read(ending.last, &ending.place, 0, &mut LastRead::default(), |message| {
            Headers::new(message.headers)
                .is_some_and(|headers| headers.get(header_names::MARKER_REASON.as_bytes()).is_some())
        });
        is_marker.unwrap_or(false)
    }
}
