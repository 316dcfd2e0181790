//! The members of a consumer's definition.

use std::collections::BTreeMap;

use super::unbuilt::Unbuilt;
use super::{is_same_metadata, subjects};
use crate::stream::api::error::ApiError;
use crate::stream::json::{Nanoseconds, Time, can_not_unmarshal, members, read_document, words};

words! {
    /// With which message a consumer begins.
    DeliverPolicy, can_not_unmarshal, {
        /// The first that there is.
        All "all",
        /// The last that there is.
        Last "last",
        /// The next that comes.
        New "new",
        /// That with a given sequence, or the next one after it.
        ByStartSequence "by_start_sequence",
        /// The first that was stored at a given time or later.
        ByStartTime "by_start_time",
        /// The last of each subject.
        LastPerSubject "last_per_subject",
    }
    also { "undefined" => All }
}

words! {
    /// Which acknowledgements a consumer waits for.
    AcknowledgementPolicy, can_not_unmarshal, {
        /// None: what is sent is done.
        None "none",
        /// One of a message is one of all before it, too.
        All "all",
        /// One of each message.
        Explicit "explicit",
    }
}

words! {
    /// How fast a consumer is sent what the stream has already.
    ReplayPolicy, can_not_unmarshal, {
        /// As fast as it takes it.
        Instant "instant",
        /// In the time in which it was stored.
        Original "original",
    }
}

words! {
    /// Which of the clients that pull gets the next message.
    PriorityPolicy, |text| format!("unknown priority policy: {text}"), {
        /// The one that has waited longest.
        None "none",
        /// One that only asks when there is much to do, if there is.
        Overflow "overflow",
        /// Always the same, while it lives.
        PinnedClient "pinned_client",
    }
}

/// What a consumer is to be.  A limit of -1 is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerDefinition {
    /// The name of one that stays, or nothing.
    pub durable_name: String,
    /// Its name.
    pub name: String,
    /// What people say about it.
    pub description: String,
    /// With which message it begins.
    pub deliver_policy: DeliverPolicy,
    /// The sequence that it begins with, if it does.
    pub start_sequence: u64,
    /// The time that it begins with, if it does.
    pub start_time: Option<Time>,
    /// Which acknowledgements it waits for.
    pub acknowledgement_policy: AcknowledgementPolicy,
    /// How long it waits for one before it sends the message again.
    pub acknowledgement_wait: Nanoseconds,
    /// How often it sends a message.
    pub max_deliver: i64,
    /// How long it waits for each acknowledgement of a message, the last time for all further ones.
    pub backoff: Vec<Nanoseconds>,
    /// The pattern of the subjects that it wants; all if there is none here and below.
    pub filter_subject: String,
    /// Several of them.
    pub filter_subjects: Vec<String>,
    /// How fast it is sent what the stream has already.
    pub replay_policy: ReplayPolicy,
    /// How many bits per second it is sent; zero for no limit.
    pub rate_limit: u64,
    /// Of how many acknowledgements there is a report, in percent.
    pub sample_frequency: String,
    /// How many pulls may wait.
    pub max_waiting: i64,
    /// How many messages may wait for their acknowledgement.
    pub max_ack_pending: i64,
    /// Whether it says how much it has taken.
    pub flow_control: bool,
    /// Whether it is sent headers only.
    pub headers_only: bool,
    /// How many messages a pull may ask for; zero for no limit.
    pub max_batch: i64,
    /// How long a pull may wait; zero for no limit.
    pub max_expires: Nanoseconds,
    /// How many bytes a pull may ask for; zero for no limit.
    pub max_bytes: i64,
    /// The subject that messages are sent to; nothing if they are pulled.
    pub deliver_subject: String,
    /// The queue group that they are sent to.
    pub deliver_group: String,
    /// How often an idle consumer shows that it lives; zero for never.
    pub idle_heartbeat: Nanoseconds,
    /// How long nobody needs to use it before it is removed; zero for ever.
    pub inactive_threshold: Nanoseconds,
    /// How many servers have it: zero means as many as its stream.
    pub replicas: i64,
    /// Whether its state is in memory only.
    pub memory_storage: bool,
    /// What clients keep with it.
    pub metadata: BTreeMap<String, String>,
    /// Until when it sends nothing.
    pub pause_until: Option<Time>,
    /// The groups that clients pull in.
    pub priority_groups: Vec<String>,
    /// Which client of a group gets the next message.
    pub priority_policy: PriorityPolicy,
    /// How long a client may be silent and stay the one that gets all.
    pub priority_timeout: Nanoseconds,
    unbuilt: Unbuilt,
}

