//! What is filled into a consumer's definition, and what is refused, in the order of nats-server.

use super::consumer::{AcknowledgementPolicy, ConsumerDefinition, DeliverPolicy, PriorityPolicy};
use super::subjects::{covers, is_valid, overlaps};
use super::{
    DESCRIPTION_MAX, METADATA_MAX, NAME_MAX, Retention, StreamDefinition, dead_letter, is_valid_name,
    metadata_length,
};
use crate::stream::api::error::{self, ApiError};
use crate::stream::json::Nanoseconds;

/// How long nobody needs to use a consumer that has no durable name before it is removed.
pub const INACTIVE_THRESHOLD: Nanoseconds = Nanoseconds::from_secs(5);

/// How many consumers a stream has at most, whatever its definition says: each costs memory, and work for each message.
pub const CONSUMERS_MAX: usize = 100_000;

/// How many pulls may wait where nobody says otherwise.
const MAX_WAITING: i64 = 512;

/// How many messages may wait for their acknowledgement where nobody says otherwise.
const MAX_ACK_PENDING: i64 = 1_000;

/// How long an acknowledgement is waited for where nobody says otherwise.
const ACKNOWLEDGEMENT_WAIT: Nanoseconds = Nanoseconds::from_secs(30);

/// How long a pinned client may be silent where nobody says otherwise.
const PINNED_TIMEOUT: Nanoseconds = Nanoseconds::from_secs(120);

/// Shortest time between two heartbeats.
const HEARTBEAT_MIN: Nanoseconds = Nanoseconds::from_millis(100);

/// Shortest limit of how long a pull waits.
const EXPIRES_MIN: Nanoseconds = Nanoseconds::from_millis(1);

/// Longest name of a priority group.
const GROUP_NAME_MAX: usize = 16;

fn refuse<T>(error: error::Known) -> Result<T, ApiError> {
    Err(error.error())
}

impl ConsumerDefinition {
    /// The definition with defaults filled in, for a consumer of `stream`; its end is filled in by
    /// [`ConsumerDefinition::with_end`].  A pedantic client gets an error instead of a
    /// correction.
    pub fn checked(
        mut self,
        stream: &StreamDefinition,
        pedantic: bool,
    ) -> Result<ConsumerDefinition, ApiError> {
        self.correct_negatives(pedantic)?;
        self.fill_in(stream, pedantic)?;
        self.check_names()?;
        self.check_replicas(stream)?;
        self.check_redelivery()?;
        if self.description.len() > DESCRIPTION_MAX {
            return Err(error::CONSUMER_DESCRIPTION_TOO_LONG.with(DESCRIPTION_MAX));
        }
        if self.is_push() {
            self.check_push(stream)?
        } else {
            self.check_pull(stream)?
        }
        self.check_limits_of(stream)?;
        self.check_filters()?;
        self.check_start()?;
        self.check_sampling()?;
        if self.flow_control && self.idle_heartbeat == Nanoseconds::ZERO {
            return refuse(error::CONSUMER_FLOW_CONTROL_NEEDS_HEARTBEATS);
        }
        if self.is_durable() && !self.name.is_empty() && self.name != self.durable_name {
            return refuse(error::CONSUMER_DURABLE_AND_NAME_MISMATCH);
        }
        if metadata_length(&self.metadata) > METADATA_MAX {
            return Err(error::CONSUMER_METADATA_TOO_LONG.with(format_args!("{}KB", METADATA_MAX / 1024)));
        }
        self.check_priority()?;
        dead_letter::check(&self, stream)?;
        self.pause_until = self.pause_until.map(crate::stream::json::Time::utc);
        Ok(self)
    }

    /// The definition, checked already, with the time filled in after which an unused consumer ends unless it is durable.  One that
    /// replaces a `former` definition that was durable or had no end has none either: a client that does not repeat `durable_name` in an update
    /// means to keep its consumer.
    pub fn with_end(mut self, former: Option<&ConsumerDefinition>) -> ConsumerDefinition {
        let has_stayed = |former: &ConsumerDefinition| {
            former.is_durable() || former.inactive_threshold == Nanoseconds::ZERO
        };
        let stays = self.is_durable() || former.is_some_and(has_stayed);
        if !stays && self.inactive_threshold == Nanoseconds::ZERO {
            self.inactive_threshold = INACTIVE_THRESHOLD;
        }
        self
    }

