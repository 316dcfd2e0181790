//! Replies as values that are written as JSON, with the members that strict clients insist on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Serialize, Serializer};

use super::error::ApiError;
use super::request::API_LEVEL;
use super::subjects::Row;
use crate::stream::definition::{ConsumerDefinition, StreamDefinition};
use crate::stream::json::{Nanoseconds, Time};

/// How many names a reply lists.
pub const NAMES_MAX: usize = 1_024;

/// How many streams or consumers a reply describes.
pub const LIST_MAX: usize = 256;

/// How many subjects a reply counts the messages of.
pub const SUBJECTS_MAX: usize = 100_000;

/// How many sequences of removed messages a reply lists, so that it fits into a message of a mebibyte.
pub const DELETED_MAX: usize = 40_000;

/// The reply of a row with these members.
pub fn reply<B: Serialize>(row: &Row, body: &B) -> Vec<u8> {
    #[derive(Serialize)]
    struct Typed<'b, B> {
        r#type: String,
        #[serde(flatten)]
        body: &'b B,
    }

    // Values in memory are always written.
    serde_json::to_vec(&Typed { r#type: type_of(row), body }).unwrap_or_default()
}

/// The reply of a row that says what is wrong.
pub fn refusal(row: &Row, error: &ApiError) -> Vec<u8> {
    let error = serde_json::to_string(error).unwrap_or_default();
    format!(r#"{{"type":"{}","error":{error}{}}}"#, type_of(row), row.beside_error).into_bytes()
}

fn type_of(row: &Row) -> String {
    format!("io.nats.jetstream.api.v1.{}_response", row.reply)
}

/// A page of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// How many there are.
    pub total: usize,
    /// How many were left out before.
    pub offset: usize,
    /// How many a reply has at most.
    pub limit: usize,
}

impl Page {
    /// The page of a list of `total` from `offset` on, and the part of the list on it.
    pub fn of(total: usize, offset: usize, limit: usize) -> (Page, std::ops::Range<usize>) {
        let offset = offset.min(total);
        (Page { total, offset, limit }, offset..total.min(offset.saturating_add(limit)))
    }
}

/// `INFO`.
#[derive(Debug, Default, Serialize)]
pub struct AccountInfo {
    /// Bytes of messages in memory.
    pub memory: u64,
    /// Bytes of messages on the disk.
    pub storage: u64,
    /// Bytes in memory that streams have reserved.
    pub reserved_memory: u64,
    /// Bytes on the disk that streams have reserved.
    pub reserved_storage: u64,
    /// How many streams there are.
    pub streams: usize,
    /// How many consumers there are.
    pub consumers: usize,
    /// What is allowed.
    pub limits: AccountLimits,
    /// What was asked for.
    pub api: ApiStatistics,
}

/// What is allowed; -1 is anything.
#[derive(Debug, Serialize)]
pub struct AccountLimits {
    /// Bytes in memory.
    pub max_memory: i64,
    /// Bytes on the disk.
    pub max_storage: i64,
    /// Streams.
    pub max_streams: i64,
    /// Consumers.
    pub max_consumers: i64,
    /// Messages of a consumer that wait for their acknowledgement.
    pub max_ack_pending: i64,
    /// Bytes of a stream in memory.
    pub memory_max_stream_bytes: i64,
    /// Bytes of a stream on the disk.
    pub storage_max_stream_bytes: i64,
    /// Whether a stream must say how many bytes it needs.
    pub max_bytes_required: bool,
}

impl Default for AccountLimits {
    fn default() -> Self {
        AccountLimits {
            max_memory: -1,
            max_storage: -1,
            max_streams: -1,
            max_consumers: -1,
            max_ack_pending: -1,
            memory_max_stream_bytes: -1,
            storage_max_stream_bytes: -1,
            max_bytes_required: false,
        }
    }
}

/// How often the API was asked.
#[derive(Debug, Serialize)]
pub struct ApiStatistics {
    /// The level of the API.
    pub level: u32,
    /// All requests.
    pub total: u64,
    /// Those that were refused.
    pub errors: u64,
}

impl Default for ApiStatistics {
    fn default() -> Self {
        ApiStatistics { level: API_LEVEL, total: 0, errors: 0 }
    }
}

/// What a stream is and has.
#[derive(Debug, Serialize)]
pub struct StreamInfo<'s> {
    /// What it is.
    pub config: &'s StreamDefinition,
    /// When it was created.
    pub created: Time,
    /// What it has.
    pub state: &'s StreamState,
    /// When this was found out.
    pub ts: Time,
}

