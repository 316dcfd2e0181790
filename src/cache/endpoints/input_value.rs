//! Values as clients write them: JSON in an object with options, or a body as it is.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::output_value::JSON;
use crate::clock::Now;
use crate::http::endpoint::{
    Context, JsonText, PIECE_LENGTH_MAX, Problem, TTL_SECONDS_MAX, media_type, problems,
};
use crate::store::{ContentType, INLINE_VALUE_MAX, Key, Keyspace, Lifetime};

/// The shortest one: a millisecond.
const TTL_MIN: f64 = 0.001;

/// How the text of a value stands for its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Base64 with padding, for bytes that are not UTF-8.
    Base64,
}

/// A value to be written.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "hello", "ttl": 60}))]
pub(super) struct NewValue {
    /// Any JSON.  A string is stored bare.  Other JSON is stored compactly, and comes back as the same JSON until another
    /// kind of write changes it.
    #[schema(value_type = serde_json::Value)]
    pub(super) value: JsonText,
    /// Says that the value is a string in base64.
    pub(super) encoding: Option<Encoding>,
    /// Seconds until the key expires; without it the key does not expire.
    #[schema(minimum = 0.001, maximum = 3155760000.0)]
    pub(super) ttl: Option<f64>,
    /// Write only if the key does not exist.
    #[serde(default)]
    pub(super) if_absent: bool,
}

/// A value as it is going to be kept.
pub(super) struct InputValue {
    pub(super) bytes: Bytes,
    pub(super) content_type: Option<Box<str>>,
}

impl InputValue {
    /// A value in JSON; the object that has it is at `place` in the body, which is empty or ends with a dot.
    ///
    /// # Errors
    /// If the value does not fit its encoding.
    pub(super) fn from_json(
        JsonText(text): &JsonText,
        encoding: Option<Encoding>,
        place: &str,
    ) -> Result<InputValue, Problem> {
        if !text.starts_with('"') {
            if encoding.is_some() {
                return Err(Problem::invalid(
                    format!("{place}encoding"),
                    "only for a value that is a string",
                ));
            }
            return Ok(InputValue { bytes: compact(text).into(), content_type: Some(JSON.into()) });
        }
        let string: String = serde_json::from_str(text).map_err(|error| {
            Problem::invalid(format!("{place}value"), "text in Unicode").detail(error.to_string())
        })?;
        let bytes = match encoding {
            None => string.into_bytes(),
            Some(Encoding::Base64) => STANDARD.decode(&string).map_err(|error| {
                Problem::invalid(format!("{place}value"), "base64 with padding").detail(error.to_string())
            })?,
        };
        Ok(InputValue { bytes: bytes.into(), content_type: None })
    }

    /// A body with its type.
    pub(super) fn from_body(body: &Bytes, content_type: Box<str>) -> InputValue {
        // A short body may be a part of a larger buffer, which it would keep alive.
        let is_own = body.len() > PIECE_LENGTH_MAX;
        let bytes = if is_own { body.clone() } else { Bytes::copy_from_slice(body) };
        InputValue { bytes, content_type: Some(content_type) }
    }

    /// The value itself, unless it is longer than `max-value-size`.
    ///
    /// # Errors
    /// If it is.
    pub(super) fn within(self, context: &Context) -> Result<InputValue, Problem> {
        let most = context.services().settings.current().max_value_size;
        if self.bytes.len() <= most {
            return Ok(self);
        }
        let problem =
            Problem::new(problems::TOO_LARGE).detail("the value is longer than max-value-size allows");
        Err(problem.with("allowed", format!("at most {most} bytes")))
    }

