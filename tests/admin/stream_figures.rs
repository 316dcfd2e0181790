//! The figures of the durable streams: what moves them.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::figures::{Stage, Step};
use crate::support::broker::BrokerClient;

/// What the message has that is going to be damaged.
const DAMAGED_TEXT: &str = "a text that is going to be damaged";

/// How often a message is damaged until somebody has to read it again.
const ATTEMPTS: usize = 10;

/// Sends messages with a reply subject, and waits for an answer to each.
fn ask(stage: &Stage, messages: &[(&str, &str)]) {
    let mut client = BrokerClient::quiet(stage.server.broker_address());
    client.write("SUB _INBOX.figures 1\r\n");
    for (subject, body) in messages {
        client.write(format!("PUB {subject} _INBOX.figures {}\r\n{body}\r\n", body.len()));
        client.read_until("\r\n");
        client.read_until("\r\n");
    }
}

/// Changes a byte of a text in all files of a folder that have it.
fn spoil(folder: &Path, text: &[u8]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let contents = std::fs::read(&path).unwrap_or_default();
        for (place, _) in contents.windows(text.len()).enumerate().filter(|(_, window)| *window == text) {
            let file = OpenOptions::new().write(true).open(&path).expect("it may be written");
            file.write_all_at(b"!", place as u64).expect("it is written");
        }
    }
}

/// A stream is full, and whoever publishes to it wants no answer.
pub(super) const REFUSED: Step = (
    "a message is refused and nobody is told",
    |stage| {
        let create = r#"{"name":"FULL","subjects":["full"],"max_msgs":1,"discard":"new"}"#;
        ask(stage, &[("$JS.API.STREAM.CREATE.FULL", create), ("full", "text")]);
        stage.client.ask("PUBLISH full text");
    },
    &["stream_messages_refused_untold", "quartet_stream_events_total{event=\"refused_untold\"}"],
);

/// A consumer comes to a message that is damaged in a file.
pub(super) const DAMAGED: Step = (
    "a message is damaged",
    |stage| {
        let create = r#"{"name":"DAMAGED","subjects":["damaged"]}"#;
        let consumer = r#"{"stream_name":"DAMAGED","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
        let next = r#"{"batch":1,"no_wait":true}"#;
        ask(stage, &[("$JS.API.STREAM.CREATE.DAMAGED", create)]);
        ask(stage, &[("$JS.API.CONSUMER.DURABLE.CREATE.DAMAGED.c", consumer)]);
        let directory = stage.client.ask("CONFIG GET dir");
        let directory = directory.strip_prefix("[dir, ").and_then(|rest| rest.strip_suffix(']'));
        let directory = Path::new(directory.expect("a value"));
        // A message may be on its way from the journal to a file, which takes it undamaged.
        for _ in 0..ATTEMPTS {
            ask(stage, &[("damaged", DAMAGED_TEXT)]);
            spoil(&directory.join("journal"), DAMAGED_TEXT.as_bytes());
            spoil(&directory.join("streams"), DAMAGED_TEXT.as_bytes());
            ask(stage, &[("$JS.API.CONSUMER.MSG.NEXT.DAMAGED.c", next)]);
            if stage.figures()["stream_messages_unreadable"] != "0" {
                return;
            }
        }
    },
    &["stream_messages_unreadable", "quartet_stream_events_total{event=\"unreadable\"}"],
);

/// Streams are made, stored to, read and purged.
pub(super) const USED: Step = (
    "streams are used",
    |stage| {
        for line in [
            "STREAM.CREATE FIGURES SUBJECTS 1 figures.>",
            "STREAM.PUBLISH figures.a text ID 1",
            "STREAM.PUBLISH figures.a text ID 1",
            "STREAM.PUBLISH figures.a text EXPECT LAST 99",
            "STREAM.PUBLISH figures.a text",
            "STREAM.PUBLISH figures.b text",
            "STREAM.PUBLISH figures.c text",
            "STREAM.PURGE FIGURES SUBJECT figures.b",
        ] {
            stage.client.ask(line);
        }
        let consumer = r#"{"stream_name":"FIGURES","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
        ask(
            stage,
            &[
                ("$JS.API.CONSUMER.DURABLE.CREATE.FIGURES.c", consumer),
                ("$JS.API.CONSUMER.MSG.NEXT.FIGURES.c", "1"),
                ("$JS.API.STREAM.INFO.NOTHING", ""),
            ],
        );
    },
    &[
        "streams",
        "stream_consumers",
        "stream_messages",
        "stream_bytes",
        "stream_pending",
        "stream_ack_pending",
        "stream_journaled_messages",
        "stream_journal",
        "stream_messages_stored",
        "stream_messages_removed",
        "stream_messages_duplicate",
        "stream_messages_refused",
        "stream_api_requests",
        "stream_api_errors",
        "streams_journal_syncs",
        "quartet_streams",
        "quartet_stream_consumers",
        "quartet_stream_journaled_messages",
        "quartet_stream_events_total{event=\"stored\"}",
        "quartet_stream_events_total{event=\"removed\"}",
        "quartet_stream_events_total{event=\"duplicate\"}",
        "quartet_stream_events_total{event=\"refused\"}",
        "quartet_stream_requests_total",
        "quartet_stream_request_errors_total",
    ],
);
