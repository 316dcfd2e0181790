//! The errors of the API: code, number and text of each, as nats-server has them.
//!
//! Clients decide by the number.  A text with a place in braces is filled with [`Known::with`].

use std::borrow::Cow;

use serde::Serialize;

/// An error as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiError {
    /// Like a status of HTTP.
    pub code: u16,
    /// Which error it is.
    pub err_code: u16,
    /// The fault, for people.
    pub description: Cow<'static, str>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.description)
    }
}

impl std::error::Error for ApiError {}

/// A row of the table of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Like a status of HTTP.
    pub code: u16,
    /// Which error it is.
    pub number: u16,
    /// What it says, with at most one place in braces.
    pub text: &'static str,
}

impl Known {
    /// The error of a row without a place.
    pub fn error(self) -> ApiError {
        ApiError { code: self.code, err_code: self.number, description: Cow::Borrowed(self.text) }
    }

    /// The error with `value` in its place.
    pub fn with(self, value: impl std::fmt::Display) -> ApiError {
        let description = match (self.text.find('{'), self.text.find('}')) {
            (Some(start), Some(end)) => {
                Cow::Owned(format!("{}{value}{}", &self.text[..start], &self.text[end + 1..]))
            }
            _ => Cow::Borrowed(self.text),
        };
        ApiError { code: self.code, err_code: self.number, description }
    }
}

impl From<Known> for ApiError {
    fn from(known: Known) -> Self {
        known.error()
    }
}

