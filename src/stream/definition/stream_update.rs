//! What may change of a stream, in the order of nats-server.

use super::{ConsumerDefinition, Discard, Retention, StreamDefinition};
use crate::stream::api::error::{self, ApiError};
use crate::stream::json::Nanoseconds;

/// What cannot change, with the text.
type Rule = (fn(old: &StreamDefinition, new: &StreamDefinition) -> bool, &'static str);

const RULES: [Rule; 9] = [
    (|old, new| new.name != old.name, "stream configuration name must match original"),
    (|old, new| new.storage != old.storage, "stream configuration update can not change storage type"),
    (
        |old, new| {
            new.retention != old.retention && [old.retention, new.retention].contains(&Retention::WorkQueue)
        },
        "stream configuration update can not change retention policy to/from workqueue",
    ),
    (|old, new| old.sealed && !new.sealed, "stream configuration update can not unseal a sealed stream"),
    (
        |old, new| old.deny_delete && !new.deny_delete,
        "stream configuration update can not cancel deny message deletes",
    ),
    (|old, new| old.deny_purge && !new.deny_purge, "stream configuration update can not cancel deny purge"),
    (|old, new| old.allow_message_ttl && !new.allow_message_ttl, "message TTL status can not be disabled"),
    (
        |old, new| old.allow_message_schedules && !new.allow_message_schedules,
        "message schedules can not be disabled",
    ),
    (
        |old, new| old.persist_mode != new.persist_mode,
        "stream configuration update can not change persist mode",
    ),
];

impl StreamDefinition {
    /// What this definition becomes when a client sends `new`, which is not checked yet.
    pub fn updated(&self, new: StreamDefinition, pedantic: bool) -> Result<StreamDefinition, ApiError> {
        let mut new = new.checked(pedantic)?;
        if let Some((_, text)) = RULES.iter().find(|(breaks, _)| breaks(self, &new)) {
            return Err(error::STREAM_INVALID_CONFIG.with(text));
        }
        if new.sealed {
            new.max_age = Nanoseconds::ZERO;
            new.discard = Discard::New;
            (new.deny_delete, new.deny_purge) = (true, true);
            new.allow_rollup = false;
        }
        Ok(new)
    }

    /// Whether the consumers of this stream may stay when it becomes `new`.
    pub fn check_consumers<'c>(
        &self,
        new: &StreamDefinition,
        consumers: impl IntoIterator<Item = (&'c str, &'c ConsumerDefinition)>,
    ) -> Result<(), ApiError> {
        let (old, limits) = (&self.consumer_limits, &new.consumer_limits);
        let threshold = limits.inactive_threshold > Nanoseconds::ZERO
            && limits.inactive_threshold != old.inactive_threshold;
        let pending = limits.max_ack_pending > 0 && limits.max_ack_pending != old.max_ack_pending;
        let violates = |consumer: &ConsumerDefinition| {
            (threshold && consumer.inactive_threshold > limits.inactive_threshold)
                || (pending && consumer.max_ack_pending > limits.max_ack_pending)
        };
        let consumers = consumers.into_iter().filter(|(_, consumer)| violates(consumer));
        let mut names: Vec<&str> = consumers.map(|(name, _)| name).collect();
        if names.is_empty() {
            return Ok(());
        }
        names.sort_unstable();
        Err(error::STREAM_UPDATE
            .with(format_args!("change to limits violates consumers: {}", names.join(", "))))
    }
}
