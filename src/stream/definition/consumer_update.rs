//! What may change of a consumer, in the order of nats-server.

use super::{ConsumerDefinition, Retention, StreamDefinition};
use crate::stream::api::error::{self, ApiError};
use crate::stream::json::Time;

/// What cannot change, with the text.
type Rule = (fn(old: &ConsumerDefinition, new: &ConsumerDefinition) -> bool, &'static str);

const RULES: [Rule; 11] = [
    (|old, new| old.deliver_policy != new.deliver_policy, "deliver policy can not be updated"),
    (|old, new| old.memory_storage != new.memory_storage, "storage type can not be updated"),
    (|old, new| old.start_sequence != new.start_sequence, "start sequence can not be updated"),
    (
        |old, new| old.start_time.map(Time::utc) != new.start_time.map(Time::utc),
        "start time can not be updated",
    ),
    (|old, new| old.acknowledgement_policy != new.acknowledgement_policy, "ack policy can not be updated"),
    (|old, new| old.replay_policy != new.replay_policy, "replay policy can not be updated"),
    (|old, new| old.idle_heartbeat != new.idle_heartbeat, "heart beats can not be updated"),
    (|old, new| old.flow_control != new.flow_control, "flow control can not be updated"),
    (|old, new| !old.is_push() && new.is_push(), "can not update pull consumer to push based"),
    (|old, new| old.is_push() && !new.is_push(), "can not update push consumer to pull based"),
    (|old, new| old.max_waiting != new.max_waiting, "max waiting can not be updated"),
];

/// How an update of a push consumer finds the subject that it is sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliverInterest {
    /// Somebody subscribes to it, so the consumer is in use.
    Bound,
    /// Nobody does.
    Unbound,
}

impl ConsumerDefinition {
    /// What this definition becomes when a client sends `new`, which is checked already.  Its stream has `others` besides.  Whether
    /// it pauses stays: that has a request of its own.
    pub fn updated<'c>(
        &self,
        mut new: ConsumerDefinition,
        interest: DeliverInterest,
        stream: &StreamDefinition,
        others: impl IntoIterator<Item = &'c ConsumerDefinition>,
    ) -> Result<ConsumerDefinition, ApiError> {
        if stream.retention == Retention::WorkQueue {
            new.check_alone(others)?;
        }
        let moves = self.deliver_subject != new.deliver_subject;
        for (place, (breaks, text)) in RULES.iter().enumerate() {
            // nats-server looks at the interest between the rules about push and that about waiting pulls.
            if place + 1 == RULES.len() && moves && interest == DeliverInterest::Bound {
                return Err(error::CONSUMER_NAME_IN_USE.error());
            }
            if breaks(self, &new) {
                return Err(error::CONSUMER_CREATE.with(text));
            }
        }
        new.pause_until = self.pause_until;
        Ok(new)
    }
}
