//! What a client says: a JSON object with the field `op`, and fields that depend on it.
//!
//! People type these objects, so a field that is not needed may be missing, an id may be a number, and a payload may be any
//! JSON.  A field with a wrong name is an error all the same: it would be a wish that is not heard.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{ErrorCode, Failure};
use crate::broker::header_values::{HeadersByName, block_of};
use crate::settings::SlowConsumer;

/// Bytes of an id.
const ID_LENGTH_MAX: usize = 256;

/// The fields of all operations.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Request<'r> {
    #[serde(borrow)]
    pub(super) op: Option<Cow<'r, str>>,
    id: Option<Id>,
    #[serde(borrow)]
    pub(super) subject: Option<Cow<'r, str>>,
    #[serde(borrow)]
    pub(super) group: Option<Cow<'r, str>>,
    #[serde(borrow)]
    pub(super) reply: Option<Cow<'r, str>>,
    #[serde(borrow)]
    payload: Option<&'r RawValue>,
    #[serde(borrow)]
    json: Option<&'r RawValue>,
    base64: Option<String>,
    headers: HeadersByName,
    /// The stream that is to be followed.
    #[serde(borrow)]
    pub(super) stream: Option<Cow<'r, str>>,
    /// Where a stream is followed from: a sequence, or a text.
    from: Option<Id>,
    /// Which stream of its name the client has followed before.
    pub(super) epoch: Option<String>,
    /// Whether a publication is to be acknowledged.
    pub(super) ack: bool,
    /// Messages after which a subscription ends.
    pub(super) max: Option<u64>,
    /// Milliseconds to wait for an answer.
    pub(super) timeout_ms: Option<u64>,
    slow_consumer: Option<String>,
    /// Whether the client gets its own messages too.
    pub(super) echo: Option<bool>,
    pub(super) user: Option<String>,
    #[serde(alias = "password")]
    pub(super) pass: Option<String>,
    #[serde(alias = "auth_token")]
    pub(super) token: Option<String>,
    /// A name for the lists of clients.
    pub(super) name: Option<String>,
}

/// An id as it may be spelled.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::InvalidField, message)
}

impl<'r> Request<'r> {
    /// Reads an object.
    ///
    /// # Errors
    /// With what is wrong, and where.
    pub(super) fn parse(json: &'r [u8]) -> Result<Request<'r>, Failure> {
        let failure = |error: &dyn std::fmt::Display| {
            let example = r#"a frame holds an object such as {"op":"subscribe","subject":"news.*"}"#;
            Failure::new(ErrorCode::InvalidRequest, format!("{error}; {example}"))
        };
        // An array could be read as the fields in their order.
        if json.trim_ascii_start().starts_with(b"[") {
            return Err(failure(&"invalid type: an array"));
        }
        serde_json::from_slice(json).map_err(|error| failure(&error))
    }

    /// The id, which is text from here on; none if there is none.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub(super) fn take_id(&mut self) -> Result<Option<String>, Failure> {
        let id = match self.id.take() {
            None => return Ok(None),
            Some(Id::Number(number)) => number.to_string(),
            Some(Id::Text(text)) => text,
        };
        if id.is_empty() || id.len() > ID_LENGTH_MAX {
            return Err(invalid(format!("id: a number or a text of 1 to {ID_LENGTH_MAX} bytes")));
        }
        Ok(Some(id))
    }

    /// Where a stream is to be followed from.
    pub(super) fn from(&self) -> Option<String> {
        match self.from.as_ref()? {
            Id::Number(number) => Some(number.to_string()),
            Id::Text(text) => Some(text.clone()),
        }
    }