/// What a stream has.
#[derive(Debug, Serialize)]
pub struct StreamState {
    /// How many messages.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The sequence of the first message, or one more than the last if there is none any more.
    pub first_seq: u64,
    /// When the first message was stored.
    pub first_ts: Time,
    /// The sequence of the last message.
    pub last_seq: u64,
    /// When the last message was stored.
    pub last_ts: Time,
    /// How many subjects its messages have.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_subjects: usize,
    /// How many messages some subjects have, if that was asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subjects: BTreeMap<String, u64>,
    /// How many messages between the first and the last are gone.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_deleted: usize,
    /// Which, if that was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<u64>,
    /// How many consumers.
    pub consumer_count: usize,
}

impl Default for StreamState {
    fn default() -> Self {
        StreamState {
            messages: 0,
            bytes: 0,
            first_seq: 0,
            first_ts: Time::ZERO,
            last_seq: 0,
            last_ts: Time::ZERO,
            num_subjects: 0,
            subjects: BTreeMap::new(),
            num_deleted: 0,
            deleted: Vec::new(),
            consumer_count: 0,
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_none(duration: &Nanoseconds) -> bool {
    *duration == Nanoseconds::ZERO
}

/// `STREAM.CREATE`.
#[derive(Debug, Serialize)]
pub struct StreamCreated<'s> {
    /// What the stream is and has.
    #[serde(flatten)]
    pub info: StreamInfo<'s>,
    /// Also said of a stream that was there already.
    pub did_create: bool,
}

/// `STREAM.INFO`; `STREAM.UPDATE` is answered with [`StreamInfo`] alone.
#[derive(Debug, Serialize)]
pub struct StreamDescribed<'s> {
    /// The subjects that were counted; zeros if none were asked for.
    #[serde(flatten)]
    pub page: Page,
    /// What the stream is and has.
    #[serde(flatten)]
    pub info: StreamInfo<'s>,
}

/// `STREAM.NAMES`.
#[derive(Debug, Serialize)]
pub struct StreamNames<'s> {
    /// Which of the names these are.
    #[serde(flatten)]
    pub page: Page,
    /// The names; clients of nats-server know `null` for none.
    #[serde(serialize_with = "null_if_empty")]
    pub streams: Vec<&'s str>,
}

fn null_if_empty<S: Serializer>(names: &[&str], serializer: S) -> Result<S::Ok, S::Error> {
    if names.is_empty() { serializer.serialize_none() } else { names.serialize(serializer) }
}

/// `STREAM.LIST`.
#[derive(Debug, Serialize)]
pub struct StreamList<'s> {
    /// Which of the streams these are.
    #[serde(flatten)]
    pub page: Page,
    /// The streams.
    pub streams: Vec<StreamInfo<'s>>,
}

/// `STREAM.DELETE`, `STREAM.MSG.DELETE` and `CONSUMER.DELETE`.
#[derive(Debug, Serialize)]
pub struct Done {
    /// That it was done.
    pub success: bool,
}

/// `STREAM.PURGE`.
#[derive(Debug, Serialize)]
pub struct Purged {
    /// That it was done.
    pub success: bool,
    /// How many messages are gone.
    pub purged: u64,
}

/// `STREAM.MSG.GET`.
#[derive(Debug, Serialize)]
pub struct MessageGot<'m> {
    /// The message.
    pub message: MessageBody<'m>,
}

/// A message in JSON.
#[derive(Debug, Serialize)]
pub struct MessageBody<'m> {
    /// Its subject.
    pub subject: &'m str,
    /// Its sequence.
    pub seq: u64,
    /// Its block of headers.
    #[serde(skip_serializing_if = "<[u8]>::is_empty", serialize_with = "base64")]
    pub hdrs: &'m [u8],
    /// Its payload.
    #[serde(skip_serializing_if = "<[u8]>::is_empty", serialize_with = "base64")]
    pub data: &'m [u8],
    /// When it was stored.
    pub time: Time,
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