    /// Writes it under a key that was looked up before, under the same lock.
    pub(super) fn write(self, keyspace: &mut Keyspace<'_>, key: &Key<'_>, lifetime: Lifetime) {
        let access = keyspace.untraced_access();
        let shard = keyspace.shard(key);
        let content_type = self.content_type.as_deref().and_then(ContentType::new);
        if content_type.is_none() && self.bytes.len() <= INLINE_VALUE_MAX {
            shard.set(key, &self.bytes, lifetime, &access);
        } else {
            shard.set_typed(key, self.bytes, content_type, lifetime, &access);
        }
    }
}

/// JSON without the blanks between its words.  Strings and the spelling of numbers stay.
fn compact(text: &str) -> Vec<u8> {
    let mut compact = Vec::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

/// The deadline this many seconds from now; none is a key that does not expire.
///
/// # Errors
/// If the number of seconds is out of range.
pub(super) fn lifetime(ttl: Option<f64>, now: Now, field: &str) -> Result<Lifetime, Problem> {
    let Some(seconds) = ttl else { return Ok(Lifetime::Forever) };
    if !(TTL_MIN..=f64::from(TTL_SECONDS_MAX)).contains(&seconds) {
        return Err(Problem::invalid(
            field,
            format!("a number of seconds from {TTL_MIN} to {TTL_SECONDS_MAX}"),
        ));
    }
    Ok(Lifetime::Until(now.millis() + (seconds * 1000.0).round() as u64))
}

/// The meaning of a PUT's body, by its Content-Type.
pub(super) enum BodyType {
    /// An object with the value and its options: JSON, no type, or the type that `curl -d` sends.
    Object,
    /// The body is the value.
    Raw(Box<str>),
}

impl FromRequestParts<Context> for BodyType {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<BodyType, Problem> {
        let Some(value) = parts.headers.get(header::CONTENT_TYPE) else { return Ok(BodyType::Object) };
        let text = value.to_str().map_err(|_| not_a_type())?.trim();
        let essence = media_type::essence(text);
        if matches!(essence.as_str(), media_type::JSON | media_type::FORM) {
            return Ok(BodyType::Object);
        }
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_token);
        let is_type = essence.split_once('/').is_some_and(|(main, sub)| is_part(main) && is_part(sub));
        if !is_type || ContentType::new(text).is_none() {
            return Err(not_a_type());
        }
        Ok(BodyType::Raw(text.into()))
    }
}

fn not_a_type() -> Problem {
    let detail = format!(
        "Content-Type is to be application/json for an object with the value, or else any other type of up to {} \
         characters, with which the body is stored as it is",
        ContentType::LENGTH_MAX
    );
    Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail(detail)
}

/// Whether names in headers may have this character.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, bytes: &[u8], content_type: Option<&str>) {
        let stored = InputValue::from_json(&JsonText(json.trim().to_owned()), None, "")
            .unwrap_or_else(|problem| panic!("{}", problem.document()));
        assert_eq!((&*stored.bytes, stored.content_type.as_deref()), (bytes, content_type));
    }

    #[test]
    fn strings_are_bare_and_all_else_is_compact() {
        check(r#""a \"b\" \u00e9""#, "a \"b\" \u{e9}".as_bytes(), None);
        check(r#""""#, b"", None);
        check(" 12345678901234567890.00 ", b"12345678901234567890.00", Some(JSON));
        check("null", b"null", Some(JSON));
        let (spaced, expected) = (r#"{ "z" : [ 1, 2 ], "a\" \\" : " x " }"#, r#"{"z":[1,2],"a\" \\":" x "}"#);
        check(spaced, expected.as_bytes(), Some(JSON));
    }

    #[test]
    fn seconds_become_a_deadline() {
        use std::time::Duration;
        let now = Now::at(Duration::from_secs(100), Duration::ZERO);
        assert!(matches!(lifetime(None, now, "ttl"), Ok(Lifetime::Forever)));
        assert!(matches!(lifetime(Some(1.5), now, "ttl"), Ok(Lifetime::Until(101_500))));
        for refused in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e11] {
            assert!(lifetime(Some(refused), now, "ttl").is_err(), "{refused}");
        }
    }
}
