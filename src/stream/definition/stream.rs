//! The members of a stream's definition.

use std::collections::BTreeMap;

use super::republish::Republish;
use super::unbuilt::{Unbuilt, UnbuiltObject};
use super::{is_same_metadata, subjects};
use crate::stream::api::error::ApiError;
use crate::stream::json::{Nanoseconds, can_not_unmarshal, members, read_document, words};

words! {
    /// What removes the messages of a stream, besides its limits.
    Retention, can_not_unmarshal, {
        /// Nothing.
        Limits "limits",
        /// That all consumers that want a message have acknowledged it.
        Interest "interest",
        /// The first acknowledgement.
        WorkQueue "workqueue",
    }
}

words! {
    /// What gives way when a stream is full.
    Discard, can_not_unmarshal, {
        /// Its oldest messages.
        Old "old",
        /// The new message, which is refused.
        New "new",
    }
}

words! {
    /// Where the messages of a stream are.
    Storage, can_not_unmarshal, {
        /// On the disk.
        File "file",
        /// In memory only.
        Memory "memory",
    }
}

words! {
    /// How messages are compressed on the disk.
    Compression, |_| "unknown compression algorithm".to_owned(), {
        /// Not at all.
        None "none",
        /// By S2, which is not built.
        S2 "s2",
    }
}

words! {
    /// When a publisher gets the acknowledgement of its message.
    PersistMode, can_not_unmarshal, {
        /// Once the disk has it.
        Default "default",
        /// At once; a crash may lose what was acknowledged last.
        Async "async",
    }
    also { "" => Default }
}

/// What holds for consumers of a stream that do not say otherwise, and may not be exceeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerLimits {
    /// How long nobody needs to use a consumer before it is removed.
    pub inactive_threshold: Nanoseconds,
    /// How many messages may wait for their acknowledgement.
    pub max_ack_pending: i64,
}

members! { ConsumerLimits, "server.StreamConsumerLimits", {
    "inactive_threshold" => inactive_threshold IfSet,
    "max_ack_pending" => max_ack_pending IfSet,
} }

/// What a stream is to be.  A limit of -1 is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamDefinition {
    /// Its name.
    pub name: String,
    /// What people say about it.
    pub description: String,
    /// The patterns of the subjects whose messages it keeps.
    pub subjects: Vec<String>,
    /// What removes its messages.
    pub retention: Retention,
    /// How many consumers it may have.
    pub max_consumers: i64,
    /// How many messages it keeps.
    pub max_messages: i64,
    /// How many bytes of messages it keeps.
    pub max_bytes: i64,
    /// How old its messages get; zero for no limit.
    pub max_age: Nanoseconds,
    /// How many messages of a subject it keeps.
    pub max_messages_per_subject: i64,
    /// How long a message may be, headers included.
    pub max_message_size: i32,
    /// What gives way when it is full.
    pub discard: Discard,
    /// Where its messages are.
    pub storage: Storage,
    /// How many servers have it: one.
    pub replicas: i64,
    /// Whether publishers are not told that their messages are stored.
    pub no_acknowledgement: bool,
    /// For how long a message with a known id counts as sent again.
    pub duplicate_window: Nanoseconds,
    /// How its messages are compressed: not.
    pub compression: Compression,
    /// The sequence of its first message, if it is not 1.
    pub first_sequence: u64,
    /// Where its messages are published again once they are stored.
    pub republish: Option<Republish>,
    /// Whether it answers direct gets.
    pub allow_direct: bool,
    /// Whether a mirror answers direct gets; without meaning here.
    pub mirror_direct: bool,
    /// Whether a full subject refuses new messages, too.
    pub discard_new_per_subject: bool,
    /// Whether nothing comes in or goes out any more.
    pub sealed: bool,
    /// Whether messages cannot be deleted by request.
    pub deny_delete: bool,
    /// Whether it cannot be purged.
    pub deny_purge: bool,
    /// Whether a message may remove those before it.
    pub allow_rollup: bool,
    /// What holds for its consumers.
    pub consumer_limits: ConsumerLimits,
    /// Whether messages may have lifetimes of their own.
    pub allow_message_ttl: bool,
    /// How long a marker stays where the last message of a subject was; zero for no markers.
    pub subject_delete_marker_ttl: Nanoseconds,
    /// Whether messages may be published later.
    pub allow_message_schedules: bool,
    /// When publishers get their acknowledgements.
    pub persist_mode: PersistMode,
    /// What clients keep with it.
    pub metadata: BTreeMap<String, String>,
    unbuilt: Unbuilt,
    mirror: UnbuiltObject,
}

