//! Markers: messages that are stored when the last message of a subject expires, so that readers of the subject learn
//! of it.
//!
//! They are as nats-server writes them.  A message that is deleted or purged leaves none, and neither does a marker or the
//! entry that says that a key was purged.

use quartet_protocol::broker::headers::Headers;

use super::age::Ending;
use crate::stream::header_names;
use crate::stream::json::Nanoseconds;
use crate::stream::running::LastRead;
use crate::stream::shared::Stream;

/// What the entry of a key says when the key was purged.
const PURGE: &[u8] = b"PURGE";

/// The headers of a marker with this lifetime.
pub(super) fn headers(lifetime: Nanoseconds) -> Vec<u8> {
    use header_names::{LIFETIME, MARKER_REASON, ROLLUP};
    format!("NATS/1.0\r\n{MARKER_REASON}: MaxAge\r\n{LIFETIME}: {lifetime}\r\n{ROLLUP}: sub\r\n\r\n")
        .into_bytes()
}

impl Stream {
    /// Whether the last message of a subject says already that the subject has none; a message that cannot be read does not.
    pub(super) fn is_marker(&self, ending: &Ending) -> bool {
        let is_marker = self.read(ending.last, &ending.place, 0, &mut LastRead::default(), |message| {
            let value = |name: &str| Headers::new(message.headers)?.get(name.as_bytes());
            value(header_names::MARKER_REASON).is_some() || value(header_names::KEY_OPERATION) == Some(PURGE)
        });
        is_marker.unwrap_or(false)
    }
}
