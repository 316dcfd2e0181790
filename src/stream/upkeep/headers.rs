//! Headers that one message takes over from another.

use std::fmt::Write as _;

use quartet_protocol::broker::headers::{HeaderBlock, Headers};

use crate::stream::json::Nanoseconds;

/// The beginnings of header names by which a publisher says what it expects, or when to publish the message.
const REQUEST_PREFIXES: [&[u8]; 2] = [b"Nats-Expected-", b"Nats-Schedule"];

/// Other headers by which a publisher asks the stream for something.
const REQUESTS: [&[u8]; 5] =
    [b"Nats-Msg-Id", b"Nats-TTL", b"Nats-Rollup", b"Nats-Delay", b"Nats-Required-Api-Level"];

/// The headers of a block that ask nothing of a stream, without those named in `except`.
pub(super) fn without_requests(block: &[u8], except: &[&str]) -> HeaderBlock {
    let mut taken = HeaderBlock::new();
    let Some(headers) = Headers::new(block) else { return taken };
    for (name, value) in headers.iter() {
        let is_request =
            REQUESTS.contains(&name) || REQUEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if !is_request && !except.iter().any(|except| except.as_bytes() == name) {
            // A header that cannot be written into a block is left out.
            let _ = taken.push(name, value);
        }
    }
    taken
}

/// A duration as Go writes it.
pub(super) fn duration(duration: Nanoseconds) -> String {
    let total = duration.0.max(0);
    let (seconds, nanoseconds) = (total / 1_000_000_000, total % 1_000_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    // Writing into a text cannot fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}");
    if nanoseconds > 0 {
        let fraction = format!("{nanoseconds:09}");
        let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_something_of_a_stream_is_left_out() {
        let block = b"NATS/1.0\r\nNats-Msg-Id: 7\r\nColour: red\r\nNats-Expected-Last-Sequence: 3\r\nNats-Schedule-Target: a\r\nNats-Stream: S\r\nNats-TTL: 5s\r\n\r\n";
        let taken = without_requests(block, &["Nats-Stream"]).finish();
        assert_eq!(taken, b"NATS/1.0\r\nColour: red\r\n\r\n");
        assert!(without_requests(b"", &[]).is_empty());
    }

    #[test]
    fn durations_read_as_in_go() {
        for (seconds, text) in [(1, "1s"), (61, "1m1s"), (3600, "1h0m0s"), (90_061, "25h1m1s")] {
            assert_eq!(duration(Nanoseconds::from_secs(seconds)), text);
        }
        assert_eq!(duration(Nanoseconds(1_500_000_000)), "1.5s");
    }
}
