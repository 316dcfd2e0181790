//! The id of a request: the client's, by `X-Request-Id` or the trace of `traceparent`, or one made here.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, both ways.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest id that a client may give.
const ID_LENGTH_MAX: usize = 128;

/// Version 00 of `traceparent`: `00-<trace>-<parent>-<flags>`.
const TRACE_LENGTH: usize = 32;
const PARENT_LENGTH: usize = 16;
const FLAGS_LENGTH: usize = 2;

thread_local! {
    /// The request that this thread works on.  A `tracing` span would cost some percent of a short request.
    static CURRENT: RefCell<Option<RequestId>> = const { RefCell::new(None) };
}

/// The id of a request in its response and in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// By the client.
    Given(Arc<str>),
    /// By this server.
    Made(u128),
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestId::Given(text) => formatter.write_str(text),
            RequestId::Made(bits) => write!(formatter, "{bits:032x}"),
        }
    }
}

impl RequestId {
    /// The client's id, or else one made of `bits`.
    pub(super) fn of(headers: &HeaderMap, bits: impl FnOnce() -> u128) -> RequestId {
        let given = headers.get(X_REQUEST_ID).and_then(|value| id_of(value.as_bytes()));
        let given = given.or_else(|| headers.get(TRACEPARENT).and_then(|value| trace_of(value.as_bytes())));
        given.map_or_else(|| RequestId::Made(bits()), |text| RequestId::Given(text.into()))
    }

    /// The value of the header that carries it.
    pub(super) fn to_header(&self) -> HeaderValue {
        let value = match self {
            RequestId::Given(text) => HeaderValue::from_str(text),
            RequestId::Made(bits) => HeaderValue::from_bytes(&hexadecimal(*bits)),
        };
        value.expect("it consists of letters, digits and signs")
    }

    /// Runs `step` so that lines logged on the way carry this id.
    pub(super) fn on_lines_of<R>(&self, step: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(Some(self.clone()));
        let result = step();
        CURRENT.set(before);
        result
    }
}

/// The id of the request that this thread works on, if it does.
pub fn current() -> Option<RequestId> {
    CURRENT.with_borrow(Clone::clone)
}

fn hexadecimal(bits: u128) -> [u8; 32] {
    let mut text = [0; 32];
    for (place, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(bits >> (124 - 4 * place)) as usize & 15];
    }
    text
}

/// An id that can be put into any log line as it is.
fn id_of(value: &[u8]) -> Option<&str> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@~".contains(byte);
    let valid = (1..=ID_LENGTH_MAX).contains(&value.len()) && value.iter().all(allowed);
    std::str::from_utf8(value).ok().filter(|_| valid)
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
        let id = RequestId::of(&headers, || 7);
        assert_eq!((id.to_string().as_str(), id.to_header().as_bytes()), (expected, expected.as_bytes()));
    }

    #[test]
    fn the_clients_id_is_kept() {
        check(&[(X_REQUEST_ID, "order-7/2026:a_b.c")], "order-7/2026:a_b.c");
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        check(&[(TRACEPARENT, &parent)], TRACE);
        check(&[(TRACEPARENT, &parent), (X_REQUEST_ID, "mine")], "mine");
    }

    #[test]
    fn a_made_id_has_all_its_digits() {
        let id = RequestId::Made(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(id.to_string(), "0123456789abcdef0011223344556677");
        assert_eq!(id.to_header(), "0123456789abcdef0011223344556677");
    }

    #[test]
    fn lines_are_of_the_request_that_is_worked_on() {
        let (outer, inner) = (RequestId::Made(1), RequestId::Given("two".into()));
        assert_eq!(current(), None);
        outer.on_lines_of(|| {
            inner.on_lines_of(|| assert_eq!(current(), Some(inner.clone())));
            assert_eq!(current(), Some(outer.clone()));
        });
        assert_eq!(current(), None);
    }

    #[test]
    fn an_invalid_id_is_replaced() {
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
