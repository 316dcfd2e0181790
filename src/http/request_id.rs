//! The id of a request: the client's, by `X-Request-Id` or the trace of `traceparent`, or one made here.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, both ways.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest id that is taken from a client.
const ID_LENGTH_MAX: usize = 128;

/// Version 00 of `traceparent`: `00-<trace>-<parent>-<flags>`.
const TRACE_LENGTH: usize = 32;
const PARENT_LENGTH: usize = 16;
const FLAGS_LENGTH: usize = 2;

/// The id that the client gave, or else one of `bits`.
pub(super) fn request_id(headers: &HeaderMap, bits: impl FnOnce() -> u128) -> HeaderValue {
    if let Some(id) = headers.get(X_REQUEST_ID).filter(|id| is_id(id.as_bytes())) {
        return id.clone();
    }
    let trace = headers.get(TRACEPARENT).and_then(|value| trace_of(value.as_bytes()));
    let id = trace.map_or_else(|| format!("{:032x}", bits()), str::to_owned);
    HeaderValue::try_from(id).expect("it consists of letters and digits")
}

/// Whether an id can be put into any log line as it is.
fn is_id(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@~".contains(byte);
    (1..=ID_LENGTH_MAX).contains(&id.len()) && id.iter().all(allowed)
}

/// The trace that a `traceparent` of this or a later version names.
fn trace_of(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('-');
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace, TRACE_LENGTH)
        && trace.bytes().any(|byte| byte != b'0')
        && is_hex(parent, PARENT_LENGTH)
        && parent.bytes().any(|byte| byte != b'0')
        && is_hex(flags, FLAGS_LENGTH);
    valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[track_caller]
    fn check(headers: &[(HeaderName, &str)], expected: &str) {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a header can carry it");
        let headers = headers.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        assert_eq!(request_id(&headers, || 7), expected);
    }

    #[test]
    fn the_clients_id_is_kept() {
        check(&[(X_REQUEST_ID, "order-7/2026:a_b.c")], "order-7/2026:a_b.c");
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        check(&[(TRACEPARENT, &parent)], TRACE);
        check(&[(TRACEPARENT, &parent), (X_REQUEST_ID, "mine")], "mine");
    }

    #[test]
    fn what_is_no_id_is_replaced() {
        let made = format!("{:032x}", 7);
        check(&[], &made);
        for id in ["", "two words", "a\"b", "caf\u{e9}", &"x".repeat(ID_LENGTH_MAX + 1)] {
            check(&[(X_REQUEST_ID, id)], &made);
        }
        for parent in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            check(&[(TRACEPARENT, parent)], &made);
        }
    }
}