/// A place in a consumer and in its stream.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SequencePair {
    /// How many messages the consumer has sent.
    pub consumer_seq: u64,
    /// The sequence of the last of them.
    pub stream_seq: u64,
    /// When that happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Time>,
}

/// What a consumer is and has.  `CONSUMER.CREATE` and `CONSUMER.INFO`.
#[derive(Debug, Serialize)]
pub struct ConsumerInfo<'c> {
    /// Its stream.
    pub stream_name: &'c str,
    /// Its name.
    pub name: &'c str,
    /// When it was created.
    pub created: Time,
    /// What it is.
    pub config: &'c ConsumerDefinition,
    /// How far it has sent.
    pub delivered: SequencePair,
    /// Up to where all is acknowledged.
    pub ack_floor: SequencePair,
    /// How many messages wait for their acknowledgement.
    pub num_ack_pending: usize,
    /// How many of them were sent more than once.
    pub num_redelivered: usize,
    /// How many pulls wait.
    pub num_waiting: usize,
    /// How many messages are still to be sent.
    pub num_pending: u64,
    /// Whether somebody subscribes to what it sends.
    #[serde(skip_serializing_if = "is_false")]
    pub push_bound: bool,
    /// Whether it is paused.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// For how long.
    #[serde(skip_serializing_if = "is_none", serialize_with = "nanoseconds")]
    pub pause_remaining: Nanoseconds,
    /// When this was found out.
    pub ts: Time,
    /// Its priority groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority_groups: Vec<PriorityGroup>,
}

fn nanoseconds<S: Serializer>(duration: &Nanoseconds, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(duration.0)
}

/// A priority group and the client that has it.
#[derive(Debug, Serialize)]
pub struct PriorityGroup {
    /// Its name.
    pub group: String,
    /// The pin of the client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pinned_client_id: String,
    /// Since when the client has it.
    pub pinned_ts: Time,
}

/// `CONSUMER.NAMES`.
#[derive(Debug, Serialize)]
pub struct ConsumerNames<'c> {
    /// Which of the names these are.
    #[serde(flatten)]
    pub page: Page,
    /// The names.
    pub consumers: Vec<&'c str>,
}

/// `CONSUMER.LIST`.
#[derive(Debug, Serialize)]
pub struct ConsumerList<'c> {
    /// Which of the consumers these are.
    #[serde(flatten)]
    pub page: Page,
    /// The consumers.
    pub consumers: Vec<ConsumerInfo<'c>>,
}

/// `CONSUMER.PAUSE`.
#[derive(Debug, Serialize)]
pub struct Paused {
    /// Whether it is paused.
    pub paused: bool,
    /// Until when.
    pub pause_until: Time,
    /// For how long.
    #[serde(skip_serializing_if = "is_none", serialize_with = "nanoseconds")]
    pub pause_remaining: Nanoseconds,
}

/// `CONSUMER.UNPIN`: nothing but its type.
#[derive(Debug, Serialize)]
pub struct Unpinned {}

/// The acknowledgement of a stored message, as nats-server writes it.
pub fn publish_acknowledgement(stream: &str, sequence: u64, is_duplicate: bool) -> Vec<u8> {
    let mut text = acknowledgement_begin(stream);
    text.push_str(&sequence.to_string());
    text.push_str(acknowledgement_end(is_duplicate));
    text.into_bytes()
}

/// The text before the sequence in all acknowledgements of a stream.
pub fn acknowledgement_begin(stream: &str) -> String {
    format!(r#"{{"stream":{},"seq":"#, json_text(stream))
}

/// The text after the sequence.
pub fn acknowledgement_end(is_duplicate: bool) -> &'static str {
    if is_duplicate { r#","duplicate": true}"# } else { "}" }
}

/// The answer to a publisher whose message is refused.
pub fn publish_refusal(stream: &str, error: &ApiError) -> Vec<u8> {
    let mut text = r#"{"error":"#.to_owned();
    text.push_str(&serde_json::to_string(error).unwrap_or_default());
    // Writing into a text cannot fail.
    let _ = write!(text, r#","stream":{},"seq":0}}"#, json_text(stream));
    text.into_bytes()
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