members! { ConsumerDefinition, "server.ConsumerConfig", {
    "durable_name" => durable_name IfSet,
    "name" => name IfSet,
    "description" => description IfSet,
    "deliver_policy" => deliver_policy Always,
    "opt_start_seq" => start_sequence IfSet,
    "opt_start_time" => start_time IfSet,
    "ack_policy" => acknowledgement_policy Always,
    "ack_wait" => acknowledgement_wait IfSet,
    "max_deliver" => max_deliver IfSet,
    "backoff" => backoff IfSet,
    "filter_subject" => filter_subject IfSet,
    "filter_subjects" => filter_subjects IfSet,
    "replay_policy" => replay_policy Always,
    "rate_limit_bps" => rate_limit IfSet,
    "sample_freq" => sample_frequency IfSet,
    "max_waiting" => max_waiting IfSet,
    "max_ack_pending" => max_ack_pending IfSet,
    "flow_control" => flow_control IfSet,
    "headers_only" => headers_only IfSet,
    "max_batch" => max_batch IfSet,
    "max_expires" => max_expires IfSet,
    "max_bytes" => max_bytes IfSet,
    "deliver_subject" => deliver_subject IfSet,
    "deliver_group" => deliver_group IfSet,
    "idle_heartbeat" => idle_heartbeat IfSet,
    "inactive_threshold" => inactive_threshold IfSet,
    "num_replicas" => replicas Always,
    "mem_storage" => memory_storage IfSet,
    "direct" => unbuilt IfSet,
    "sourcing" => unbuilt IfSet,
    "metadata" => metadata IfSet,
    "pause_until" => pause_until IfSet,
    "priority_groups" => priority_groups IfSet,
    "priority_policy" => priority_policy IfSet,
    "priority_timeout" => priority_timeout IfSet,
} }

impl ConsumerDefinition {
    /// Reads what a client sends.
    ///
    /// # Errors
    /// If the text is not a valid definition.
    pub fn read(document: &[u8]) -> Result<ConsumerDefinition, ApiError> {
        let mut definition = ConsumerDefinition::default();
        read_document(&mut definition, &mut [], document)?;
        Ok(definition)
    }

    /// Whether it stays when nobody uses it.
    pub fn is_durable(&self) -> bool {
        !self.durable_name.is_empty()
    }

    /// The name that its client asks for; empty if the server is to invent one.
    pub fn asked_name(&self) -> &str {
        if self.is_durable() { &self.durable_name } else { &self.name }
    }

    /// Whether messages are sent to a subject; otherwise they are pulled.
    pub fn is_push(&self) -> bool {
        !self.deliver_subject.is_empty()
    }

    /// The patterns of the subjects that it wants; none if it wants all.
    pub fn filters(&self) -> &[String] {
        if self.filter_subject.is_empty() {
            &self.filter_subjects
        } else {
            std::slice::from_ref(&self.filter_subject)
        }
    }

    /// How long the acknowledgement of a message is waited for that was sent so many times; the first time is 1.
    pub fn acknowledgement_wait_after(&self, deliveries: u64) -> Nanoseconds {
        let place = usize::try_from(deliveries.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(place).or(self.backoff.last());
        wait.copied().unwrap_or(self.acknowledgement_wait)
    }

    /// Whether both, checked, are the same but for their pauses and for what servers add to metadata.
    pub fn is_same_as(&self, other: &ConsumerDefinition) -> bool {
        let plain = |definition: &ConsumerDefinition| ConsumerDefinition {
            metadata: BTreeMap::new(),
            start_time: definition.start_time.map(Time::utc),
            pause_until: None,
            ..definition.clone()
        };
        plain(self) == plain(other) && is_same_metadata(&self.metadata, &other.metadata)
    }

    /// Whether some message would be wanted by both.
    pub(super) fn competes(&self, other: &ConsumerDefinition) -> bool {
        self.filters().is_empty()
            || other.filters().is_empty()
            || subjects::collides(self.filters(), other.filters())
    }
}
