//! Where a message goes that a consumer gives up.

use quartet_protocol::broker::subject;

use super::{ConsumerDefinition, StreamDefinition};
use crate::stream::api::error::{self, ApiError};

/// The metadata of a consumer that names the subject on which a message is published that has been sent as often as the consumer
/// allows, or that its client has given up.  It is metadata so that every client can say it.
pub const DEAD_LETTER_SUBJECT: &str = "quartet.dead-letter-subject";

impl ConsumerDefinition {
    /// The subject on which messages are published that are given up, if there is one.
    pub fn dead_letter_subject(&self) -> Option<&str> {
        self.metadata.get(DEAD_LETTER_SUBJECT).map(String::as_str)
    }
}

/// A message that is given up must not come back to the consumer that gave it up.
pub(super) fn check(consumer: &ConsumerDefinition, stream: &StreamDefinition) -> Result<(), ApiError> {
    let Some(dead_letters) = consumer.dead_letter_subject() else { return Ok(()) };
    let refuse = |why: &str| {
        Err(error::STREAM_INVALID_CONFIG
            .with(format_args!("the metadata {DEAD_LETTER_SUBJECT} must name a subject {why}")))
    };
    if !subject::is_literal(dead_letters.as_bytes()) || subject::is_hidden(dead_letters.as_bytes()) {
        return refuse("without wildcards that does not begin with $ or _INBOX");
    }
    let wants = |filter: &String| subject::matches(filter.as_bytes(), dead_letters.as_bytes());
    if stream.takes(dead_letters.as_bytes())
        && (consumer.filters().is_empty() || consumer.filters().iter().any(wants))
    {
        return refuse("that the consumer itself does not receive");
    }
    Ok(())
}
