//! Lifetimes in streams that leave markers: no message lives shorter than the marker of its subject would.
//!
//! Else a marker could outlast a message that was stored behind it.  As with nats-server, whole seconds are compared, the stored
//! message says its new lifetime, and a stream with one message per subject, where nothing older is left, raises none.

use super::Lifetime;
use crate::stream::definition::StreamDefinition;
use crate::stream::header_names;
use crate::stream::json::Nanoseconds;

const SECOND: i64 = 1_000_000_000;

/// The lifetime of a message that asks for a shorter one, and the headers that say so; none if it may live as it asks.
pub fn raised(
    stream: &StreamDefinition,
    lifetime: Option<Lifetime>,
    headers: &[u8],
) -> Option<(Lifetime, Vec<u8>)> {
    let Some(Lifetime::For(Nanoseconds(asked))) = lifetime else { return None };
    let least = stream.subject_delete_marker_ttl.0 / SECOND;
    if asked / SECOND >= least || stream.max_messages_per_subject == 1 {
        return None;
    }
    let raised = Lifetime::For(Nanoseconds::from_secs(least));
    Some((raised, with_lifetime(headers, least)))
}

/// A block of headers with another lifetime, which stands at its end.
fn with_lifetime(headers: &[u8], seconds: i64) -> Vec<u8> {
    let is_lifetime = |line: &[u8]| {
        let name = line.strip_prefix(header_names::LIFETIME.as_bytes());
        name.is_some_and(|rest| rest.starts_with(b":"))
    };
    let mut block = Vec::with_capacity(headers.len() + header_names::LIFETIME.len());
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        if !is_lifetime(line) && line != b"\r\n" {
            block.extend_from_slice(line);
        }
    }
    block.extend_from_slice(format!("{}: {seconds}\r\n\r\n", header_names::LIFETIME).as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_reach_over_those_of_markers() {
        let mut stream = StreamDefinition::default();
        stream.subject_delete_marker_ttl = Nanoseconds(60_500_000_000);
        let of = |nanoseconds| Some(Lifetime::For(Nanoseconds(nanoseconds)));
        let block = b"NATS/1.0\r\nA: b\r\nNats-TTL: 5\r\nNats-TTLs: 7\r\n\r\n";
        let (lifetime, headers) = raised(&stream, of(5 * SECOND), block).expect("it is too short");
        assert_eq!(Some(lifetime), of(60 * SECOND));
        assert_eq!(headers, b"NATS/1.0\r\nA: b\r\nNats-TTLs: 7\r\nNats-TTL: 60\r\n\r\n");
        assert!(raised(&stream, of(60 * SECOND - 1), block).is_some());
        for long_enough in [of(60 * SECOND), of(90 * SECOND), Some(Lifetime::Never), None] {
            assert_eq!(raised(&stream, long_enough, block), None);
        }
        stream.max_messages_per_subject = 1;
        assert_eq!(raised(&stream, of(5 * SECOND), block), None);
        stream = StreamDefinition::default();
        assert_eq!(raised(&stream, of(SECOND), block), None);
    }
}
