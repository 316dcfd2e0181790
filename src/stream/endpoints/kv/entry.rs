//! Entries of keys: values, and markers of values that were deleted.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quartet_protocol::broker::headers::Headers;
use serde::Serialize;

use crate::stream::header_names;
use crate::stream::json::Time;
use crate::stream::message::StoredMessage;

/// What an entry does to its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyOperation)]
pub(super) enum Operation {
    /// The key has this value.
    Put,
    /// The key was deleted; its history stays.
    Delete,
    /// The key was deleted with its history.
    Purge,
}

impl Operation {
    /// What the headers of a message say.
    pub(super) fn of(headers: &[u8]) -> Operation {
        let Some(headers) = Headers::new(headers) else { return Operation::Put };
        let get = |name: &str| headers.get(name.as_bytes());
        // The server itself leaves markers where a value was.
        match (get(header_names::KEY_OPERATION), get(header_names::MARKER_REASON)) {
            (Some(b"DEL"), _) => Operation::Delete,
            (Some(b"PURGE"), _) => Operation::Purge,
            (_, Some(_)) => Operation::Delete,
            _ => Operation::Put,
        }
    }

    /// The word of the header; none for a value.
    pub(super) fn word(self) -> Option<&'static [u8]> {
        match self {
            Operation::Put => None,
            Operation::Delete => Some(b"DEL"),
            Operation::Purge => Some(b"PURGE"),
        }
    }
}

/// An entry of a key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = KeyEntry)]
pub(super) struct Entry<'m> {
    /// The key.
    #[schema(example = "colour")]
    key: Cow<'m, str>,
    /// Its revision, which rises with each entry of the bucket.
    #[schema(example = 7)]
    revision: u64,
    /// When it was made.
    #[schema(value_type = String, format = "date-time", example = "2026-01-02T03:04:05.123456Z")]
    time: Time,
    operation: Operation,
    /// The value, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "blue", required = false, nullable = false)]
    value: Option<&'m str>,
    /// The value in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    base64: Option<String>,
}

impl<'m> Entry<'m> {
    /// The entry of a message, whose subject has so many bytes before the key.
    pub(super) fn of(message: &StoredMessage<'m>, prefix: usize) -> Entry<'m> {
        let operation = Operation::of(message.headers);
        let payload = Some(message.payload).filter(|_| operation == Operation::Put);
        let value = payload.and_then(|payload| std::str::from_utf8(payload).ok());
        Entry {
            key: String::from_utf8_lossy(message.subject.get(prefix..).unwrap_or_default()),
            revision: message.sequence,
            time: Time::from_nanoseconds(message.time),
            operation,
            base64: payload.filter(|_| value.is_none()).map(|payload| STANDARD.encode(payload)),
            value,
        }
    }
}