members! { StreamDefinition, "server.StreamConfigRequest", {
    "name" => name Always,
    "description" => description IfSet,
    "subjects" => subjects IfSet,
    "retention" => retention Always,
    "max_consumers" => max_consumers Always,
    "max_msgs" => max_messages Always,
    "max_bytes" => max_bytes Always,
    "max_age" => max_age Always,
    "max_msgs_per_subject" => max_messages_per_subject Always,
    "max_msg_size" => max_message_size IfSet,
    "discard" => discard Always,
    "storage" => storage Always,
    "num_replicas" => replicas Always,
    "no_ack" => no_acknowledgement IfSet,
    "duplicate_window" => duplicate_window IfSet,
    "placement" => unbuilt IfSet,
    "mirror" => mirror IfSet,
    "sources" => unbuilt IfSet,
    "compression" => compression Always,
    "first_seq" => first_sequence IfSet,
    "subject_transform" => unbuilt IfSet,
    "republish" => republish IfSet,
    "allow_direct" => allow_direct Always,
    "mirror_direct" => mirror_direct Always,
    "discard_new_per_subject" => discard_new_per_subject IfSet,
    "sealed" => sealed Always,
    "deny_delete" => deny_delete Always,
    "deny_purge" => deny_purge Always,
    "allow_rollup_hdrs" => allow_rollup Always,
    "consumer_limits" => consumer_limits Always,
    "allow_msg_ttl" => allow_message_ttl Always,
    "subject_delete_marker_ttl" => subject_delete_marker_ttl IfSet,
    "allow_msg_counter" => unbuilt IfSet,
    "allow_atomic" => unbuilt IfSet,
    "allow_msg_schedules" => allow_message_schedules IfSet,
    "persist_mode" => persist_mode IfSet,
    "allow_batched" => unbuilt IfSet,
    "metadata" => metadata IfSet,
} }

impl StreamDefinition {
    /// Reads what a client sends: the definition, not checked, and whether the client wants to hear of each correction.
    pub fn read(document: &[u8]) -> Result<(StreamDefinition, bool), ApiError> {
        let (mut definition, mut pedantic) = (StreamDefinition::default(), false);
        read_document(&mut definition, &mut [("pedantic", &mut pedantic)], document)?;
        Ok((definition, pedantic))
    }

    /// Whether both, checked, are the same but for what servers add to metadata.  A stream that exists may be created again if
    /// it is.
    pub fn is_same_as(&self, other: &StreamDefinition) -> bool {
        let plain = |definition: &StreamDefinition| StreamDefinition {
            metadata: BTreeMap::new(),
            ..definition.clone()
        };
        plain(self) == plain(other) && is_same_metadata(&self.metadata, &other.metadata)
    }

    /// Whether it keeps messages on this subject.
    pub fn takes(&self, subject: &[u8]) -> bool {
        self.subjects
            .iter()
            .any(|pattern| quartet_protocol::broker::subject::matches(pattern.as_bytes(), subject))
    }

    /// Whether some message would be kept by both.
    pub fn collides(&self, other: &StreamDefinition) -> bool {
        subjects::collides(&self.subjects, &other.subjects)
    }
}
