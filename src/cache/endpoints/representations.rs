//! The representations of a value, and how a request chooses one.
//!
//! Every value has a representation in JSON, an object with the key and the value.  Its bytes as they are come with the type they
//! were put with, as `application/octet-stream`, and as `text/plain` if they are UTF-8.  A value that was
//! written with its own type is sent with that type unless the client prefers another representation; any other value is JSON first.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use foldhash::quality::FixedState;
use serde::Serialize;
use std::hash::{BuildHasher, Hasher};

use super::document::{Document, SHORT};
use super::output_value::{JSON, OutputValue};
use crate::clock::Now;
use crate::http::endpoint::{Accept, Problem, problems};

const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// Headers by which a browser neither guesses another type for stored bytes nor runs them as a page of this server.
const RAW_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
];

/// Seeds of the two halves of an entity tag.  They are fixed so that a tag outlives a restart.
const TAG_SEEDS: [u64; 2] = [0x9d1f_27e3_51b6_04c8, 0x3ac5_8e60_d92b_7f14];

/// Digits of the hash, the letter of the representation, a hyphen and quotes.
const TAG_LENGTH: usize = 36;

/// Headers of a response with a value, and some to spare.
const HEADERS: usize = 12;

/// How a value is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Representation {
    /// An object with key and value.
    Json,
    /// The bytes with the type they were written with.
    Own,
    /// The bytes as text.
    Text,
    /// The bytes as such.
    Octets,
}

impl Representation {
    /// All representations.
    const ALL: [Representation; 4] =
        [Representation::Json, Representation::Own, Representation::Text, Representation::Octets];

    /// The letter by which the entity tags of a value's representations differ.
    fn letter(self) -> char {
        match self {
            Representation::Json => 'j',
            Representation::Own => 'o',
            Representation::Text => 't',
            Representation::Octets => 'b',
        }
    }

    fn content_type(self, found: &OutputValue) -> &str {
        match self {
            Representation::Json => JSON,
            Representation::Own => found.content_type.as_deref().unwrap_or(OCTETS),
            Representation::Text => TEXT,
            Representation::Octets => OCTETS,
        }
    }
}

/// The JSON representation of a value.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Entry {
    /// The key.
    key: String,
    /// Present if the key is not UTF-8 and is written in base64.
    #[schema(required = false, nullable = false)]
    key_encoding: Option<&'static str>,
    /// The value: a string, or the JSON that was written.
    value: serde_json::Value,
    /// Present if the value is not UTF-8 and is written in base64.
    #[schema(required = false, nullable = false)]
    encoding: Option<&'static str>,
}

/// Writes the members of the JSON representation of a value.
pub(super) fn write_json(document: &mut Document, key: &[u8], found: &OutputValue) {
    document.short_member("key", "key_encoding", key);
    document.text(b",");
    if found.is_json() {
        document.text(b"\"value\":");
        document.json(&found.bytes);
    } else {
        document.member("value", "encoding", &found.bytes);
    }
}

/// The JSON representation of a value.
fn json_document(key: &[u8], found: &OutputValue) -> Document {
    let mut document = Document::with_capacity(key.len() + found.bytes.len().min(SHORT) + 64);
    document.text(b"{");
    write_json(&mut document, key, found);
    document.text(b"}");
    document
}

/// The part of the entity tag that all representations of a value share.
pub(super) fn fingerprint(bytes: &[u8], content_type: Option<&str>) -> u128 {
    let half = |seed| {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        hasher.write(bytes);
        hasher.write(content_type.unwrap_or_default().as_bytes());
        hasher.write_u64(bytes.len() as u64);
        hasher.finish()
    };
    u128::from(half(TAG_SEEDS[0])) << 64 | u128::from(half(TAG_SEEDS[1]))
}

/// The entity tag of one representation of a value.
pub(super) fn tag(fingerprint: u128, representation: Representation) -> String {
    let mut tag = String::with_capacity(TAG_LENGTH);
    tag.push('"');
    for place in (0..u128::BITS).step_by(4).rev() {
        let digit = (fingerprint >> place) as u32 & 15;
        tag.push(char::from_digit(digit, 16).expect("it is below 16"));
    }
    tag.extend(['-', representation.letter(), '"']);
    tag
}

/// The entity tags of all representations of a value.
pub(super) fn tags(bytes: &[u8], content_type: Option<&str>) -> [String; 4] {
    let fingerprint = fingerprint(bytes, content_type);
    Representation::ALL.map(|representation| tag(fingerprint, representation))
}

/// The representation in which a value is sent unless the client says otherwise.
pub(super) fn first_representation(content_type: Option<&str>) -> Representation {
    if content_type.is_none_or(|content_type| content_type == JSON) {
        Representation::Json
    } else {
        Representation::Own
    }
}