    /// Whether a new consumer may be added to `stream`, which has `others` already.
    pub fn check_beside<'c>(
        &self,
        stream: &StreamDefinition,
        others: impl IntoIterator<Item = &'c ConsumerDefinition>,
    ) -> Result<(), ApiError> {
        let others: Vec<&ConsumerDefinition> = others.into_iter().collect();
        let limit = usize::try_from(stream.max_consumers).unwrap_or(CONSUMERS_MAX);
        if others.len() >= limit.min(CONSUMERS_MAX) {
            return refuse(error::MAXIMUM_CONSUMERS);
        }
        if stream.retention != Retention::WorkQueue {
            return Ok(());
        }
        if self.acknowledgement_policy != AcknowledgementPolicy::Explicit {
            return refuse(error::CONSUMER_WORK_QUEUE_REQUIRES_EXPLICIT_ACK);
        }
        if self.deliver_policy != DeliverPolicy::All {
            return refuse(error::CONSUMER_WORK_QUEUE_NOT_DELIVER_ALL);
        }
        if !others.is_empty() && self.filters().is_empty() {
            return refuse(error::CONSUMER_WORK_QUEUE_MULTIPLE_UNFILTERED);
        }
        self.check_alone(others)
    }

    /// Whether no other consumer of a work queue wants what this one wants.
    pub(super) fn check_alone<'c>(
        &self,
        others: impl IntoIterator<Item = &'c ConsumerDefinition>,
    ) -> Result<(), ApiError> {
        if others.into_iter().any(|other| self.competes(other)) {
            return refuse(error::CONSUMER_WORK_QUEUE_NOT_UNIQUE);
        }
        Ok(())
    }

    fn correct_negatives(&mut self, pedantic: bool) -> Result<(), ApiError> {
        // The least value that means something, and what a smaller one becomes.
        for (value, least, text) in [
            (&mut self.max_deliver, -1, "max_deliver must be set to -1"),
            (&mut self.max_waiting, 0, "max_waiting must not be negative"),
            (&mut self.max_ack_pending, -1, "max_ack_pending must be set to -1"),
            (&mut self.max_batch, 0, "max_batch must not be negative"),
            (&mut self.max_expires.0, 0, "max_expires must not be negative"),
            (&mut self.max_bytes, 0, "max_bytes must not be negative"),
            (&mut self.idle_heartbeat.0, 0, "idle_heartbeat must not be negative"),
            (&mut self.inactive_threshold.0, 0, "inactive_threshold must not be negative"),
            (&mut self.priority_timeout.0, 0, "priority_timeout must not be negative"),
        ] {
            if *value < least {
                if pedantic {
                    return Err(error::PEDANTIC.with(text));
                }
                *value = least;
            }
        }
        if self.max_deliver == 0 {
            self.max_deliver = -1;
        }
        Ok(())
    }

    fn fill_in(&mut self, stream: &StreamDefinition, pedantic: bool) -> Result<(), ApiError> {
        let tell = |wrong: bool, text: &str| match pedantic && wrong {
            true => Err(error::PEDANTIC.with(text)),
            false => Ok(()),
        };
        let acknowledges = self.acknowledgement_policy != AcknowledgementPolicy::None;
        if !self.is_push() && self.max_waiting == 0 {
            self.max_waiting = MAX_WAITING;
        }
        if acknowledges && self.acknowledgement_wait == Nanoseconds::ZERO {
            self.acknowledgement_wait = ACKNOWLEDGEMENT_WAIT;
        }
        if let Some(&first) = self.backoff.first() {
            tell(self.acknowledgement_wait != first, "first backoff value has to equal batch AckWait")?;
            self.acknowledgement_wait = first;
        }
        if self.max_ack_pending == 0 {
            let limit = stream.consumer_limits.max_ack_pending;
            tell(limit > 0, "max_ack_pending must be set if it's configured in stream limits")?;
            self.max_ack_pending = limit;
        }
        if self.inactive_threshold == Nanoseconds::ZERO {
            let limit = stream.consumer_limits.inactive_threshold;
            tell(
                limit > Nanoseconds::ZERO,
                "inactive_threshold must be set if it's configured in stream limits",
            )?;
            self.inactive_threshold = limit;
        }
        if self.max_ack_pending == 0 && acknowledges {
            self.max_ack_pending = MAX_ACK_PENDING;
        }
        if self.priority_policy == PriorityPolicy::PinnedClient && self.priority_timeout == Nanoseconds::ZERO
        {
            self.priority_timeout = PINNED_TIMEOUT;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ApiError> {
        for (name, what) in [(&self.name, "name"), (&self.durable_name, "durable name")] {
            if !name.is_empty() && !is_valid_name(name) {
                return Err(error::STREAM_INVALID_CONFIG
                    .with(format_args!(r"consumer {what} can not contain '.', '*', '>', '\', '/'")));
            }
            if name.len() > NAME_MAX {
                return Err(error::CONSUMER_NAME_TOO_LONG.with(NAME_MAX));
            }
        }
        Ok(())
    }

    fn check_replicas(&self, stream: &StreamDefinition) -> Result<(), ApiError> {
        if self.replicas < 0 {
            return refuse(error::REPLICAS_NEGATIVE);
        }
        if self.replicas > stream.replicas {
            return refuse(error::REPLICAS_NOT_SUPPORTED);
        }
        Ok(())
    }

    fn check_redelivery(&self) -> Result<(), ApiError> {
        if self.backoff.iter().any(|&wait| wait < Nanoseconds::ZERO) {
            return refuse(error::CONSUMER_BACKOFF_NEGATIVE);
        }
        if self.acknowledgement_wait < Nanoseconds::ZERO {
            return refuse(error::CONSUMER_ACK_WAIT_NEGATIVE);
        }
        let waits = i64::try_from(self.backoff.len()).unwrap_or(i64::MAX);
        if self.max_deliver != -1 && waits > self.max_deliver {
            return refuse(error::CONSUMER_MAX_DELIVER_BACKOFF);
        }
        Ok(())
    }

    fn check_push(&self, stream: &StreamDefinition) -> Result<(), ApiError> {
        let subject = &self.deliver_subject;
        if subject.split('.').any(|token| token == "*" || token == ">") {
            return refuse(error::CONSUMER_DELIVER_TO_WILDCARDS);
        }
        if !is_valid(subject) {
            return refuse(error::CONSUMER_INVALID_DELIVER_SUBJECT);
        }
        if stream.subjects.iter().any(|kept| overlaps(kept, subject)) {
            return refuse(error::CONSUMER_DELIVER_CYCLE);
        }
        if self.max_waiting != 0 {
            return refuse(error::CONSUMER_PUSH_MAX_WAITING);
        }
        if self.max_ack_pending > 0 && self.acknowledgement_policy == AcknowledgementPolicy::None {
            return refuse(error::CONSUMER_MAX_PENDING_NEEDS_ACK_POLICY);
        }
        if self.idle_heartbeat > Nanoseconds::ZERO && self.idle_heartbeat < HEARTBEAT_MIN {
            return refuse(error::CONSUMER_SMALL_HEARTBEAT);
        }
        Ok(())
    }

    fn check_pull(&self, stream: &StreamDefinition) -> Result<(), ApiError> {
        let acknowledges = self.acknowledgement_policy != AcknowledgementPolicy::None;
        if !acknowledges && stream.retention == Retention::WorkQueue {
            return refuse(error::CONSUMER_PULL_REQUIRES_ACK);
        }
        if self.rate_limit > 0 {
            return refuse(error::CONSUMER_PULL_WITH_RATE_LIMIT);
        }
        if self.idle_heartbeat > Nanoseconds::ZERO {
            return refuse(error::CONSUMER_HEARTBEAT_REQUIRES_PUSH);
        }
        if self.flow_control {
            return refuse(error::CONSUMER_FLOW_CONTROL_REQUIRES_PUSH);
        }
        if self.max_expires != Nanoseconds::ZERO && self.max_expires < EXPIRES_MIN {
            return refuse(error::CONSUMER_MAX_EXPIRES_TOO_SMALL);
        }
        Ok(())
    }

    fn check_limits_of(&self, stream: &StreamDefinition) -> Result<(), ApiError> {
        let limits = &stream.consumer_limits;
        if limits.max_ack_pending > 0 && self.max_ack_pending > limits.max_ack_pending {
            return Err(error::CONSUMER_MAX_PENDING_EXCEEDED.with(limits.max_ack_pending));
        }
        if limits.inactive_threshold > Nanoseconds::ZERO
            && self.inactive_threshold > limits.inactive_threshold
        {
            return Err(error::CONSUMER_INACTIVE_THRESHOLD_EXCEEDED.with(limits.inactive_threshold));
        }
        Ok(())
    }

    fn check_filters(&self) -> Result<(), ApiError> {
        if !self.filter_subject.is_empty() && !self.filter_subjects.is_empty() {
            return refuse(error::CONSUMER_TWO_KINDS_OF_FILTERS);
        }
        let filters = self.filters();
        if filters.iter().any(String::is_empty) {
            return refuse(error::CONSUMER_EMPTY_FILTER);
        }
        for (place, filter) in filters.iter().enumerate() {
            if !is_valid(filter) {
                return Err(error::STREAM_INVALID_CONFIG.with("invalid subject"));
            }
            let others = filters.iter().enumerate().filter(|(other, _)| *other != place);
            if others.into_iter().any(|(_, other)| covers(other, filter)) {
                return refuse(error::CONSUMER_OVERLAPPING_FILTERS);
            }
        }
        Ok(())
    }

    fn check_start(&self) -> Result<(), ApiError> {
        let has_sequence = self.start_sequence > 0;
        let has_time = self.start_time.is_some();
        let (policy, takes_sequence, takes_time) = match self.deliver_policy {
            DeliverPolicy::All => ("all", false, false),
            DeliverPolicy::Last => ("last", false, false),
            DeliverPolicy::LastPerSubject => ("last per subject", false, false),
            DeliverPolicy::New => ("new", false, false),
            DeliverPolicy::ByStartSequence => ("by start sequence", true, false),
            DeliverPolicy::ByStartTime => ("by start time", false, true),
        };
        let conflict = |what: &str| {
            Err(error::CONSUMER_INVALID_POLICY.with(format_args!(
                "consumer delivery policy is deliver {policy}, but optional start {what} is also set"
            )))
        };
        let missing = |what: &str| {
            Err(error::CONSUMER_INVALID_POLICY.with(format_args!(
                "consumer delivery policy is deliver {policy}, but optional {what} is not set"
            )))
        };
        match () {
            () if takes_sequence && !has_sequence => missing("start sequence"),
            () if takes_time && !has_time => missing("start time"),
            () if takes_time && has_sequence => conflict("start sequence"),
            () if !takes_sequence && has_sequence => conflict("sequence"),
            () if !takes_time && has_time => conflict("time"),
            () if self.deliver_policy == DeliverPolicy::LastPerSubject && self.filters().is_empty() => {
                missing("filter subject")
            }
            () => Ok(()),
        }
    }

    fn check_sampling(&self) -> Result<(), ApiError> {
        let text = self.sample_frequency.strip_suffix('%').unwrap_or(&self.sample_frequency);
        if self.sample_frequency.is_empty() {
            return Ok(());
        }
        match text.parse::<i64>() {
            Ok(percent) if percent >= 0 => Ok(()),
            // What nats-server says where its number is fine and negative.
            Ok(_) => Err(error::CONSUMER_INVALID_SAMPLING.with("<nil>")),
            Err(_) => Err(error::CONSUMER_INVALID_SAMPLING
                .with(format_args!("strconv.Atoi: parsing {text:?}: invalid syntax"))),
        }
    }

    fn check_priority(&self) -> Result<(), ApiError> {
        if self.priority_policy == PriorityPolicy::None {
            if !self.priority_groups.is_empty() {
                return refuse(error::CONSUMER_PRIORITY_GROUP_WITHOUT_POLICY);
            }
            if self.priority_timeout > Nanoseconds::ZERO {
                return refuse(error::CONSUMER_PINNED_TTL_WITHOUT_POLICY);
            }
            return Ok(());
        }
        if self.is_push() {
            return refuse(error::CONSUMER_PUSH_WITH_PRIORITY_GROUP);
        }
        if self.priority_groups.is_empty() {
            return refuse(error::CONSUMER_PRIORITY_POLICY_WITHOUT_GROUP);
        }
        for group in &self.priority_groups {
            if group.is_empty() {
                return refuse(error::CONSUMER_EMPTY_GROUP_NAME);
            }
            if !is_group_name(group) {
                return refuse(error::CONSUMER_INVALID_GROUP_NAME);
            }
        }
        Ok(())
    }
}

/// Whether this is a valid name of a priority group.
pub fn is_group_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_=-".contains(&byte);
    (1..=GROUP_NAME_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}
