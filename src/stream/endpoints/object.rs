//! Messages of streams as JSON objects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::delivery::{HeaderValues, headers_by_name};
use crate::stream::json::Time;
use crate::stream::message::StoredMessage;
use crate::stream::{Hole, Seen};

/// A message of a stream.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StreamMessage)]
pub(crate) struct MessageObject<'m> {
    /// Its place in its stream.
    #[schema(example = 7)]
    sequence: u64,
    /// When it was stored.
    #[schema(value_type = String, format = "date-time", example = "2026-01-02T03:04:05.123456Z")]
    time: Time,
    /// The subject that it was published on.
    #[schema(example = "orders.new")]
    subject: Cow<'m, str>,
    /// Its headers: each name has a text or a list of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    headers: Option<BTreeMap<Cow<'m, str>, HeaderValues<'m>>>,
    /// Its payload, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "hello")]
    payload: Option<&'m str>,
    /// Its payload in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl<'m> MessageObject<'m> {
    pub(crate) fn of(message: &StoredMessage<'m>) -> MessageObject<'m> {
        let payload = std::str::from_utf8(message.payload).ok();
        MessageObject {
            sequence: message.sequence,
            time: Time::from_nanoseconds(message.time),
            subject: String::from_utf8_lossy(message.subject),
            headers: headers_by_name(message.headers),
            payload,
            base64: payload.is_none().then(|| STANDARD.encode(message.payload)),
        }
    }
}

/// A gap: messages that a reader does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = StreamGap)]
pub(crate) struct Gap {
    /// Why: `removed` by a limit, a purge, an acknowledgement or a later message; `unreadable` on the disk; `another-epoch`,
    /// `beyond-the-end` and `unknown-id` of a Last-Event-ID that does not belong to this stream.
    pub(super) reason: &'static str,
    /// The first sequence that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    pub(super) from: Option<u64>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 5)]
    pub(super) to: Option<u64>,
    /// How many messages are missing; if only some subjects are read, at most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    pub(super) missed: Option<u64>,
}

impl Gap {
    /// All messages of another stream, or of none.
    pub(super) fn of_id(reason: &'static str) -> Gap {
        Gap { reason, from: None, to: None, missed: None }
    }

    pub(super) fn of(hole: Hole) -> Gap {
        let Hole { from, to, removed } = hole;
        Gap { reason: "removed", from: Some(from), to: Some(to), missed: Some(removed) }
    }

    pub(super) fn unreadable(sequence: u64) -> Gap {
        Gap { reason: "unreadable", from: Some(sequence), to: Some(sequence), missed: Some(1) }
    }

    /// The gap that a follower comes to, if it is one.
    pub(crate) fn seen(seen: Seen<'_>) -> Result<Gap, StoredMessage<'_>> {
        match seen {
            Seen::Message(message) => Err(*message),
            Seen::Hole(hole) => Ok(Gap::of(hole)),
            Seen::Unreadable(sequence) => Ok(Gap::unreadable(sequence)),
        }
    }
}

/// A value as the text of its JSON.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it holds nothing that JSON cannot say")
}
