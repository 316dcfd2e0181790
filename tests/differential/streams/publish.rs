//! Messages with all kinds of headers: what their publisher is told.

use quartet::stream::api::reply;
use quartet::stream::definition::StreamDefinition;
use quartet::stream::ingest::{Rollup, Stored, Verdict, Wishes, decide};
use quartet_protocol::broker::headers::{HeaderBlock, Headers};
use quartet_protocol::broker::subject;

use super::NatsStreams;

const STREAMS: [&str; 2] = [
    r#"{"name":"P","subjects":["p.>"],"max_msg_size":1000}"#,
    r#"{"name":"A","subjects":["a.>"],"allow_msg_ttl":true,"allow_rollup_hdrs":true,"allow_msg_schedules":true}"#,
];

const FAR: &str = "@at 2100-01-01T00:00:00Z";

/// Messages one after the other: a subject and headers.
const MESSAGES: &[(&str, &[(&str, &str)])] = &[
    ("p.1", &[]),
    ("p.1", &[("Nats-Msg-Id", "a")]),
    ("p.1", &[("Nats-Msg-Id", "a")]),
    ("p.1", &[("nats-msg-id", "a")]),
    ("p.1", &[("Nats-Expected-Stream", "X")]),
    ("p.1", &[("Nats-Expected-Stream", "P")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "9")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "0")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "x")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "-1")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "4")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "18446744073709551616")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "")]),
    ("p.1", &[("Nats-Expected-Last-Subject-Sequence", "9")]),
    ("p.1", &[("Nats-Expected-Last-Subject-Sequence", "")]),
    ("p.2", &[("Nats-Expected-Last-Subject-Sequence", "0")]),
    (
        "p.3",
        &[
            ("Nats-Expected-Last-Subject-Sequence", "0"),
            ("Nats-Expected-Last-Subject-Sequence-Subject", "p.1"),
        ],
    ),
    (
        "p.3",
        &[
            ("Nats-Expected-Last-Subject-Sequence", "0"),
            ("Nats-Expected-Last-Subject-Sequence-Subject", "q.>"),
        ],
    ),
    ("p.3", &[("Nats-Expected-Last-Subject-Sequence-Subject", "p.1")]),
    ("p.1", &[("Nats-Expected-Last-Msg-Id", "a")]),
    ("p.1", &[("Nats-Msg-Id", "b")]),
    ("p.1", &[("Nats-Expected-Last-Msg-Id", "a")]),
    ("p.1", &[("Nats-Expected-Last-Msg-Id", "b")]),
    ("p.1", &[("Nats-Rollup", "all")]),
    ("p.1", &[("Nats-TTL", "1s")]),
    ("p.1", &[("Nats-TTL", "x")]),
    ("p.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "p.9")]),
    // Two reasons at once: which is told?
    ("p.1", &[("Nats-Msg-Id", "a"), ("Nats-Expected-Last-Sequence", "99")]),
    ("p.1", &[("Nats-Msg-Id", "a"), ("Nats-Expected-Last-Msg-Id", "zz")]),
    ("p.1", &[("Nats-Msg-Id", "a"), ("Nats-Rollup", "all")]),
    ("p.1", &[("Nats-Msg-Id", "a"), ("Nats-TTL", "5s")]),
    ("p.1", &[("Nats-Msg-Id", "a"), ("Nats-TTL", "x")]),
    ("p.1", &[("Nats-Expected-Stream", "X"), ("Nats-TTL", "5s")]),
    ("p.1", &[("Nats-Expected-Last-Msg-Id", "zz"), ("Nats-Rollup", "all")]),
    ("p.1", &[("Nats-Expected-Last-Msg-Id", "zz"), ("Nats-Schedule", "x")]),
    ("p.1", &[("Nats-Expected-Last-Sequence", "99"), ("Nats-Expected-Last-Subject-Sequence-Subject", "p.1")]),
    ("a.1", &[("Nats-TTL", "1")]),
    ("a.1", &[("Nats-TTL", "1.5s")]),
    ("a.1", &[("Nats-TTL", "500ms")]),
    ("a.1", &[("Nats-TTL", "0")]),
    ("a.1", &[("Nats-TTL", "0s")]),
    ("a.1", &[("Nats-TTL", "-1")]),
    ("a.1", &[("Nats-TTL", "-1s")]),
    ("a.1", &[("Nats-TTL", "x")]),
    ("a.1", &[("Nats-TTL", "Never")]),
    ("a.1", &[("Nats-TTL", "")]),
    ("a.1", &[("Nats-TTL", "1h2m")]),
    ("a.1", &[("Nats-TTL", "1d")]),
    ("a.1", &[("Nats-TTL", "9223372036")]),
    ("a.1", &[("Nats-Rollup", "SUB")]),
    ("a.1", &[("Nats-Rollup", "x")]),
    ("a.1", &[("Nats-Rollup", "")]),
    ("a.2", &[("Nats-Rollup", "all")]),
    ("a.2", &[("Nats-Expected-Last-Subject-Sequence", "0")]),
    ("a.1", &[("Nats-Schedule", FAR)]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.1")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.*")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "q")]),
    ("a.1", &[("Nats-Schedule", "@at x"), ("Nats-Schedule-Target", "a.9")]),
    ("a.1", &[("Nats-Schedule", "@at  2100-01-01T00:00:00Z"), ("Nats-Schedule-Target", "a.9")]),
    ("a.1", &[("Nats-Schedule", "@at 2100-01-01T00:00:00.5+01:00"), ("Nats-Schedule-Target", "a.9")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9"), ("Nats-Rollup", "all")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9"), ("Nats-Rollup", "sub")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9"), ("Nats-Schedule-TTL", "x")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9"), ("Nats-Schedule-TTL", "5s")]),
    ("a.1", &[("Nats-Schedule", FAR), ("Nats-Schedule-Target", "a.9"), ("Nats-TTL", "5s")]),
];