    /// The subject, which must be there.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn needed_subject(&self) -> Result<&str, Failure> {
        self.subject.as_deref().ok_or_else(|| invalid("subject: a subject; it must be there"))
    }

    /// The payload: the text of `payload`, or any other JSON as it is spelled there; the JSON of `json`; the bytes of `base64`;
    /// or nothing.
    ///
    /// # Errors
    /// If there are several, or it is not valid.
    pub(super) fn payload(&self) -> Result<Cow<'_, [u8]>, Failure> {
        let text = |error: serde_json::Error| invalid(format!("payload: {error}"));
        match (self.payload, self.json, &self.base64) {
            (None, None, None) => Ok(Cow::Borrowed(b"")),
            (Some(raw), None, None) if raw.get().starts_with('"') => {
                let text: String = serde_json::from_str(raw.get()).map_err(text)?;
                Ok(Cow::Owned(text.into_bytes()))
            }
            (Some(raw), None, None) | (None, Some(raw), None) => Ok(Cow::Borrowed(raw.get().as_bytes())),
            (None, None, Some(base64)) => {
                let decoded = STANDARD.decode(base64);
                decoded.map(Cow::Owned).map_err(|error| invalid(format!("base64: with padding; {error}")))
            }
            _ => Err(invalid("payload: only one of payload, json and base64")),
        }
    }

    /// The headers as a block; empty for none.
    ///
    /// # Errors
    /// If a name or a value cannot stand in a header.
    pub(super) fn header_block(&self) -> Result<Vec<u8>, Failure> {
        block_of(&self.headers).map_err(|(field, error)| invalid(format!("{field}: {error}")))
    }

    /// The policy for a subscription that is read too slowly.
    ///
    /// # Errors
    /// If it is unknown.
    pub(super) fn slow_consumer(&self) -> Result<Option<SlowConsumer>, Failure> {
        let Some(word) = &self.slow_consumer else { return Ok(None) };
        let found = SlowConsumer::ALL.iter().copied().find(|policy| policy.word() == word);
        found.map(Some).ok_or_else(|| {
            let words: Vec<&str> = SlowConsumer::ALL.iter().map(|policy| policy.word()).collect();
            invalid(format!("slow_consumer: one of {}", words.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn payload(json: &str) -> Result<Vec<u8>, String> {
        let request = Request::parse(json.as_bytes()).map_err(|failure| failure.message)?;
        request.payload().map(Cow::into_owned).map_err(|failure| failure.message)
    }

    #[test]
    fn payloads_are_spelled_in_several_ways() {
        for (json, expected) in [
            (r#"{"op":"publish"}"#, &b""[..]),
            (r#"{"payload":"a \"b\" \u00e9"}"#, "a \"b\" \u{e9}".as_bytes()),
            (r#"{"payload":{"b":1, "a":[]}}"#, br#"{"b":1, "a":[]}"#),
            (r#"{"payload":17}"#, b"17"),
            (r#"{"json":"text"}"#, br#""text""#),
            (r#"{"json":{"a":1.50}}"#, br#"{"a":1.50}"#),
            (r#"{"base64":"AP8="}"#, b"\0\xff"),
        ] {
            assert_eq!(payload(json).as_deref(), Ok(expected), "{json}");
        }
        for (json, error) in [
            (r#"{"payload":"a","json":1}"#, "payload: only one of payload, json and base64"),
            (r#"{"base64":"AP8"}"#, "base64: with padding"),
        ] {
            assert!(payload(json).is_err_and(|message| message.starts_with(error)), "{json}");
        }
    }

    #[test]
    fn a_wrong_name_is_told() {
        let failure = Request::parse(br#"{"op":"subscribe","subjct":"news"}"#).err().expect("it is wrong");
        assert_eq!(failure.code, ErrorCode::InvalidRequest);
        assert!(
            failure.message.starts_with("unknown field `subjct`, expected one of "),
            "{}",
            failure.message
        );
        for wrong in ["", "news", "[]", "{\"op\":7}", "{\"op\":\"ping\"} {}", "{\"id\":-1}"] {
            assert!(Request::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_text() {
        let id = |json: &str| {
            let request = Request::parse(json.as_bytes());
            request.and_then(|mut request| request.take_id()).map_err(|failure| failure.code)
        };
        assert_eq!(id("{}"), Ok(None));
        assert_eq!(id(r#"{"id":7}"#), Ok(Some("7".to_owned())));
        assert_eq!(id(r#"{"id":"a b"}"#), Ok(Some("a b".to_owned())));
        for length in [0, 257] {
            let json = format!(r#"{{"id":"{}"}}"#, "x".repeat(length));
            assert_eq!(id(&json), Err(ErrorCode::InvalidField), "{length}");
        }
    }

    #[test]
    fn headers_have_one_value_or_several() {
        let block = |json: &str| {
            let request = Request::parse(json.as_bytes());
            let block = request.and_then(|request| request.header_block());
            block.map(|block| String::from_utf8_lossy(&block).into_owned()).map_err(|failure| failure.message)
        };
        assert_eq!(block(r#"{"headers":{}}"#).as_deref(), Ok(""));
        let several = block(r#"{"headers":{"b":"1","a":["2","3"]}}"#);
        assert_eq!(several.as_deref(), Ok("NATS/1.0\r\na: 2\r\na: 3\r\nb: 1\r\n\r\n"));
        let wrong = block(r#"{"headers":{"a":"1\r\nb: 2"}}"#);
        assert!(wrong.is_err_and(|message| message.starts_with("headers.a: ")));
    }
}