macro_rules! errors {
    ($($name:ident $code:literal $number:literal $text:literal,)*) => {
        $(#[doc = $text] pub const $name: Known = Known { code: $code, number: $number, text: $text };)*

        /// All errors.
        pub const ALL: &[Known] = &[$($name,)*];
    };
}

errors! {
    // Requests.
    BAD_REQUEST 400 10003 "bad request",
    // nats-server answers nothing at all to a subject that it does not know, so that its client waits in vain.
    UNKNOWN_REQUEST 404 10003 "bad request",
    INVALID_JSON 400 10025 "invalid JSON: {err}",
    NOT_EMPTY_REQUEST 400 10038 "expected an empty request payload",
    PEDANTIC 400 10157 "pedantic mode: {err}",
    REQUIRED_API_LEVEL 412 10185 "JetStream minimum api level required",
    CLUSTER_REQUIRED 503 10010 "JetStream clustering support required",
    NOT_ENABLED 503 10076 "JetStream not enabled",
    NOT_ENABLED_FOR_ACCOUNT 503 10039 "JetStream not enabled for account",
    INSUFFICIENT_RESOURCES 503 10023 "insufficient resources",
    MEMORY_RESOURCES_EXCEEDED 500 10028 "insufficient memory resources available",
    STORAGE_RESOURCES_EXCEEDED 500 10047 "insufficient storage resources available",
    MAXIMUM_STREAMS 400 10027 "maximum number of streams reached",
    MAXIMUM_CONSUMERS 400 10026 "maximum consumers limit reached",
    // Streams.
    STREAM_NOT_FOUND 404 10059 "stream not found",
    STREAM_NAME_MISMATCH 400 10056 "stream name in subject does not match request",
    STREAM_NAME_IN_USE 400 10058 "stream name already in use with a different configuration",
    STREAM_NAME_HAS_PATH_SEPARATORS 400 10128 "Stream name can not contain path separators",
    STREAM_SUBJECTS_OVERLAP 400 10065 "subjects overlap with an existing stream",
    STREAM_INVALID_CONFIG 500 10052 "{err}",
    STREAM_UPDATE 500 10069 "{err}",
    STREAM_CREATE 500 10049 "{err}",
    STREAM_GENERAL 500 10051 "{err}",
    STREAM_DELETE 500 10050 "{err}",
    STREAM_MIRROR_NOT_UPDATABLE 400 10055 "stream mirror configuration can not be updated",
    STREAM_PURGE_FAILED 500 10110 "{err}",
    STREAM_SEALED 400 10109 "invalid operation on sealed stream",
    STREAM_INFO_TOO_MANY_SUBJECTS 500 10117 "subject details would exceed maximum allowed",
    REPLICAS_NOT_SUPPORTED 500 10074 "replicas > 1 not supported in non-clustered mode",
    REPLICAS_NEGATIVE 400 10133 "replicas count cannot be negative",
    // Messages.
    NO_MESSAGE_FOUND 404 10037 "no message found",
    SEQUENCE_NOT_FOUND 400 10043 "sequence {seq} not found",
    MESSAGE_DELETE_FAILED 500 10057 "{err}",
    // Publishing.
    STREAM_NOT_MATCH 400 10060 "expected stream does not match",
    WRONG_LAST_SEQUENCE 400 10071 "wrong last sequence: {seq}",
    WRONG_LAST_MESSAGE_ID 400 10070 "wrong last msg ID: {id}",
    EXPECTED_SUBJECT_SEQUENCE_MISSING 400 10193 "missing sequence for expected last sequence per subject",
    DUPLICATE_IN_PROCESS 409 10158 "duplicate message id is in process",
    MESSAGE_TOO_LARGE 400 10054 "message size exceeds maximum allowed",
    HEADERS_TOO_LARGE 400 10097 "header size exceeds maximum allowed of 64k",
    STORE_FAILED 503 10077 "{err}",
    ROLLUP_FAILED 500 10111 "{err}",
    TTL_INVALID 400 10165 "invalid per-message TTL",
    TTL_DISABLED 400 10166 "per-message TTL is disabled",
    TOO_MANY_REQUESTS 429 10167 "too many requests",
    SCHEDULES_DISABLED 400 10188 "message schedules is disabled",
    SCHEDULE_PATTERN_INVALID 400 10189 "message schedules pattern is invalid",
    SCHEDULE_TARGET_INVALID 400 10190 "message schedules target is invalid",
    SCHEDULE_TTL_INVALID 400 10191 "message schedules invalid per-message TTL",
    SCHEDULE_ROLLUP_INVALID 400 10192 "message schedules invalid rollup",
    SCHEDULE_SOURCE_INVALID 400 10203 "message schedules source is invalid",
    COUNTERS_DISABLED 400 10168 "message counters is disabled",
    INCREMENT_INVALID 400 10171 "message counter increment is invalid",
    ATOMIC_PUBLISH_DISABLED 400 10174 "atomic publish is disabled",
    // Consumers.
    CONSUMER_NOT_FOUND 404 10014 "consumer not found",
    CONSUMER_CREATE 500 10012 "{err}",
    CONSUMER_NAME_IN_USE 400 10013 "consumer name already in use",
    CONSUMER_DURABLE_NAME_NOT_IN_SUBJECT 400 10016 "consumer expected to be durable but no durable name set in subject",
    CONSUMER_DURABLE_NAME_MISMATCH 400 10017 "consumer name in subject does not match durable name in request",
    CONSUMER_DURABLE_NAME_NOT_SET 400 10018 "consumer expected to be durable but a durable name was not set",
    CONSUMER_EPHEMERAL_WITH_DURABLE_NAME 400 10020 "consumer expected to be ephemeral but a durable name was set in request",
    CONSUMER_CONFIG_REQUIRED 400 10078 "consumer config required",
    CONSUMER_DELIVER_TO_WILDCARDS 400 10079 "consumer deliver subject has wildcards",
    CONSUMER_PUSH_MAX_WAITING 400 10080 "consumer in push mode can not set max waiting",
    CONSUMER_DELIVER_CYCLE 400 10081 "consumer deliver subject forms a cycle",
    CONSUMER_MAX_PENDING_NEEDS_ACK_POLICY 400 10082 "consumer requires ack policy for max ack pending",
    CONSUMER_SMALL_HEARTBEAT 400 10083 "consumer idle heartbeat needs to be >= 100ms",
    CONSUMER_PULL_REQUIRES_ACK 400 10084 "consumer in pull mode requires explicit ack policy on workqueue stream",
    CONSUMER_PULL_WITH_RATE_LIMIT 400 10086 "consumer in pull mode can not have rate limit set",
    CONSUMER_HEARTBEAT_REQUIRES_PUSH 400 10088 "consumer idle heartbeat requires a push based consumer",
    CONSUMER_FLOW_CONTROL_REQUIRES_PUSH 400 10089 "consumer flow control requires a push based consumer",
    CONSUMER_FILTER_NOT_SUBSET 400 10093 "consumer filter subject is not a valid subset of the interest subjects",
    CONSUMER_INVALID_POLICY 400 10094 "{err}",
    CONSUMER_INVALID_SAMPLING 400 10095 "failed to parse consumer sampling configuration: {err}",
    CONSUMER_WORK_QUEUE_REQUIRES_EXPLICIT_ACK 400 10098 "workqueue stream requires explicit ack",
    CONSUMER_WORK_QUEUE_MULTIPLE_UNFILTERED 400 10099 "multiple non-filtered consumers not allowed on workqueue stream",
    CONSUMER_WORK_QUEUE_NOT_UNIQUE 400 10100 "filtered consumer not unique on workqueue stream",
    CONSUMER_WORK_QUEUE_NOT_DELIVER_ALL 400 10101 "consumer must be deliver all on workqueue stream",
    CONSUMER_NAME_TOO_LONG 400 10102 "consumer name is too long, maximum allowed is {max}",
    CONSUMER_EXISTING_ACTIVE 400 10105 "consumer already exists and is still active",
    CONSUMER_REPLACEMENT_DIFFERS 400 10106 "consumer replacement durable config not the same",
    CONSUMER_DESCRIPTION_TOO_LONG 400 10107 "consumer description is too long, maximum allowed is {max}",
    CONSUMER_FLOW_CONTROL_NEEDS_HEARTBEATS 400 10108 "consumer with flow control also needs heartbeats",
    CONSUMER_INVALID_DELIVER_SUBJECT 400 10112 "invalid push consumer deliver subject",
    CONSUMER_MAX_EXPIRES_TOO_SMALL 400 10115 "consumer max request expires needs to be >= 1ms",
    CONSUMER_MAX_DELIVER_BACKOFF 400 10116 "max deliver is required to be > length of backoff values",
    CONSUMER_MAX_PENDING_EXCEEDED 400 10121 "consumer max ack pending exceeds system limit of {limit}",
    CONSUMER_REPLICAS_EXCEED_STREAM 400 10126 "consumer config replica count exceeds parent stream",
    CONSUMER_NAME_HAS_PATH_SEPARATORS 400 10127 "Consumer name can not contain path separators",
    CONSUMER_FILTER_MISMATCH 400 10131 "Consumer create request did not match filtered subject from create subject",
    CONSUMER_DURABLE_AND_NAME_MISMATCH 400 10132 "Consumer Durable and Name have to be equal if both are provided",
    CONSUMER_METADATA_TOO_LONG 400 10135 "consumer metadata exceeds maximum size of {limit}",
    CONSUMER_TWO_KINDS_OF_FILTERS 400 10136 "consumer cannot have both FilterSubject and FilterSubjects specified",
    CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED 400 10137 "consumer with multiple subject filters cannot use subject based API",
    CONSUMER_OVERLAPPING_FILTERS 400 10138 "consumer subject filters cannot overlap",
    CONSUMER_EMPTY_FILTER 400 10139 "consumer filter in FilterSubjects cannot be empty",
    CONSUMER_ALREADY_EXISTS 400 10148 "consumer already exists",
    CONSUMER_DOES_NOT_EXIST 400 10149 "consumer does not exist",
    CONSUMER_INACTIVE_THRESHOLD_EXCEEDED 400 10153 "consumer inactive threshold exceeds system limit of {limit}",
    CONSUMER_PRIORITY_POLICY_WITHOUT_GROUP 400 10159 "Setting PriorityPolicy requires at least one PriorityGroup to be set",
    CONSUMER_INVALID_PRIORITY_GROUP 400 10160 "Provided priority group does not exist for this consumer",
    CONSUMER_EMPTY_GROUP_NAME 400 10161 "Group name cannot be an empty string",
    CONSUMER_INVALID_GROUP_NAME 400 10162 "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters",
    CONSUMER_PUSH_WITH_PRIORITY_GROUP 400 10178 "priority groups can not be used with push consumers",
    CONSUMER_ACK_WAIT_NEGATIVE 400 10183 "consumer ack wait needs to be positive",
    CONSUMER_BACKOFF_NEGATIVE 400 10184 "consumer backoff needs to be positive",
    CONSUMER_PRIORITY_GROUP_WITHOUT_POLICY 400 10196 "consumer can not have priority groups when policy is none",
    CONSUMER_PINNED_TTL_WITHOUT_POLICY 400 10197 "PinnedTTL cannot be set when PriorityPolicy is none",
}