/// The messages of a stream.
#[derive(Default)]
struct Messages {
    /// Sequence and subject.
    live: Vec<(u64, &'static str)>,
    ids: Vec<(u64, Vec<u8>)>,
    last: u64,
}

impl Stored for Messages {
    fn last_sequence(&self) -> u64 {
        self.last
    }

    fn last_message_id(&self) -> &[u8] {
        self.ids.last().filter(|(sequence, _)| *sequence == self.last).map_or(b"", |(_, id)| id)
    }

    fn last_on(&self, pattern: &[u8]) -> u64 {
        let matching = self.live.iter().filter(|(_, on)| subject::matches(pattern, on.as_bytes()));
        matching.map(|(sequence, _)| *sequence).max().unwrap_or_default()
    }

    fn with_id(&self, id: &[u8]) -> Option<u64> {
        self.ids.iter().find(|(_, known)| known == id).map(|(sequence, _)| *sequence)
    }

    fn is_full_of_ids(&self) -> bool {
        false
    }
}

impl Messages {
    fn publish(&mut self, stream: &StreamDefinition, subject: &'static str, headers: &[u8]) -> Vec<u8> {
        let wishes = Headers::new(headers).map(Wishes::read).unwrap_or_default();
        match decide(stream, subject.as_bytes(), headers.len(), 1, &wishes, self, 0) {
            Err(error) => reply::publish_refusal(&stream.name, &error),
            Ok(Verdict::Duplicate(sequence)) => reply::publish_acknowledgement(&stream.name, sequence, true),
            Ok(Verdict::Store(terms)) => {
                match terms.rollup {
                    Some(Rollup::All) => self.live.clear(),
                    Some(Rollup::Subject) => self.live.retain(|(_, on)| *on != subject),
                    None => {}
                }
                self.last += 1;
                self.live.push((self.last, subject));
                self.ids.extend(wishes.message_id.map(|id| (self.last, id.to_vec())));
                reply::publish_acknowledgement(&stream.name, self.last, false)
            }
        }
    }
}

#[test]
fn nats_server_tells_publishers_the_same() {
    let Some(mut nats) = NatsStreams::start() else { return };
    let mut ours = STREAMS.map(|document| {
        let (read, _) = StreamDefinition::read(document.as_bytes()).expect("it is a stream");
        nats.ask_json(&format!("STREAM.CREATE.{}", read.name), document);
        (read.checked_for_creation(false).expect("it is a stream"), Messages::default())
    });
    for (subject, headers) in MESSAGES {
        let mut block = HeaderBlock::new();
        for (name, value) in *headers {
            block.push(name.as_bytes(), value.as_bytes()).expect("it is a header");
        }
        let block = block.finish();
        let (stream, messages) =
            ours.iter_mut().find(|(stream, _)| stream.takes(subject.as_bytes())).expect("a stream takes it");
        let theirs = nats.ask(subject, &block, b"x").payload;
        let ours = messages.publish(stream, subject, &block);
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{subject} {headers:?}");
    }
}