/// The representation that a client likes most; the first of equal ones.
///
/// # Errors
/// If no representation is accepted.
pub(super) fn choose(accept: &Accept, found: &OutputValue) -> Result<Representation, Problem> {
    let first = first_representation(found.content_type.as_deref());
    if accept.is_any() {
        return Ok(first);
    }
    let order = match first {
        Representation::Own => {
            [Representation::Own, Representation::Json, Representation::Text, Representation::Octets]
        }
        _ => [Representation::Json, Representation::Text, Representation::Octets, Representation::Own],
    };
    let exists = |representation| match representation {
        Representation::Own => found.content_type.is_some() && !found.is_json(),
        Representation::Text => std::str::from_utf8(&found.bytes).is_ok(),
        Representation::Json | Representation::Octets => true,
    };
    let typed = order.map(|representation| (representation.content_type(found), representation));
    accept.choose(typed, exists).ok_or_else(|| {
        let own = found.content_type.as_deref().filter(|own| *own != JSON).map(|own| format!("{own}, "));
        let detail = format!("there are {}{JSON}, {TEXT} and {OCTETS}", own.unwrap_or_default());
        Problem::new(problems::NOT_ACCEPTABLE).detail(detail)
    })
}

/// The response with a value in one representation.
pub(super) fn respond(
    key: &[u8],
    found: OutputValue,
    representation: Representation,
    tag: &str,
    now: Now,
) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::CONTENT_TYPE, header_value(representation.content_type(&found)));
    headers.extend(common_headers(&found, tag, now));
    let body = match representation {
        Representation::Json => json_document(key, &found).into_body(),
        Representation::Own | Representation::Text | Representation::Octets => {
            headers.extend(RAW_HEADERS);
            Body::from(found.bytes)
        }
    };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// The headers of a response about a value, with or without the value itself.
pub(super) fn common_headers(found: &OutputValue, tag: &str, now: Now) -> [(HeaderName, HeaderValue); 3] {
    let freshness = match found.deadline {
        Some(deadline) => header_value(&format!("max-age={}", deadline.saturating_sub(now.millis()) / 1000)),
        // It may change at any time, and the tag tells whether it has.
        None => HeaderValue::from_static("no-cache"),
    };
    [
        (header::ETAG, header_value(tag)),
        (header::CACHE_CONTROL, freshness),
        (header::VARY, HeaderValue::from_static("Accept")),
    ]
}

/// A text that is known to fit into a header.
pub(super) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("content types come from headers, all else is of our making")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(
        content_type: Option<&str>,
        bytes: &'static [u8],
        accept: &str,
        expected: Option<Representation>,
    ) {
        let content_type = content_type.map(Box::from);
        let found = OutputValue { bytes: Bytes::from_static(bytes), content_type, deadline: None };
        let accept = HeaderValue::from_str(accept).expect("it is text");
        let accept = Accept::read(&HeaderMap::from_iter([(header::ACCEPT, accept)]));
        assert_eq!(choose(&accept, &found).ok(), expected);
    }

    #[test]
    fn the_most_welcome_form_is_chosen() {
        let (untyped, image) = (None, Some("image/png"));
        for accept in [
            "",
            "*/*",
            "application/json",
            "application/*",
            "text/html, */*;q=0.5",
            ",, ,*/*;a=\", text/plain\",",
        ] {
            check(untyped, b"text", accept, Some(Representation::Json));
            check(Some(JSON), b"[1]", accept, Some(Representation::Json));
        }
        check(untyped, b"text", "text/*, */*;q=0.1", Some(Representation::Text));
        check(untyped, b"\xff", "text/*, */*;q=0.1", Some(Representation::Json));
        check(untyped, b"\xff", "text/plain", None);
        check(untyped, b"text", "application/octet-stream", Some(Representation::Octets));
        check(untyped, b"text", "application/*, application/json;q=0", Some(Representation::Octets));
        check(untyped, b"text", "image/png", None);
        for accept in ["", "*/*", "image/*", "image/webp, image/PNG", "*"] {
            check(image, b"\x89PNG", accept, Some(Representation::Own));
        }
        check(image, b"\x89PNG", "application/json", Some(Representation::Json));
        check(image, b"\x89PNG", "image/png;q=0.2, application/json;q=0.3", Some(Representation::Json));
        check(image, b"\x89PNG", "text/html", None);
    }

    #[test]
    fn bytes_that_are_no_text_are_base64_in_json() {
        let representation = |key: &[u8], bytes: &'static [u8], content_type: Option<&str>| {
            let content_type = content_type.map(Box::from);
            let found = OutputValue { bytes: Bytes::from_static(bytes), content_type, deadline: None };
            json_document(key, &found).into_text()
        };
        assert_eq!(representation(b"k", b"a\"b\n", None), r#"{"key":"k","value":"a\"b\n"}"#);
        assert_eq!(representation(b"k", br#"{"a":1.0}"#, Some(JSON)), r#"{"key":"k","value":{"a":1.0}}"#);
        let binary = r#"{"key":"/w==","key_encoding":"base64","value":"AP8=","encoding":"base64"}"#;
        assert_eq!(representation(b"\xff", b"\x00\xff", Some("image/png")), binary);
    }
}
