//! Which headers of HTTP are headers of messages, both ways.
//!
//! Those of the broker (`Nats-*`), of applications (`X-*`), of events (`ce-*`, CloudEvents), the media type and the headers
//! of tracing pass.  All others concern the request or the connection.  HTTP does not keep the case of names, and messages
//! do: here a name is spelled as clients of NATS look for it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use quartet_protocol::broker::headers::{HeaderBlock, Headers};

use super::publish::IDEMPOTENCY_KEY;
use crate::http::endpoint::media_type;
use crate::stream::header_names::MESSAGE_ID;

/// The prefixes of names that pass.  Words of the first two begin with capitals: `Nats-Msg-Id`.
const CAPITALISED: [&str; 2] = ["nats-", "x-"];
/// CloudEvents spells its names in lower case wherever they stand.
const CLOUD_EVENTS: &str = "ce-";

/// Further names that pass.  W3C spells those of tracing in lower case.
const NAMES: [(&str, &str); 4] = [
    ("content-type", "Content-Type"),
    ("traceparent", "traceparent"),
    ("tracestate", "tracestate"),
    ("baggage", "baggage"),
];

/// Prefixes of names that do not pass although they begin with `X-`: they are said by proxies, or tell proxies what to do.
const OF_PROXIES: [&str; 6] =
    ["x-forwarded-", "x-original-", "x-real-", "x-accel-", "x-sendfile", "x-lighttpd-"];

/// Words that are no words but abbreviations.
const ABBREVIATIONS: [&str; 1] = ["ttl"];

/// Headers of an answer that a response has at most, and their bytes; more are left out.
const RESPONSE_HEADERS_MAX: usize = 100;
const RESPONSE_HEADER_BYTES_MAX: usize = 16 * 1024;

/// The name under which a header of HTTP stands in a message, if it does.
fn spelled(name: &HeaderName) -> Option<String> {
    let name = name.as_str();
    if OF_PROXIES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    if let Some((_, spelled)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((*spelled).to_owned());
    }
    if name.starts_with(CLOUD_EVENTS) {
        return Some(name.to_owned());
    }
    CAPITALISED.iter().any(|prefix| name.starts_with(prefix)).then(|| {
        let words: Vec<String> = name.split('-').map(capitalised).collect();
        words.join("-")
    })
}

fn capitalised(word: &str) -> String {
    if ABBREVIATIONS.contains(&word) {
        return word.to_ascii_uppercase();
    }
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        let mut text = String::from(first.to_ascii_uppercase());
        text.push_str(letters.as_str());
        text
    })
}

/// The header block of a message that comes with these headers; empty if none passes.
pub(super) fn block_of(headers: &HeaderMap) -> Vec<u8> {
    // `curl -d` says it of any body.
    let is_form = media_type::content_type(headers).is_some_and(|essence| essence == media_type::FORM);
    let mut block = HeaderBlock::new();
    for (name, value) in headers {
        let is_meant = !(is_form && name == header::CONTENT_TYPE);
        let Some(spelled) = spelled(name).filter(|_| is_meant) else { continue };
        block.push(spelled.as_bytes(), value.as_bytes()).expect("headers of HTTP have no line ends");
    }
    if let (Some(key), None) = (headers.get(IDEMPOTENCY_KEY), headers.get(MESSAGE_ID)) {
        block.push(MESSAGE_ID.as_bytes(), key.as_bytes()).expect("headers of HTTP have no line ends");
    }
    if block.is_empty() { Vec::new() } else { block.finish() }
}

/// The headers of a response that has this message as its content.
pub(crate) fn headers_of(block: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut room = RESPONSE_HEADER_BYTES_MAX;
    for (name, value) in Headers::new(block).into_iter().flat_map(|block| block.iter()) {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            continue;
        };
        let bytes = name.as_str().len() + value.len();
        if spelled(&name).is_none() || bytes > room || headers.len() == RESPONSE_HEADERS_MAX {
            continue;
        }
        room -= bytes;
        if name == header::CONTENT_TYPE {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    headers
}
