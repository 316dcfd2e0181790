//! Headers that one message takes over from another.

use quartet_protocol::broker::headers::{HeaderBlock, Headers};

use crate::stream::header_names;

/// The beginnings of header names by which a publisher says what it expects, when to publish the message, or with which others.
const REQUEST_PREFIXES: [&[u8]; 3] = [b"Nats-Expected-", b"Nats-Schedule", b"Nats-Batch-"];

/// Other headers by which a publisher asks the stream for something.
const REQUESTS: [&str; 6] = [
    header_names::MESSAGE_ID,
    header_names::LIFETIME,
    header_names::ROLLUP,
    header_names::DELAY,
    // A message from a time when it was not refused yet may have it.
    header_names::INCREMENT,
    header_names::REQUIRED_API_LEVEL,
];

/// The headers of a block that ask nothing of a stream, without those named in `except`.
pub(super) fn without_requests(block: &[u8], except: &[&str]) -> HeaderBlock {
    let mut taken = HeaderBlock::new();
    let Some(headers) = Headers::new(block) else { return taken };
    for (name, value) in headers.iter() {
        let is_in = |list: &[&str]| list.iter().any(|listed| listed.as_bytes() == name);
        let is_request = is_in(&REQUESTS) || REQUEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if !is_request && !is_in(except) {
            // A header that cannot be written into a block is left out.
            let _ = taken.push(name, value);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::ingest::Wishes;

    #[test]
    fn what_asks_something_of_a_stream_is_left_out() {
        let block = b"NATS/1.0\r\nNats-Msg-Id: 7\r\nColour: red\r\nNats-Expected-Last-Sequence: 3\r\nNats-Schedule-Target: a\r\nNats-Stream: S\r\nNats-TTL: 5s\r\n\r\n";
        let taken = without_requests(block, &["Nats-Stream"]).finish();
        assert_eq!(taken, b"NATS/1.0\r\nColour: red\r\n\r\n");
        assert!(without_requests(b"", &[]).is_empty());
        for name in Wishes::header_names() {
            let block = format!("NATS/1.0\r\n{name}: 1\r\n\r\n");
            assert!(without_requests(block.as_bytes(), &[]).is_empty(), "{name}");
        }
    }
}
